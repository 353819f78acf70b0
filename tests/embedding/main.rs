//! The same machine in three drivers: virtual time, plain threads, tokio.
//!
//! Every driver is given the same script of what is asked when, and of what
//! each process does. All of them must tell the same story: every event with
//! its time, in the same order, and the same figures in the end.
//!
//! What makes that exact, and not a matter of luck:
//! - All times of the script are whole milliseconds, and no two things happen
//!   within [`script::APART`] of one another; the virtual driver checks that.
//! - The virtual driver jumps from one moment to the next.
//! - The threads wait in real time, a hundred times faster than the script,
//!   and so are late by what the machine they run on pleases. The time that they
//!   tell the scheduler is the scripted one, and what comes first in the script
//!   is given first: see [`threads`].
//! - tokio runs with its own clock paused, as its test utilities offer; the
//!   driver reads that clock, and nothing else.
//!
//! Not compared, because it is not promised: how late a driver is in real time.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod no_std;
mod script;
mod threads;
mod tokio_time;
mod virtual_time;

use sched_core::{Event, EventKind, OutcomeKind, SchedulerBin, Stats};
use sched_tests::sim::processes::Script;

/// What a driver has seen.
#[derive(Debug)]
struct Story {
    events: Vec<Event>,
    stats: Stats,
}

impl Story {
    fn new(bin: &SchedulerBin<Script>, events: Vec<Event>) -> Self {
        Self { events, stats: bin.stats().clone() }
    }

    /// Compares two stories, event by event.
    fn assert_is(&self, other: &Self) {
        for (one, other) in self.events.iter().zip(&other.events) {
            assert_eq!(one, other);
        }
        assert_eq!(self.events.len(), other.events.len());
        assert_eq!(format!("{:?}", self.stats), format!("{:?}", other.stats));
    }
}

fn drain(bin: &mut SchedulerBin<Script>, events: &mut Vec<Event>) {
    events.extend(std::iter::from_fn(|| bin.poll_event()));
}

#[test]
fn the_script_is_worth_comparing() {
    let story = virtual_time::drive();
    let count = |is: fn(&EventKind) -> bool| story.events.iter().filter(|it| is(&it.kind)).count();
    assert_eq!(story.stats.accepted, script::JOBS);
    assert_eq!(story.stats.ended_total(), script::JOBS);
    assert!(story.stats.evictions > 3, "{:?}", story.stats);
    assert!(count(|kind| matches!(kind, EventKind::Killing { .. })) > 0);
    assert!(count(|kind| matches!(kind, EventKind::RetryDue { .. })) > 0);
    for kind in [
        OutcomeKind::Finished,
        OutcomeKind::Failed,
        OutcomeKind::TimedOut,
        OutcomeKind::Cancelled,
        OutcomeKind::Expired,
    ] {
        assert!(story.stats.ended(kind) > 0, "no job has {kind}: {:?}", story.stats);
    }
}

#[test]
fn plain_threads_tell_what_virtual_time_tells() {
    threads::drive().assert_is(&virtual_time::drive());
}

#[test]
fn tokio_tells_what_virtual_time_tells() {
    tokio_time::drive().assert_is(&virtual_time::drive());
}
