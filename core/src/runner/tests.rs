use super::*;
use crate::id::BinIndex;
use crate::spawner::ExitStatus;

fn id(count: u64) -> RunId {
    RunId::new(BinIndex::default(), count)
}

fn start(runner: &mut PriorityRunner, count: u64, level: i64, shielded: bool) {
    let job = JobId::new(BinIndex::default(), count);
    let grace = Duration::from_secs(5);
    let (attempt, time_limit) = (1, None);
    let request = RunRequest { id: id(count), job, attempt, level, shielded, time_limit, grace };
    assert!(runner.start(Instant::ZERO, request).is_some());
    assert!(matches!(runner.poll_order(), Some(RunOrder::Spawn(_))));
}

fn runner(slots: usize) -> PriorityRunner {
    PriorityRunner::new(NonZeroUsize::new(slots).unwrap())
}

#[test]
fn the_victim_is_the_least_urgent_and_of_those_the_youngest() {
    let mut runner = runner(4);
    for (count, level) in [(1, 3), (2, 7), (3, 7), (4, 5)] {
        start(&mut runner, count, level, false);
    }
    let by = JobId::new(BinIndex::default(), 9);
    for expected in [3, 2, 4, 1] {
        assert_eq!(runner.victim().map(|(run, _)| run), Some(id(expected)));
        assert!(runner.stop(Instant::ZERO, id(expected), StopCause::Evicted { by }));
        assert_eq!(runner.poll_order(), Some(RunOrder::Stop(id(expected), Stop::Terminate)));
    }
    assert_eq!((runner.victim(), runner.stopping(), runner.free()), (None, 4, 0));
}

#[test]
fn a_shielded_run_is_never_the_victim() {
    let mut runner = runner(2);
    start(&mut runner, 1, 9, true);
    start(&mut runner, 2, 1, false);
    assert_eq!(runner.victim(), Some((id(2), 1)));
}

#[test]
fn a_slot_is_taken_until_its_process_is_reaped() {
    let mut runner = runner(1);
    start(&mut runner, 1, 9, false);
    runner.handle_started(Instant::from_secs(1), id(1));
    runner.stop(Instant::from_secs(2), id(1), StopCause::Cancelled);
    assert_eq!((runner.free(), runner.stopping()), (0, 1));
    runner.poll_order();
    let exit = Exit::stopped(ExitStatus::Signal(15));
    let (ended, _) = runner.handle_exit(Instant::from_secs(4), id(1), exit).unwrap();
    assert_eq!((ended.ran, ended.occupied), (Duration::from_secs(3), Duration::from_secs(4)));
    assert_eq!((runner.free(), runner.stopping(), runner.running()), (1, 0, 0));
}

#[test]
fn f1_the_exit_of_one_run_frees_its_own_slot_only() {
    let mut runner = runner(2);
    start(&mut runner, 1, 5, false);
    start(&mut runner, 2, 5, false);
    let exit = Exit::natural(ExitStatus::Code(0));
    assert!(runner.handle_exit(Instant::ZERO, id(2), exit).is_some());
    assert!(runner.handle_exit(Instant::ZERO, id(2), exit).is_none(), "twice");
    assert_eq!(runner.runs().map(|run| run.info.id).collect::<Vec<_>>(), [id(1)]);
}

#[test]
fn a_kill_before_term_was_given_out_replaces_it() {
    let mut runner = runner(1);
    start(&mut runner, 1, 5, false);
    runner.stop(Instant::ZERO, id(1), StopCause::Cancelled);
    runner.kill(Instant::ZERO, id(1));
    assert_eq!(runner.poll_order(), Some(RunOrder::Stop(id(1), Stop::Kill)));
    assert_eq!(runner.poll_order(), None);
}
