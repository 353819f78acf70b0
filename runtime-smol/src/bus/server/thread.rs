//! The thread of the hub.

use std::convert::Infallible;
use std::io;
use std::thread::Builder;

use async_channel::{Receiver, Sender};

use super::hub::{Hub, Input};
use super::report::{BusFailed, BusStats};

/// A hub that runs on a thread of its own. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct HubThread {
    inbox: Sender<Input>,
    ended: Receiver<BusStats>,
}

impl HubThread {
    /// Starts it. Without a hub there is no bus: `stop` is closed when it ends, from
    /// whatever cause.
    pub(super) fn start(
        hub: Hub,
        inbox: Sender<Input>,
        stop: Sender<Infallible>,
    ) -> io::Result<Self> {
        let (end, ended) = async_channel::bounded(1);
        let run = move || {
            let _stopped = Stopped(stop);
            // Nobody may want to know any more.
            let _unheard = end.try_send(hub.run());
        };
        let _detached = Builder::new().name("sched-bus".to_owned()).spawn(run)?;
        Ok(Self { inbox, ended })
    }

    /// Lets the hub do what it was told so far, and end.
    ///
    /// # Errors
    ///
    /// It has panicked.
    pub(super) async fn end(self) -> Result<BusStats, BusFailed> {
        self.inbox.close();
        self.ended.recv().await.map_err(|_panicked| BusFailed)
    }
}

/// Stops the others when this thread ends.
struct Stopped(Sender<Infallible>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Drop for HubThread {
    fn drop(&mut self) {
        self.inbox.close();
    }
}
