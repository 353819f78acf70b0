//! What is printed: on a thread of its own, because whoever reads it may not
//! read it for a while.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::thread;

use async_channel::{Receiver, Sender, TrySendError, bounded};
use sched_core::Outcome;
use sched_runtime_smol::scheduler::Ended;

use super::json;
use super::line::{JobLine, LineError};
use super::progress::Progress;
use crate::sched::{note, one_line};

/// How many jobs may have ended and wait to be printed. Their files are open.
pub(super) const BACKLOG: usize = 32;

/// Something to print.
pub(super) enum Message {
    Job(JobLine, Ended),
    Refused { number: u64, why: LineError },
}

/// Takes what is to be printed.
#[derive(Debug)]
pub(super) struct Printer {
    messages: Sender<Message>,
    json: bool,
    /// Closed when nothing can be printed any more.
    broken: Receiver<Infallible>,
}

/// The end of the printing.
#[derive(Debug)]
pub(super) struct Printing(Receiver<io::Result<()>>);

impl Printer {
    pub(super) fn start(json: bool, progress: Progress) -> (Self, Printing) {
        let (messages, inbox) = bounded(BACKLOG);
        let (alive, broken) = bounded(1);
        let (done, printing) = bounded(1);
        let print = move || {
            let printed = print_all(&inbox, json, &progress);
            drop(alive);
            // What comes after a failure is counted, but it cannot be told.
            let _ = done.send_blocking(printed);
        };
        let started = thread::Builder::new().name("printer".into()).spawn(print);
        if let Err(why) = started {
            note(format_args!("cannot start the thread that prints: {why}"));
        }
        (Self { messages, json, broken }, Printing(printing))
    }

    /// One that leaves what is to be printed in a channel.
    #[cfg(test)]
    pub(super) fn into_channel() -> (Self, Receiver<Message>) {
        let (messages, inbox) = bounded(BACKLOG);
        let (_alive, broken) = bounded(1);
        (Self { messages, json: false, broken }, inbox)
    }

    /// Closed when nothing can be printed any more.
    pub(super) fn broken(&self) -> Receiver<Infallible> {
        self.broken.clone()
    }

    /// Prints a message, if there is something to print in it; or hands it back:
    /// nobody has taken what is to be printed before it.
    pub(super) fn print(&self, message: Message) -> Option<Message> {
        if !self.json && message.is_silent() {
            return None;
        }
        match self.messages.try_send(message) {
            Err(TrySendError::Full(message)) => Some(message),
            // The printer has ended, and that is told at the end.
            Ok(()) | Err(TrySendError::Closed(_)) => None,
        }
    }

    /// Prints what was handed back, when there is room for it.
    pub(super) async fn print_later(&self, message: Message) {
        // As above.
        let _ = self.messages.send(message).await;
    }
}

impl Message {
    /// Whether nothing is to be said of it.
    fn is_silent(&self) -> bool {
        let Self::Job(_, ended) = self else { return false };
        let wrote = ended.spooled.as_ref().is_some_and(|it| !it.is_empty());
        !wrote && !is_worth_a_note(&ended.outcome)
    }
}

impl Printing {
    /// Waits until all is printed.
    pub(super) async fn finish(self) -> io::Result<()> {
        let gone = || Err(io::Error::other("the thread that prints is gone"));
        self.0.recv().await.unwrap_or_else(|_| gone())
    }
}

fn print_all(inbox: &Receiver<Message>, json: bool, progress: &Progress) -> io::Result<()> {
    while let Ok(message) = inbox.recv_blocking() {
        progress.aside(|| if json { print_json(&message) } else { print(&message) })?;
    }
    Ok(())
}

fn print(message: &Message) -> io::Result<()> {
    match message {
        Message::Job(line, ended) => {
            if let Some(spooled) = &ended.spooled {
                let mut stdout = io::stdout().lock();
                io::copy(&mut spooled.stdout.reader(), &mut stdout)?;
                stdout.flush()?;
                // Whoever does not listen here is none of our concern.
                let _ = io::copy(&mut spooled.stderr.reader(), &mut io::stderr().lock());
            }
            note_of(line, &ended.outcome);
        }
        Message::Refused { number, why } => {
            note_here(format_args!("line {number} is no job: {why}"))
        }
    }
    Ok(())
}

fn print_json(message: &Message) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match message {
        Message::Job(line, ended) => json::write_job(&mut out, line, ended)?,
        Message::Refused { number, why } => json::write_refused(&mut out, *number, why)?,
    }
    out.flush()
}

fn note_of(line: &JobLine, outcome: &Outcome) {
    if is_worth_a_note(outcome) {
        let text = one_line(&String::from_utf8_lossy(&line.text));
        note_here(format_args!("line {}, {text}: {outcome}", line.number));
    }
}

/// Says something between what jobs wrote, and waits for whoever reads that. One
/// who does not listen is none of our concern.
fn note_here(what: impl fmt::Display) {
    let _nobody_listens = writeln!(io::stderr().lock(), "sched: {what}");
}

/// Who ends the run knows that jobs are cancelled; the summary counts them.
const fn is_worth_a_note(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Finished | Outcome::Cancelled { .. })
}
