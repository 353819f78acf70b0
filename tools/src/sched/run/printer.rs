//! What is printed: on a thread of its own, because whoever reads it may not
//! read it for a while.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use async_channel::{Receiver, Sender, TrySendError, bounded};
use sched_core::Outcome;
use sched_runtime_smol::scheduler::Ended;

use futures_lite::FutureExt;

use super::json;
use super::line::{JobLine, LineError};
use super::patience::{Patience, Steps};
use super::progress::Progress;
use crate::cli::Shutdown;
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
    patience: Arc<Patience>,
}

/// The end of the printing.
#[derive(Debug)]
pub(super) struct Printing {
    done: Receiver<io::Result<()>>,
    patience: Arc<Patience>,
}

/// How the printing ended.
#[derive(Debug)]
pub(super) enum Printed {
    All,
    Failed(io::Error),
    /// Nobody takes it any more: so many messages are not written to their end.
    /// The thread that prints may wait for ever.
    GivenUp(u64),
}

impl Printer {
    /// Once `shutdown` is asked for, nobody is waited for who takes nothing.
    pub(super) fn start(json: bool, progress: Progress, shutdown: Shutdown) -> (Self, Printing) {
        let patience = Arc::new(Patience::new());
        let (counted, ends) = (Arc::clone(&patience), Arc::clone(&patience));
        smol::spawn(async move {
            shutdown.asked().await;
            ends.run_out().await;
        })
        .detach();
        let (messages, inbox) = bounded(BACKLOG);
        let (alive, broken) = bounded(1);
        let (done, printing) = bounded(1);
        let print = move || {
            let printed = print_all(&inbox, json, &progress, &counted);
            drop(alive);
            // What comes after a failure is counted, but it cannot be told.
            let _ = done.send_blocking(printed);
        };
        let started = thread::Builder::new().name("printer".into()).spawn(print);
        if let Err(why) = started {
            note(format_args!("cannot start the thread that prints: {why}"));
        }
        let printing = Printing { done: printing, patience: Arc::clone(&patience) };
        (Self { messages, json, broken, patience }, printing)
    }

    /// One that leaves what is to be printed in a channel.
    #[cfg(test)]
    pub(super) fn into_channel() -> (Self, Receiver<Message>) {
        let (messages, inbox) = bounded(BACKLOG);
        let (_alive, broken) = bounded(1);
        let patience = Arc::new(Patience::new());
        (Self { messages, json: false, broken, patience }, inbox)
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
        self.patience.owe();
        match self.messages.try_send(message) {
            Err(TrySendError::Full(message)) => Some(message),
            // The printer has ended, and that is told at the end.
            Ok(()) | Err(TrySendError::Closed(_)) => None,
        }
    }

    /// Prints what was handed back, when there is room for it. If it is given up
    /// before, that is told at the end.
    pub(super) async fn print_later(&self, message: Message) {
        let sent = async {
            // As above.
            let _ = self.messages.send(message).await;
        };
        sent.or(self.patience.is_out()).await;
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
    /// Waits until all is printed, or given up.
    pub(super) async fn finish(self) -> Printed {
        let gone = || Err(io::Error::other("the thread that prints is gone"));
        let done = async {
            match self.done.recv().await.unwrap_or_else(|_| gone()) {
                // Some of it may have been given up before its turn.
                Ok(()) if self.patience.owed() == 0 => Printed::All,
                Ok(()) => Printed::GivenUp(self.patience.owed()),
                Err(why) => Printed::Failed(why),
            }
        };
        let given_up = async {
            self.patience.is_out().await;
            Printed::GivenUp(self.patience.owed())
        };
        done.or(given_up).await
    }
}

fn print_all(
    inbox: &Receiver<Message>,
    json: bool,
    progress: &Progress,
    patience: &Patience,
) -> io::Result<()> {
    while let Ok(message) = inbox.recv_blocking() {
        patience.begin();
        let print = if json { print_json } else { print };
        progress.aside(|| print(&message, patience))?;
        patience.done();
    }
    Ok(())
}

fn print(message: &Message, patience: &Patience) -> io::Result<()> {
    match message {
        Message::Job(line, ended) => {
            if let Some(spooled) = &ended.spooled {
                let mut stdout = Steps::new(io::stdout().lock(), patience);
                io::copy(&mut spooled.stdout.reader(), &mut stdout)?;
                stdout.flush()?;
                let mut stderr = Steps::new(io::stderr().lock(), patience);
                // Whoever does not listen here is none of our concern.
                let _ = io::copy(&mut spooled.stderr.reader(), &mut stderr);
            }
            note_of(line, &ended.outcome);
        }
        Message::Refused { number, why } => {
            note_here(format_args!("line {number} is no job: {why}"))
        }
    }
    Ok(())
}

fn print_json(message: &Message, patience: &Patience) -> io::Result<()> {
    let mut out = io::BufWriter::new(Steps::new(io::stdout().lock(), patience));
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

#[cfg(test)]
mod tests {
    use smol::future::poll_once;

    use super::*;

    fn refused(number: u64) -> Message {
        Message::Refused { number, why: LineError::OpenQuote }
    }

    #[test]
    fn what_nobody_takes_is_waited_for_until_patience_is_out_and_counted() {
        smol::block_on(async {
            let (printer, _inbox) = Printer::into_channel();
            for number in 0..BACKLOG as u64 {
                assert!(printer.print(refused(number)).is_none());
            }
            let message = printer.print(refused(0)).expect("there is no room");
            let mut later = Box::pin(printer.print_later(message));
            assert_eq!(poll_once(later.as_mut()).await, None);
            printer.patience.give_up();
            later.await;
            assert_eq!(printer.patience.owed(), BACKLOG as u64 + 1);
        });
    }
}
