//! A bus to test, and a client with no manners of its own.

pub mod peer;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::{Bytes, Error, Message};
use async_tungstenite::{WebSocketStream, client_async};
use futures_lite::{AsyncWriteExt, FutureExt, StreamExt};
use sched_core::bus::Role;
use sched_runtime_smol::bus::{
    BusClient, BusConfig, BusFailed, BusHandle, BusServer, BusStats, ClientConfig, ClientEvent,
};
use smol::Timer;
use smol::net::TcpStream;

/// Nothing here takes nearly as long; a test that does has failed.
const GUARD: Duration = Duration::from_secs(60);

/// A payload.
pub const JOB: &str = r#"{"priority":3,"runtime":7}"#;

/// Runs a test, and fails it when it hangs.
///
/// # Panics
///
/// It takes longer than a minute.
pub fn run(test: impl Future<Output = ()>) {
    let hangs = async {
        Timer::after(GUARD).await;
        panic!("the test hangs");
    };
    smol::block_on(test.or(hangs));
}

/// The command that submits `payload`.
#[must_use]
pub fn request(payload: &str) -> String {
    format!(r#"{{"cmd":"job_request","payload":{payload}}}"#)
}

/// A bus that runs.
#[derive(Debug)]
pub struct Bus {
    /// Where it listens.
    pub address: SocketAddr,
    handle: BusHandle,
    running: smol::Task<Result<BusStats, BusFailed>>,
}

impl Bus {
    /// One with the usual terms, on a port of the system's choice.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// One with the terms as changed.
    ///
    /// # Panics
    ///
    /// It cannot listen, or not use its directory.
    pub async fn with(terms: impl FnOnce(&mut BusConfig)) -> Self {
        let mut config = BusConfig::new(([127, 0, 0, 1], 0).into());
        terms(&mut config);
        let server = BusServer::bind(config).await.expect("it can listen");
        let (address, handle) = (server.local_addr(), server.handle());
        Self { address, handle, running: smol::spawn(server.run()) }
    }

    /// What it has counted.
    ///
    /// # Panics
    ///
    /// It has ended.
    pub async fn stats(&self) -> BusStats {
        self.handle.stats().await.expect("the bus runs")
    }

    /// Waits for the counts to be so.
    ///
    /// # Panics
    ///
    /// It has ended.
    pub async fn until(&self, so: impl Fn(&BusStats) -> bool + Send + 'static) -> BusStats {
        self.handle.until(so).await.expect("the bus runs")
    }

    /// A client of ours.
    #[must_use]
    pub fn client(&self, role: Role) -> BusClient {
        client_at(self.address, role)
    }

    /// A client of ours that is connected and known.
    pub async fn connected(&self, role: Role) -> BusClient {
        let count = move |stats: &BusStats| match role {
            Role::Producer => stats.producers,
            Role::Scheduler => stats.schedulers,
        };
        let before = count(&self.stats().await);
        let client = self.client(role);
        self.until(move |now| count(now) > before).await;
        client
    }

    /// A client without manners.
    ///
    /// # Panics
    ///
    /// It is not let in.
    pub async fn raw(&self) -> Raw {
        Raw::shake(self.address, &[]).await.expect("it is let in")
    }

    /// A client without manners that is known as a scheduler.
    pub async fn raw_scheduler(&self) -> Raw {
        let mut raw = self.raw().await;
        raw.say(r#"{"cmd":"register","type":"scheduler"}"#).await;
        raw.settle().await;
        raw
    }

    /// Tells it to stop in order.
    pub fn shutdown(&self) {
        self.handle.shutdown();
    }

    /// Stops the bus in order, and waits for it.
    pub async fn end(self) -> BusStats {
        self.handle.shutdown();
        self.running.await.expect("the bus has not failed")
    }

    /// The last counts of a bus whose end is of no interest.
    pub async fn drop(self) -> BusStats {
        self.stats().await
    }
}

/// A client of ours, which looks for its bus often.
///
/// # Panics
///
/// The address cannot be read back.
#[must_use]
pub fn client_at(address: SocketAddr, role: Role) -> BusClient {
    let mut config =
        ClientConfig::new(format!("ws://{address}/").parse().expect("an address"), role);
    config.longest_wait = Duration::from_millis(300);
    BusClient::open(config)
}

/// Waits for an event of a client.
///
/// # Panics
///
/// The client has ended.
pub async fn event(client: &BusClient, so: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
    let events = client.events();
    loop {
        let event = events.recv().await.expect("the client lives");
        if so(&event) {
            return event;
        }
    }
}

/// A WebSocket client that does what it is told, and reads only then.
#[derive(Debug)]
pub struct Raw(pub WebSocketStream<TcpStream>);

impl Raw {
    /// Connects, and shakes hands with these headers.
    ///
    /// # Errors
    ///
    /// It is not let in.
    ///
    /// # Panics
    ///
    /// A header cannot be written.
    pub async fn shake(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Error> {
        use async_tungstenite::tungstenite::client::IntoClientRequest;
        let mut request = format!("ws://{address}/").into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        client_async(request, tcp).await.map(|(web_socket, _)| Self(web_socket))
    }

    /// Says this.
    ///
    /// # Panics
    ///
    /// The connection has ended.
    pub async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("open");
    }

    /// Says the same short thing many times, in one write.
    ///
    /// # Panics
    ///
    /// The connection has ended, or it is too long.
    pub async fn say_at_once(&mut self, text: &str, times: usize) {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 126);
        // The mask changes nothing.
        let head = [0x81, 0x80 | length.expect("short"), 0, 0, 0, 0];
        let all = [&head, text.as_bytes()].concat().repeat(times);
        self.0.get_mut().write_all(&all).await.expect("open");
    }

    /// Waits until the bus has read everything that was said: it answers in
    /// order. Messages that come in meanwhile are lost.
    ///
    /// # Panics
    ///
    /// The connection has ended.
    pub async fn settle(&mut self) {
        let mark = Bytes::from_static(b"settle");
        self.0.send(Message::Ping(mark.clone())).await.expect("open");
        while self.0.next().await.expect("open").expect("no error") != Message::Pong(mark.clone()) {
        }
    }

    /// The next message.
    ///
    /// # Panics
    ///
    /// The connection has ended, or it is no text.
    pub async fn text(&mut self) -> String {
        loop {
            match self.0.next().await.expect("open").expect("no error") {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads to the end: how the bus closed, and what it sent before.
    pub async fn closed(&mut self) -> (Option<(CloseCode, String)>, usize) {
        let (mut close, mut texts) = (None, 0);
        while let Some(Ok(message)) = self.0.next().await {
            match message {
                Message::Close(frame) => {
                    close = frame.map(|frame| (frame.code, frame.reason.to_string()));
                }
                Message::Text(_) => texts += 1,
                _ => {}
            }
        }
        (close, texts)
    }
}
