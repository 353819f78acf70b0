//! Who sleeps, who goes, and who takes over.

use std::sync::mpsc::{Receiver, Sender, channel};

use sched_core::{BinIndex, RunId, SpawnFailureKind, Stop};

use super::*;
use crate::process::Owner;
use crate::process::error::bad_command;

/// Passes on what it is told.
struct Witness(Mutex<Sender<Report>>);

impl Owner for Witness {
    fn told(&self, report: Report) {
        self.0.lock().unwrap().send(report).unwrap();
    }
}

fn witness() -> (Arc<dyn Owner>, Receiver<Report>) {
    let (sender, told) = channel();
    (Arc::new(Witness(Mutex::new(sender))), told)
}

/// Is told nothing, and tells when it is called.
struct Called(Mutex<Sender<()>>);

impl Owner for Called {
    fn told(&self, _report: Report) {}

    fn pass_on(&self) {
        // Nobody may ask any more.
        let _ = self.0.lock().unwrap().send(());
    }
}

/// Passes on what it is told, and panics.
struct Panics(Mutex<Sender<Report>>);

impl Owner for Panics {
    fn told(&self, report: Report) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).send(report).unwrap();
        panic!("an owner of this test panics on purpose");
    }

    fn pass_on(&self) {
        panic!("an owner of this test panics on purpose");
    }
}

/// A guard that fails, not a wait.
fn next<T>(told: &Receiver<T>) -> T {
    told.recv_timeout(Duration::from_secs(60)).expect("to be told something")
}

fn crew() -> &'static Crew {
    Box::leak(Box::new(Crew::new(start_or_hang).unwrap()))
}

fn launch(owner: &Arc<dyn Owner>, run: u64, command: Command) -> Launch {
    let run = Arc::new(Run::new(RunId::new(BinIndex::default(), run), Arc::clone(owner)));
    Launch { run, command, vars: Vec::new(), supplies: Supplies::for_runs(0) }
}

#[test]
fn a_thread_goes_when_it_is_told_nothing_unless_something_runs() {
    let mut state = State { manned: [true; 2], ..State::default() };
    let number = state.add(&launch(&witness().0, 1, Command::new("true")).run, 0);
    let wakes_up = |state: &mut State, post, told_nothing| {
        assert!(state.fall_asleep());
        state.wake_up(post, told_nothing)
    };
    assert!(wakes_up(&mut state, 0, false), "there is work");
    assert!(wakes_up(&mut state, 0, true), "what runs may end with the thread that started it");
    state.runs.remove(&number);
    assert!(wakes_up(&mut state, 0, false), "there is work");
    assert!(!wakes_up(&mut state, 0, true));
    assert!(!wakes_up(&mut state, 1, true));
    assert_eq!((state.threads(), state.asleep), (0, 0));
}

#[test]
fn nobody_sleeps_or_goes_while_something_waits() {
    let mut state = State { manned: [true, false], ..State::default() };
    assert!(state.fall_asleep());
    assert_eq!(state.looking(), 0);
    state.waiting.push_back(launch(&witness().0, 1, Command::new("true")));
    assert!(state.wake_up(0, true), "it came meanwhile");
    assert!(!state.fall_asleep());
    assert_eq!(state.looking(), 1);
}

#[test]
fn an_owner_is_called_once_for_all_its_news() {
    let (one, other) = (witness().0, witness().0);
    let mut state = State::default();
    [&one, &other, &one].into_iter().for_each(|owner| state.has_news(owner));
    assert_eq!(state.news.len(), 2);
}

/// Starts that hang until the lock is free. One test at a time has it.
static HANGING: Mutex<()> = Mutex::new(());
static HANGS: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    HANGS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_or_hang(
    command: &Command,
    vars: &Variables,
    supplies: &Supplies,
) -> Result<Started, SpawnFailure> {
    if command.to_string() == "hang" {
        drop(HANGING.lock());
        return Err(bad_command("it was not there".to_owned()));
    }
    start(command, vars, supplies)
}

