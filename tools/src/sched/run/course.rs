//! From the first line to the last outcome.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::time::Duration;

use async_channel::{Receiver, bounded};
use futures_lite::FutureExt;
use sched_core::{JobId, JobSpec, JobTally, Outcome};
use sched_runtime_smol::scheduler::{Ended, Outcomes};
use sched_runtime_smol::{Command, Output, Scheduler};
use smol::Timer;

use super::input::{Batch, Input, Line};
use super::line::JobLine;
use super::printer::{Message, Printer};
use super::progress::Progress;
use super::tally::Tally;
use crate::cli::Shutdown;
use crate::sched::note;

/// How many jobs may be read that have not ended, and how many bytes they may
/// have in all. Then nothing more is read until some have ended.
const MOST_JOBS: usize = 65_536;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// While more jobs wait than run, outcomes are looked at so often and not as they
/// come: waking up for each costs one and a half context switches a job. With fewer, somebody may wait for one before the next line is written.
const REST: Duration = Duration::from_millis(5);

/// Closed when the run is to end early.
#[derive(Debug)]
pub(super) struct Ending(Receiver<Infallible>);

impl Ending {
    /// Stops the scheduler at the first signal, or when nothing can be printed
    /// any more, and kills at the second. On a task of its own: whatever the
    /// course waits for, a signal is heard.
    pub(super) fn watch(scheduler: &Scheduler, shutdown: Shutdown, printer: &Printer) -> Self {
        let (open, ending) = bounded(1);
        let (scheduler, broken) = (scheduler.clone(), printer.broken());
        smol::spawn(async move {
            let no_printer = async {
                let _closed = broken.recv().await;
            };
            shutdown.asked().or(no_printer).await;
            drop(open);
            let urged = async {
                shutdown.urged().await;
                scheduler.kill().await
            };
            urged.or(scheduler.stop()).await
        })
        .detach();
        Self(ending)
    }
}

