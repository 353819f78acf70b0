/* A long list of which only what can be seen is there. One row at a time can be
   reached with Tab; the arrow keys go on from it, Enter opens it. */

const SPARE_ROWS = 6;

class Rows {
	/** `head`: what the columns are called; `fill(row, cells, index)` shows a row;
	   `open(index)` is what Enter and a click do. */
	constructor(grid, { head, fill, open }) {
		Object.assign(this, { grid, fill, open, cells: head.length, count: 0, active: 0, top: 0, pool: [] });
		this.view = el("div", { class: "rows", role: "rowgroup" });
		grid.append(el("div", { class: "row head", role: "row", "aria-rowindex": 1 }, ...head.map((name) => el("span", { role: "columnheader" }, name))), this.view);
		this.space = el("div", { class: "space", role: "presentation" });
		this.view.append(this.space);
		this.view.addEventListener("scroll", () => {
			this.top = this.view.scrollTop;
			this.moved = true;
			schedule();
		}, { passive: true });
		this.view.addEventListener("keydown", (event) => this.key(event));
		this.view.addEventListener("click", (event) => {
			const row = event.target.closest("[role=row]");
			if (row) this.choose(Number(row.dataset.index), true);
		});
		new ResizeObserver(() => { this.measure(); schedule(); }).observe(this.view);
		this.measure();
	}

	measure() {
		const before = this.rowHigh;
		this.high = this.view.clientHeight;
		this.rowHigh = parseFloat(getComputedStyle(this.grid).getPropertyValue("--row")) || 28;
		this.moved = true;
		if (before === this.rowHigh) return;
		this.count = -1;
		for (const row of this.pool) delete row.dataset.index;
	}

	get first() { return Math.max(0, Math.floor(this.top / this.rowHigh) - SPARE_ROWS); }
	get shown() { return Math.ceil(this.high / this.rowHigh) + 2 * SPARE_ROWS; }

	/** Shows so many rows, and keeps in view what was there when `added` came
	   before it, unless that was the first. */
	draw(count, added = 0) {
		if (count !== this.count) {
			this.count = count;
			this.space.style.height = `${count * this.rowHigh}px`;
			mark(this.grid, "aria-rowcount", count + 1);
			this.active = Math.max(0, Math.min(this.active, count - 1));
		}
		if (added && this.top > this.rowHigh / 2) {
			this.scroll(this.top + added * this.rowHigh);
			this.active = Math.min(this.active + added, count - 1);
		}
		this.moved = false;
		const first = Math.min(this.first, Math.max(0, count - 1));
		const shown = Math.max(0, Math.min(this.shown, count - first));
		while (this.pool.length < shown) {
			const row = el("div", { class: "row", role: "row" });
			row.append(...Array.from({ length: this.cells }, () => el("span", { role: "gridcell" })));
			this.pool.push(row);
			this.space.append(row);
		}
		this.pool.forEach((row, at) => this.put(row, first + at, at < shown));
	}

	/** To ask where it is makes the browser lay everything out, so that it is known. */
	scroll(top) {
		if (top !== this.top) this.top = this.view.scrollTop = top;
	}

	put(row, index, isThere) {
		if (row.hidden === isThere) row.hidden = !isThere;
		if (!isThere) {
			delete row.dataset.job;
			return;
		}
		if (row.dataset.index !== String(index)) {
			row.dataset.index = index;
			mark(row, "aria-rowindex", index + 2);
			row.style.transform = `translateY(${index * this.rowHigh}px)`;
		}
		mark(row, "tabindex", index === this.active ? 0 : -1);
		this.fill(row, row.children, index);
	}

	key(event) {
		const page = Math.max(1, Math.floor(this.high / this.rowHigh) - 1);
		const to = { ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page, PageUp: this.active - page, Home: 0, End: this.count - 1 }[event.key];
		if (event.target.closest("[role=row]")) this.active = Number(event.target.closest("[role=row]").dataset.index);
		if (to !== undefined) this.choose(Math.max(0, Math.min(to, this.count - 1)), false);
		else if (event.key === "Enter") this.choose(this.active, true);
		else return;
		event.preventDefault();
	}

	choose(index, open) {
		if (!this.count) return;
		this.active = index;
		const top = index * this.rowHigh, bottom = top + this.rowHigh;
		if (top < this.top) this.scroll(top);
		else if (bottom > this.top + this.high) this.scroll(bottom - this.high);
		this.draw(this.count);
		this.focus();
		const row = this.pool.find((it) => Number(it.dataset.index) === index && !it.hidden);
		if (open && row) this.open(index);
	}

	focus() {
		const row = this.pool.find((it) => Number(it.dataset.index) === this.active && !it.hidden);
		if (row) row.focus({ preventScroll: true });
	}

	/** Whether the keyboard is here. */
	get isFocused() { return this.view.contains(document.activeElement); }
}
