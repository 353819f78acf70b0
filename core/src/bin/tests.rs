//! Scenes with a spawner that records what it is asked to do.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroUsize};

use super::*;
use crate::event::Requeue;
use crate::job::OutcomeKind;
use crate::policy::{OnEvict, OnExhausted};
use crate::priority::Priority;
use crate::spawner::{ExitStatus, RunInfo, SpawnFailureKind, Stop};
use crate::time::Duration;

/// A bin, its clock, and everything that it asked for.
struct Scene {
    bin: SchedulerBin<&'static str>,
    now: Instant,
    spawner: Recorder,
    events: Vec<EventKind>,
}

/// Records calls, in words: `start observe`, `term r1`, `kill r1`.
#[derive(Default)]
struct Recorder {
    calls: Vec<String>,
    runs: Vec<(&'static str, RunId)>,
    refuse: Option<SpawnFailureKind>,
}

impl ProcessSpawner for Recorder {
    type Command = &'static str;

    fn spawn(&mut self, run: &RunInfo, command: &&'static str) -> Result<(), SpawnFailure> {
        if let Some(kind) = self.refuse {
            self.calls.push(format!("refuse {command}"));
            return Err(SpawnFailure { kind, message: "refused".to_string() });
        }
        self.calls.push(format!("start {command}"));
        self.runs.push((command, run.id));
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        let name = self.runs.iter().find(|(_, id)| *id == run).map_or("?", |(name, _)| name);
        self.calls.push(match how {
            Stop::Terminate => format!("term {name}"),
            Stop::Kill => format!("kill {name}"),
        });
    }
}

impl Scene {
    fn new(slots: usize, policy: Policy) -> Self {
        Self {
            bin: SchedulerBin::new(NonZeroUsize::new(slots).unwrap(), policy),
            now: Instant::ZERO,
            spawner: Recorder::default(),
            events: Vec::new(),
        }
    }

    fn at(&mut self, secs: u64) -> &mut Self {
        self.now = Instant::from_secs(secs);
        self.bin.handle_timeout(self.now);
        self.settle()
    }

    fn submit(&mut self, name: &'static str, priority: i32) -> JobId {
        self.submit_job(JobSpec::new(Priority::new(priority), name)).unwrap()
    }

    fn submit_job(&mut self, job: JobSpec<&'static str>) -> Result<JobId, Refusal> {
        let result = self.bin.submit(self.now, job).map_err(|refused| refused.why);
        self.settle();
        result
    }

    /// The last run of this command has a process.
    fn started(&mut self, name: &str) -> &mut Self {
        self.bin.handle_started(self.now, self.run(name));
        self.settle()
    }

    fn exit(&mut self, name: &str, exit: Exit) -> &mut Self {
        self.bin.handle_exit(self.now, self.run(name), exit);
        self.settle()
    }

    fn done(&mut self, name: &str) -> &mut Self {
        self.exit(name, Exit::natural(ExitStatus::Code(0)))
    }

    fn died_of_term(&mut self, name: &str) -> &mut Self {
        self.exit(name, Exit::stopped(ExitStatus::Signal(15)))
    }

