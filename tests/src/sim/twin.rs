//! A machine and its model side by side.

use sched_core::{
    Action, Event, Instant, JobId, JobSpec, Mode, Policy, ProcessSpawner, Refusal, RunId, RunInfo,
    SchedulerBin, SpawnFailure, Stop,
};
use std::fmt;
use std::num::NonZeroUsize;

use super::checker::{Checker, Step};
use super::model::{Model, Order, Refused};
use super::processes::{Report, Script, World};
use super::view::View;
use super::{Verdict, ensure};

/// What is given to the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// A job is offered.
    Submit(JobSpec<Script>),
    /// Its owner does not want it any more.
    Cancel(JobId),
    /// Start nothing new.
    Pause,
    /// Start nothing new, take nothing new.
    Drain,
    /// As before pause and drain.
    Resume,
    /// End everything.
    Stop,
    /// End everything at once.
    Kill,
    /// The spawner reports.
    Report(Report),
    /// Time has gone by.
    Timeout,
}

/// What the machine answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The job is accepted, or handed back.
    Submitted(Result<JobId, Refused>),
    /// Whether there was such a job.
    Cancelled(bool),
    /// There is nothing to say.
    None,
}

/// What the machine asked of the spawner, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// To start a run.
    Spawn(RunInfo, Script, Result<(), SpawnFailure>),
    /// To stop a run.
    Stop(RunId, Stop),
}

/// A machine and its model, given the same, and expected to say the same.
#[derive(Debug)]
pub struct Twin {
    /// The machine under test.
    pub bin: SchedulerBin<Script>,
    /// The reference.
    pub model: Model,
    checker: Checker,
    slots: usize,
    /// Everything that went in and came out.
    pub log: Vec<Line>,
}

/// A line of the log.
#[derive(Clone, PartialEq, Eq)]
pub enum Line {
    /// Given to the machine.
    Input(Instant, Input),
    /// Answered by it.
    Answer(Answer),
    /// Asked of the spawner.
    Call(Call),
    /// Told.
    Event(Event),
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(at, input) => write!(f, "{at} {input:?}"),
            Self::Answer(answer) => write!(f, "    -> {answer:?}"),
            Self::Call(call) => write!(f, "    => {call:?}"),
            Self::Event(event) => write!(f, "    {:?}", event.kind),
        }
    }
}

impl Twin {
    /// Both, empty.
    #[must_use]
    pub fn new(slots: NonZeroUsize, policy: Policy) -> Self {
        Self {
            bin: SchedulerBin::new(slots, policy.clone()),
            model: Model::new(slots.get(), policy.clone()),
            checker: Checker::new(slots.get(), policy),
            slots: slots.get(),
            log: Vec::new(),
        }
    }

    /// Gives `input` to both at `now`, and compares everything. `alive`
    /// processes exist.
    ///
    /// # Errors
    ///
    /// Machine and model differ, or an invariant is broken.
    pub fn feed(&mut self, now: Instant, input: &Input, alive: usize) -> Result<Answer, String> {
        self.log.push(Line::Input(now, input.clone()));
        let answer = give(&mut self.bin, now, input);
        let expected = give_model(&mut self.model, now, input);
        if answer != Answer::None {
            self.log.push(Line::Answer(answer));
        }
        ensure(answer == expected, || format!("machine: {answer:?}, model: {expected:?}"))?;
        self.observe(now, Some((input, answer)), &[], alive)?;
        Ok(answer)
    }

    /// Drains the actions of both into `world` through `dispatch`.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed).
    pub fn dispatch(&mut self, now: Instant, world: &mut impl World) -> Verdict {
        let mut recorder = Recorder { inner: world, calls: Vec::new() };
        self.bin.dispatch(now, &mut recorder);
        let calls = recorder.calls;
        for call in &calls {
            self.replay(call)?;
            if let Call::Spawn(run, _, Err(why)) = call {
                self.model.handle_spawn_failed(now, run.id, why.clone());
            }
        }
        self.dispatched(now, &calls, world.alive())
    }

    /// The same with the actions polled by hand, all of them before a refused
    /// start is fed back.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed).
    pub fn dispatch_by_hand(&mut self, now: Instant, world: &mut impl World) -> Verdict {
        let mut recorder = Recorder { inner: world, calls: Vec::new() };
        loop {
            let from = recorder.calls.len();
            while let Some(action) = self.bin.poll_action() {
                match action {
                    Action::Spawn { run, command } => drop(recorder.spawn(&run, command)),
                    Action::Stop { run, how } => recorder.stop(run, how),
                }
            }
            if from == recorder.calls.len() {
                break;
            }
            let round: Vec<_> = recorder.calls[from..].to_vec();
            for call in &round {
                self.replay(call)?;
            }
            for call in &round {
                if let Call::Spawn(run, _, Err(why)) = call {
                    self.bin.handle_spawn_failed(now, run.id, why.clone());
                    self.model.handle_spawn_failed(now, run.id, why.clone());
                }
            }
        }
        let calls = recorder.calls;
        self.dispatched(now, &calls, world.alive())
    }

