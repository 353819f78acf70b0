//! A bus with a directory, and a client that says what it is told to.

use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use async_tungstenite::{WebSocketStream, client_async};
use futures_lite::{FutureExt, StreamExt};
use serde_json::Value;
use smol::Timer;
use smol::net::TcpStream;

use crate::support::{BUS, Program};

/// Runs a test, and fails it when it hangs.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let hangs = async {
        Timer::after(Duration::from_secs(300)).await;
        panic!("the test hangs");
    };
    smol::block_on(test.or(hangs));
}

/// A bus that keeps its jobs here, and its address.
pub(crate) fn bus(directory: &Path) -> (Program, String) {
    start(Command::new(BUS).args(["--listen", "127.0.0.1:0", "--data"]).arg(directory))
}

pub(crate) fn start(command: &mut Command) -> (Program, String) {
    let mut bus = Program::spawn(command);
    let url = bus.url();
    let address = url.strip_prefix("ws://").unwrap().to_owned();
    if address.is_empty() {
        panic!("the bus did not start: {}", bus.logs("ERROR"));
    }
    (bus, address)
}

/// A connection that speaks version 1. `None` anywhere: it has ended.
pub(crate) struct Wire(WebSocketStream<TcpStream>);

impl Wire {
    pub(crate) async fn connect(address: &str) -> Option<Self> {
        let tcp = TcpStream::connect(address).await.ok()?;
        tcp.set_nodelay(true).ok()?;
        let (web_socket, _) = client_async(format!("ws://{address}/"), tcp).await.ok()?;
        Some(Self(web_socket))
    }

    /// Connects and registers; the second is the welcome.
    pub(crate) async fn register(address: &str, fields: &str) -> Option<(Self, Value)> {
        let mut wire = Self::connect(address).await?;
        wire.say(&format!(r#"{{"cmd":"register","v":1,{fields}}}"#)).await?;
        let welcome = wire.hears("welcome").await?;
        Some((wire, welcome))
    }

    /// One that hears everything, and what there was before.
    pub(crate) async fn observer(address: &str) -> Option<(Self, Value)> {
        let (mut wire, _) = Self::register(address, r#""type":"observer""#).await?;
        let snapshot = wire.ask(r#"{"cmd":"subscribe","id":0,"jobs":"all"}"#, "snapshot").await?;
        Some((wire, snapshot))
    }

    pub(crate) async fn say(&mut self, text: &str) -> Option<()> {
        self.0.send(Message::text(text)).await.ok()
    }

    pub(crate) async fn hear(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).unwrap()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Waits for a message of this kind; what comes before it is of no interest.
    pub(crate) async fn hears(&mut self, kind: &str) -> Option<Value> {
        loop {
            let message = self.hear().await?;
            if message["ev"] == kind {
                return Some(message);
            }
        }
    }

    pub(crate) async fn ask(&mut self, request: &str, kind: &str) -> Option<Value> {
        self.say(request).await?;
        self.hears(kind).await
    }

    /// Submits a job, and returns the answer: `accepted` or `error`.
    pub(crate) async fn submit(&mut self, payload: &str, key: &str) -> Option<Value> {
        let request = format!(
            r#"{{"cmd":"submit","id":"{key}","payload":{payload},"opts":{{"key":"{key}"}}}}"#
        );
        self.say(&request).await?;
        loop {
            let answer = self.hear().await?;
            if answer["re"] == key {
                return Some(answer);
            }
        }
    }

    pub(crate) async fn report(&mut self, job: &str, lease: u64, state: &str) -> Option<()> {
        let report = format!(
            r#"{{"cmd":"report","id":{lease},"job":"{job}","lease":{lease},"state":"{state}","code":0,"ran_ms":1}}"#
        );
        self.say(&report).await
    }
}

pub(crate) fn word(message: &Value, field: &str) -> String {
    message[field].as_str().unwrap_or_else(|| panic!("no {field:?} in {message}")).to_owned()
}

pub(crate) fn rows<'a>(message: &'a Value, field: &str) -> &'a [Value] {
    message[field].as_array().unwrap_or_else(|| panic!("no {field:?} in {message}"))
}
