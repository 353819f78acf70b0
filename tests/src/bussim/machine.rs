//! A scheduler: a session, a bin, and processes.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use fastrand::Rng;
use sched_core::bus::v1::{HeardOptions, ReportState};
use sched_core::bus::{JobReport, SessionEvent};
use sched_core::{
    Duration, EventKind, ExitStatus, Instant, JobId, JobSpec, JobState, JobTally, LeaseId, Mode,
    Outcome, Policy, Priority, SchedulerBin,
};
use serde_json::Value;

use super::Verdict;
use super::line::Line;
use super::net::Net;
use super::plan::Plan;
use super::process::{Processes, Seen, Task};

/// A scheduler and its machine.
#[derive(Debug)]
pub struct Machine {
    /// Its session.
    pub line: Line,
    /// What runs on it.
    pub processes: Processes,
    bin: SchedulerBin<Task>,
    slots: u32,
    picky: bool,
    held: BTreeMap<JobId, Held>,
    /// From when on it can do something; in the past: it can.
    pub awake: Instant,
    /// Set while it is ending everything in order to leave: for how long.
    leaving: Option<Duration>,
    /// Until when it is away.
    pub away: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    job: JobId,
    lease: LeaseId,
    shielded: bool,
}

impl Machine {
    /// The scheduler of this number.
    #[must_use]
    pub fn new(plan: &Plan, number: usize, now: Instant, dice: &mut Rng) -> Self {
        let slots = plan.slots[number];
        let policy = Policy { grace: plan.grace, ..Policy::seed() };
        let places = NonZeroUsize::new(slots as usize).unwrap_or(NonZeroUsize::MIN);
        Self {
            line: Line::new(number, "scheduler", format!("g{number}"), slots, now),
            processes: Processes::new(plan.prompt, dice.fork()),
            bin: SchedulerBin::new(places, policy),
            slots,
            picky: plan.picky && number > 0,
            held: BTreeMap::new(),
            awake: now,
            leaving: None,
            away: None,
        }
    }

