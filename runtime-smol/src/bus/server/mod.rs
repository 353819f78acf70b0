//! The bus: [`Broker`](sched_core::bus::Broker) on sockets.
//!
//! One thread owns the broker and all clients. It waits for all of them at
//! once, reads what they say, and never waits for one: what a socket does not
//! take now goes into that client's outbox. A client whose messages it has no
//! time for is not read, and TCP slows its sender down. Everything else (to
//! accept, to shake hands, to answer plain HTTP, to write what is left over, to
//! close) is done by tasks, which talk to it through one bounded queue.
//!
//! Nor does it wait for the disk: with one there are two such threads, and while
//! either writes, the other has the broker if anybody speaks ([`thread`]). What must
//! be on disk before it is told is committed a group of changes at a time; the
//! next group is what has come in meanwhile ([`desk`]). While the disk fails, or
//! is too slow for what comes, submissions are refused; what runs goes on, and
//! its reports are answered once the disk has taken them.

pub(super) mod admission;
mod client;
mod connection;
mod desk;
mod disk;
mod fan_out;
mod fault_log;
mod hand;
mod hub;
mod outboxes;
mod poller;
mod queue;
mod relief;
mod report;
mod thread;
mod tries;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_channel::{Receiver, Sender, WeakSender};
use futures_lite::FutureExt;
use sched_core::bus::Broker;
use sched_core::{ClientId, Policy};
use smol::{Async, Task, Timer};
use thiserror::Error;

use super::http::Http;
use super::tcp::Tcp;
use super::{DEFAULT_MAX_FRAME, HANDSHAKE_TIME};
use crate::clock::Clock;
use crate::process::make_room_for_others;
use crate::store::StoreError;
use connection::Connection;
use disk::Disk;
use hub::{Hub, Input, Watch};
use outboxes::Outboxes;
use poller::Poller;
pub use report::{BusEvent, BusFailed, BusStats, DiskStats};
use thread::HubThreads;

/// Messages that wait for the broker, at most.
const INBOX: usize = 64;

/// Events that nobody has read, at most; beyond it the oldest are forgotten.
const EVENTS: usize = 256;

/// The terms of a bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusConfig {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The greatest message that is taken, in bytes. A client that sends a
    /// greater one is closed with code 1009.
    pub max_frame: usize,
    /// How much may wait to be written to one client, in bytes. A client for
    /// which more would wait is closed with code 1008, `slow_consumer`. One
    /// message may wait whatever its size. Events do not count: who does not keep
    /// up is told them later, as long as they are kept. For the disk four times
    /// as much may wait.
    pub outbox_bytes: usize,
    /// Connections beyond this many are turned away with HTTP status 503.
    pub max_connections: usize,
    /// How long a client may take from connecting to the end of its handshake,
    /// or of its request.
    pub handshake_time: Duration,
    /// A client that has been silent for so long is sent a ping, and closed
    /// when it has been silent for as long again.
    pub ping_after: Duration,
    /// Names by which clients may address this bus, beside `localhost` and IP
    /// addresses. Another name in `Host` is refused, because that is what an
    /// attack by DNS rebinding looks like.
    pub allowed_hosts: Vec<String>,
    /// Where accepted jobs are kept, so that they survive the bus: a directory
    /// of its own, which is made if it is not there. `None`: in memory.
    pub data: Option<PathBuf>,
    /// Whether the jobs of producers of version 0 are queued as if they had
    /// been submitted with version 1, and not passed on.
    pub queue_job_requests: bool,
    /// Which job starts next, who is evicted, what comes back. How a scheduler
    /// ends a run, and what it does when its machine is exhausted, is its own.
    pub policy: Policy,
    /// How long a scheduler of version 1 keeps its jobs without a beat.
    pub lease: Duration,
    /// How often a scheduler of version 1 is asked for a beat.
    pub beat: Duration,
}

impl BusConfig {
    /// The usual terms, listening at `listen`.
    #[must_use]
    pub const fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            max_frame: DEFAULT_MAX_FRAME,
            outbox_bytes: 4 * 1024 * 1024,
            max_connections: 4096,
            handshake_time: HANDSHAKE_TIME,
            ping_after: Duration::from_secs(20),
            allowed_hosts: Vec::new(),
            data: None,
            queue_job_requests: false,
            policy: Policy::durable(),
            lease: Duration::from_secs(15),
            beat: Duration::from_secs(5),
        }
    }
}

