//! One conversation in the protocol of the developer tools.

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::WebSocketConfig;
use async_tungstenite::{WebSocketStream, client_async_with_config};
use futures_lite::StreamExt;
use serde_json::{Value, json};
use smol::net::TcpStream;

/// A screenshot or the source of a library is one message.
const LARGEST: usize = 256 << 20;

/// A connection to a browser or to one of its tabs.
///
/// It reads only while an answer or an event is waited for. The answers come in
/// the order of what happened: whatever an answer was preceded by is in
/// [`events`](Self::events).
#[derive(Debug)]
pub(super) struct Devtools {
    socket: WebSocketStream<TcpStream>,
    asked: u64,
    /// What happened, in order, since the connection was made.
    pub(super) events: Vec<Value>,
}

impl Devtools {
    pub(super) async fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("ws://").split('/').next().expect("the first part");
        let tcp = TcpStream::connect(address).await.expect("the browser listens");
        tcp.set_nodelay(true).expect("a socket");
        let config = WebSocketConfig::default()
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let shaken = client_async_with_config(url, tcp, Some(config)).await;
        let (socket, _) = shaken.expect("the browser lets us in");
        Self { socket, asked: 0, events: Vec::new() }
    }

    /// Asks, and waits for the answer. What is refused fails the test.
    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let asked = self.asked;
        let request = json!({"id": asked, "method": method, "params": params});
        self.socket.send(Message::text(request.to_string())).await.expect("the browser lives");
        loop {
            let mut message = self.next().await;
            if message["id"] == asked {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    /// Waits for the next event of this kind, after the first `seen` of all.
    pub(super) async fn event(&mut self, kind: &str, seen: usize) -> Value {
        loop {
            let new = self.events.iter().skip(seen);
            if let Some(event) = new.into_iter().find(|event| event["method"] == kind) {
                return event["params"].clone();
            }
            let event = self.next().await;
            self.events.push(event);
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            let message = self.socket.next().await.expect("the browser lives").expect("no error");
            if let Message::Text(text) = message {
                return serde_json::from_str(text.as_str()).expect("the browser speaks JSON");
            }
        }
    }
}