    fn verb(&mut self, act: impl FnOnce(&mut SchedulerBin<&'static str>, Instant)) -> &mut Self {
        act(&mut self.bin, self.now);
        self.settle()
    }

    fn settle(&mut self) -> &mut Self {
        self.bin.dispatch(self.now, &mut self.spawner);
        while let Some(event) = self.bin.poll_event() {
            assert_eq!(event.at, self.now);
            self.events.push(event.kind);
        }
        self
    }

    fn run(&self, name: &str) -> RunId {
        self.spawner.runs.iter().rev().find(|(it, _)| *it == name).map(|(_, id)| *id).unwrap()
    }

    /// What was asked for since the last look. Nothing else happened.
    fn calls(&mut self) -> Vec<String> {
        core::mem::take(&mut self.spawner.calls)
    }

    fn outcomes(&self) -> Vec<(u64, Outcome)> {
        let ended = |event: &EventKind| match event {
            EventKind::Ended { job, outcome, .. } => Some((job.count(), outcome.clone())),
            _ => None,
        };
        self.events.iter().filter_map(ended).collect()
    }
}

const TERM: ExitStatus = ExitStatus::Signal(15);

#[test]
fn a_free_slot_is_taken_at_once_and_the_rest_waits_in_order() {
    let mut scene = Scene::new(2, Policy::seed());
    for (name, priority) in [("a", 5), ("b", 5), ("c", 7), ("d", 5), ("e", 6)] {
        scene.submit(name, priority);
    }
    assert_eq!(scene.calls(), ["start a", "start b"]);
    scene.started("a").started("b").done("a");
    assert_eq!(scene.calls(), ["start d"]);
    scene.done("b").done("d").done("e").done("c");
    assert_eq!(scene.calls(), ["start e", "start c"]);
    assert_eq!(scene.bin.stats().ended(OutcomeKind::Finished), 5);
    assert_eq!((scene.bin.free_slots(), scene.bin.pending()), (2, 0));
}

#[test]
fn a_more_urgent_job_evicts_the_least_urgent_run_and_takes_its_slot() {
    let mut scene = Scene::new(2, Policy::seed());
    scene.submit("low", 8);
    scene.submit("mid", 5);
    scene.started("low").started("mid");
    let urgent = scene.submit("urgent", 1);
    assert_eq!(scene.calls(), ["start low", "start mid", "term low"]);
    assert!(scene.bin.job(urgent).unwrap().reserved);
    assert_eq!(scene.bin.free_slots(), 0, "the victim has not been reaped");
    scene.died_of_term("low");
    assert_eq!(scene.calls(), ["start urgent"]);
    assert_eq!(scene.outcomes(), [(1, Outcome::Evicted { by: urgent, exit: TERM })]);
}

#[test]
fn an_equal_job_waits() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("first", 5);
    scene.submit("second", 5);
    assert_eq!(scene.calls(), ["start first"]);
}

#[test]
fn a_requeued_victim_keeps_its_place() {
    let mut scene = Scene::new(1, Policy { aging: None, ..Policy::durable() });
    let victim = scene.submit("victim", 7);
    scene.submit("other", 7);
    scene.started("victim");
    scene.submit("urgent", 0);
    scene.died_of_term("victim").done("urgent");
    assert_eq!(scene.calls(), ["start victim", "term victim", "start urgent", "start victim"]);
    assert_eq!(scene.bin.job(victim).unwrap().evictions, 1);
    assert_eq!(scene.outcomes().len(), 1);
}

#[test]
fn after_enough_evictions_a_job_is_shielded() {
    let mut scene = Scene::new(1, Policy { max_evictions: Some(2), ..Policy::durable() });
    scene.submit("victim", 7);
    for _ in 0..2 {
        scene.submit("urgent", 0);
        scene.died_of_term("victim").done("urgent");
    }
    scene.calls();
    scene.submit("urgent", 0);
    assert_eq!(scene.calls(), Vec::<String>::new());
    scene.done("victim");
    assert_eq!(scene.calls(), ["start urgent"]);
}

#[test]
fn a_job_may_come_with_a_level_and_a_shield_of_its_own() {
    let mut scene = Scene::new(2, Policy::seed());
    let job = |priority, name| JobSpec::new(Priority::new(priority), name);
    scene.submit_job(job(9, "waited long").level(1)).unwrap();
    scene.submit_job(job(9, "shielded").shielded(true)).unwrap();
    scene.submit("urgent", 1);
    assert_eq!(scene.calls(), ["start waited long", "start shielded"]);
    scene.submit("more urgent", 0);
    assert_eq!(scene.calls(), ["term waited long"]);
}

#[test]
fn f2_a_burst_of_rising_urgency_keeps_one_process_a_slot() {
    let mut scene = Scene::new(1, Policy::seed());
    let names = ["j9", "j8", "j7", "j6", "j5"];
    for (name, priority) in names.into_iter().zip((0..5).rev()) {
        scene.submit(name, priority);
    }
    assert_eq!(scene.calls(), ["start j9", "term j9"], "stopped while it was starting");
    scene.started("j9").died_of_term("j9");
    assert_eq!(scene.calls(), ["start j5"]);
    assert_eq!(scene.bin.running(), 1);
}

#[test]
fn f3_kill_follows_the_grace_period_and_the_slot_waits_for_the_reaping() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("stubborn", 9);
    scene.started("stubborn");
    scene.submit("urgent", 0);
    scene.at(4);
    assert_eq!(scene.calls(), ["start stubborn", "term stubborn"]);
    scene.at(5);
    assert_eq!(scene.calls(), ["kill stubborn"]);
    assert_eq!(scene.bin.poll_timeout(), None);
    scene.exit("stubborn", Exit::stopped(ExitStatus::Signal(9)));
    assert_eq!(scene.calls(), ["start urgent"]);
}

