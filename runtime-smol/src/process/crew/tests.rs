//! Who sleeps, who goes, and who takes over.

use std::sync::mpsc::{Receiver, Sender, channel};

use sched_core::{BinIndex, RunId, Stop};

use super::*;
use crate::process::Owner;

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

/// A guard that fails, not a wait.
fn next(told: &Receiver<Report>) -> Report {
    told.recv_timeout(Duration::from_secs(60)).expect("a report")
}

fn launch(owner: &Arc<dyn Owner>, run: u64, command: Command) -> Launch {
    let run = Arc::new(Run::new(RunId::new(BinIndex::default(), run), Arc::clone(owner)));
    Launch { run, command, vars: Vec::new(), spares: Spares::new(0) }
}

#[test]
fn a_thread_goes_when_it_is_told_nothing_unless_it_is_the_last_and_something_runs() {
    let mut state = State { threads: 2, ..State::default() };
    let number = state.add(&launch(&witness().0, 1, Command::new("true")).run);
    let wakes_up = |state: &mut State, told_nothing| {
        assert!(state.fall_asleep());
        state.wake_up(told_nothing)
    };
    assert!(wakes_up(&mut state, false), "there is work");
    assert!(!wakes_up(&mut state, true), "there is another");
    assert_eq!((state.threads, state.asleep), (1, 0));
    assert!(wakes_up(&mut state, true), "somebody must watch");
    state.runs.remove(&number);
    assert!(!wakes_up(&mut state, true));
    assert_eq!((state.threads, state.asleep), (0, 0));
}

#[test]
fn nobody_sleeps_or_goes_while_something_waits() {
    let mut state = State { threads: 1, ..State::default() };
    assert!(state.fall_asleep());
    assert_eq!(state.looking(), 0);
    state.waiting.push_back(launch(&witness().0, 1, Command::new("true")));
    assert!(state.wake_up(true), "it came meanwhile");
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

/// Starts that hang until the lock is free.
static HANGING: Mutex<()> = Mutex::new(());

fn start_or_hang(
    command: &Command,
    vars: &Variables,
    spares: &Arc<Spares>,
) -> Result<Started, SpawnFailure> {
    if command.to_string() == "hang" {
        drop(HANGING.lock());
        return Err(bad_command("it was not there".to_owned()));
    }
    start(command, vars, spares)
}

#[test]
fn when_all_starts_hang_an_end_is_told_nevertheless() {
    let crew: &'static Crew = Box::leak(Box::new(Crew::new(start_or_hang).unwrap()));
    let (owner, told) = witness();
    let first = launch(&owner, 1, Command::new("sleep").arg("600"));
    let run = Arc::clone(&first.run);
    crew.launch(first).unwrap();
    assert!(matches!(next(&told), Report::Started { .. }));
    let hanging = HANGING.lock().unwrap();
    for number in 0..STARTS as u64 {
        crew.launch(launch(&owner, 2 + number, Command::new("hang"))).unwrap();
    }
    while crew.state().busy < STARTS {
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
