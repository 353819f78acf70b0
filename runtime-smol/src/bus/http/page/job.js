/* One job: its whole history, and its end; and what else asks before it acts. */

class JobDialog {
	constructor(model, link) {
		Object.assign(this, { model, link });
		this.dialog = $("dialog#job");
		$("[data-action=close]", this.dialog).addEventListener("click", () => this.dialog.close());
		this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
		this.cancel = $("[data-action=cancel]", this.dialog);
		this.cancel.addEventListener("click", () => this.send());
		/* It tells that it was closed only afterwards, when another job may be in it. */
		this.dialog.addEventListener("close", () => {
			if (this.dialog.open) return;
			this.job = null;
			this.opener?.focus({ preventScroll: true });
		});
	}

	open(job, row) {
		this.opener = document.activeElement;
		Object.assign(this, { job, row: row ?? null, drawn: -1 });
		say($("#job-title"), job);
		say($("#job-said"), "");
		this.draw();
		if (!this.dialog.open) this.dialog.showModal();
		$(".scroll", this.dialog).scrollTop = 0;
	}

	draw() {
		if (!this.job) return;
		const { model, job } = this;
		const history = model.histories.get(job) ?? [];
		const snapshot = model.snapshot;
		const runs = snapshot?.running.find((it) => it.job === job);
		const waits = snapshot?.pending.find((it) => it.job === job) ?? (runs?.why ? runs : null);
		this.row = runs ?? waits ?? this.row;
		const last = history[history.length - 1];
		const isOver = last?.final === true;
		this.cancel.disabled = isOver;
		const facts = [["Now", isOver ? `${SIGNS[last.state]} ${STATES[last.state]}` : runs ? `${SIGNS[runs.state]} ${STATES[runs.state]}` : "◷ waits"]];
		if (this.row?.what) facts.push(["What", this.row.what]);
		facts.push(["Priority", String(this.row?.priority ?? last?.priority ?? "not known")]);
		if (!isOver && waits) facts.push(["Waits because", waits.why]);
		if (runs) facts.push(["On", runs.slot == null ? runs.on : `${runs.on}, slot ${runs.slot}`]);
		if (this.row?.evictions && !isOver) facts.push(["Evicted", this.row.evictions === 1 ? "once" : `${this.row.evictions} times`]);
		const list = $("#job-facts");
		const text = JSON.stringify(facts);
		if (list.dataset.facts !== text) {
			list.dataset.facts = text;
			list.replaceChildren(...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
		}
		if (this.drawn === history.length && this.first === history[0]) return;
		this.drawn = history.length;
		this.first = history[0];
		const caption = history.length ? several(history.length, "event") : "nothing was told of it";
		say($("caption", this.dialog), history[0] && isSubmission(history[0]) ? caption : `${caption}; what came before is not kept`);
		$(".history tbody").replaceChildren(...history.slice(-500).map((event) => {
			const name = stateOf(event);
			return el("tr", { "data-state": name }, el("td", {}, clock(event.time)), el("td", { class: "state" }, `${SIGNS[name] ?? "·"} ${STATES[name] ?? name}`), el("td", {}, details(event)));
		}));
		const output = history.findLast((event) => event.output)?.output;
		$("#job-output").hidden = !output;
		say($("#job-output pre"), output ?? "");
	}

	send() {
		const said = $("#job-said");
		say(said, "sent, not answered yet");
		this.link.ask({ cmd: "cancel", job: this.job }, ({ ev, message }) => say(said, ev === "ok" ? "It is being cancelled." : `Not cancelled: ${message}`));
	}
}

/** Asks before the whole bus is paused, resumed or drained. */
class Steering {
	constructor(link) {
		const dialog = $("dialog#ask");
		const texts = {
			pause: ["Pause the whole bus?", "Nothing new is started. What runs goes on, and jobs are still accepted."],
			resume: ["Resume the whole bus?", "Jobs are accepted and started again."],
			drain: ["Drain the whole bus?", "No more jobs are accepted or started, until it is resumed. What runs goes on."],
		};
		let verb;
		for (const button of document.querySelectorAll("header [data-action]")) {
			button.addEventListener("click", () => {
				if (button.ariaDisabled === "true") return;
				verb = button.dataset.action;
				this.opener = button;
				say($("#ask-title"), texts[verb][0]);
				say($("#ask-text"), texts[verb][1]);
				say($("[data-answer=yes]"), verb[0].toUpperCase() + verb.slice(1));
				dialog.showModal();
				$("[data-answer=no]").focus();
			});
		}
		$("[data-answer=no]").addEventListener("click", () => dialog.close());
		$("[data-answer=yes]").addEventListener("click", () => {
			dialog.close();
			link.ask({ cmd: verb }, ({ ev, message }) => {
				model.note(ev === "ok" ? `${verb}: done` : `${verb}: the bus refuses: ${message}`);
				look(0);
			});
		});
		dialog.addEventListener("close", () => { if (!dialog.open) this.opener.focus(); });
	}
}

function testJobs(link) {
	$("form#submit").addEventListener("submit", (event) => {
		event.preventDefault();
		const { priority, runtime, fate } = event.target.elements;
		const opts = fate.value ? { on_evict: fate.value } : {};
		const payload = { priority: priority.valueAsNumber, runtime: runtime.valueAsNumber };
		link.ask({ cmd: "submit", payload, opts }, ({ ev, job, message }) => say($("#submit-said"), ev === "accepted" ? `${job} is accepted` : `Refused: ${message}`));
	});
}
