/* What is known of the bus: its last snapshot, and what was told since. Every
   event costs the same, however much there is. */

const SHOWN_MS = 120_000;
const MOST_BARS = 40_000, MOST_EVENTS = 10_000;

class Model {
	constructor() { this.forget(); }

	/** Another bus: nothing of before holds. */
	forget() {
		this.snapshot = null;
		this.isStale = false;
		this.seq = 0;
		this.offset = 0;
		this.groups = new Map();
		this.bars = new Ring();
		this.barsDropped = 0;
		this.runs = new Map();
		this.events = new Ring();
		this.eventsDropped = 0;
		this.histories = new Map();
		this.course = new Course();
	}

	/** The time on the bus; while that is not heard, until when it was. */
	now() { return this.isStale ? this.snapshot.time : Date.now() + this.offset; }

	event(event) {
		if (event.seq <= this.seq) return;
		if (this.seq && event.seq > this.seq + 1) this.note(`events ${this.seq + 1} to ${event.seq - 1} were not told`);
		this.seq = event.seq;
		event.time = Date.parse(event.at);
		const run = this.runs.get(event.job);
		this.course.event(event, this.submitted(event.job));
		if (event.state === "running") this.starts(event);
		else if (event.state === "stopping") this.stops(event, run);
		else if (run) this.ends(run, event.time, event.retry_ms != null ? "failed" : stateOf(event), event.by);
		this.keep(event);
	}

	/** What happened here, and not on the bus. */
	note(text) { this.keep({ note: text, time: Date.now() + this.offset }); }

	keep(event) {
		this.events.push(event);
		if (event.job) {
			const history = this.histories.get(event.job);
			if (history) history.push(event);
			else this.histories.set(event.job, [event]);
		}
		if (this.events.length > MOST_EVENTS) {
			const old = this.events.shift();
			this.eventsDropped++;
			const history = this.histories.get(old.job);
			if (history) {
				history.shift();
				if (!history.length) this.histories.delete(old.job);
			}
		}
	}

	/** When a job was submitted that has not started yet, if that is known. */
	submitted(job) {
		const history = this.histories.get(job);
		if (history && isSubmission(history[0]) && !history.some((event) => event.state === "running")) return history[0].time;
	}

	group(name) {
		let group = this.groups.get(name);
		if (!group) this.groups.set(name, group = { name, slots: 0, rows: [], connected: true });
		return group;
	}

	starts({ job, priority, on, slot, time, attempt }) {
		const before = this.runs.get(job);
		if (before) this.ends(before, time, "unknown");
		const group = this.group(on);
		const bar = { job, priority, attempt, on, start: time, end: null, state: "running" };
		const free = () => {
			const at = group.rows.findIndex((row) => !row.run);
			return at < 0 ? group.rows.length : at;
		};
		bar.slot = slot ?? free();
		while (group.rows.length <= bar.slot && group.rows.length < 100_000) group.rows.push({ bars: new Ring(), run: null });
		const row = group.rows[bar.slot];
		if (!row) return;
		row.run = bar;
		row.bars.push(bar);
		this.runs.set(job, bar);
		this.bars.push(bar);
		if (this.bars.length > MOST_BARS) {
			this.bars.shift().dropped = true;
			this.barsDropped++;
		}
		return bar;
	}

	stops({ time, room_for, grace_ms }, run) {
		if (run) Object.assign(run, { state: "stopping", term: time, kill: time + grace_ms, by: room_for });
	}

	ends(run, time, state, by) {
		Object.assign(run, { end: time, state, by });
		this.runs.delete(run.job);
		const row = this.group(run.on).rows[run.slot];
		if (row.run === run) row.run = null;
	}

	handle(snapshot) {
		const offset = Date.parse(snapshot.at) - Date.now();
		if (Math.abs(offset - this.offset) > 40) this.offset = offset;
		this.snapshot = snapshot;
		snapshot.time = Date.now() + this.offset;
		for (const group of this.groups.values()) Object.assign(group, { slots: 0, connected: false });
		for (const { name, slots, connected, mode } of snapshot.schedulers) {
			const group = this.group(name);
			group.slots += slots;
			group.connected ||= connected;
			group.mode = mode;
			while (group.rows.length < group.slots) group.rows.push({ bars: new Ring(), run: null });
		}
		if (this.seq >= snapshot.seq) this.agree(snapshot);
	}

	/** Runs of which the beginning or the end was not told. */
	agree({ running, counters, time }) {
		const there = new Set();
		for (const row of running) {
			there.add(row.job);
			if (row.state !== "running") continue;
			const run = this.runs.get(row.job) ?? this.starts({ ...row, time: time - row.ran_ms });
			if (!run) continue;
			run.what = row.what;
			if (row.stopping && !run.term) this.stops({ time, room_for: row.stopping.by, grace_ms: row.stopping.grace_ms }, run);
		}
		if (running.length < counters.running) return;
		for (const run of [...this.runs.values()]) if (!there.has(run.job)) this.ends(run, time, "unknown");
	}

	/** Forgets runs that have left the picture, and schedulers with them. */
	prune() {
		const old = this.now() - SHOWN_MS - 5000;
		const gone = (bar) => bar.dropped || (bar.end && bar.end < old);
		while (this.bars.length && gone(this.bars.at(0))) this.bars.shift();
		for (const group of this.groups.values()) {
			let empty = !group.connected;
			for (const row of group.rows) {
				while (row.bars.length && gone(row.bars.at(0))) row.bars.shift();
				empty &&= !row.bars.length;
			}
			while (group.rows.length > group.slots && !group.rows[group.rows.length - 1].bars.length) group.rows.pop();
			if (empty && !group.slots) this.groups.delete(group.name);
		}
	}
}
