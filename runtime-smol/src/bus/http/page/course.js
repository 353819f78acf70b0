/* How the figures went. */

const BUCKET_MS = 2000, BUCKETS = 150, MOST_WAITS = 64;

/** The last five minutes, as changes in short spans of time: so they can be told
   from what is now backwards, also from events that are told late. */
class Course {
	constructor() { this.buckets = new Map(); this.backing = new Set(); }

	bucket(time) {
		const at = Math.floor(time / BUCKET_MS);
		let bucket = this.buckets.get(at);
		if (!bucket) {
			bucket = { pending: 0, running: 0, finished: 0, failed: 0, evicted: 0, wasted: 0, useful: 0, waits: [] };
			this.buckets.set(at, bucket);
			for (const old of this.buckets.keys()) {
				if (old > at - BUCKETS - 2) break;
				this.buckets.delete(old);
			}
		}
		return bucket;
	}

	event({ time, state, by, on, ran_ms, retry_ms, job }, submitted) {
		const bucket = this.bucket(time);
		if (state === "stopping") return;
		if (state === "assigned") {
			bucket.pending--;
			bucket.running++;
			return;
		}
		if (state === "running") {
			if (submitted && bucket.waits.length < MOST_WAITS) bucket.waits.push(time - submitted);
			return;
		}
		const was = on != null ? "running" : "pending";
		if (state === "pending") {
			const retried = this.backing.delete(job);
			if (on != null) bucket.running--;
			if (!retried) bucket.pending++;
			if (retry_ms != null) this.backing.add(job);
		} else {
			this.backing.delete(job);
			bucket[was]--;
			if (state === "finished") bucket.finished++;
			if (state === "failed") bucket.failed++;
		}
		if (by) bucket.evicted++;
		if (ran_ms) bucket[by ? "wasted" : "useful"] += ran_ms;
	}

	/** The values of a figure, the oldest first; `null` where there is none. */
	values(name, now, current) {
		const newest = Math.floor(now / BUCKET_MS);
		const values = new Array(BUCKETS);
		let level = current, last = null;
		for (let back = 0; back < BUCKETS; back++) {
			const bucket = this.buckets.get(newest - back);
			values[BUCKETS - 1 - back] = name === "pending" || name === "running" ? Math.max(0, level) : bucket ? part(bucket, name) : NONE[name];
			if (bucket) level -= bucket[name];
		}
		return values.map((value) => (value === null ? last : (last = value)));
	}
}

const NONE = { finished: 0, failed: 0, evicted: 0, wasted: null, "wait-p50": null, "wait-p99": null };

function part(bucket, name) {
	const { wasted, useful, waits } = bucket;
	if (name === "wasted") return wasted + useful > 0 ? (100 * wasted) / (wasted + useful) : null;
	if (!name.startsWith("wait")) return bucket[name];
	if (!waits.length) return null;
	const sorted = [...waits].sort((a, b) => a - b);
	return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * (name === "wait-p50" ? 0.5 : 0.99)))];
}
