/* Runs over time, a row a slot. Drawn on one canvas of the size of what can be
   seen, so that it costs the same however many slots and runs there are. */

const ROW = 22, BAR = 15, AXIS = 20, LABELS = 92, HEAD = 20;
const MOST_IN_TABLE = 100;
const FAILED = new Set(["failed", "timed_out", "spawn_failed", "lost"]);

class Gantt {
	constructor(model, open) {
		Object.assign(this, { model, open, chosen: null, hits: [], lines: [], drawn: 0, up: 0 });
		this.view = $("#slots");
		this.canvas = $("#slots-canvas");
		this.pen = this.canvas.getContext("2d");
		const again = () => {
			this.colours();
			this.wide = this.view.clientWidth;
			this.high = this.view.clientHeight;
			this.move();
		};
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
		new ResizeObserver(again).observe(this.view);
		this.view.addEventListener("scroll", () => {
			this.up = this.view.scrollTop;
			this.move();
		}, { passive: true });
		this.view.addEventListener("keydown", (event) => this.key(event));
		this.view.addEventListener("click", (event) => {
			const bar = this.under(event);
			if (bar) this.open(bar.job, bar);
		});
		this.view.addEventListener("mousemove", (event) => {
			const bar = this.under(event);
			this.view.title = bar ? this.words(bar) : "";
			this.view.classList.toggle("over", !!bar);
		});
		const button = $("#slots-as-table");
		button.addEventListener("click", () => {
			const shown = !$("#slots-frame").classList.toggle("unseen");
			mark(button, "aria-pressed", shown);
			if (shown) $("#slots-frame").tabIndex = 0;
			else $("#slots-frame").removeAttribute("tabindex");
		});
		again();
	}

	/** It is to be drawn at once. */
	move() {
		this.moved = true;
		schedule();
	}

	get isMoving() { return this.model.bars.length > 0; }

	colours() {
		const style = getComputedStyle(document.documentElement);
		const colour = (name) => style.getPropertyValue(`--${name}`).trim();
		this.paint = Object.fromEntries(["text", "quiet", "line", "panel", "bad", "warn", "focus", "zebra"].map((name) => [name, colour(name)]));
		this.ranks = [0, 1, 2, 3, 4].map((rank) => [colour(`rank${rank}`), colour(`on-rank${rank}`)]);
		this.font = `11px ${style.getPropertyValue("--sans")}`;
		const tile = el("canvas", { width: 6, height: 6 });
		const pen = tile.getContext("2d");
		pen.strokeStyle = this.paint.bad;
		pen.lineWidth = 1.4;
		for (let at = -6; at <= 6; at += 3) {
			pen.moveTo(at, 6);
			pen.lineTo(at + 6, 0);
		}
		pen.stroke();
		this.hatch = this.pen.createPattern(tile, "repeat");
	}

	/** What is shown, from the top: a heading for each scheduler, and its slots. */
	layout() {
		this.lines = [];
		for (const group of [...this.model.groups.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
			this.lines.push({ group });
			group.rows.forEach((row, slot) => this.lines.push({ group, row, slot }));
		}
		let top = AXIS;
		for (const line of this.lines) {
			line.top = top;
			top += line.row ? ROW : HEAD;
		}
		this.height = top + 4;
	}

	draw() {
		this.moved = false;
		this.layout();
		const { canvas, pen } = this;
		const space = $("#slots-space");
		if (space.style.height !== `${this.height}px`) space.style.height = `${this.height}px`;
		const [wide, high, ratio] = [this.wide, Math.min(this.high, this.height), devicePixelRatio || 1];
		if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
			Object.assign(canvas, { width: Math.round(wide * ratio), height: Math.round(high * ratio) });
			canvas.style.width = `${wide}px`;
			canvas.style.height = `${high}px`;
		}
		pen.setTransform(ratio, 0, 0, ratio, 0, 0);
		pen.clearRect(0, 0, wide, high);
		pen.font = this.font;
		pen.textBaseline = "middle";
		this.left = wide < 480 ? 26 : LABELS;
		this.now = this.model.now();
		this.scale = (wide - this.left - 8) / SHOWN_MS;
		this.hits = [];
		this.begins = new Map();
		const arrows = [];
		for (const line of this.lines) {
			const y = line.top - this.up;
			if (y < -ROW || y > high) continue;
			if (line.row) this.row(line, y, wide, arrows);
			else this.heading(line.group, y, wide);
		}
		for (const arrow of arrows) this.arrow(...arrow);
		this.axis(wide, high);
		const dropped = this.model.barsDropped;
		const slots = this.model.snapshot?.counters.slots ?? 0;
		say($("#slots-note"), slots ? `the last 120 s${dropped ? `, ${several(dropped, "run")} not drawn` : ""}` : "no scheduler is connected");
	}

	x(time) { return this.left + (time - this.now + SHOWN_MS) * this.scale; }

