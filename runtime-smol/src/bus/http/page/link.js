/* The connection: an observer of the bus, in version 1 of its protocol. It comes
   back after a loss, and then hears what it has missed. */

const FIRST_PAUSE = 250, LONGEST_PAUSE = 10_000;
/* A bus that has not answered for so long is given up. */
const PATIENCE = 10_000;
/* The most events that are asked for after the fact, and the code with which the
   bus closes a client for which that was more than it holds back. */
const MOST_MISSED = 4000, TOO_SLOW = 1008;

class Link {
	/** `hears`: what is done with each message; `lost`: and when it is lost. */
	constructor(hears, lost) {
		Object.assign(this, { hears, lost, pause: FIRST_PAUSE, requests: 0, open: new Map() });
		this.connect();
	}

	get up() { return this.welcomed && this.socket.readyState === WebSocket.OPEN; }

	connect() {
		this.welcomed = false;
		this.heard = Date.now();
		const scheme = location.protocol === "https:" ? "wss" : "ws";
		const socket = this.socket = new WebSocket(`${scheme}://${location.host}/`);
		socket.onopen = () => this.write({ cmd: "register", type: "observer", v: 1, name: "page", session: this.session });
		socket.onmessage = ({ data }) => {
			this.heard = Date.now();
			this.hears(data);
		};
		socket.onclose = ({ code }) => { if (socket === this.socket) this.over(code); };
	}

	over(code) {
		const unanswered = [...this.open.values()];
		this.open.clear();
		this.welcomed = false;
		this.socket.onclose = this.socket.onmessage = null;
		this.lost(code);
		for (const answer of unanswered) answer({ ev: "error", message: "the connection was lost before the answer" });
		setTimeout(() => this.connect(), this.pause * (0.5 + Math.random() / 2));
		this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
		this.socket.close();
	}

	/** Is called every now and then: a connection that hangs is replaced. */
	watch() {
		const waits = this.open.size > 0 || !this.welcomed;
		if (this.socket.onclose && waits && Date.now() - this.heard > PATIENCE) this.over();
	}

	/** Sends a request; `answer` is given the reply. */
	ask(request, answer) {
		if (!this.up) return answer({ ev: "error", message: "there is no connection" });
		if (this.open.size === 0) this.heard = Date.now();
		const id = ++this.requests;
		this.open.set(id, answer);
		this.write({ ...request, id });
	}

	/** Gives a reply to whoever has asked. */
	answered(message) {
		const answer = this.open.get(message.re);
		this.open.delete(message.re);
		if (answer) answer(message);
	}

	welcome({ session }) {
		const resumed = this.session === session;
		Object.assign(this, { session, welcomed: true, pause: FIRST_PAUSE });
		return resumed;
	}

	write(message) { this.socket.send(JSON.stringify(message)); }
}
