//! Virtual time: from one moment to the next, without waiting.

use sched_core::{Duration, Instant};
use sched_tests::sim::processes::{Processes, World};
use std::collections::VecDeque;

use crate::script::{APART, Happening, asks, give, machine};
use crate::{Story, drain};

pub(crate) fn drive() -> Story {
    let mut bin = machine();
    let mut asks = VecDeque::from(asks());
    let mut world = Processes::default();
    let mut dice = fastrand::Rng::with_seed(0);
    let mut events = Vec::new();
    let mut now = Instant::ZERO;
    loop {
        world.set_time(now);
        bin.dispatch(now, &mut world);
        drain(&mut bin, &mut events);

        let (ask, report) = (asks.front().map(|(at, _)| *at), world.next_report());
        let mut moments: Vec<_> = [ask, report, bin.poll_timeout()].into_iter().flatten().collect();
        moments.sort_unstable();
        let Some(next) = moments.first().copied() else { break };
        assert_apart(now, &moments);

        now = next;
        world.set_time(now);
        if ask == Some(now) {
            let (_, ask) = asks.pop_front().unwrap();
            give(&mut bin, now, Happening::Ask(ask));
        } else if report == Some(now) {
            let report = world.take_report(&mut dice).unwrap();
            give(&mut bin, now, Happening::Report(report));
        } else {
            bin.handle_timeout(now);
        }
    }
    Story::new(&bin, events)
}

/// Without this the order in which the other drivers see things would be luck.
fn assert_apart(now: Instant, moments: &[Instant]) {
    let next = moments[0];
    assert!(next == Instant::ZERO || next - now >= APART, "{now} and {next}: another seed, please");
    for other in &moments[1..] {
        assert!(*other - next >= APART, "{next} and {other}: another seed, please");
    }
    let rest = Duration::from_nanos(next.as_nanos() % 1_000_000);
    assert_eq!(rest, Duration::ZERO, "not a whole millisecond");
}