#[test]
fn f4_an_exit_that_was_faster_than_the_eviction_is_a_natural_one() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("fast", 9);
    scene.started("fast");
    scene.submit("urgent", 0);
    scene.done("fast");
    assert_eq!(scene.calls(), ["start fast", "term fast", "start urgent"]);
    assert_eq!(scene.outcomes(), [(1, Outcome::Finished)]);
    assert_eq!(scene.bin.stats().wasted, Duration::ZERO);
}

#[test]
fn f16_a_victim_comes_back_at_once_when_its_successor_cannot_start() {
    let mut scene = Scene::new(1, Policy { max_attempts: NonZeroU32::MIN, ..Policy::durable() });
    scene.submit("victim", 7);
    scene.started("victim");
    scene.submit("broken", 0);
    scene.spawner.refuse = Some(SpawnFailureKind::Command);
    scene.now = Instant::from_secs(1);
    scene.bin.handle_exit(scene.now, scene.run("victim"), Exit::stopped(TERM));
    let refused = scene.bin.poll_action().is_some();
    scene.spawner.refuse = None;
    let broken = scene.bin.runs().next().unwrap().info.id;
    let why = SpawnFailure { kind: SpawnFailureKind::Command, message: "no such program".into() };
    scene.bin.handle_spawn_failed(scene.now, broken, why.clone());
    scene.settle();
    assert!(refused);
    assert_eq!(scene.outcomes(), [(2, Outcome::SpawnFailed(why))]);
    assert_eq!(scene.calls(), ["start victim", "term victim", "start victim"]);
}

#[test]
fn a_slot_that_is_being_vacated_already_is_reserved_before_another_is_evicted() {
    let mut scene = Scene::new(2, Policy::seed());
    let cancelled = scene.submit("cancelled", 4);
    scene.submit("low", 8);
    scene.started("cancelled").started("low");
    scene.verb(|bin, now| bin.cancel(now, cancelled).unwrap());
    scene.submit("urgent", 1);
    assert_eq!(scene.calls(), ["start cancelled", "start low", "term cancelled"]);
    scene.submit("urgent too", 1);
    assert_eq!(scene.calls(), ["term low"]);
}

#[test]
fn a_cancelled_evictor_leaves_the_slot_to_the_next() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("victim", 7);
    scene.started("victim");
    let urgent = scene.submit("urgent", 0);
    scene.verb(|bin, now| bin.cancel(now, urgent).unwrap());
    scene.died_of_term("victim");
    assert_eq!(scene.calls(), ["start victim", "term victim", "start victim"]);
    assert_eq!(scene.outcomes(), [(2, Outcome::Cancelled { exit: None })]);
}

