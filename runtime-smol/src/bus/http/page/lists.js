/* What waits, and what has happened. */

/** The queue, in the order in which it will run. Which job comes when, and why it
   waits, the bus says: it is asked for the part that can be seen. */
class Queue {
	constructor(openJob) {
		this.reserved = [];
		this.rows = [];
		this.from = 0;
		this.total = 0;
		this.list = new Rows($("#queue"), {
			head: ["#", "Job", "Priority", "Waits because", "Age", "What"],
			fill: (row, cells, index) => this.fill(row, cells, index),
			open: (index) => { const it = this.at(index); if (it) openJob(it.job, it); },
		});
	}

	/** What to ask the bus for. */
	get view() {
		const from = Math.max(0, this.list.first - this.reserved.length - 40);
		return { from, rows: this.list.shown + 80, outcomes: false };
	}

	get isMissing() {
		const last = Math.min(this.list.first + this.list.shown, this.list.count);
		for (let at = this.list.first; at < last; at++) if (!this.at(at)) return true;
		return false;
	}

	/** A job with a slot reserved comes before all that have none. */
	at(index) {
		const waits = index - this.reserved.length;
		return waits < 0 ? this.reserved[index] : this.rows[waits - this.from];
	}

	show({ running, pending, from, counters }) {
		const focused = this.list.isFocused ? this.at(this.list.active)?.job : null;
		this.reserved = running.filter((it) => it.why != null && it.state === "assigned");
		Object.assign(this, { rows: pending, from, total: counters.pending });
		const most = 10_000;
		const listed = Math.min(this.total, most);
		let note = this.total ? `${counted(this.total)} in the order in which they will run` : "nothing waits";
		if (this.total > listed) note = `the next ${counted(listed)} of ${counted(this.total)}`;
		say($("#queue-note"), note);
		this.count = this.reserved.length + listed;
		if (focused) {
			const at = [...this.reserved, ...this.rows].findIndex((it) => it.job === focused);
			if (at >= 0) this.list.active = at < this.reserved.length ? at : at + this.from;
		}
		this.list.draw(this.count);
		if (focused && this.list.isFocused) this.list.focus();
	}

	draw() { this.list.draw(this.count ?? 0); }

	fill(row, [place, job, priority, why, age, what], index) {
		const it = this.at(index);
		row.classList.toggle("reserved", index < this.reserved.length);
		say(place, index < this.reserved.length ? "→" : counted(index - this.reserved.length + 1));
		if (!it) {
			delete row.dataset.job;
			delete row.dataset.why;
			for (const cell of [job, priority, why, age, what]) say(cell, "…");
			return;
		}
		mark(row, "data-job", it.job);
		mark(row, "data-why", it.why);
		say(job, it.job);
		say(priority, it.priority);
		const again = it.evictions ? ` · evicted ${it.evictions === 1 ? "once" : `${it.evictions} times`}` : "";
		say(why, it.why + again + (it.attempt > 1 ? ` · attempt ${it.attempt}` : ""));
		say(age, span(it.age_ms + model.now() - model.snapshot.time));
		say(what, it.what);
	}
}

/** The events that are kept, the newest first. */
class Log {
	constructor(openJob) {
		this.filter = "";
		this.matches = new Ring();
		this.seen = 0;
		this.list = new Rows($("#log"), {
			head: ["Time", "Job", "State", "What"],
			fill: (row, cells, index) => this.fill(row, cells, index),
			open: (index) => { const it = this.at(index); if (it?.job) openJob(it.job); },
		});
		$("#log-filter").addEventListener("input", ({ target }) => {
			this.filter = target.value.trim().toLowerCase();
			this.start = true;
			schedule();
		});
	}

	at(index) { return this.matches.at(this.matches.length - 1 - index); }

	isWanted(event) {
		if (!this.filter) return true;
		const text = event.note ?? `${event.job} ${event.state} ${STATES[stateOf(event)]} ${stateOf(event)} ${details(event)}`;
		return text.toLowerCase().includes(this.filter);
	}

	draw({ events, eventsDropped }) {
		if (this.start || this.events !== events) {
			Object.assign(this, { start: false, events, matches: new Ring(), seen: eventsDropped });
			this.list.scroll(0);
		}
		let added = 0;
		for (this.seen = Math.max(this.seen, eventsDropped); this.seen < events.length + eventsDropped; this.seen++) {
			const event = events.at(this.seen - eventsDropped);
			event.place = this.seen;
			if (!this.isWanted(event)) continue;
			this.matches.push(event);
			added++;
		}
		while (this.matches.length && this.matches.at(0).place < eventsDropped) this.matches.shift();
		const dropped = eventsDropped ? `, ${counted(eventsDropped)} older dropped` : "";
		const shown = this.filter ? `${counted(this.matches.length)} of ${counted(events.length)}` : counted(events.length);
		say($("#log-note"), shown + dropped);
		this.list.draw(this.matches.length, added);
	}

	fill(row, [time, job, state, what], index) {
		const event = this.at(index);
		if (row.event === event) return;
		row.event = event;
		say(time, clock(event.time).slice(0, 12));
		say(job, event.job ?? "");
		if (event.job) mark(row, "data-job", event.job);
		else delete row.dataset.job;
		const name = event.job ? stateOf(event) : "note";
		mark(row, "data-state", name);
		mark(state, "class", "state");
		say(state, event.job ? `${SIGNS[name] ?? "·"} ${STATES[name] ?? name}` : "· note");
		say(what, event.note ?? details(event));
	}
}
