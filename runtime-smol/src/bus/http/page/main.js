/* What holds it together: messages are taken in and drawn once a frame. */

/* How long the bus is left alone between two looks, while something happens and
   while nothing does. One that is older than that was not answered. */
const AT_ONCE = 50, IN_MOTION = 250, AT_REST = 1000, OLD = 3000;
/* How much of a frame messages may take; the rest waits for the next. */
const BUDGET = 12;
/* After so long the rest of what there is to draw is left to the next frame. */
const SHARE = 16;
/* How often what moves by itself is drawn. */
const DRAW_EVERY = 100, GANTT_EVERY = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : DRAW_EVERY;

/* How often one of the things is done that can wait, so that no frame has them all. */
const CHORE_EVERY = 250;

const model = new Model();
const inbox = new Ring();
let replaying = false, waiting = false, fresh = true, moved = true, redraw = false, scheduled = false;
let lostAt = 0, looked = 0, ticked = 0, drawn = 0, turn = 0, chore = 0, longest = 0, most = MOST_MISSED, durability = "";

const link = new Link((text) => { inbox.push(text); schedule(); }, (code) => {
	if (code === TOO_SLOW) most = Math.floor(most / 4);
	if (model.snapshot && !lostAt) model.note("the bus is gone; waiting for it");
	lostAt ||= Date.now();
	replaying = waiting = false;
	inbox.items.length = inbox.head = 0;
	schedule();
});

const job = new JobDialog(model, link);
const open = (id, row) => job.open(id, row);
const [header, figures, gantt, queue, log] = [new Header(), new Figures(), new Gantt(model, open), new Queue(open), new Log(open)];
const chores = [() => figures.draw(model), () => gantt.table(), () => queue.draw(), () => model.prune()];
new Steering(link);
testJobs(link);
/* What a browser makes ready when it is first used belongs to the loading. */
counted(1000);
gantt.draw();

function receive(message) {
	if (message.ev === "job") {
		if (replaying) return;
		model.event(message);
		moved = true;
	} else if (message.ev === "welcome") {
		welcome(message);
	} else if (message.ev === "snapshot") {
		link.answered(message);
	} else if ("re" in message) {
		link.answered(message);
	}
}

function welcome(message) {
	durability = message.durability;
	const resumed = link.welcome(message);
	if (lostAt && model.snapshot) model.note("the bus is there again");
	lostAt = 0;
	if (!resumed && model.snapshot) startAnew();
	fresh = !(resumed && model.snapshot && message.seq - model.seq <= most);
	if (!fresh) follow(model.seq);
	look(0);
}

function startAnew() {
	model.forget();
	model.note("this is another bus, or it was started anew");
}

/** Hears every event after this one. What comes before the answer is told again. */
function follow(since) {
	replaying = true;
	link.ask({ cmd: "subscribe", since, jobs: "all" }, ({ ev, name, message }) => {
		replaying = false;
		moved = true;
		if (name === "resync") fresh = true;
		else if (ev !== "ok") link.up && model.note(`the bus does not tell what happens: ${message}`);
		else if (since > model.seq) {
			if (model.seq) model.note(`events ${model.seq + 1} to ${since} were not told`);
			model.seq = since;
		}
	});
}

/** Asks what there is now, unless that was done less than `wait` ago. */
function look(wait) {
	if (waiting || !link.up || Date.now() - looked < wait) return;
	[waiting, moved, looked] = [true, false, Date.now()];
	link.ask({ cmd: "subscribe", jobs: "all", view: queue.view }, (message) => {
		waiting = false;
		if (message.ev !== "snapshot") return;
		if (message.seq < model.seq) startAnew();
		model.handle(message);
		redraw = true;
		if (fresh) follow(Math.max(message.seq - most, message.oldest - 1, model.seq));
		fresh = false;
	});
}

function state() {
	if (!model.snapshot) return ["connecting", 0];
	const age = Date.now() + model.offset - model.snapshot.time;
	model.isStale = !link.up || age > OLD;
	return [model.isStale ? "stale" : "connected", age];
}

function schedule() {
	if (scheduled) return;
	scheduled = true;
	if (document.hidden) setTimeout(frame, 200);
	else requestAnimationFrame(frame);
}

/** What is drawn in turn, each only if it is due. */
const tasks = [
	() => {
		if (!redraw) return queue.list.moved && queue.draw();
		redraw = false;
		header.show(model.snapshot, durability);
		figures.show(model.snapshot);
		queue.show(model.snapshot);
		job.draw();
	},
	(now) => {
		if (!log.list.moved && !log.start && now - drawn < DRAW_EVERY) return;
		drawn = now;
		log.draw(model);
	},
	(now) => {
		if (!gantt.moved && now - gantt.drawn < GANTT_EVERY) return;
		gantt.drawn = now;
		gantt.draw();
	},
	(now) => {
		if (!model.snapshot || now - ticked < CHORE_EVERY) return;
		ticked = now;
		chores[(chore = (chore + 1) % chores.length)]();
	},
];

function frame() {
	scheduled = false;
	const begin = performance.now();
	while (inbox.length && performance.now() - begin < BUDGET) receive(JSON.parse(inbox.shift()));
	header.state(...state());
	for (let count = 0; count < tasks.length; count++) {
		if (performance.now() - begin > SHARE) {
			schedule();
			break;
		}
		tasks[(turn = (turn + 1) % tasks.length)](begin);
	}
	const work = performance.now() - begin;
	if (work > longest) document.body.dataset.longestFrame = (longest = work).toFixed(1);
	if (inbox.length) schedule();
	look(queue.isMissing ? AT_ONCE : moved ? IN_MOTION : AT_REST);
}

setInterval(() => { link.watch(); schedule(); }, 250);
setInterval(() => { if (!document.hidden && gantt.isMoving) schedule(); }, GANTT_EVERY);
document.addEventListener("visibilitychange", () => { moved = true; schedule(); });
