//! How far it is, on a terminal.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often it is drawn.
const PERIOD: Duration = Duration::from_millis(100);
const LOOK: &str = "{bar:30} {pos}/{len} {msg}  {elapsed} gone, {eta} to go";

/// Counts that are cheap to set, and a bar on stderr that shows them if that
/// is a terminal. A thread of its own draws: a terminal may be halted, and
/// jobs do not wait for it.
#[derive(Clone, Debug)]
pub(super) struct Progress(Option<Arc<Shown>>);

#[derive(Debug)]
struct Shown {
    bar: ProgressBar,
    known: AtomicU64,
    ended: AtomicU64,
    unfinished: AtomicU64,
    reading: AtomicBool,
    over: AtomicBool,
}

impl Progress {
    pub(super) fn start() -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let style = ProgressStyle::with_template(LOOK);
        let bar =
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let shown = Arc::new(Shown {
            bar,
            known: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            unfinished: AtomicU64::new(0),
            reading: AtomicBool::new(true),
            over: AtomicBool::new(false),
        });
        let drawn = Arc::clone(&shown);
        let thread = thread::Builder::new().name("progress".into());
        // Without a thread there is no bar, and that is all.
        let started = thread.spawn(move || drawn.draw_on());
        Self(started.is_ok().then_some(shown))
    }

    /// So many lines are known of, and whether more are to be read.
    pub(super) fn known(&self, lines: u64, reading: bool) {
        if let Some(shown) = &self.0 {
            shown.known.store(lines, Ordering::Relaxed);
            shown.reading.store(reading, Ordering::Relaxed);
        }
    }

    /// So many of them are dealt with, and so many of those not as wished.
    pub(super) fn ended(&self, lines: u64, unfinished: u64) {
        if let Some(shown) = &self.0 {
            shown.ended.store(lines, Ordering::Relaxed);
            shown.unfinished.store(unfinished, Ordering::Relaxed);
        }
    }

    /// Prints something in a place of its own.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(shown) => shown.bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(shown) = &self.0 {
            shown.over.store(true, Ordering::Relaxed);
            shown.bar.finish_and_clear();
        }
    }
}

impl Shown {
    fn draw_on(&self) {
        while !self.over.load(Ordering::Relaxed) {
            self.draw();
            thread::sleep(PERIOD);
        }
    }

    fn draw(&self) {
        let unfinished = self.unfinished.load(Ordering::Relaxed);
        let reading = self.reading.load(Ordering::Relaxed);
        let more = if reading { "so far" } else { "jobs" };
        self.bar.set_length(self.known.load(Ordering::Relaxed));
        self.bar.set_message(match unfinished {
            0 => more.to_owned(),
            count => format!("{more}, {count} not finished"),
        });
        self.bar.set_position(self.ended.load(Ordering::Relaxed));
    }
}