/// Jobs on their way.
pub(super) struct Course {
    scheduler: Scheduler,
    outcomes: Outcomes,
    printer: Printer,
    progress: Progress,
    time_limit: Option<Duration>,
    slots: usize,
    /// The variable by which a guard knows them.
    mark: Option<(&'static str, String)>,
    /// Those that were read and have not ended, and how long they are.
    jobs: HashMap<JobId, JobLine>,
    bytes: usize,
    /// Whether nothing may start.
    held: bool,
    tally: Tally,
}

enum Wake {
    Ended(JobId, Ended),
    Lines(Vec<Line>),
    InputFailed(io::Error),
    InputEnded,
    Ending,
}

impl Course {
    pub(super) fn new(
        scheduler: Scheduler,
        printer: Printer,
        progress: Progress,
        time_limit: Option<Duration>,
        slots: usize,
        mark: Option<(&'static str, String)>,
    ) -> Self {
        Self {
            scheduler,
            outcomes: Outcomes::new(),
            printer,
            progress,
            time_limit,
            slots,
            mark,
            jobs: HashMap::new(),
            bytes: 0,
            held: false,
            tally: Tally::default(),
        }
    }

    /// To the last outcome. The printer is let go then.
    pub(super) async fn run(mut self, input: Input, ending: Ending) -> Tally {
        let all_there = input.is_file;
        let mut batches = match input.read() {
            Ok(batches) => Some(batches),
            Err(why) => {
                self.input_failed(&why);
                None
            }
        };
        if let (true, Some(lines)) = (all_there, &batches) {
            if !self.read_ahead(lines, &ending).await {
                batches = None;
            }
        }
        while batches.is_some() || !self.jobs.is_empty() {
            match self.wake(batches.as_ref(), &ending).await {
                Wake::Ended(job, ended) => self.conclude(job, ended).await,
                Wake::Lines(lines) => self.submit(lines).await,
                Wake::InputFailed(why) => {
                    self.input_failed(&why);
                    batches = None;
                }
                Wake::InputEnded => batches = None,
                Wake::Ending => {
                    self.tally.cut_short = true;
                    batches = None;
                }
            }
            self.progress.known(self.known(), batches.is_some());
            self.progress.ended(self.known() - self.jobs.len() as u64, self.tally.unfinished());
        }
        self.tally
    }

    /// Reads as far as may be before anything starts, so that the most urgent
    /// of it start first. Returns whether there is more.
    async fn read_ahead(&mut self, lines: &Receiver<Batch>, ending: &Ending) -> bool {
        self.hold().await;
        let more = loop {
            if !self.has_room() {
                break true;
            }
            match self.next_lines(Some(lines), ending).await {
                Wake::Lines(lines) => self.submit(lines).await,
                Wake::InputFailed(why) => {
                    self.input_failed(&why);
                    break false;
                }
                Wake::Ending => {
                    self.tally.cut_short = true;
                    break false;
                }
                Wake::InputEnded | Wake::Ended(..) => break false,
            }
            self.progress.known(self.known(), true);
        };
        self.let_go().await;
        more
    }

    /// Outcomes come first: they make room.
    async fn wake(&mut self, lines: Option<&Receiver<Batch>>, ending: &Ending) -> Wake {
        if let Some((job, ended)) = self.outcomes.next_now() {
            return Wake::Ended(job, ended);
        }
        // Not before the output of all that have ended has found its place.
        self.let_go().await;
        let ended = async {
            if self.jobs.len() > self.slots {
                Timer::after(REST).await;
            }
            let (job, ended) = self.outcomes.next().await;
            Wake::Ended(job, ended)
        };
        let lines = lines.filter(|_| self.has_room());
        if lines.is_none() && self.tally.cut_short {
            return ended.await;
        }
        ended.or(self.next_lines(lines, ending)).await
    }

    async fn next_lines(&self, lines: Option<&Receiver<Batch>>, ending: &Ending) -> Wake {
        let asked = async {
            let _closed = ending.0.recv().await;
            Wake::Ending
        };
        let lines = async {
            match lines {
                None => std::future::pending().await,
                Some(lines) => match lines.recv().await {
                    Ok(Ok(lines)) => Wake::Lines(lines),
                    Ok(Err(why)) => Wake::InputFailed(why),
                    Err(_closed) => Wake::InputEnded,
                },
            }
        };
        asked.or(lines).await
    }

    fn has_room(&self) -> bool {
        self.jobs.len() < MOST_JOBS && self.bytes < MOST_BYTES
    }

    async fn submit(&mut self, lines: Vec<Line>) {
        let mut jobs = Vec::with_capacity(lines.len());
        let mut specs = Vec::with_capacity(lines.len());
        for line in lines {
            match line {
                Line::Job(job, words) => {
                    let mut words = words.into_iter();
                    let Some(program) = words.next() else { continue };
                    let mut command = Command::new(program).args(words).output(Output::Spool);
                    if let Some((name, mark)) = &self.mark {
                        command = command.env_above_all(*name, mark);
                    }
                    let mut spec = JobSpec::new(job.priority, command);
                    spec.time_limit = self.time_limit;
                    specs.push(spec);
                    jobs.push(job);
                }
                Line::Bad { number, why } => {
                    self.tally.refused += 1;
                    self.print(Message::Refused { number, why }).await;
                }
            }
        }
        let ids = self.scheduler.submit_all(specs, &self.outcomes).await;
        for (job, id) in jobs.into_iter().zip(ids) {
            match id {
                Ok(id) => {
                    self.bytes += job.text.len();
                    self.jobs.insert(id, job);
                }
                // The scheduler was ended meanwhile.
                Err(_refused) => self.tell(job, never_ran()).await,
            }
        }
    }

    async fn conclude(&mut self, job: JobId, ended: Ended) {
        if let Some(line) = self.jobs.remove(&job) {
            self.bytes -= line.text.len();
            self.tell(line, ended).await;
        }
    }

    async fn tell(&mut self, line: JobLine, ended: Ended) {
        self.tally.count(&ended.outcome);
        self.print(Message::Job(line, ended)).await;
    }

    /// Nothing is started while nobody takes the output of what has ended.
    async fn print(&mut self, message: Message) {
        if let Some(message) = self.printer.print(message) {
            self.hold().await;
            self.printer.print_later(message).await;
        }
    }

    /// Errors: the scheduler has ended, starts nothing anyway, and every job will be
    /// told so.
    async fn hold(&mut self) {
        if !std::mem::replace(&mut self.held, true) {
            let _ = self.scheduler.pause().await;
        }
    }

    async fn let_go(&mut self) {
        if std::mem::replace(&mut self.held, false) {
            let _ = self.scheduler.resume().await;
        }
    }

    fn input_failed(&mut self, why: &io::Error) {
        self.tally.cut_short = true;
        note(format_args!("the jobs cannot be read to their end: {why}"));
    }

    /// Lines that are known of.
    fn known(&self) -> u64 {
        self.tally.jobs() + self.tally.refused + self.jobs.len() as u64
    }
}

fn never_ran() -> Ended {
    let outcome = Outcome::Cancelled { exit: None };
    Ended { outcome, tally: JobTally::default(), output: None, spooled: None }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use sched_core::{Mode, Policy, Priority};
    use smol::future::{poll_once, yield_now};

    use super::super::printer::BACKLOG;
    use super::*;

    fn echo(number: u64) -> Line {
        let job = JobLine { number, priority: Priority::new(5), text: (*b"echo x").into() };
        Line::Job(job, vec!["echo".into(), "x".into()])
    }

    async fn mode(scheduler: &Scheduler) -> Option<Mode> {
        scheduler
            .inspect(|manager, _now| manager.bins().next().map(|bin| bin.mode()))
            .await
            .unwrap()
    }

    #[test]
    fn nothing_starts_before_the_output_of_all_that_have_ended_is_taken() {
        const BEYOND: usize = 3;
        smol::block_on(async {
            let scheduler = Scheduler::start(NonZeroUsize::MIN, Policy::seed()).unwrap();
            let (printer, inbox) = Printer::into_channel();
            let (_open, ending) = bounded(1);
            let ending = Ending(ending);
            let (handle, progress) = (scheduler.clone(), Progress::start());
            let mut course = Course::new(handle, printer, progress, None, 1, None);
            let jobs = BACKLOG + BEYOND;
            course.submit((0..jobs as u64).map(echo).collect()).await;
            let finished =
                |manager: &sched_core::SchedulerManager<_>, _now| manager.stats().ended_total();
            while scheduler.inspect(finished).await.unwrap() < jobs as u64 {
                yield_now().await;
            }
            for _ in 0..BACKLOG {
                let Wake::Ended(job, ended) = course.wake(None, &ending).await else { panic!() };
                course.conclude(job, ended).await;
            }
            assert_eq!(mode(&scheduler).await, Some(Mode::Accepting));
            for _ in 0..BEYOND {
                let Wake::Ended(job, ended) = course.wake(None, &ending).await else { panic!() };
                {
                    let mut printed = std::pin::pin!(course.conclude(job, ended));
                    assert!(poll_once(printed.as_mut()).await.is_none(), "nobody takes it");
                    inbox.recv().await.unwrap();
                    printed.await;
                }
                assert_eq!(mode(&scheduler).await, Some(Mode::Paused));
            }
            assert!(poll_once(course.wake(None, &ending)).await.is_none());
            assert_eq!(mode(&scheduler).await, Some(Mode::Accepting));
        });
    }
}
