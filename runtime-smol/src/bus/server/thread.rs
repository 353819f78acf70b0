//! The thread of the hub.

use std::io;
use std::thread::Builder;

use async_channel::{Receiver, Sender};

use super::hub::{Hub, Input};
use super::report::BusStats;

/// A hub that runs on a thread of its own. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct HubThread {
    inbox: Sender<Input>,
    ended: Receiver<BusStats>,
}

impl HubThread {
    /// Starts it.
    pub(super) fn start(hub: Hub, inbox: Sender<Input>) -> io::Result<Self> {
        let (end, ended) = async_channel::bounded(1);
        let run = move || {
            // Nobody may want to know any more.
            let _unheard = end.try_send(hub.run());
        };
        let _detached = Builder::new().name("sched-bus".to_owned()).spawn(run)?;
        Ok(Self { inbox, ended })
    }

    /// Lets the hub do what it was told so far, and end.
    pub(super) async fn end(self) -> BusStats {
        self.inbox.close();
        self.ended.recv().await.unwrap_or_default()
    }
}

impl Drop for HubThread {
    fn drop(&mut self) {
        self.inbox.close();
    }
}
