//! The threads of the hub.
//!
//! One thread has the hub. If there is a disk there are two. What is little to
//! write, the thread that has the hub writes itself: it leaves the hub where the
//! other finds it, should anybody speak or call meanwhile. So the way of a lone
//! job, from its socket to the disk and back, is that of one thread. With a
//! thread for the hub and one for the disk, each had to be woken by the other for
//! every commit, often on a processor that had gone to sleep. What is much, the
//! other thread writes, group after group, and this one goes on to have the hub.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::Context;
use std::thread::{Builder, panicking};

use async_channel::{Receiver, Sender};

use super::desk::Pen;
use super::hub::{Hub, Input};
use super::poller::Found;
use super::relief::{Duty, Relief};
use super::report::{BusFailed, BusStats};

/// A hub that runs on threads of its own. They end when this is dropped.
#[derive(Debug)]
pub(super) struct HubThreads {
    inbox: Sender<Input>,
    ended: Receiver<BusStats>,
}

impl HubThreads {
    /// Starts them. Without a hub there is no bus: `stop` is closed when it ends, from
    /// whatever cause.
    pub(super) fn start(
        hub: Hub,
        inbox: Sender<Input>,
        stop: Sender<Infallible>,
    ) -> io::Result<Self> {
        let (end, ended) = async_channel::bounded(1);
        let relief = Arc::new(hub.relief()?);
        let shift = Shift { relief, end, stop };
        if hub.has_disk() {
            let second = shift.clone();
            spawn("sched-bus-2", move || second.serve(None))?;
        }
        spawn("sched-bus", move || shift.serve(Some(Box::new(hub))))?;
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

fn spawn(name: &str, serve: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let _detached = Builder::new().name(name.to_owned()).spawn(serve)?;
    Ok(())
}

/// What each of the threads knows.
#[derive(Clone, Debug)]
struct Shift {
    relief: Arc<Relief<Hub>>,
    end: Sender<BusStats>,
    stop: Sender<Infallible>,
}

impl Shift {
    /// Does what the other thread does not, until one of them has ended.
    fn serve(self, hub: Option<Box<Hub>>) {
        let mut found = Found::nothing();
        if let Some(hub) = hub {
            self.run(hub, &mut found);
        }
        while let Some(duty) = self.relief.stand_by() {
            match duty {
                Duty::Write(pen) => pen.write_on(),
                Duty::Hub(mut hub) => {
                    hub.wrote(false);
                    self.run(hub, &mut found);
                }
            }
        }
    }

    /// Runs the hub until the other thread has it, or nobody can send input any
    /// more: that is the end of both.
    fn run(&self, mut hub: Box<Hub>, found: &mut Found) {
        let waker = hub.waker();
        let mut cx = Context::from_waker(&waker);
        hub.look_around(found);
        let mut gave_way = false;
        while hub.turn(&mut cx, found, &self.relief) {
            gave_way = !gave_way && hub.gives_way();
            // Who speaks then goes to the disk together with who has.
            if gave_way && hub.give_way(found) {
                continue;
            }
            gave_way = false;
            let Some(pen) = hub.take_up() else {
                hub.wait(found);
                continue;
            };
            match self.write(hub, pen) {
                Some(left_alone) => hub = left_alone,
                None => return,
            }
            hub.look_around(found);
        }
        let stats = hub.end();
        self.relief.end();
        // Nobody may want to know any more.
        let _unheard = self.end.try_send(stats);
    }

    /// Writes what waits, and returns the hub if it was left alone meanwhile.
    fn write(&self, hub: Box<Hub>, mut pen: Pen) -> Option<Box<Hub>> {
        let due = hub.leave();
        self.relief.leave(hub, due);
        pen.write();
        if let Some(mut hub) = self.relief.come_back() {
            // It will hear from this thread what was written.
            hub.wrote(true);
            return Some(hub);
        }
        pen.go_on().into_iter().for_each(Pen::write_on);
        None
    }
}

/// Without one of the threads the other is of no use.
impl Drop for Shift {
    fn drop(&mut self) {
        self.relief.end();
        if panicking() {
            self.end.close();
        }
        self.stop.close();
    }
}

impl Drop for HubThreads {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};

    use async_tungstenite::tungstenite::{Message, WebSocket, client};
    use sched_core::bus::v1::Durability;
    use sched_core::bus::{Broker, Exchange, ExchangeConfig};
    use smol::Task;

    use super::super::disk::Disk;
    use super::super::{BusConfig, BusHandle, BusServer};
    use super::*;
    use crate::clock::Clock;
    use crate::store::{Hold, slow};

    /// A bus whose disk can be held up.
    struct Bus {
        address: SocketAddr,
        handle: BusHandle,
        running: Task<Result<BusStats, BusFailed>>,
        disk: Hold,
    }

    struct Client(WebSocket<TcpStream>);

    impl Bus {
        fn start() -> Self {
            let (store, disk) = slow();
            let durability = Durability::Fsync;
            let exchange = Exchange::new(ExchangeConfig { durability, ..ExchangeConfig::new(1) });
            let queue = (Broker::with_exchange(exchange), Some(Disk::new(store)));
            let config = BusConfig::new(([127, 0, 0, 1], 0).into());
            let server = BusServer::with_queue(config, Clock::unix(), queue).unwrap();
            let (address, handle) = (server.local_addr(), server.handle());
            Self { address, handle, running: smol::spawn(server.run()), disk }
        }

        /// One that writes some of so many jobs, for as long as its disk is held up.
        fn writing(jobs: usize) -> (Self, Client) {
            let bus = Self::start();
            let mut producer = bus.producer();
            bus.disk.hold();
            producer.submit(jobs);
            bus.disk.asked();
            (bus, producer)
        }

        /// One that is registered as a producer.
        fn producer(&self) -> Client {
            let tcp = TcpStream::connect(self.address).unwrap();
            let (socket, _) = client(format!("ws://{}/", self.address), tcp).unwrap();
            let mut client = Client(socket);
            client.say(r#"{"cmd":"register","v":1,"type":"producer"}"#);
            client.hear("welcome");
            client
        }

        fn answers(&self) -> bool {
            smol::block_on(self.handle.stats()).is_some()
        }

        fn end(self) -> Result<BusStats, BusFailed> {
            self.handle.shutdown();
            smol::block_on(self.running)
        }
    }

    impl Client {
        fn say(&mut self, text: &str) {
            self.0.send(Message::text(text)).unwrap();
        }

        fn submit(&mut self, jobs: usize) {
            for id in 0..jobs {
                self.say(&format!(r#"{{"cmd":"submit","id":{id},"payload":{{"priority":1}}}}"#));
            }
        }

        /// The next message is of this kind.
        fn hear(&mut self, kind: &str) {
            let text = self.0.read().unwrap().into_text().unwrap();
            assert!(text.starts_with(&format!(r#"{{"ev":"{kind}""#)), "{text}");
        }
    }

    #[test]
    fn whoever_writes_the_hub_is_there_for_others() {
        let bus = Bus::start();
        let mut producer = bus.producer();
        // Few, which the thread writes that has the hub; and many.
        let rounds = [1, 100, 1, 2, 30, 1, 1];
        for (round, jobs) in rounds.into_iter().enumerate() {
            bus.disk.hold();
            producer.submit(jobs);
            bus.disk.asked();
            assert!(bus.answers(), "round {round}");
            let mut other = bus.producer();
            other.submit(1);
            assert!(bus.answers(), "round {round}");
            bus.disk.let_all();
            (0..jobs).for_each(|_| producer.hear("accepted"));
            other.hear("accepted");
        }
        drop(producer);
        let stats = bus.end().unwrap();
        assert_eq!(stats.exchange.accepted, (rounds.iter().sum::<usize>() + rounds.len()) as u64);
    }

    #[test]
    fn the_end_waits_for_what_is_being_written() {
        for jobs in [1, 100] {
            let (bus, producer) = Bus::writing(jobs);
            bus.handle.shutdown();
            drop(producer);
            std::thread::scope(|scope| {
                scope.spawn(|| bus.disk.let_all());
                let stats = smol::block_on(bus.running).unwrap();
                assert!(bus.disk.is_closed());
                assert!(stats.disk.unwrap().commits.counts().iter().sum::<u64>() > 0);
            });
        }
    }

    #[test]
    fn a_thread_that_panics_ends_the_bus() {
        for jobs in [1, 100] {
            let (bus, _producer) = Bus::writing(jobs);
            bus.disk.release();
            bus.disk.panic();
            assert_eq!(smol::block_on(bus.running).map(|_| ()), Err(BusFailed));
            // Whatever the other thread had to write: it has ended, too.
            bus.disk.closed();
        }
    }
}