    /// When it has something to do.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Instant> {
        if self.away.is_some() {
            return self.away;
        }
        let seen = (!self.processes.seen.is_empty()).then_some(now);
        let due = seen.into_iter().chain(self.line.next()).chain(self.bin.poll_timeout()).min()?;
        Some(due.max(self.awake))
    }

    /// Lets time pass. What has lapsed is ended before anything else begins.
    ///
    /// # Errors
    ///
    /// It heard something that makes no sense.
    pub fn wake(&mut self, now: Instant, net: &mut Net, up: bool, dice: &mut Rng) -> Verdict {
        self.line.wake(now, net, up, dice);
        self.settle(now, net)?;
        self.bin.handle_timeout(now);
        while let Some(seen) = self.processes.seen.pop_front() {
            match seen {
                Seen::Started(run) => self.bin.handle_started(now, run),
                Seen::Exited(run, exit) => self.bin.handle_exit(now, run, exit),
            }
            self.settle(now, net)?;
        }
        self.settle(now, net)
    }

    /// It hears something.
    ///
    /// # Errors
    ///
    /// That makes no sense.
    pub fn hear(&mut self, now: Instant, net: &mut Net, text: &str) -> Verdict {
        self.line.session.handle_timeout(now);
        self.settle(now, net)?;
        self.line.session.handle_message(now, text);
        self.settle(now, net)
    }

    /// Whether it was frozen until now, and has not looked around since.
    #[must_use]
    pub fn is_waking(&self, now: Instant) -> bool {
        self.awake == now
    }

    /// It begins to end everything, and leaves then for so long.
    pub fn leave(&mut self, now: Instant, away: Duration) {
        self.leaving = Some(away);
        self.bin.stop(now);
    }

    fn settle(&mut self, now: Instant, net: &mut Net) -> Verdict {
        self.processes.now = now;
        loop {
            while let Some(event) = self.line.session.poll_event() {
                self.heard(now, event)?;
            }
            self.bin.dispatch(now, &mut self.processes);
            let Some(event) = self.bin.poll_event() else { break };
            self.happened(event.kind);
        }
        self.offer(now);
        self.line.pump(now, net);
        self.leave_if_done(now, net);
        Ok(())
    }

    fn heard(&mut self, now: Instant, event: SessionEvent) -> Verdict {
        match event {
            SessionEvent::Assigned { job, lease, payload, opts, .. } => {
                self.assigned(now, job, lease, &payload, &opts);
            }
            SessionEvent::Revoked { lease, .. } => {
                let ours = self.held.iter().find(|(_, held)| held.lease == lease);
                if let Some((job, _)) = ours.map(|(job, held)| (*job, *held)) {
                    let _ = self.bin.cancel(now, job);
                }
            }
            SessionEvent::Welcomed { .. } | SessionEvent::OldBus => {}
            other => return Err(format!("{now} a scheduler heard {other:?}")),
        }
        Ok(())
    }

    fn assigned(
        &mut self,
        now: Instant,
        job: JobId,
        lease: LeaseId,
        payload: &str,
        opts: &HeardOptions,
    ) {
        let read: Value = serde_json::from_str(payload).unwrap_or_default();
        let shielded = opts.shielded;
        let held = Held { job, lease, shielded };
        let level = opts.level.unwrap_or_default();
        let level = if shielded { i32::MIN } else { i32::try_from(level).unwrap_or(i32::MIN) };
        let runs = Duration::from_millis(read["ms"].as_u64().unwrap_or(1));
        let code = i32::from(read["code"] == 1);
        let mut spec = JobSpec::new(Priority::new(level), Task { job, lease, runs, code });
        spec.time_limit = opts.submitted.timeout_ms.map(Duration::from_millis);
        let declines = self.picky && job.count() % 3 == 0;
        match if declines { None } else { self.bin.submit(now, spec).ok() } {
            Some(id) => drop(self.held.insert(id, held)),
            None => self.report(held, ReportState::Declined, None, None, Duration::ZERO),
        }
    }

    fn happened(&mut self, event: EventKind) {
        match event {
            EventKind::Started { job, .. } => {
                if let Some(held) = self.held.get(&job).copied() {
                    self.report(held, ReportState::Started, None, None, Duration::ZERO);
                }
            }
            EventKind::Ended { job, outcome, tally } => {
                if let Some(held) = self.held.get(&job).copied() {
                    self.ended(held, &outcome, tally);
                    self.held.remove(&job);
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, held: Held, outcome: &Outcome, tally: JobTally) {
        let (state, exit, by) = match outcome {
            Outcome::Finished => (ReportState::Finished, Some(ExitStatus::Code(0)), None),
            Outcome::Failed(exit) => (ReportState::Failed, Some(*exit), None),
            Outcome::TimedOut { exit, .. } => (ReportState::TimedOut, Some(*exit), None),
            Outcome::Evicted { by, exit } => {
                (ReportState::Evicted, Some(*exit), self.held.get(by).map(|held| held.job))
            }
            Outcome::Cancelled { exit } => (ReportState::Cancelled, *exit, None),
            Outcome::SpawnFailed(_) | Outcome::Expired | Outcome::Lost => {
                (ReportState::SpawnFailed, None, None)
            }
        };
        self.report(held, state, exit, by, tally.ran);
    }

    fn report(
        &mut self,
        held: Held,
        state: ReportState,
        exit: Option<ExitStatus>,
        by: Option<JobId>,
        ran: Duration,
    ) {
        let Held { job, lease, .. } = held;
        let (reason, output) = (None, None);
        let slot = None;
        let report = JobReport { job, lease, state, exit, by, ran, reason, output, slot };
        self.line.session.report(&report);
    }

    fn offer(&mut self, now: Instant) {
        let may_be_evicted = |id: &JobId| {
            let shielded = self.held.get(id).is_none_or(|held| held.shielded);
            let view = self.bin.job(*id)?;
            let runs = matches!(view.state, JobState::Starting(_) | JobState::Running(_));
            (runs && !shielded).then(|| view.spec.priority.number())
        };
        let floor = self.held.keys().filter_map(may_be_evicted).max();
        let free = u32::try_from(self.bin.free_slots()).unwrap_or(self.slots);
        self.line.session.offer(now, free, floor);
    }

    fn leave_if_done(&mut self, now: Instant, net: &mut Net) {
        let done = self.bin.mode() == Mode::Stopped && self.line.session.unanswered() == 0;
        let Some(away) = self.leaving.filter(|_| done) else { return };
        if let Some(connection) = self.line.connection.take() {
            net.say(now, connection, None);
        }
        self.away = Some(now + away);
    }
}