	axis(wide, high) {
		const { pen, paint } = this;
		pen.fillStyle = paint.panel;
		pen.fillRect(0, 0, wide, AXIS);
		pen.fillStyle = paint.quiet;
		pen.strokeStyle = paint.line;
		pen.lineWidth = 1;
		const step = wide < 480 ? 60 : 20;
		for (let back = 0; back <= 120; back += step) {
			const x = Math.round(this.x(this.now - back * 1000)) - 0.5;
			pen.textAlign = back === 0 ? "right" : "center";
			pen.fillText(back ? `−${back} s` : "now", back === 0 ? x + 6 : x, AXIS / 2);
			pen.beginPath();
			pen.moveTo(x, AXIS - 3);
			pen.lineTo(x, back === 0 ? high : AXIS);
			pen.stroke();
		}
		pen.textAlign = "left";
	}

	heading({ name, connected, mode }, y, wide) {
		const { pen, paint } = this;
		pen.fillStyle = paint.text;
		const rest = !connected ? " · away" : mode && mode !== "accepting" ? ` · ${mode}` : "";
		pen.fillText(this.cut(name + rest, wide - 12), 6, y + HEAD / 2 + 1);
	}

	cut(text, most) {
		const fits = Math.floor(most / 6.2);
		return text.length > fits ? `${text.slice(0, Math.max(1, fits - 1))}…` : text;
	}

	row({ row, slot }, y, wide, arrows) {
		const { pen, paint } = this;
		pen.fillStyle = paint.zebra;
		pen.fillRect(this.left, y + 1, wide - this.left - 8, ROW - 2);
		pen.fillStyle = paint.quiet;
		pen.fillText(this.left < LABELS ? slot : `slot ${slot}`, this.left < LABELS ? 8 : 16, y + ROW / 2);
		let painted = -1;
		for (const bar of row.bars) {
			const end = this.x(bar.end ?? this.now);
			if (end < this.left) continue;
			const begin = Math.max(this.left, this.x(bar.start));
			const wideEnough = end - painted >= 1;
			if (bar.by && bar.end) arrows.push([bar, end, y]);
			if (!wideEnough && !bar.by) continue;
			this.bar(bar, begin, Math.max(end, begin + 1.5), y + (ROW - BAR) / 2);
			painted = end;
		}
	}

	bar(bar, begin, end, top) {
		const { pen, paint } = this;
		const wide = end - begin;
		const [fill, ink] = this.ranks[rankOf(bar.priority)];
		const term = bar.term ? Math.max(begin, Math.min(end, this.x(bar.term))) : end;
		pen.fillStyle = fill;
		pen.beginPath();
		pen.roundRect(begin, top, Math.max(term - begin, 1), BAR, Math.min(3, wide / 2));
		pen.fill();
		if (term < end) this.dotted(term, end, top);
		if (bar.end && bar.by) {
			const from = Math.max(begin, end - 9);
			pen.fillStyle = paint.panel;
			pen.fillRect(from, top, end - from, BAR);
			pen.fillStyle = this.hatch;
			pen.fillRect(from, top, end - from, BAR);
			pen.strokeStyle = paint.bad;
			pen.strokeRect(from + 0.5, top + 0.5, Math.max(end - from - 1, 0.5), BAR - 1);
		} else if (bar.end && FAILED.has(bar.state)) {
			pen.fillStyle = paint.bad;
			pen.fillRect(end - 2.5, top - 2, 2.5, BAR + 4);
		}
		const label = `${bar.job} · ${bar.priority}`;
		const room = term - begin - 8;
		pen.fillStyle = ink;
		if (room > label.length * 6) pen.fillText(label, begin + 4, top + BAR / 2 + 0.5);
		else if (room > bar.job.length * 6) pen.fillText(bar.job, begin + 4, top + BAR / 2 + 0.5);
		if (bar === this.chosen) {
			pen.strokeStyle = paint.focus;
			pen.lineWidth = 2;
			pen.strokeRect(begin - 2, top - 2, wide + 4, BAR + 4);
			pen.lineWidth = 1;
		}
		this.hits.push({ bar, begin, end, top });
		const runs = this.begins.get(bar.job);
		const here = { x: begin, y: top + BAR / 2, bar };
		if (runs) runs.push(here);
		else this.begins.set(bar.job, [here]);
	}

	/** From TERM to KILL, or to the end. */
	dotted(begin, end, top) {
		const { pen, paint } = this;
		pen.strokeStyle = paint.warn;
		pen.lineWidth = 1.5;
		pen.setLineDash([2, 2.5]);
		pen.strokeRect(begin, top + 0.75, end - begin, BAR - 1.5);
		pen.setLineDash([]);
		pen.lineWidth = 1;
	}