#[test]
fn when_all_starts_hang_an_end_is_told_nevertheless() {
    let _alone = one_at_a_time();
    let crew = crew();
    let (owner, told) = witness();
    let first = launch(&owner, 1, Command::new("sleep").arg("600"));
    let run = Arc::clone(&first.run);
    crew.launch(first).unwrap();
    assert!(matches!(next(&told), Report::Started { .. }));
    let hanging = HANGING.lock().unwrap();
    for number in 0..STARTS as u64 {
        crew.launch(launch(&owner, 2 + number, Command::new("hang"))).unwrap();
    }
    while crew.state().busy() < STARTS {
        thread::yield_now();
    }
    run.stop(Stop::Kill);
    let report = next(&told);
    assert!(matches!(report, Report::Exited { run, .. } if run.count() == 1), "{report:?}");
    drop(hanging);
    for _ in 0..STARTS {
        assert!(matches!(next(&told), Report::SpawnFailed { .. }));
    }
    crew.launch(launch(&owner, 9, Command::new("true"))).unwrap();
    assert!(matches!(next(&told), Report::Started { .. }), "it goes on as before");
    assert!(matches!(next(&told), Report::Exited { .. }));
}

#[test]
fn what_is_stopped_while_it_waits_for_its_turn_is_never_started() {
    let _alone = one_at_a_time();
    let crew = crew();
    let (owner, told) = witness();
    let hanging = HANGING.lock().unwrap();
    for number in 0..STARTS as u64 {
        crew.launch(launch(&owner, number, Command::new("hang"))).unwrap();
    }
    while crew.state().busy() < STARTS {
        thread::yield_now();
    }
    for (number, how) in [(8, Stop::Terminate), (9, Stop::Kill)] {
        let late = launch(&owner, number, Command::new("sleep").arg("600"));
        let run = Arc::clone(&late.run);
        crew.launch(late).unwrap();
        run.stop(how);
    }
    drop(hanging);
    let mut stopped = Vec::new();
    for _ in 0..STARTS + 2 {
        match next(&told) {
            Report::SpawnFailed { run, why } if why.kind == SpawnFailureKind::Stopped => {
                stopped.push(run.count());
            }
            Report::SpawnFailed { run, .. } => assert!(run.count() < STARTS as u64),
            other => panic!("{other:?}"),
        }
    }
    stopped.sort_unstable();
    assert_eq!(stopped, [8, 9]);
}

#[test]
fn an_end_is_told_though_the_thread_that_has_started_it_hangs_and_the_other_sleeps() {
    let _alone = one_at_a_time();
    let crew = crew();
    let (owner, told) = witness();
    let hang = |many: usize| {
        let hanging = HANGING.lock().unwrap();
        for number in 0..many as u64 {
            crew.launch(launch(&owner, 100 + number, Command::new("hang"))).unwrap();
        }
        while crew.state().busy() < many {
            thread::yield_now();
        }
        hanging
    };
    // Both threads are there.
    drop(hang(STARTS));
    (0..STARTS).for_each(|_| drop(next(&told)));
    // Which of them takes what is up to them.
    let is_told = (0..1_000).any(|_| {
        let first = launch(&owner, 1, Command::new("sleep").arg("600"));
        let run = Arc::clone(&first.run);
        crew.launch(first).unwrap();
        assert!(matches!(next(&told), Report::Started { .. }));
        let post = crew.state().runs.values().map(|(_, post)| *post).next();
        let hanging = hang(1);
        let hangs = post.is_none_or(|post| crew.state().starting[post].is_some());
        if hangs {
            run.stop(Stop::Kill);
            assert!(matches!(next(&told), Report::Exited { .. }));
        }
        drop(hanging);
        assert!(matches!(next(&told), Report::SpawnFailed { .. }));
        if !hangs {
            run.stop(Stop::Kill);
            assert!(matches!(next(&told), Report::Exited { .. }));
        }
        hangs
    });
    assert!(is_told, "no start hung where the process was started");
}

#[test]
fn who_has_news_is_called_although_a_start_hangs_and_the_others_sleep() {
    let _alone = one_at_a_time();
    let crew = crew();
    let hanging = HANGING.lock().unwrap();
    let (sender, called) = channel();
    let owner: Arc<dyn Owner> = Arc::new(Called(Mutex::new(sender)));
    crew.launch(launch(&owner, 1, Command::new("hang"))).unwrap();
    next(&called);
    drop(hanging);
    next(&called);
}

#[test]
fn an_owner_that_panics_harms_neither_its_other_runs_nor_other_owners() {
    let crew = crew();
    let (sender, panicking) = channel();
    let owner: Arc<dyn Owner> = Arc::new(Panics(Mutex::new(sender)));
    let (other, told) = witness();
    for number in 0..4 {
        crew.launch(launch(&owner, number, Command::new("true"))).unwrap();
        crew.launch(launch(&other, number, Command::new("true"))).unwrap();
    }
    for told in [&panicking, &told] {
        let reports: Vec<_> = (0..8).map(|_| next(told)).collect();
        assert_eq!(reports.iter().filter(|report| report.is_last()).count(), 4, "{reports:?}");
    }
}