/// The bus cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// It cannot listen where it should.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// It cannot use the directory for its jobs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives it no thread, or nothing to wait with.
    #[error("the system has no room for another bus: {0}")]
    System(io::Error),
}

/// A bus that listens. [`run`](Self::run) makes it serve.
///
/// ```
/// use sched_runtime_smol::bus::{BusConfig, BusServer};
/// # smol::block_on(async {
/// let server = BusServer::bind(BusConfig::new(([127, 0, 0, 1], 0).into())).await?;
/// let bus = server.handle();
/// let running = smol::spawn(server.run());
/// assert_eq!(bus.stats().await.map(|stats| stats.clients), Some(0));
/// bus.shutdown();
/// running.await;
/// # Ok::<(), sched_runtime_smol::bus::BindError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct BusServer {
    listener: Async<TcpListener>,
    address: SocketAddr,
    config: Arc<BusConfig>,
    hub: HubThreads,
    inbox: Sender<Input>,
    stop: Stop,
    events: Receiver<BusEvent>,
}

/// A channel that carries nothing and is closed when the bus is to stop.
type Stop = (Sender<Infallible>, Receiver<Infallible>);

/// A handle of a bus that runs. Handles are cheap to clone.
#[derive(Clone, Debug)]
pub struct BusHandle {
    inbox: WeakSender<Input>,
    stop: Sender<Infallible>,
}

impl BusServer {
    /// Reads what is on disk, and listens. Clients can connect from now on;
    /// they are served by [`run`](Self::run).
    ///
    /// The soft limit of descriptors is raised to the hard one if as many clients
    /// as there may be need it. Processes that this crate starts get the old one.
    ///
    /// # Errors
    ///
    /// The address is taken, or not one of this machine. The directory for the
    /// jobs cannot be used, is another bus's, or its content is damaged. The
    /// system is at its limits.
    pub async fn bind(config: BusConfig) -> Result<Self, BindError> {
        let clock = Clock::unix();
        let queue = queue::open(&config, clock.now()).await?;
        Self::with_queue(config, clock, queue)
    }

    /// Listens, with this broker and this disk.
    fn with_queue(
        config: BusConfig,
        clock: Clock,
        queue: (Broker, Option<Disk>),
    ) -> Result<Self, BindError> {
        make_room(config.max_connections);
        let address = config.listen;
        let fail = |source| BindError::Listen { address, source };
        let listener = Async::<TcpListener>::bind(address).map_err(fail)?;
        let address = listener.get_ref().local_addr().map_err(fail)?;
        let (inbox, input) = async_channel::bounded(INBOX);
        let (event_sender, events) = async_channel::bounded(EVENTS);
        let poller = Poller::new().map_err(BindError::System)?;
        let hub = Hub::new(clock, queue, poller, input, event_sender);
        let stop = async_channel::bounded(1);
        let hub = HubThreads::start(hub, inbox.clone(), stop.0.clone());
        let hub = hub.map_err(BindError::System)?;
        Ok(Self { listener, address, config: Arc::new(config), hub, inbox, stop, events })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A handle for when it runs.
    #[must_use]
    pub fn handle(&self) -> BusHandle {
        BusHandle { inbox: self.inbox.downgrade(), stop: self.stop.0.clone() }
    }

    /// What happens on the bus, for whoever wants to know. Every event goes to
    /// one reader; while there is none the newest are kept.
    #[must_use]
    pub fn events(&self) -> Receiver<BusEvent> {
        self.events.clone()
    }

    /// Serves until [`BusHandle::shutdown`] is called, and returns what was
    /// done. Every client is then closed with code 1001; that takes at most
    /// [`LINGER`](super::LINGER), twice.
    ///
    /// Spawn this future. Dropping it ends the bus at once.
    ///
    /// # Errors
    ///
    /// The bus has failed, which is a fault of its own. It has ended.
    pub async fn run(self) -> Result<BusStats, BusFailed> {
        let (alive, ended) = async_channel::bounded(1);
        let handle = self.handle();
        let inbox = self.inbox.clone();
        let accepting = Accepting {
            listener: self.listener,
            outboxes: Outboxes::new(self.config.outbox_bytes),
            http: Arc::new(Http::new(handle, self.config.clone())),
            config: self.config,
            inbox: self.inbox,
            stop: self.stop.1,
            alive,
            clients: 0,
        };
        let accepting: Task<()> = smol::spawn(accepting.run());
        accepting.await;
        let _hub_lives = inbox.send(Input::Shutdown).await;
        let _all_ended = ended.recv().await;
        self.hub.end().await
    }
}

impl BusHandle {
    /// Stops the bus: no new clients, and an orderly end for those there are.
    pub fn shutdown(&self) {
        self.stop.close();
    }

