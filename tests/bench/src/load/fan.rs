//! As much as the server passes on, with a bounded number of messages under way.

use std::time::Duration;

use super::Crowd;
use crate::machine::processor_time;
use crate::trouble::Result;

/// How much is under way, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    /// Messages that not all subscribers have heard yet, at most.
    pub(crate) window: u64,
    /// Before it is measured.
    pub(crate) warm: Duration,
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fan {
    /// While it was measured.
    pub(crate) deliveries: u64,
    /// What the server took of the processor, in seconds.
    pub(crate) processor: f64,
}

impl Crowd {
    /// Publishes in bursts. The server is the process `pid`.
    pub(crate) fn fan(&mut self, pid: u32, burst: &Burst) -> Result<Fan> {
        self.spinning = true;
        self.publish_for(burst.warm, burst.window)?;
        let (before, heard) = (processor_time(pid), self.heard.deliveries);
        self.publish_for(burst.time, burst.window)?;
        let processor = processor_time(pid) - before;
        let deliveries = self.heard.deliveries - heard;
        self.drain()?;
        Ok(Fan { deliveries, processor })
    }

    fn publish_for(&mut self, time: Duration, window: u64) -> Result<()> {
        let end = self.now() + time.as_nanos() as u64;
        while self.now() < end {
            let heard_by_all = self.heard.deliveries / self.subscribers.max(1);
            let room = window.saturating_sub(self.sent.saturating_sub(heard_by_all));
            // Half a window at a time, as one writes who has much to say.
            if room > 0 && room >= window / 2 {
                let now = self.now();
                (0..room).for_each(|_| self.publish(now));
                self.flush()?;
            }
            self.turn(Duration::from_millis(1))?;
        }
        Ok(())
    }
}