#[test]
fn an_expired_job_never_starts() {
    let mut scene = Scene::new(1, Policy::seed());
    scene.submit("long", 0);
    let short = JobSpec::new(Priority::new(0), "short").expiry(Duration::from_secs(10));
    scene.submit_job(short).unwrap();
    assert_eq!(scene.bin.poll_timeout(), Some(Instant::from_secs(10)));
    scene.now = Instant::from_secs(10);
    scene.done("long");
    assert_eq!(scene.calls(), ["start long"]);
    assert_eq!(scene.outcomes().last(), Some(&(2, Outcome::Expired)));
}

#[test]
fn a_deadline_ends_what_runs_and_what_waits() {
    let mut scene = Scene::new(1, Policy::seed());
    let job = |name| JobSpec::new(Priority::new(0), name).deadline(Duration::from_secs(10));
    scene.submit_job(job("runs")).unwrap();
    scene.submit_job(job("waits")).unwrap();
    scene.started("runs").at(10).died_of_term("runs");
    assert_eq!(scene.calls(), ["start runs", "term runs"]);
    let timed_out = Outcome::TimedOut { limit: crate::job::TimeBound::Deadline, exit: TERM };
    assert_eq!(scene.outcomes(), [(2, Outcome::Expired), (1, timed_out)]);
}

#[test]
fn a_failed_attempt_is_tried_again_after_its_back_off() {
    let mut scene = Scene::new(1, Policy::durable());
    let job = scene.submit("flaky", 3);
    scene.started("flaky").exit("flaky", Exit::natural(ExitStatus::Code(1)));
    assert_eq!((scene.bin.backing_off(), scene.bin.pending(), scene.bin.free_slots()), (1, 0, 1));
    let due = scene.bin.poll_timeout().unwrap();
    assert!(due >= Instant::from_millis(500) && due <= Instant::from_secs(1), "{due}");
    scene.at(1).done("flaky");
    assert_eq!(scene.calls(), ["start flaky", "start flaky"]);
    assert!(
        scene
            .events
            .contains(&EventKind::Requeued { job, why: Requeue::Retry { at: due, failed: 1 } })
    );
    assert_eq!(scene.outcomes(), [(1, Outcome::Finished)]);
}

#[test]
fn the_last_attempt_decides() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("broken", 3);
    for attempt in 1..=3 {
        scene.exit("broken", Exit::natural(ExitStatus::Code(attempt))).at(attempt as u64 * 400);
    }
    assert_eq!(scene.outcomes(), [(1, Outcome::Failed(ExitStatus::Code(3)))]);
    assert_eq!(scene.bin.stats().runs, 3);
}

#[test]
fn an_exhausted_machine_pauses_spawning_and_counts_no_attempt() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.spawner.refuse = Some(SpawnFailureKind::Exhausted);
    let job = scene.submit("patient", 3);
    assert_eq!(scene.calls(), ["refuse patient"]);
    assert_eq!((scene.bin.pending(), scene.bin.free_slots()), (1, 1));
    scene.spawner.refuse = None;
    scene.at(1);
    assert_eq!(scene.calls(), ["start patient"]);
    assert_eq!(scene.bin.job(job).unwrap().attempt, 1);
    let fail = Policy { on_exhausted: OnExhausted::Fail, ..Policy::durable() };
    let mut scene = Scene::new(1, fail);
    scene.spawner.refuse = Some(SpawnFailureKind::Exhausted);
    scene.submit("hasty", 3);
    assert_eq!(scene.bin.stats().ended(OutcomeKind::SpawnFailed), 1);
}

#[test]
fn aging_starts_an_old_job_first_but_never_evicts() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("runs", 5);
    scene.submit("old", 5);
    scene.at(100);
    scene.submit("new", 3);
    assert_eq!(scene.calls(), ["start runs", "term runs"], "3 evicts 5; 5 did not evict 5");
    let mut scene = Scene::new(1, Policy { preempt_delta: None, ..Policy::durable() });
    scene.submit("runs", 5);
    scene.submit("old", 5);
    scene.at(100);
    scene.submit("new", 3);
    scene.done("runs");
    assert_eq!(scene.calls(), ["start runs", "start old"]);
}

