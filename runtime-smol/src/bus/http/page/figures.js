/* The header, and what was counted. */

const percent = (value) => `${value < 10 && value > 0 ? value.toFixed(1) : Math.round(value)} %`;
const time = (value) => (value === null ? "–" : span(value));

const FIGURES = [
	["pending", "Pending", counted],
	["running", "Running", counted],
	["finished", "Finished", counted, true],
	["failed", "Failed", counted, true],
	["evicted", "Evicted", counted, true],
	["wasted", "Wasted time", percent],
	["wait-p50", "Wait p50", time],
	["wait-p99", "Wait p99", time],
];

/** The figures of a snapshot by name. */
function figuresOf({ counters, wait_ms }) {
	const all = counters.useful_ms + counters.wasted_ms;
	return {
		pending: counters.pending, running: counters.running, slots: counters.slots,
		finished: counters.finished, failed: counters.failed, evicted: counters.evictions,
		wasted: all > 0 ? (100 * counters.wasted_ms) / all : 0,
		"wait-p50": wait_ms.p50, "wait-p99": wait_ms.p99,
	};
}

const RARE = { failed: ["timed_out", "spawn_failed", "lost"], finished: ["cancelled", "expired"] };

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 150, HIGH = 26;

class Figures {
	constructor() {
		this.tiles = FIGURES.map(([name, label, text, isRate]) => {
			const value = el("span", { "data-figure": name, "data-value": "" }, "–");
			const line = document.createElementNS(SVG, "path");
			const area = document.createElementNS(SVG, "path");
			area.setAttribute("class", "area");
			const spark = document.createElementNS(SVG, "svg");
			for (const [key, it] of [["viewBox", `0 0 ${WIDE} ${HIGH}`], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) spark.setAttribute(key, it);
			spark.append(area, line);
			const shown = el("dd", {}, value);
			const more = el("small");
			shown.append(" ", more);
			if (name === "running") more.append("of ", this.slots = el("span", { "data-figure": "slots", "data-value": "" }, "–"), " slots", this.assigned = el("span"));
			$("#figures").append(el("div", { class: `figure ${name}` }, el("dt", {}, label), shown, el("dd", { class: "spark" }, spark)));
			const cells = [0, 0, 0].map(() => el("td"));
			$("#figures-table tbody").append(el("tr", {}, el("th", { scope: "row" }, isRate ? `${label} in ${BUCKET_MS / 1000} s` : label), ...cells));
			return { name, text, value, more, line, area, cells };
		});
	}

	show(snapshot) {
		const figures = figuresOf(snapshot);
		const assigned = snapshot.running.filter((it) => it.state === "assigned").length;
		for (const { name, text, value, more } of this.tiles) {
			mark(value, "data-value", figures[name] ?? "");
			say(value, text(name === "running" ? figures.running - assigned : figures[name]));
			const rare = RARE[name]?.filter((it) => snapshot.counters[it]);
			if (rare) say(more, rare.map((it) => `+ ${counted(snapshot.counters[it])} ${STATES[it]}`).join(", "));
		}
		mark(this.slots, "data-value", figures.slots);
		say(this.slots, counted(figures.slots));
		say(this.assigned, assigned ? `, ${counted(assigned)} due` : "");
	}

	/** Draws how the figures went; to be called every now and then. */
	draw(model) {
		const figures = figuresOf(model.snapshot);
		for (const { name, text, line, area, cells } of this.tiles) {
			const values = model.course.values(name, model.now(), figures[name]);
			const known = values.filter((value) => value !== null);
			const highest = Math.max(...known, 0);
			const scale = (HIGH - 3) / (highest || 1);
			let path = "";
			values.forEach((value, at) => {
				if (value !== null) path += `${path ? "L" : "M"}${at} ${(HIGH - 1.5 - value * scale).toFixed(1)}`;
			});
			line.setAttribute("d", path);
			area.setAttribute("d", path && `${path}L${WIDE - 1} ${HIGH}L${values.findIndex((value) => value !== null)} ${HIGH}Z`);
			const now = known.length ? known[known.length - 1] : null;
			const range = known.length ? [now, Math.min(...known), highest] : [null, null, null];
			cells.forEach((cell, at) => say(cell, range[at] === null ? "–" : text(range[at])));
		}
	}
}

/** Where the bus is, what it is, and how old what is shown is. */
class Header {
	constructor() {
		say($("#address"), location.host);
		document.title = `Bus ${location.host}`;
	}

	show({ mode, schedulers }, durability) {
		const words = { accepting: "▶ accepting", paused: "‖ paused", draining: "▼ draining" };
		mark($("#mode"), "data-mode", mode);
		say($("#mode"), words[mode] ?? mode);
		say($("#durability"), durability === "fsync" ? "durable" : "in memory");
		const there = schedulers.filter((it) => it.connected).length;
		const away = schedulers.length - there;
		say($("#schedulers"), several(there, "scheduler") + (away ? `, ${away} away` : ""));
		/* Not disabled in earnest: that would take the keyboard's place away. */
		for (const [verb, done] of [["pause", "paused"], ["resume", "accepting"], ["drain", "draining"]]) mark($(`[data-action=${verb}]`), "aria-disabled", mode === done);
	}

	/** `state`: connecting, connected or stale; `age`: of what is shown. */
	state(state, age) {
		const seconds = Math.floor(age / 1000);
		const words = { connecting: "○ connecting", connected: "● connected", stale: `◌ stale for ${seconds} s` };
		say($("#connection"), words[state]);
		if (document.body.dataset.state === state && this.told) return;
		document.body.dataset.state = state;
		const told = { connecting: "Connecting to the bus.", connected: "Connected to the bus.", stale: `The bus is not heard. What is shown is ${seconds} s old, and grows older.` };
		say($("#connection-said"), this.told = told[state]);
	}
}
