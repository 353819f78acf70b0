//! What is told, and when.

use std::num::NonZeroUsize;

use sched_core::{Outcome, Policy, Priority};

use super::*;

fn paused() -> Arc<Shared> {
    let mut manager = SchedulerManager::new();
    manager.add_bin(NonZeroUsize::MIN, Policy { max_pending: usize::MAX, ..Policy::seed() });
    let (alarm, _calls) = Alarm::new();
    let shared = Shared::new(manager, 1, alarm);
    shared.act(SchedulerManager::pause).unwrap();
    shared
}

#[test]
fn an_outcome_that_nobody_has_passed_on_yet_outlives_any_number_of_submissions() {
    const MANY: usize = 20_000;
    let shared = paused();
    let (tell, outcomes) = async_channel::unbounded();
    let submit = |driver: &mut Driver, now| {
        let job = JobSpec::new(Priority::new(5), Command::new("true"));
        driver.submit(now, job, Tell::Outcomes(tell.clone())).unwrap()
    };
    let first = shared.step(submit);
    // As a thread of the crew does it, which starts something before it passes on.
    let (cancelled, _launched) = shared.decide(|driver, now| driver.manager.cancel(now, first));
    cancelled.unwrap();
    let all = |driver: &mut Driver, now| (0..MANY).map(|_| submit(driver, now)).count();
    assert_eq!(shared.decide(all).0, MANY);
    assert!(outcomes.is_empty(), "nobody has passed it on");
    shared.pass_on();
    let (job, ended) = outcomes.try_recv().unwrap();
    assert_eq!((job, ended.outcome), (first, Outcome::Cancelled { exit: None }));
    // All of them end in one step.
    shared.decide(|driver, now| driver.manager.stop(now));
    shared.decide(|driver, now| driver.handle_timeout(now));
    shared.pass_on();
    assert_eq!(outcomes.len(), MANY);
}

#[test]
fn a_subscriber_is_told_what_happens_after_it_came_and_nothing_from_before() {
    let shared = paused();
    // Not passed on yet when it comes.
    shared.decide(|driver, now| driver.manager.resume(now));
    let (subscriber, mut subscription) = super::super::subscription();
    assert!(shared.decide(|driver, _now| driver.subscribe(subscriber)).0);
    shared.decide(|driver, now| driver.manager.drain(now));
    shared.pass_on();
    let told = smol::block_on(subscription.next());
    let Some(super::super::Notice::Event(event)) = told else { panic!("{told:?}") };
    assert_eq!(event.kind, EventKind::Draining);
}
