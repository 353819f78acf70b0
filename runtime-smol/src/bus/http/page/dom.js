/* Small tools: elements, and how things are written. Whatever others have named
   becomes text, never markup. */

const $ = (selector, within = document) => within.querySelector(selector);

function el(name, attributes = {}, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
	element.append(...children);
	return element;
}

/** Sets a text, and leaves the page alone where that changes nothing. */
function say(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
	const text = String(value);
	if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** A time, short: `0.25 s`, `12.3 s`, `3m05s`, `2h04m`, `3d02h`. */
function span(ms) {
	const s = Math.floor(ms / 1000);
	const two = (number) => String(number).padStart(2, "0");
	if (s < 10) return `${(ms / 1000).toFixed(2)} s`;
	if (s < 60) return `${(ms / 1000).toFixed(1)} s`;
	if (s < 3600) return `${Math.floor(s / 60)}m${two(s % 60)}s`;
	if (s < 86400) return `${Math.floor(s / 3600)}h${two(Math.floor(s / 60) % 60)}m`;
	return `${Math.floor(s / 86400)}d${two(Math.floor(s / 3600) % 24)}h`;
}

const numbers = new Intl.NumberFormat("en");
const counted = (number) => numbers.format(number);
const several = (number, one) => `${counted(number)} ${one}${number === 1 ? "" : "s"}`;

/** The time of day at which something was, here. */
function clock(ms) {
	const at = new Date(ms);
	const part = (number, digits = 2) => String(number).padStart(digits, "0");
	return `${part(at.getHours())}:${part(at.getMinutes())}:${part(at.getSeconds())}.${part(at.getMilliseconds(), 3)}`;
}

const STATES = {
	pending: "waits", assigned: "assigned", running: "runs", stopping: "asked to end",
	finished: "finished", failed: "failed", timed_out: "timed out", evicted: "evicted",
	cancelled: "cancelled", expired: "expired", spawn_failed: "not started", lost: "lost",
};
const SIGNS = {
	pending: "◷", assigned: "→", running: "▶", stopping: "■", finished: "✓", failed: "✗",
	timed_out: "◔", evicted: "↶", cancelled: "⊘", expired: "◌", spawn_failed: "✗", lost: "?",
};

/** Whether this is the first that was ever told of a job. */
const isSubmission = (event) => event.state === "pending" && !event.by && event.on == null && event.attempt === 1;
const stateOf = (event) => (event.state === "pending" && event.by ? "evicted" : event.state);

/** What there is to say about an event beyond its job and state. */
function details(event) {
	const parts = [];
	if (isSubmission(event)) parts.push(`priority ${event.priority}`);
	if (event.attempt > 1) parts.push(`attempt ${event.attempt}`);
	if (event.by ?? event.room_for) parts.push(`for ${event.by ?? event.room_for}`);
	if (event.state === "pending" && event.by) parts.push("waits again");
	if (event.code) parts.push(`exit code ${event.code}`);
	if (event.signal != null) parts.push(`signal ${event.signal}`);
	if (event.grace_ms != null) parts.push(`killed in ${span(event.grace_ms)}`);
	if (event.ran_ms != null) parts.push(`ran ${span(event.ran_ms)}`);
	if (event.on != null) parts.push(`on ${event.on}`);
	if (event.slot != null) parts.push(`slot ${event.slot}`);
	if (event.reason) parts.push(event.reason);
	if (event.retry_ms != null) parts.push(`tried again in ${span(event.retry_ms)}`);
	return parts.join(", ");
}

/** A list that forgets its oldest entries; every operation costs the same. */
class Ring {
	constructor() { this.items = []; this.head = 0; }
	get length() { return this.items.length - this.head; }
	at(index) { return this.items[this.head + index]; }
	get last() { return this.items[this.items.length - 1]; }
	push(item) { this.items.push(item); }
	shift() {
		const item = this.items[this.head];
		this.items[this.head++] = undefined;
		if (this.head > 64 && this.head * 2 > this.items.length) {
			this.items = this.items.slice(this.head);
			this.head = 0;
		}
		return item;
	}
	*[Symbol.iterator]() { for (let at = this.head; at < this.items.length; at++) yield this.items[at]; }
}
