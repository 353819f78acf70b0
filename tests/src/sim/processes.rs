//! Fake processes that follow a script in virtual time.

use sched_core::{
    Duration, Exit, ExitStatus, Instant, ProcessSpawner, RunId, RunInfo, SpawnFailure,
    SpawnFailureKind, Stop,
};

/// What a fake process will do: the command of a simulated job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// How long its start takes.
    pub start: Duration,
    /// How long it runs when left alone.
    pub run: Duration,
    /// How it ends then.
    pub status: ExitStatus,
    /// How long it goes on after TERM; `None`: it does not care.
    pub heeds_term: Option<Duration>,
    /// How long it goes on after KILL, as a process in the kernel's hands does.
    pub dies_after: Duration,
    /// How long its end goes unnoticed.
    pub notice: Duration,
    /// Whether a stop that comes before its start keeps it from being started.
    pub withheld: bool,
}

impl Script {
    /// A well-behaved process that runs this long and exits with code 0.
    #[must_use]
    pub const fn runs_for(run: Duration) -> Self {
        Self {
            start: Duration::ZERO,
            run,
            status: ExitStatus::Code(0),
            heeds_term: Some(Duration::ZERO),
            dies_after: Duration::ZERO,
            notice: Duration::ZERO,
            withheld: false,
        }
    }

    /// The same, with a start that takes a while.
    #[must_use]
    pub const fn starts_in(mut self, start: Duration) -> Self {
        self.start = start;
        self
    }

    /// The same, with another end.
    #[must_use]
    pub const fn ends_with(mut self, status: ExitStatus) -> Self {
        self.status = status;
        self
    }

    /// The same, that goes on for a while after TERM; `None`: until KILL.
    #[must_use]
    pub const fn heeds_term(mut self, after: Option<Duration>) -> Self {
        self.heeds_term = after;
        self
    }
}

/// What a spawner reports to the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// There is a process.
    Started(RunId),
    /// There will be none.
    SpawnFailed(RunId, SpawnFailure),
    /// The process was reaped.
    Exit(RunId, Exit),
}

/// A spawner in virtual time: it is told the time, and asked for its reports.
pub trait World: ProcessSpawner<Command = Script> {
    /// It is `now`.
    fn set_time(&mut self, now: Instant);
    /// When the next report is due.
    fn next_report(&self) -> Option<Instant>;
    /// A report that is due, picked by `dice` where there are several.
    fn take_report(&mut self, dice: &mut fastrand::Rng) -> Option<Report>;
    /// How many processes there are, not yet reaped; those about to be
    /// started count.
    fn alive(&self) -> usize;
}

/// The fake processes.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    now: Instant,
    alive: Vec<Process>,
}

#[derive(Clone, Debug)]
struct Process {
    run: RunId,
    script: Script,
    starts: Instant,
    start_told: bool,
    ends: Instant,
    exit: Exit,
    /// It was stopped in time, and there will be none.
    withheld: bool,
}

impl Process {
    fn new(now: Instant, run: RunId, script: Script) -> Self {
        let starts = now + script.start;
        let ends = starts + script.run;
        let exit = Exit::natural(script.status);
        Self { run, script, starts, start_told: false, ends, exit, withheld: false }
    }

    fn next_report(&self) -> Instant {
        if self.start_told { self.ends + self.script.notice } else { self.starts }
    }

    /// A signal arrives; one that comes after the end changes nothing.
    fn signal(&mut self, now: Instant, how: Stop) {
        if self.script.withheld && now < self.starts {
            (self.withheld, self.starts) = (true, now);
        }
        if self.withheld || self.ends <= now {
            return;
        }
        self.exit.after_stop = true;
        let (number, after) = match how {
            Stop::Terminate => (15, self.script.heeds_term),
            Stop::Kill => (9, Some(self.script.dies_after)),
        };
        let Some(after) = after else { return };
        let ends = self.starts.max(now) + after;
        if ends < self.ends {
            self.ends = ends;
            self.exit.status = ExitStatus::Signal(number);
        }
    }
}

impl ProcessSpawner for Processes {
    type Command = Script;

    fn spawn(&mut self, run: &RunInfo, script: &Script) -> Result<(), SpawnFailure> {
        self.alive.push(Process::new(self.now, run.id, script.clone()));
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        let now = self.now;
        if let Some(process) = self.alive.iter_mut().find(|process| process.run == run) {
            process.signal(now, how);
        }
    }
}

impl World for Processes {
    fn set_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn next_report(&self) -> Option<Instant> {
        self.alive.iter().map(Process::next_report).min()
    }

    fn take_report(&mut self, dice: &mut fastrand::Rng) -> Option<Report> {
        let is_due = |place: &usize| self.alive[*place].next_report() <= self.now;
        let due: Vec<_> = (0..self.alive.len()).filter(is_due).collect();
        let place = dice.choice(due)?;
        let process = &mut self.alive[place];
        if process.withheld {
            let kind = SpawnFailureKind::Stopped;
            let why = SpawnFailure { kind, message: "stopped before its start".into() };
            return Some(Report::SpawnFailed(self.alive.swap_remove(place).run, why));
        }
        if !process.start_told {
            process.start_told = true;
            return Some(Report::Started(process.run));
        }
        let process = self.alive.swap_remove(place);
        Some(Report::Exit(process.run, process.exit))
    }

    fn alive(&self) -> usize {
        self.alive.len()
    }
}
