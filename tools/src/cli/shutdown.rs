//! INT and TERM: gracefully first, at once the second time.

use std::convert::Infallible;
use std::io;
use std::process::exit;
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_signal::{Signal, Signals};
use futures_lite::{FutureExt, StreamExt};
use smol::Timer;

use super::until_told;

/// How long a program with children may take to kill them after the second
/// signal, before it is ended without further ado.
const HURRY: Duration = Duration::from_secs(5);

/// Tells when this process is to stop.
///
/// The first INT or TERM is for the program to act on. The second ends the
/// process with the status that a shell gives a process that was ended by this
/// signal. Both are waited for on a thread of their own, so that a program that
/// hangs can still be ended.
#[derive(Clone, Debug)]
pub struct Shutdown {
    asked: Receiver<Infallible>,
    urged: Receiver<Infallible>,
}

impl Shutdown {
    /// Takes INT and TERM over, for the rest of this process. The second one
    /// ends it as soon as all is [told](until_told).
    ///
    /// # Errors
    ///
    /// The system has no room for a signal handler or a thread.
    pub fn on_signals() -> io::Result<Self> {
        Self::watch(Duration::ZERO)
    }

    /// The same for a program with children: after the second signal it has
    /// a moment to kill them, and must end by itself then.
    ///
    /// # Errors
    ///
    /// The system has no room for a signal handler or a thread.
    pub fn with_children() -> io::Result<Self> {
        Self::watch(HURRY)
    }

    fn watch(hurry: Duration) -> io::Result<Self> {
        let signals = Signals::new([Signal::Int, Signal::Term])?;
        let (ask, asked) = async_channel::bounded(1);
        let (urge, urged) = async_channel::bounded(1);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            smol::block_on(watch(signals, &ask, &urge, hurry));
        })?;
        Ok(Self { asked, urged })
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.is_closed()
    }

    /// Waits for the first signal.
    pub async fn asked(&self) {
        let _closed = self.asked.recv().await;
    }

    /// Waits for the second signal.
    pub async fn urged(&self) {
        let _closed = self.urged.recv().await;
    }

    /// Waits for `work`, but not longer than until the first signal: then
    /// `None`, and `work` is dropped.
    pub async fn or_done<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let asked = async {
            self.asked().await;
            None
        };
        asked.or(async { Some(work.await) }).await
    }
}

async fn watch(
    mut signals: Signals,
    ask: &Sender<Infallible>,
    urge: &Sender<Infallible>,
    hurry: Duration,
) {
    const BY_SIGNAL: i32 = 128;
    if let Some(Ok(_)) = signals.next().await {
        ask.close();
    }
    if let Some(Ok(signal)) = signals.next().await {
        urge.close();
        let third = async {
            signals.next().await;
        };
        let late = async {
            Timer::after(hurry).await;
        };
        third.or(late).await;
        until_told();
        exit(BY_SIGNAL + signal as i32);
    }
}
