//! The client that speaks what the bus speaks, against a bus without manners.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::{WebSocketStream, accept_async};
use futures_lite::StreamExt;
use sched_core::JobId;
use sched_core::bus::v1::SubmitOptions;
use sched_core::bus::{Identity, Role, SessionEvent};
use sched_runtime_smol::bus::{ClientConfig, ClientEvent, SessionClient};
use smol::net::{TcpListener, TcpStream};

use crate::support::{JOB, run};

/// Where a client is awaited.
struct Door(TcpListener);

/// A bus that does what it is told.
struct Puppet(WebSocketStream<TcpStream>);

impl Door {
    async fn open() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn client(&self, role: &'static str, slots: u32) -> SessionClient {
        self.client_with(role, slots, |_| {})
    }

    fn client_with(
        &self,
        role: &'static str,
        slots: u32,
        terms: impl FnOnce(&mut ClientConfig),
    ) -> SessionClient {
        let url = format!("ws://{}/", self.address()).parse().unwrap();
        let mut config = ClientConfig::new(url, Role::Scheduler);
        config.longest_wait = Duration::from_millis(300);
        terms(&mut config);
        SessionClient::open(config, Identity { role, name: "it".to_owned(), slots })
    }

    /// The next client, and how it registered.
    async fn enter(&self) -> (Puppet, String) {
        let (tcp, _) = self.0.accept().await.unwrap();
        let mut bus = Puppet(accept_async(tcp).await.unwrap());
        let register = bus.text().await;
        (bus, register)
    }

    /// The next client, welcomed.
    async fn welcome(&self, lease_ms: u64) -> Puppet {
        let (mut bus, _) = self.enter().await;
        bus.say(&format!(
            r#"{{"ev":"welcome","v":1,"session":"s7","durability":"memory","beat_ms":60000,"lease_ms":{lease_ms},"seq":0}}"#
        ))
        .await;
        bus
    }
}

impl Puppet {
    async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    async fn text(&mut self) -> String {
        loop {
            if let Message::Text(text) = self.0.next().await.unwrap().unwrap() {
                return text.as_str().to_owned();
            }
        }
    }

    /// What comes until the client closes, and how it closes.
    async fn rest(mut self) -> (Vec<String>, Option<CloseCode>) {
        let mut texts = Vec::new();
        while let Some(Ok(message)) = self.0.next().await {
            match message {
                Message::Text(text) => texts.push(text.as_str().to_owned()),
                Message::Close(frame) => return (texts, frame.map(|frame| frame.code)),
                _ => {}
            }
        }
        (texts, None)
    }
}

async fn event(client: &SessionClient) -> SessionEvent {
    client.next_event().await.expect("the client lives")
}

#[test]
fn a_bus_that_does_not_welcome_within_two_seconds_is_one_of_version_0() {
    run(async {
        let door = Door::open().await;
        let client = door.client("scheduler", 3);
        let (mut bus, register) = door.enter().await;
        let since = Instant::now();
        for part in [r#""cmd":"register""#, r#""type":"scheduler""#, r#""v":1"#, r#""slots":3"#] {
            assert!(register.contains(part), "{register}");
        }
        bus.say(JOB).await;
        assert_eq!(event(&client).await, SessionEvent::Payload(JOB.to_owned()));
        assert_eq!(event(&client).await, SessionEvent::OldBus);
        assert!(since.elapsed() >= Duration::from_millis(1900), "{:?}", since.elapsed());
        client.call(|session, _| session.send_text("as it is".to_owned())).await.unwrap();
        assert_eq!(bus.text().await, "as it is");
        let (rest, closed) = futures_lite::future::zip(bus.rest(), client.close()).await;
        assert_eq!((rest.0, rest.1, closed.connections), (vec![], Some(CloseCode::Normal), 1));
    });
}

