//! The invariants, checked after every step from what can be seen outside.
//!
//! Each `inv_N` is number N of the project's list of promises. None of them
//! asks the model: they know the inputs, the events, the calls to the spawner
//! and the getters, and keep books of their own.

mod calls;
mod jobs;
mod slots;
mod time;

use sched_core::{Duration, Event, EventKind, Instant, JobId, JobSpec, Policy, StopCause};

use super::{Verdict, ensure};
use crate::sim::ledger::Ledger;
use crate::sim::processes::Script;
use crate::sim::twin::{Answer, Call, Input};
use crate::sim::view::View;

/// What there is to see of one step.
#[derive(Debug)]
pub struct Step<'a> {
    /// When.
    pub now: Instant,
    /// What the machine was given, and what it answered; `None`: its actions
    /// were carried out.
    pub input: Option<(&'a Input, Answer)>,
    /// What it told.
    pub events: Vec<Event>,
    /// What it asked of the spawner.
    pub calls: &'a [Call],
    /// How it looks now.
    pub view: View,
    /// How many processes there are.
    pub alive: usize,
    /// Whether it has actions that have not been polled yet.
    pub pending_calls: bool,
}

/// The checker of one machine.
#[derive(Debug)]
pub struct Checker {
    slots: usize,
    policy: Policy,
    ledger: Ledger,
    before: Option<View>,
    now: Instant,
    /// The checker's own integral of slots in use over time.
    occupied: Duration,
}

impl Checker {
    /// For a machine with so many slots and this policy.
    #[must_use]
    pub fn new(slots: usize, policy: Policy) -> Self {
        Self {
            slots,
            ledger: Ledger::new(slots, policy.clone()),
            policy,
            before: None,
            now: Instant::ZERO,
            occupied: Duration::ZERO,
        }
    }

    /// Checks one step.
    ///
    /// # Errors
    ///
    /// Names the invariant that is broken, and how.
    pub fn step(&mut self, step: &Step<'_>) -> Verdict {
        let now = step.now.max(self.now);
        self.occupied += now.since(self.now) * u32::try_from(self.ledger.runs.len()).unwrap_or(0);
        self.now = now;
        self.ledger.freed.clear();
        self.note_input(step);
        self.calls_match(step)?;
        for (place, event) in step.events.iter().enumerate() {
            self.before_event(step, place, event)?;
            self.ledger.write(event, submitted(step))?;
        }
        self.calls_follow(step)?;
        self.state_holds(step)?;
        self.before = Some(step.view.clone());
        Ok(())
    }

    fn note_input(&mut self, step: &Step<'_>) {
        match step.input {
            Some((Input::Cancel(job), Answer::Cancelled(true))) => self.ledger.cancelled(*job),
            Some((Input::Stop | Input::Kill, _)) => {
                for job in step_jobs(&self.ledger) {
                    self.ledger.cancelled(job);
                }
            }
            _ => {}
        }
    }

    /// What must hold at the moment of an event, among those of its step.
    fn before_event(&self, step: &Step<'_>, place: usize, event: &Event) -> Verdict {
        ensure(event.at == self.now, || format!("{event:?} is told at {:?}", self.now))?;
        self.inv_1_one_outcome(event)?;
        self.inv_9_never_early(step, event)?;
        match &event.kind {
            EventKind::Starting { run, .. } => {
                self.inv_5_the_evictor_gets_the_slot(run)?;
                self.inv_7_first_come_first_served(run)?;
                self.inv_10_no_slot_before_the_reaping(run)?;
                self.inv_12_what_is_over_never_starts(run)?;
                self.inv_14_nothing_starts_after_stop(step, run)
            }
            EventKind::Stopping { run, cause: StopCause::Evicted { by }, .. } => {
                let victim = self.ledger.runs.get(run).ok_or("an unknown victim")?;
                self.inv_6_the_victim(victim, *by)
            }
            EventKind::Exited { run, job, .. } => {
                // A deadline that passes in this very step comes after the exit.
                let victim = *self.ledger.runs.get(run).ok_or("an unknown run exits")?;
                self.inv_11_what_ended_it(step, &victim, *job, &step.events[place + 1..])
            }
            _ => Ok(()),
        }
    }

    fn state_holds(&mut self, step: &Step<'_>) -> Verdict {
        self.ledger.deadlines(self.now);
        self.inv_1_every_job_is_somewhere(step)?;
        self.inv_2_never_more_than_slots(step)?;
        self.inv_3_nobody_outranks(step)?;
        self.inv_4_no_idle_slot(step)?;
        self.inv_5_the_slot_is_taken(step)?;
        self.inv_8_no_other_record_changes(step)?;
        self.inv_9_nothing_is_overdue(step)?;
        self.inv_10_kill_follows_term()?;
        self.inv_13_no_slot_leaks(step)?;
        self.inv_14_nothing_is_left(step)?;
        self.inv_16_all_slot_time_is_told(step)
    }
}

/// The same inputs give the same outputs, byte for byte: compares two logs of
/// the same plan.
///
/// # Errors
///
/// The first line that differs.
pub fn inv_15_same_inputs_same_outputs(one: &[String], other: &[String]) -> Verdict {
    let differ = one.iter().zip(other).find(|(one, other)| one != other);
    ensure(differ.is_none() && one.len() == other.len(), || {
        format!("inv 15: {} and {} lines, first different: {differ:?}", one.len(), other.len())
    })
}

fn submitted<'a>(step: &Step<'a>) -> Option<&'a JobSpec<Script>> {
    match step.input {
        Some((Input::Submit(spec), Answer::Submitted(Ok(_)))) => Some(spec),
        _ => None,
    }
}

fn step_jobs(ledger: &Ledger) -> Vec<JobId> {
    ledger.jobs.iter().filter(|(_, row)| row.outcome.is_none()).map(|(id, _)| *id).collect()
}
