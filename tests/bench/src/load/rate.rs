//! Messages at fixed times, whatever the server does.

use std::time::Duration;

use super::Crowd;
use crate::net::Histogram;
use crate::trouble::{Result, Trouble};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) a_second: u64,
    /// Before it is measured.
    pub(crate) warm: Duration,
    pub(crate) time: Duration,
}

impl Crowd {
    /// The median of the time from when a message was due until a subscriber
    /// had it, in nanoseconds.
    pub(crate) fn latency(&mut self, rate: &Rate) -> Result<f64> {
        self.spinning = true;
        self.publish_at(rate, rate.warm)?;
        self.heard.latencies = Some(Histogram::new());
        self.publish_at(rate, rate.time)?;
        self.drain()?;
        let latencies = self.heard.latencies.take();
        let median = latencies.and_then(|latencies| latencies.quantile(0.5));
        median.ok_or_else(|| Trouble::wrong("nothing was heard"))
    }

    fn publish_at(&mut self, rate: &Rate, time: Duration) -> Result<()> {
        let step = 1_000_000_000 / rate.a_second.max(1);
        let mut due = self.now() + step;
        let end = due + time.as_nanos() as u64;
        while due < end {
            let now = self.now();
            if now < due {
                self.turn(Duration::from_nanos(due - now))?;
                continue;
            }
            self.publish(due);
            self.flush()?;
            due += step;
        }
        Ok(())
    }
}