#[test]
fn f11_a_cancelled_run_frees_its_slot_for_the_next() {
    let mut scene = Scene::new(1, Policy::seed());
    let first = scene.submit("first", 5);
    scene.submit("second", 5);
    scene.started("first").verb(|bin, now| bin.cancel(now, first).unwrap());
    scene.died_of_term("first");
    assert_eq!(scene.calls(), ["start first", "term first", "start second"]);
    assert_eq!(scene.outcomes(), [(1, Outcome::Cancelled { exit: Some(TERM) })]);
    assert_eq!(scene.bin.cancel(scene.now, first), Err(UnknownJob(first)));
}

#[test]
fn f12_stop_starts_nothing_and_tells_what_never_ran() {
    let mut scene = Scene::new(1, Policy::durable());
    scene.submit("runs", 5);
    scene.submit("waits", 5);
    scene.started("runs").verb(SchedulerBin::stop);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(0), "late")), Err(Refusal::Stopped));
    assert_eq!(scene.bin.mode(), Mode::Stopping);
    scene.died_of_term("runs");
    assert_eq!(scene.calls(), ["start runs", "term runs"]);
    let cancelled = |exit| Outcome::Cancelled { exit };
    assert_eq!(scene.outcomes(), [(2, cancelled(None)), (1, cancelled(Some(TERM)))]);
    assert_eq!(scene.events.last(), Some(&EventKind::Stopped));
    assert_eq!(scene.bin.mode(), Mode::Stopped);
}

#[test]
fn pause_and_drain_start_nothing_and_resume_goes_on() {
    let mut scene = Scene::new(2, Policy::seed());
    scene.submit("runs", 5);
    scene.verb(SchedulerBin::pause);
    scene.submit("waits", 0);
    assert_eq!(scene.calls(), ["start runs"]);
    scene.verb(SchedulerBin::drain);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(0), "late")), Err(Refusal::Draining));
    scene.done("runs");
    assert_eq!(scene.events.last(), Some(&EventKind::Drained));
    scene.verb(SchedulerBin::resume);
    assert_eq!(scene.calls(), ["start waits"]);
}

#[test]
fn a_bin_without_a_queue_accepts_only_what_starts() {
    let mut scene = Scene::new(1, Policy { max_pending: 0, ..Policy::seed() });
    scene.submit("runs", 5);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(5), "equal")), Err(Refusal::Full));
    scene.submit("urgent", 4);
    assert_eq!(scene.submit_job(JobSpec::new(Priority::new(4), "equal")), Err(Refusal::Full));
    assert_eq!(scene.calls(), ["start runs", "term runs"]);
    assert_eq!(scene.bin.stats().refused, 2);
}

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
fn a_job_may_choose_its_own_fate() {
    let mut scene = Scene::new(1, Policy::seed());
    let job = JobSpec::new(Priority::new(5), "keeps").on_evict(OnEvict::Requeue);
    scene.submit_job(job).unwrap();
    scene.submit("urgent", 1);
    scene.died_of_term("keeps");
    assert_eq!((scene.bin.pending(), scene.outcomes().len()), (1, 0));
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

#[test]
fn a_job_is_killed_without_grace_also_while_it_is_being_cancelled() {
    let mut scene = Scene::new(2, Policy::seed());
    let (first, second) = (scene.submit("first", 5), scene.submit("second", 5));
    assert_eq!(scene.calls(), ["start first", "start second"]);
    scene.verb(|bin, now| bin.kill_job(now, first).unwrap());
    scene.verb(|bin, now| bin.cancel(now, second).unwrap());
    scene.verb(|bin, now| bin.kill_job(now, second).unwrap());
    assert_eq!(scene.calls(), ["kill first", "term second", "kill second"]);
}