#[test]
fn while_nobody_takes_events_calls_work_and_nothing_is_lost() {
    run(async {
        const MANY: usize = 500;
        let door = Door::open().await;
        let client = door.client("scheduler", 1);
        let (mut bus, _) = door.enter().await;
        for count in 0..MANY {
            bus.say(&format!(r#"{{"priority":{count}}}"#)).await;
        }
        client.call(|session, _| session.send_text("still here".to_owned())).await.unwrap();
        assert_eq!(bus.text().await, "still here");
        for count in 0..MANY {
            let payload = format!(r#"{{"priority":{count}}}"#);
            assert_eq!(event(&client).await, SessionEvent::Payload(payload));
        }
    });
}

#[test]
fn a_lease_lapses_also_while_there_is_no_bus() {
    run(async {
        let door = Door::open().await;
        let client = door.client("scheduler", 1);
        let mut bus = door.welcome(400).await;
        assert!(matches!(event(&client).await, SessionEvent::Welcomed { resumed: false, .. }));
        let since = Instant::now();
        bus.say(&format!(
            r#"{{"ev":"assign","job":"j1","lease":17,"attempt":1,"payload":{JOB},"opts":{{}}}}"#
        ))
        .await;
        assert!(matches!(event(&client).await, SessionEvent::Assigned { .. }));
        drop((bus, door));
        let SessionEvent::Revoked { job, lease } = event(&client).await else { panic!() };
        assert_eq!((job, lease.number()), (JobId::parse("j1").unwrap(), 17));
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        assert!(!client.call(move |session, _| session.holds(lease)).await.unwrap());
    });
}

#[test]
fn what_is_asked_before_there_is_a_bus_is_sent_when_there_is_one() {
    run(async {
        let door = Door::open().await;
        let client = door.client("producer", 0);
        let submit = |key: &str| {
            let opts = SubmitOptions { key: Some(key.to_owned()), ..SubmitOptions::default() };
            client.call(move |session, _| session.submit(JOB, &opts))
        };
        assert_eq!(submit("a").await, Ok(1));
        let mut bus = door.welcome(1000).await;
        assert!(bus.text().await.contains(r#""key":"a""#));
        assert_eq!(submit("b").await, Ok(2));
        assert!(bus.text().await.contains(r#""key":"b""#));
        drop(bus);
        let mut bus = door.welcome(1000).await;
        assert!(bus.text().await.contains(r#""key":"a""#), "it was not answered");
        bus.say(r#"{"ev":"accepted","re":2,"job":"j9","seq":1,"dup":true}"#).await;
        let accepted = loop {
            match event(&client).await {
                SessionEvent::Welcomed { .. } => {}
                other => break other,
            }
        };
        let job = JobId::parse("j9").unwrap();
        assert_eq!(accepted, SessionEvent::Accepted { request: 2, job, dup: true });
    });
}

#[test]
fn a_message_greater_than_the_room_that_is_left_waits_for_it() {
    run(async {
        let door = Door::open().await;
        let client = door.client_with("producer", 0, |config| config.outbox_bytes = 1000);
        let mut bus = door.welcome(1000).await;
        assert!(matches!(event(&client).await, SessionEvent::Welcomed { .. }));
        for count in 0..50 {
            let text = format!("{count} {}", "x".repeat(700 + 20 * count));
            client.call(move |session, _| session.send_text(text)).await.unwrap();
        }
        for count in 0..50 {
            assert!(bus.text().await.starts_with(&format!("{count} ")));
        }
    });
}

#[test]
fn closing_writes_what_was_asked_and_ends_every_handle() {
    run(async {
        let door = Door::open().await;
        let client = door.client("producer", 0);
        let bus = door.welcome(1000).await;
        assert!(matches!(event(&client).await, SessionEvent::Welcomed { .. }));
        for count in 0..20 {
            client.call(move |session, _| session.send_text(count.to_string())).await.unwrap();
        }
        let other = client.clone();
        let ((texts, code), stats) = futures_lite::future::zip(bus.rest(), client.close()).await;
        assert_eq!(texts, (0..20).map(|count| count.to_string()).collect::<Vec<_>>());
        assert_eq!((code, stats.unsent), (Some(CloseCode::Normal), 0));
        assert_eq!(other.next_event().await, None);
        assert!(other.call(|_, _| ()).await.is_err());
        assert_eq!(other.close().await, stats);
    });
}

#[test]
fn a_call_that_panics_harms_only_its_caller() {
    run(async {
        let door = Door::open().await;
        let client = door.client("observer", 0);
        let links = client.link_events();
        assert_eq!(links.recv().await, Ok(ClientEvent::Connecting));
        assert!(client.call(|_, _| panic!("on purpose")).await.is_err());
        assert_eq!(client.call(|session, _| session.is_up()).await, Ok(false));
    });
}
