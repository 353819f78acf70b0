//! A bin in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use sched_core::{
    Exit, ExitStatus, Instant, JobSpec, Policy, Priority, ProcessSpawner, RunId, RunInfo,
    SchedulerBin, SpawnFailure, Stop,
};

use super::Work;
use super::figures::{Book, Figures};
use super::trace::Trace;

/// What TERM is answered with.
const TERM: ExitStatus = ExitStatus::Signal(15);

/// Where a workload is simulated.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How many jobs run at once.
    pub slots: NonZeroUsize,
    /// The rules.
    pub policy: Policy,
    /// How long a process takes to end once it is asked to; it is killed when
    /// its grace period is over.
    pub dying: Duration,
}

/// Puts a workload, in the order of submission, through a bin. The same input
/// gives the same figures.
///
/// # Errors
///
/// The trace cannot be written.
pub fn run(works: &[Work], terms: &Terms, trace: Option<&mut Trace<'_>>) -> io::Result<Figures> {
    let mut bin = SchedulerBin::new(terms.slots, terms.policy.clone());
    let mut processes = Processes::new(terms);
    let mut audience = Audience { book: Book::new(works.len()), trace };
    let mut works = works.iter().peekable();
    let mut now = Instant::ZERO;
    loop {
        processes.now = now;
        while let Some((run, exit)) = processes.next_exit(now) {
            bin.handle_exit(now, run, exit);
        }
        if bin.poll_timeout().is_some_and(|due| due <= now) {
            bin.handle_timeout(now);
        }
        while let Some(work) = works.next_if(|work| Instant::ZERO + work.submitted <= now) {
            // Refused only for want of room, which the bin counts.
            if bin.submit(now, spec(work)).is_ok() {
                audience.book.accept(work);
            }
            audience.hear(&mut bin)?;
        }
        carry_out(&mut bin, &mut processes, now);
        audience.hear(&mut bin)?;
        let arrival = works.peek().map(|work| Instant::ZERO + work.submitted);
        let next = [arrival, processes.first_end(), bin.poll_timeout()];
        match next.into_iter().flatten().min() {
            Some(next) => now = next.max(now),
            None => return Ok(audience.book.close(terms.slots, bin.stats())),
        }
    }
}

/// Who is told what happens.
struct Audience<'a, 't> {
    book: Book,
    trace: Option<&'a mut Trace<'t>>,
}

impl Audience<'_, '_> {
    fn hear(&mut self, bin: &mut SchedulerBin<Duration>) -> io::Result<()> {
        while let Some(event) = bin.poll_event() {
            if let Some(trace) = &mut self.trace {
                trace.tell(&event)?;
            }
            self.book.tell(&event);
        }
        Ok(())
    }
}

fn spec(work: &Work) -> JobSpec<Duration> {
    let spec = JobSpec::new(Priority::new(work.priority), work.runtime);
    JobSpec { time_limit: work.limit, ..spec }
}

/// Starts what is to start, at once, and stops what is to stop.
fn carry_out(bin: &mut SchedulerBin<Duration>, processes: &mut Processes, now: Instant) {
    loop {
        bin.dispatch(now, processes);
        if processes.starting.is_empty() {
            return;
        }
        while let Some(run) = processes.starting.pop() {
            bin.handle_started(now, run);
        }
    }
}

/// Processes on paper: each is the time at which it ends.
struct Processes {
    now: Instant,
    dying: Duration,
    /// Told to have started as soon as the bin has been heard out.
    starting: Vec<RunId>,
    /// By slot.
    slots: Vec<Option<Process>>,
    /// The ends of processes, by slot; what does not agree with the process in
    /// that slot has been overtaken.
    ends: BinaryHeap<Reverse<(Instant, RunId, usize)>>,
}

#[derive(Clone, Copy)]
struct Process {
    run: RunId,
    end: Instant,
    stopped: bool,
}

impl Processes {
    fn new(terms: &Terms) -> Self {
        Self {
            now: Instant::ZERO,
            dying: terms.dying,
            starting: Vec::new(),
            slots: vec![None; terms.slots.get()],
            ends: BinaryHeap::new(),
        }
    }

    fn first_end(&mut self) -> Option<Instant> {
        while let Some(Reverse((end, run, slot))) = self.ends.peek() {
            let there = self.slots.get(*slot).copied().flatten();
            if there.is_some_and(|it| it.run == *run && it.end == *end) {
                return Some(*end);
            }
            self.ends.pop();
        }
        None
    }

    /// The next process that has ended by now.
    fn next_exit(&mut self, now: Instant) -> Option<(RunId, Exit)> {
        self.first_end().filter(|end| *end <= now)?;
        let Reverse((.., slot)) = self.ends.pop()?;
        let process = self.slots.get_mut(slot)?.take()?;
        let exit = match process.stopped {
            true => Exit::stopped(TERM),
            false => Exit::natural(ExitStatus::Code(0)),
        };
        Some((process.run, exit))
    }

    fn put(&mut self, slot: usize, process: Process) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(process);
            self.ends.push(Reverse((process.end, process.run, slot)));
        }
    }
}

impl ProcessSpawner for Processes {
    type Command = Duration;

    fn spawn(&mut self, run: &RunInfo, runtime: &Duration) -> Result<(), SpawnFailure> {
        let process = Process { run: run.id, end: self.now + *runtime, stopped: false };
        self.put(run.slot.number() as usize, process);
        self.starting.push(run.id);
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        // Stops are rare, and slots few beside the jobs: no index is needed.
        let slots = self.slots.iter().enumerate();
        let found = slots.filter_map(|(slot, it)| Some((slot, (*it)?))).find(|it| it.1.run == run);
        let Some((slot, process)) = found else { return };
        let within = match how {
            Stop::Terminate => self.dying,
            Stop::Kill => Duration::ZERO,
        };
        let end = process.end.min(self.now + within);
        self.put(slot, Process { end, stopped: true, ..process });
    }
}
