//! A bin in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::time::Duration;

use sched_core::trace::BinTrace;
use sched_core::{
    Event, Exit, ExitStatus, Instant, JobSpec, Policy, Priority, ProcessSpawner, RunId, RunInfo,
    SchedulerBin, SpawnFailure, Stop,
};

use super::Work;
use super::figures::{Book, Figures};

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

/// A trace of it, on its way to a file.
pub struct Trace<'a> {
    file: &'a mut dyn Write,
    trace: BinTrace,
    text: String,
}

impl<'a> Trace<'a> {
    /// Begins a trace.
    pub fn begin(file: &'a mut dyn Write) -> Self {
        let mut text = String::new();
        Self { file, trace: BinTrace::begin(&mut text), text }
    }

    /// What follows is another story, with this name, on so many slots.
    pub fn section(&mut self, name: &str, slots: usize) {
        self.trace.section(&mut self.text, name, slots);
    }

    fn tell(&mut self, event: &Event) -> io::Result<()> {
        self.trace.tell(&mut self.text, event);
        self.file.write_all(self.text.as_bytes())?;
        self.text.clear();
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn end(mut self) -> io::Result<()> {
        self.trace.end(&mut self.text);
        self.file.write_all(self.text.as_bytes())?;
        self.file.flush()
    }
}

impl fmt::Debug for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("trace", &self.trace).finish_non_exhaustive()
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

#[cfg(test)]
mod tests {
    use sched_core::OutcomeKind;

    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    const fn work(submitted: u64, runtime: u64, priority: i32) -> Work {
        Work { submitted: secs(submitted), runtime: secs(runtime), priority, limit: None }
    }

    fn one_slot(policy: Policy) -> Terms {
        Terms { slots: NonZeroUsize::MIN, policy, dying: Duration::ZERO }
    }

    fn outcomes(figures: &Figures, kind: OutcomeKind) -> u64 {
        figures.outcomes.get(&kind).copied().unwrap_or(0)
    }

    /// 0 to 10: the first; 10 to 14: the urgent one; 14 to 22: the other.
    #[test]
    fn by_hand_without_evictions() {
        let works = [work(0, 10, 3), work(1, 8, 3), work(2, 4, 1)];
        let never = Policy { preempt_delta: None, ..Policy::seed() };
        let figures = run(&works, &one_slot(never), None).unwrap();
        assert_eq!(outcomes(&figures, OutcomeKind::Finished), 3);
        assert_eq!((figures.span, figures.evictions), (secs(22), 0));
        assert_eq!((figures.utilisation, figures.wasted), (1.0, 0.0));
        assert_eq!((figures.wait.p50, figures.wait.max), (secs(8), secs(13)));
        assert_eq!((figures.turnaround.p50, figures.turnaround.max), (secs(12), secs(21)));
        assert_eq!(figures.wait_by_priority[&1].max, secs(8));
        // 10 of 10, 21 of 10 and 12 of 10 seconds.
        assert!((figures.slowdown - (1.0 + 2.1 + 1.2) / 3.0).abs() < 1e-9, "{}", figures.slowdown);
    }

    /// 0 to 2: the first, in vain; 2 to 6: the urgent one; 6 to 16: the first
    /// again, at its old place; 16 to 24: the other.
    #[test]
    fn by_hand_with_a_victim_that_comes_back() {
        let works = [work(0, 10, 3), work(1, 8, 3), work(2, 4, 1)];
        let policy = Policy { aging: None, ..Policy::durable() };
        let figures = run(&works, &one_slot(policy), None).unwrap();
        assert_eq!(outcomes(&figures, OutcomeKind::Finished), 3);
        assert_eq!((figures.span, figures.evictions), (secs(24), 1));
        assert_eq!(figures.utilisation, 1.0);
        assert!((figures.wasted - 2.0 / 24.0).abs() < 1e-9, "{}", figures.wasted);
        assert_eq!((figures.wait_by_priority[&1].max, figures.wait.max), (secs(0), secs(15)));
    }

    #[test]
    fn by_hand_with_a_victim_that_is_dropped_and_takes_its_time() {
        let works = [work(0, 10, 3), work(2, 4, 1)];
        let terms = Terms { dying: secs(3), ..one_slot(Policy::seed()) };
        let figures = run(&works, &terms, None).unwrap();
        assert_eq!(outcomes(&figures, OutcomeKind::Evicted), 1);
        assert_eq!((figures.span, figures.wait.max), (secs(9), secs(3)));
        // It is killed when its grace period is over.
        let terms = Terms { dying: secs(60), ..terms };
        assert_eq!(run(&works, &terms, None).unwrap().wait.max, Policy::seed().grace);
        // One that ends by itself meanwhile has ended.
        let works = [work(0, 4, 3), work(2, 4, 1)];
        assert_eq!(run(&works, &terms, None).unwrap().wait.max, secs(2));
    }

    #[test]
    fn time_limits_and_slots_that_stand_idle() {
        let limited = Work { limit: Some(secs(3)), ..work(0, 10, 1) };
        let figures = run(&[limited, work(9, 1, 1)], &one_slot(Policy::seed()), None).unwrap();
        assert_eq!(outcomes(&figures, OutcomeKind::TimedOut), 1);
        assert_eq!(figures.span, secs(10));
        assert!((figures.utilisation - 0.4).abs() < 1e-9, "{}", figures.utilisation);
    }

    #[test]
    fn a_full_queue_refuses_and_says_so() {
        let policy = Policy { max_pending: 1, ..Policy::seed() };
        let figures = run(&[work(0, 1, 1); 4], &one_slot(policy), None).unwrap();
        assert_eq!((figures.accepted, figures.refused), (2, 2));
    }

    #[test]
    fn a_trace_has_a_bar_for_every_run_and_an_arrow_for_every_eviction() {
        let works = [work(0, 10, 3), work(1, 8, 3), work(2, 4, 1)];
        let policy = Policy { aging: None, ..Policy::durable() };
        let mut file = Vec::new();
        let mut trace = Trace::begin(&mut file);
        trace.section("durable", 1);
        run(&works, &one_slot(policy), Some(&mut trace)).unwrap();
        trace.end().unwrap();
        let trace: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |phase: &'static str| events.iter().filter(move |it| it["ph"] == phase);
        let bars: Vec<_> = of("X")
            .map(|it| (it["name"].as_str().unwrap(), it["ts"].as_f64(), it["dur"].as_f64()))
            .collect();
        let bar = |name, from: u64, to: u64| {
            (name, Some(from as f64 * 1e6), Some((to - from) as f64 * 1e6))
        };
        assert_eq!(bars, [bar("j1", 0, 2), bar("j3", 2, 6), bar("j1", 6, 16), bar("j2", 16, 24)]);
        assert_eq!((of("s").count(), of("f").count()), (1, 1));
        assert_eq!(of("s").next().unwrap()["id"], of("f").next().unwrap()["id"]);
        let evicted: Vec<_> = of("X").map(|it| it["cat"] == "evicted").collect();
        assert_eq!(evicted, [true, false, false, false]);
    }
}
