//! A client of version 1 that says what it is told to. Each of its methods
//! panics where the connection has ended, or something is not as it must be.

use std::collections::VecDeque;
use std::path::PathBuf;

use async_tungstenite::tungstenite::protocol::CloseFrame;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use serde_json::Value;

use super::{Bus, Raw};

/// A client of version 1.
#[derive(Debug)]
pub struct Peer {
    /// Its connection.
    pub raw: Raw,
    /// How it was greeted.
    pub welcome: Value,
    /// What came in while something else was waited for.
    kept: VecDeque<Value>,
}

impl Peer {
    /// Registers with these fields beside the version.
    pub async fn register(bus: &Bus, fields: &str) -> Self {
        let mut raw = bus.raw().await;
        raw.say(&format!(r#"{{"cmd":"register","v":1,{fields}}}"#)).await;
        let mut peer = Self { raw, welcome: Value::Null, kept: VecDeque::new() };
        peer.welcome = peer.hears("welcome").await;
        peer
    }

    /// A producer.
    pub async fn producer(bus: &Bus) -> Self {
        Self::register(bus, r#""type":"producer""#).await
    }

    /// The scheduler `g1`, with so many slots.
    pub async fn scheduler(bus: &Bus, slots: u32) -> Self {
        Self::register(bus, &format!(r#""type":"scheduler","name":"g1","slots":{slots}"#)).await
    }

    /// One that hears what happens to all jobs.
    pub async fn observer(bus: &Bus) -> Self {
        let mut peer = Self::register(bus, r#""type":"observer""#).await;
        peer.raw.say(r#"{"cmd":"subscribe","id":0,"jobs":"all"}"#).await;
        peer.hears("snapshot").await;
        peer
    }

    /// The session, to come back with.
    #[must_use]
    pub fn session(&self) -> &str {
        text(&self.welcome, "session")
    }

    /// Comes back, with the session that it has, on another connection.
    pub async fn back(bus: &Bus, session: &str, slots: u32) -> Self {
        let fields =
            format!(r#""type":"scheduler","name":"g1","slots":{slots},"session":"{session}""#);
        Self::register(bus, &fields).await
    }

    /// Says this.
    pub async fn say(&mut self, text: &str) {
        self.raw.say(text).await;
    }

    /// Waits for a message of this kind. The others are kept.
    pub async fn hears(&mut self, kind: &str) -> Value {
        if let Some(at) = self.kept.iter().position(|message| message["ev"] == kind) {
            return self.kept.remove(at).expect("it is there");
        }
        loop {
            let message: Value = serde_json::from_str(&self.raw.text().await).expect("JSON");
            if message["ev"] == kind {
                return message;
            }
            self.kept.push_back(message);
        }
    }

    /// Says something, and returns the answer: a message of this kind.
    pub async fn ask(&mut self, request: &str, kind: &str) -> Value {
        self.say(request).await;
        self.hears(kind).await
    }

    /// Submits a job of this priority, and returns its id.
    pub async fn submits(&mut self, priority: u32) -> String {
        let request =
            format!(r#"{{"cmd":"submit","id":1,"payload":{{"priority":{priority},"runtime":7}}}}"#);
        text(&self.ask(&request, "accepted").await, "job").to_owned()
    }

    /// Reports a job that it was assigned.
    pub async fn reports(&mut self, assignment: &Value, state: &str) {
        let (job, lease) = (text(assignment, "job"), &assignment["lease"]);
        self.say(&format!(
            r#"{{"cmd":"report","id":"r","job":"{job}","lease":{lease},"state":"{state}","code":0,"ran_ms":5}}"#
        ))
        .await;
    }

    /// What happens next to jobs: whose, and where it is.
    pub async fn change(&mut self) -> (String, String) {
        let change = self.hears("job").await;
        (text(&change, "job").to_owned(), text(&change, "state").to_owned())
    }

    /// Nothing more has come in, of what the bus has sent until now.
    pub async fn has_heard_nothing_of(&mut self, kind: &str) {
        let mark = r#"{"cmd":"cancel","id":"mark","job":"j0"}"#;
        let error = self.ask(mark, "error").await;
        assert_eq!(error["re"], "mark");
        assert!(self.kept.iter().all(|message| message["ev"] != kind), "{:?}", self.kept);
    }

    /// Closes in order, with this code.
    pub async fn closes(&mut self, code: CloseCode) {
        let frame = CloseFrame { code, reason: "".into() };
        self.raw.0.close(Some(frame)).await.expect("open");
    }
}

/// A field that is a text.
///
/// # Panics
///
/// It is not there, or something else.
#[must_use]
pub fn text<'a>(message: &'a Value, field: &str) -> &'a str {
    message[field].as_str().unwrap_or_else(|| panic!("no {field:?} in {message}"))
}

/// A directory that goes with the test.
#[derive(Debug)]
pub struct Directory(pub PathBuf);

impl Directory {
    /// A directory of this name and this program that is not there yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = format!("sched-bus-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _of_an_earlier_run = std::fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}