	/** From a run that was evicted to the one for which it was. */
	arrow(bar, x, y) {
		/* The next run of that one; a later one did not need this end. */
		const to = this.begins.get(bar.by)?.filter((it) => it.bar.start >= bar.start).sort((a, b) => a.x - b.x)[0];
		if (to?.bar.on !== bar.on) return;
		const { pen, paint } = this;
		const from = y + ROW / 2;
		const tip = Math.max(to.x, x) + 1;
		pen.strokeStyle = pen.fillStyle = paint.bad;
		pen.lineWidth = 1.3;
		pen.beginPath();
		if (Math.abs(to.y - from) < 1) {
			pen.moveTo(x - 5, from - BAR / 2 - 1);
			pen.quadraticCurveTo(x + 1, from - BAR, tip + 5, from - BAR / 2 - 3);
			pen.stroke();
			this.head(tip + 5, from - BAR / 2 + 1, 1);
		} else {
			const down = to.y > from ? 1 : -1;
			pen.moveTo(x, from);
			pen.bezierCurveTo(x + 12, from, tip + 4, to.y - down * 20, tip + 4, to.y - down * (BAR / 2 + 4));
			pen.stroke();
			this.head(tip + 4, to.y - (down * BAR) / 2, down);
		}
		pen.lineWidth = 1;
	}

	head(x, y, down) {
		const { pen } = this;
		pen.beginPath();
		pen.moveTo(x, y);
		pen.lineTo(x - 3.5, y - down * 6);
		pen.lineTo(x + 3.5, y - down * 6);
		pen.fill();
	}

	under({ clientX, clientY }) {
		const box = this.canvas.getBoundingClientRect();
		const [x, y] = [clientX - box.left, clientY - box.top];
		const hit = this.hits.findLast(({ begin, end, top }) => x >= begin - 2 && x <= end + 2 && y >= top - 3 && y <= top + BAR + 3);
		return hit?.bar;
	}

	words(bar) {
		const ran = span((bar.end ?? this.model.now()) - bar.start);
		const state = bar.end ? ended(bar) : STATES[bar.state];
		return `${bar.job}, priority ${bar.priority}, ${bar.on} slot ${bar.slot}: ${state}, ran ${ran}${bar.by ? `, evicted for ${bar.by}` : ""}${bar.what ? ` – ${bar.what}` : ""}`;
	}

	key(event) {
		this.layout();
		const rows = this.lines.filter((line) => line.row?.bars.length);
		if (!rows.length || event.altKey || event.ctrlKey || event.metaKey) return;
		const at = rows.findIndex(({ row }) => [...row.bars].includes(this.chosen));
		const isEnter = event.key === "Enter" && this.chosen;
		const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
		if (!step && !isEnter) return;
		event.preventDefault();
		if (isEnter) return this.open(this.chosen.job, this.chosen);
		if (at < 0) return this.choose(rows[0], rows[0].row.bars.last);
		const to = rows[Math.max(0, Math.min(at + step[0], rows.length - 1))];
		const bars = [...to.row.bars];
		if (step[0] === 0) return this.choose(to, bars[Math.max(0, Math.min(bars.indexOf(this.chosen) + step[1], bars.length - 1))]);
		const { start } = this.chosen;
		this.choose(to, bars.reduce((best, bar) => (Math.abs(bar.start - start) < Math.abs(best.start - start) ? bar : best)));
	}

	choose(line, bar) {
		this.chosen = bar;
		say($("#slots-said"), this.words(bar));
		const top = line.top - AXIS, least = line.top + ROW - this.high;
		if (top < this.up) this.view.scrollTop = top;
		else if (least > this.up) this.view.scrollTop = least;
		this.move();
	}

	/** The same, for who does not see it. */
	table() {
		const now = this.model.now();
		const bars = [...this.model.runs.values()].slice(0, MOST_IN_TABLE);
		const all = this.model.bars;
		for (let at = all.length - 1; at >= 0 && bars.length < MOST_IN_TABLE; at--) if (all.at(at).end) bars.push(all.at(at));
		const texts = bars.map((bar) => [bar.on, String(bar.slot), bar.job, String(bar.priority), clock(bar.start), span((bar.end ?? now) - bar.start), bar.end ? ended(bar) : STATES[bar.state], bar.by ?? ""]);
		const body = $("#slots-table tbody");
		while (body.rows.length > texts.length) body.lastChild.remove();
		texts.forEach((cells, at) => {
			const row = body.rows[at] ?? body.appendChild(el("tr", {}, ...cells.map(() => el("td"))));
			mark(row, "data-job", cells[2]);
			cells.forEach((text, cell) => say(row.cells[cell], text));
		});
		const hidden = all.length - texts.length;
		say($("#slots-table caption"), `Runs of the last 120 seconds${hidden > 0 ? `; ${counted(hidden)} more are not listed` : ""}`);
	}
}

const ended = (bar) => ({ pending: "given back", unknown: "its end was not told" }[bar.state] ?? STATES[bar.state]);

/** Five ranks of urgency have colours; a number beside it says which one. */
function rankOf(priority) {
	if (priority < 1) return 0;
	if (priority < 3) return 1;
	if (priority < 6) return 2;
	return priority < 10 ? 3 : 4;
}
