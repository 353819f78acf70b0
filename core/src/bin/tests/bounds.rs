//! What is bounded, and what is ignored.

use super::*;
use crate::process_task::TaskState;
use crate::runner::RunView;

#[test]
fn victims_and_retries_cannot_pile_up_without_end() {
    let policy = Policy { max_pending: 3, max_evictions: None, ..Policy::durable() };
    let mut scene = Scene::new(2, policy.clone());
    for priority in (0..1000).rev() {
        let job = JobSpec::new(Priority::new(priority), "rising");
        let _ = scene.submit_job(job);
        let stopping = |run: &RunView| matches!(run.state, TaskState::Stopping { .. });
        let victims: Vec<_> = scene.bin.runs().filter(stopping).map(|run| run.info.id).collect();
        for victim in victims {
            scene.bin.handle_exit(scene.now, victim, Exit::stopped(TERM));
        }
        scene.settle();
        assert!(scene.bin.pending() <= 3 + 2 * 2, "{} wait", scene.bin.pending());
    }
    let mut scene = Scene::new(2, policy);
    for _ in 0..1000 {
        if scene.submit_job(JobSpec::new(Priority::new(1), "flaky")).is_ok() {
            scene.exit("flaky", Exit::natural(ExitStatus::Code(1)));
        }
        let without_slot = scene.bin.pending() + scene.bin.backing_off();
        assert!(without_slot <= 3 + 2 * 2, "{without_slot} wait");
    }
    assert!(scene.bin.stats().refused > 900, "{:?}", scene.bin.stats());
}

#[test]
fn a_dispatch_that_is_refused_again_and_again_loses_no_event() {
    let jobs = 2 * EVENT_BACKLOG;
    let mut bin = SchedulerBin::new(NonZeroUsize::MIN, Policy::seed());
    bin.pause(Instant::ZERO);
    for _ in 0..jobs {
        bin.submit(Instant::ZERO, JobSpec::new(Priority::new(0), "refused")).unwrap();
        while bin.poll_event().is_some() {}
    }
    bin.resume(Instant::ZERO);
    let mut spawner = Recorder { refuse: Some(SpawnFailureKind::Command), ..Recorder::default() };
    bin.dispatch(Instant::ZERO, &mut spawner);
    let told = core::iter::from_fn(|| bin.poll_event());
    let ended = told.filter(|event| matches!(event.kind, EventKind::Ended { .. })).count();
    assert_eq!((ended, bin.stats().events_dropped), (jobs, 0));
}

#[test]
fn reports_about_unknown_runs_change_nothing() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("runs", 5);
    let unknown = RunId::new(BinIndex::default(), 99);
    scene.bin.handle_started(scene.now, unknown);
    scene.bin.handle_exit(scene.now, unknown, Exit::natural(ExitStatus::Code(0)));
    assert_eq!(scene.bin.poll_event().map(|event| event.kind), None);
    assert_eq!((scene.bin.running(), scene.bin.stats().reports_ignored), (1, 2));
}

#[test]
fn events_that_nobody_drains_are_bounded_and_counted() {
    let mut bin = SchedulerBin::new(NonZeroUsize::MIN, Policy::seed());
    let rounds = 10 * EVENT_BACKLOG as u64;
    for _ in 0..rounds {
        bin.submit(Instant::ZERO, JobSpec::new(Priority::new(0), ())).unwrap();
    }
    assert!(bin.events.len() <= EVENT_BACKLOG + 1, "{}", bin.events.len());
    let told = bin.events.len() as u64 + bin.stats().events_dropped;
    assert_eq!(told, rounds + 1, "one acceptance each, and one start");
}
