//! What clients ask for: requests of version 1, and jobs of version 0.

use alloc::sync::Arc;

use super::{Broker, BrokerEvent, Fault, Transmit};
use crate::bus::payload::{PayloadError, TestJob};
use crate::bus::v1::{Envelope, Reply, Request, RequestError, Submission};
use crate::id::ClientId;
use crate::time::Instant;

impl Broker {
    pub(super) fn handle_request(&mut self, now: Instant, client: ClientId, text: &str) {
        let Envelope { id, request } = Envelope::parse(text);
        let re = id.as_deref();
        let exchange = &mut self.exchange;
        match request {
            Ok(Request::Register(registration)) => self.register_modern(now, client, &registration),
            Ok(Request::Submit(job)) => {
                self.stats.jobs += 1;
                exchange.submit(now, client, id, &job);
            }
            Ok(Request::JobRequest { payload }) => {
                self.publish(now, client, payload, TestJob::from_payload(payload));
            }
            Ok(Request::Cancel(job)) => exchange.cancel(now, client, re, job),
            Ok(Request::Report(report)) => exchange.report(now, client, re, &report),
            Ok(Request::Beat { leases, floor, .. }) => exchange.beat(now, client, &leases, floor),
            Ok(Request::Stopping(stopping)) => exchange.stopping(now, client, &stopping),
            Ok(Request::Subscribe(wanted)) => exchange.subscribe(now, client, re, wanted),
            Ok(Request::Admin { verb, target }) => {
                exchange.admin(now, client, re, verb, target.as_deref());
            }
            Err(error) => {
                let RequestError { code, message } = &error;
                let (code, name) = (code.number(), code.name());
                let reply = serde_json::to_string(&Reply::Error { re, code, name, message });
                let frame = reply.ok().map(Arc::from);
                self.transmits.extend(frame.map(|frame| Transmit { to: client, frame }));
                self.fault(client, Fault::Request(error));
            }
        }
    }

    pub(super) fn publish(
        &mut self,
        now: Instant,
        from: ClientId,
        payload: &str,
        job: Result<TestJob, PayloadError>,
    ) {
        self.stats.jobs += 1;
        if let Err(error) = job {
            self.fault(from, Fault::Payload(error));
        }
        let queued = self.enqueue(now, from, payload);
        let except = self.schedulers.contains(&from).then_some(from);
        let receivers = self.schedulers.len() - usize::from(except.is_some());
        let receivers = if self.queue_job_requests { 0 } else { receivers };
        if receivers == 0 {
            if !queued {
                self.stats.dropped += 1;
                self.tell(from, |client, peer| BrokerEvent::Dropped { client, peer });
            }
            return;
        }
        self.stats.transmitted += receivers as u64;
        self.stats.sent_bytes += (receivers * payload.len()) as u64;
        self.publications.push(payload, except, self.audience);
    }

    /// Puts a job of a producer of version 0 into the queue, if that is wanted
    /// or there are schedulers of version 1. Returns whether it did.
    fn enqueue(&mut self, now: Instant, from: ClientId, payload: &str) -> bool {
        if !self.queue_job_requests && self.modern_schedulers == 0 {
            return false;
        }
        let Ok(job) = Submission::plain(payload) else { return false };
        let before = self.exchange.counters().refused;
        self.exchange.submit(now, from, None, &job);
        self.exchange.counters().refused == before
    }
}
