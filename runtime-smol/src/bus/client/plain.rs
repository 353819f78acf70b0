//! Version 0: a role, job requests out, payloads in.

use std::convert::Infallible;
use std::sync::Arc;

use async_channel::{Receiver as Channel, Sender};
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use futures_lite::FutureExt;
use sched_core::bus::Role;

use super::super::outbox::{Backlog, Outbox};
use super::super::receiver::{End, Received, Receiver};
use super::super::wire;
use super::link::{Conversation, Said};
use super::{Payload, Request};

/// What a client says that speaks version 0 alone.
pub(super) struct Plain {
    pub(super) role: Role,
    pub(super) requests: Channel<Request>,
    pub(super) payloads: Sender<Payload>,
    pub(super) stop: Channel<Infallible>,
    /// A request that no connection took, for the next one.
    pub(super) held: Option<Request>,
}

impl Conversation for Plain {
    fn who(&self) -> String {
        self.role.to_string()
    }

    async fn converse(
        &mut self,
        mut receiver: Receiver,
        outbox: &Arc<Outbox>,
        said: &mut Said,
    ) -> End {
        // An empty outbox takes everything.
        let _taken = outbox.push(wire::text(Side::Client, &self.role.to_register()));
        let pump = Pump { requests: self.requests.clone(), outbox: outbox.clone(), accepted: 0 };
        let pump = smol::spawn(pump.run(self.held.take()));
        let goodbye = smol::spawn(say_goodbye(self.stop.clone(), outbox.clone()));
        let end = self.listen(&mut receiver, outbox, said).await;
        receiver.finish(&end).await;
        (said.accepted, self.held) = pump.await;
        drop(goodbye);
        end
    }

    async fn meanwhile<T: Send>(&mut self, future: impl Future<Output = T> + Send) -> T {
        future.await
    }

    fn what_becomes_of_unsent(&self) -> &'static str {
        "; they are lost"
    }

    fn end(&mut self) {
        self.requests.close();
        // What is left in the queue is dropped, which its senders notice.
        while self.requests.try_recv().is_ok() {}
    }
}

impl Plain {
    async fn listen(&self, receiver: &mut Receiver, outbox: &Outbox, said: &mut Said) -> End {
        loop {
            match (receiver.next().await, self.role) {
                (Ok(Received::Text(text)), Role::Scheduler) => {
                    said.received += 1;
                    let taken = self.payloads.send(Payload(text));
                    let closing = async {
                        outbox.closed().await;
                        Ok(())
                    };
                    if taken.or(closing).await.is_err() {
                        return End::Closing;
                    }
                }
                (Ok(_), _) => said.discarded += 1,
                (Err(end), _) => return end,
            }
        }
    }
}

/// Moves requests to the outbox of one connection while that has room.
struct Pump {
    requests: Channel<Request>,
    outbox: Arc<Outbox>,
    accepted: u64,
}

impl Pump {
    /// Runs until the outbox closes; returns how many messages it took, and
    /// the one that was just to be taken.
    async fn run(mut self, mut held: Option<Request>) -> (u64, Option<Request>) {
        loop {
            let next = match held.take() {
                Some(request) => Some(request),
                None => self.next().await,
            };
            let Some(request) = next else { return (self.accepted, None) };
            let frame = wire::text(Side::Client, &request.text);
            self.outbox.room_for(&frame).await;
            if request.taken.is_closed() {
                continue;
            }
            if self.outbox.push(frame).is_err() {
                return (self.accepted, Some(request));
            }
            self.accepted += 1;
            let _sender_gone = request.taken.try_send(());
        }
    }

    async fn next(&self) -> Option<Request> {
        let closed = async {
            self.outbox.closed().await;
            None
        };
        closed.or(async { self.requests.recv().await.ok() }).await
    }
}

async fn say_goodbye(stop: Channel<Infallible>, outbox: Arc<Outbox>) {
    let _stopped = stop.recv().await;
    outbox.close(wire::close(Side::Client, CloseCode::Normal, ""), Backlog::Write);
}