    fn replay(&mut self, call: &Call) -> Verdict {
        self.log.push(Line::Call(call.clone()));
        let order = match call {
            Call::Spawn(run, ..) => Order::Spawn(*run),
            Call::Stop(run, how) => Order::Stop(*run, *how),
        };
        let expected = self.model.take_order(order);
        ensure(expected, || format!("{order:?} is not in {:?} of the model", self.model.orders))
    }

    fn dispatched(&mut self, now: Instant, calls: &[Call], alive: usize) -> Verdict {
        let left = &self.model.orders;
        ensure(left.is_empty(), || format!("the machine did not ask for {left:?}"))?;
        self.observe(now, None, calls, alive)
    }

    /// Compares machine and model, then checks the invariants.
    fn observe(
        &mut self,
        now: Instant,
        input: Option<(&Input, Answer)>,
        calls: &[Call],
        alive: usize,
    ) -> Verdict {
        let events: Vec<_> = std::iter::from_fn(|| self.bin.poll_event()).collect();
        self.log.extend(events.iter().cloned().map(Line::Event));
        let view = View::of_bin(&self.bin);
        view.compare(&View::of_model(&self.model, self.slots))?;
        self.compare_events(&events)?;
        let pending_calls = !self.model.orders.is_empty();
        self.checker.step(&Step { now, input, events, calls, view, alive, pending_calls })
    }

    /// The model does not fix the order within one step.
    fn compare_events(&mut self, events: &[Event]) -> Verdict {
        let mut missing = std::mem::take(&mut self.model.events);
        let mut surplus = Vec::new();
        for event in events {
            match missing.iter().position(|kind| *kind == event.kind) {
                Some(place) => drop(missing.swap_remove(place)),
                None => surplus.push(&event.kind),
            }
        }
        ensure(missing.is_empty() && surplus.is_empty(), || {
            format!("events differ\n  machine alone: {surplus:#?}\n  model alone: {missing:#?}")
        })
    }

    /// Nothing can happen any more: everything must be over, or held.
    ///
    /// # Errors
    ///
    /// Something is left.
    pub fn at_rest(&self, alive: usize) -> Verdict {
        let left = View::of_bin(&self.bin);
        let over = left.jobs.is_empty() && left.runs.is_empty() && alive == 0;
        let waits = matches!(left.mode, Mode::Paused | Mode::Draining)
            && left.runs.is_empty()
            && left.pending.len() == left.jobs.len();
        ensure(over || waits, || format!("at rest with {alive} processes and {left:#?}"))
    }
}

fn give(bin: &mut SchedulerBin<Script>, now: Instant, input: &Input) -> Answer {
    match input.clone() {
        Input::Submit(job) => {
            let answer = bin.submit(now, job.clone()).map_err(|error| {
                assert_eq!(*error.job, job, "another job was handed back");
                match error.why {
                    Refusal::Full => Refused::Full,
                    Refusal::Draining => Refused::Draining,
                    Refusal::Stopped => Refused::Stopped,
                    Refusal::NoBin => panic!("a bin does not refuse so"),
                }
            });
            return Answer::Submitted(answer);
        }
        Input::Cancel(job) => return Answer::Cancelled(bin.cancel(now, job).is_ok()),
        Input::Pause => bin.pause(now),
        Input::Drain => bin.drain(now),
        Input::Resume => bin.resume(now),
        Input::Stop => bin.stop(now),
        Input::Kill => bin.kill(now),
        Input::Report(Report::Started(run)) => bin.handle_started(now, run),
        Input::Report(Report::SpawnFailed(run, why)) => bin.handle_spawn_failed(now, run, why),
        Input::Report(Report::Exit(run, exit)) => bin.handle_exit(now, run, exit),
        Input::Timeout => bin.handle_timeout(now),
    }
    Answer::None
}

fn give_model(model: &mut Model, now: Instant, input: &Input) -> Answer {
    match input.clone() {
        Input::Submit(job) => return Answer::Submitted(model.submit(now, &job)),
        Input::Cancel(job) => return Answer::Cancelled(model.cancel(now, job)),
        Input::Pause => model.pause(now),
        Input::Drain => model.drain(now),
        Input::Resume => model.resume(now),
        Input::Stop => model.stop(now, false),
        Input::Kill => model.stop(now, true),
        Input::Report(Report::Started(run)) => model.handle_started(now, run),
        Input::Report(Report::SpawnFailed(run, why)) => model.handle_spawn_failed(now, run, why),
        Input::Report(Report::Exit(run, exit)) => model.handle_exit(now, run, exit),
        Input::Timeout => model.handle_timeout(now),
    }
    Answer::None
}

/// A spawner that writes down what it is asked, and passes it on.
struct Recorder<'a, S> {
    inner: &'a mut S,
    calls: Vec<Call>,
}

impl<S: World> ProcessSpawner for Recorder<'_, S> {
    type Command = Script;

    fn spawn(&mut self, run: &RunInfo, script: &Script) -> Result<(), SpawnFailure> {
        let result = self.inner.spawn(run, script);
        self.calls.push(Call::Spawn(*run, script.clone(), result.clone()));
        result
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        self.inner.stop(run, how);
        self.calls.push(Call::Stop(run, how));
    }
}