    /// The counts, after everything that has come in so far; `None` when the
    /// bus has ended.
    pub async fn stats(&self) -> Option<BusStats> {
        self.until(|_| true).await
    }

    /// Waits for the counts to be so: for a scheduler to be there, say, before
    /// jobs are submitted. `None` when the bus has ended.
    pub async fn until(&self, so: impl Fn(&BusStats) -> bool + Send + 'static) -> Option<BusStats> {
        let (reply, answer) = async_channel::bounded(1);
        let watch = Watch { so: Box::new(so), reply };
        self.inbox.upgrade()?.send(Input::Watch(watch)).await.ok()?;
        answer.recv().await.ok()
    }

    /// What has happened to jobs, as far as the bus has kept it and may tell
    /// it: the events of the protocol's version 1 as JSON texts, the oldest
    /// first. `None` when the bus has ended.
    pub async fn kept_events(&self) -> Option<Vec<Arc<str>>> {
        let (reply, answer) = async_channel::bounded(1);
        self.inbox.upgrade()?.send(Input::KeptEvents(reply)).await.ok()?;
        answer.recv().await.ok()
    }
}

/// The task that accepts connections.
struct Accepting {
    listener: Async<TcpListener>,
    outboxes: Outboxes,
    http: Arc<Http>,
    config: Arc<BusConfig>,
    inbox: Sender<Input>,
    stop: Receiver<Infallible>,
    /// Every connection holds a clone: they are counted by it, and when the
    /// last is gone the receiver learns it.
    alive: Sender<Infallible>,
    clients: u64,
}

impl Accepting {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while let Some(accepted) = self.accept().await {
            match accepted {
                Ok((tcp, peer)) => {
                    pause = FIRST_PAUSE;
                    self.welcome(tcp, peer).await;
                }
                Err(error) => {
                    let _hub_lives = self.inbox.send(Input::AcceptFailed(error)).await;
                    self.pause(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn accept(&self) -> Option<io::Result<(Tcp, SocketAddr)>> {
        let stopped = async {
            let _stopped = self.stop.recv().await;
            None
        };
        stopped.or(async { Some(self.listener.accept().await) }).await
    }

    /// With no descriptor left the listener stays readable: trying again at
    /// once would spin.
    async fn pause(&self, time: Duration) {
        let stopped = async {
            let _stopped = self.stop.recv().await;
        };
        let over = async {
            Timer::after(time).await;
        };
        stopped.or(over).await;
    }

    async fn welcome(&mut self, tcp: Tcp, peer: SocketAddr) {
        let others = self.alive.sender_count() - 1;
        if others >= self.config.max_connections {
            connection::turn_away(&tcp);
            let _hub_lives = self.inbox.send(Input::TurnedAway(peer)).await;
            return;
        }
        self.clients += 1;
        let connection = Connection {
            id: ClientId::new(self.clients),
            peer,
            http: self.http.clone(),
            config: self.config.clone(),
            inbox: self.inbox.clone(),
            stop: self.stop.clone(),
            alive: self.alive.clone(),
        };
        connection::set_options(&tcp);
        smol::spawn(connection.run(self.outboxes.onto(tcp))).detach();
    }
}

/// For a descriptor each. Those for which there is none wait to be accepted.
fn make_room(connections: usize) {
    let room = make_room_for_others(connections as u64);
    if room < connections as u64 {
        tracing::warn!(
            "there is room for {room} connections and not for {connections}: \
             raise the hard limit of descriptors (ulimit -Hn, LimitNOFILE=)"
        );
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
