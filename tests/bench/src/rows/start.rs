//! From a submission until there is the process, through a bus that is idle.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::num::NonZeroUsize;
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use sched_core::bus::v1::SubmitOptions;
use sched_core::bus::{Identity, Role as BusRole};
use sched_core::{EventKind, Policy, Priority};
use sched_runtime_smol::Command;
use sched_runtime_smol::bus::{Agent, AgentConfig, BusUrl, ClientConfig, SessionClient, Wanted};
use sched_runtime_smol::scheduler::{Notice, Subscription};
use smol::Timer;

use crate::child::Server;
use crate::kit::Kit;
use crate::net::websocket;
use crate::row::{Contender, Metric, Role, Row, Target, Terms, median};
use crate::trouble::{Doing, Result, Trouble};

const JOB: &str = "/bin/true";

/// Between two submissions: everybody has come to rest by then.
const PAUSE: Duration = Duration::from_millis(5);

/// How long anything may take.
const GUARD: Duration = Duration::from_secs(10);

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    let target = Target::TimesLimit(1.5);
    let (ours, limit) = (kit.clone(), kit.clone());
    vec![Row {
        key: "start".to_owned(),
        what: "from submitting a job until its scheduler has started the process, all idle"
            .to_owned(),
        metrics: vec![Metric { what: "median", unit: "us", target }],
        slices: 1,
        contenders: vec![
            Contender::new(Role::Ours, "bus, with an agent of this library", move |terms| {
                let bus = ours.bus()?;
                Ok(vec![Some(smol::block_on(through_bus(bus.port(), times(terms)))? / 1e3)])
            }),
            Contender::new(Role::Limit, "two loopback hops and posix_spawn", move |terms| {
                Ok(vec![Some(through_limit(&limit.limit(false)?, times(terms))? / 1e3)])
            }),
        ],
    }]
}

const fn times(terms: &Terms) -> usize {
    terms.pick(200, 20)
}

/// The median, in nanoseconds.
async fn through_bus(port: u16, times: usize) -> Result<f64> {
    let url: BusUrl = format!("ws://127.0.0.1:{port}/").parse().map_err(Trouble::wrong)?;
    let identity = Identity { role: "producer", name: String::new(), slots: 0 };
    let config = ClientConfig::new(url.clone(), BusRole::Producer);
    let producer = SessionClient::open(config, identity);
    let config = AgentConfig {
        bus: url,
        name: "bench".to_owned(),
        slots: NonZeroUsize::MIN,
        policy: Policy::durable(),
    };
    let translate = |_: &str| {
        let command = Command::new(JOB);
        Ok(Wanted { priority: Priority::new(3), command, time_limit: None })
    };
    let agent = Agent::start(config, Box::new(translate)).await;
    let (agent, mut story) = agent.map_err(Trouble::wrong)?;
    let took = async {
        let mut took = Vec::new();
        // The first waits until everybody is connected.
        for round in 0..=times {
            Timer::after(PAUSE).await;
            let began = Instant::now();
            let submit =
                producer.call(|session, _| session.submit(PAYLOAD, &SubmitOptions::default()));
            submit.await.map_err(Trouble::wrong)?;
            let started = until_started(&mut story).await?;
            if round > 0 {
                took.push((started - began).as_nanos() as f64);
            }
        }
        median(took).ok_or_else(|| Trouble::wrong("nothing was started"))
    };
    let answers = async {
        while producer.next_event().await.is_some() {}
        Err(Trouble::wrong("the producer has ended"))
    };
    let serve = async {
        agent.serve().await;
        Err(Trouble::wrong("the agent has ended"))
    };
    let late = async {
        Timer::after(GUARD + PAUSE * 4 * times as u32).await;
        Err(Trouble::wrong("a job was not started"))
    };
    let result = took.or(answers).or(serve).or(late).await;
    agent.end(async {}).await;
    producer.close().await;
    result
}

/// Waits until a job has ended; returns when it was known to be started.
async fn until_started(story: &mut Subscription) -> Result<Instant> {
    let mut started = None;
    loop {
        let Some(Notice::Event(event)) = story.next().await else {
            return Err(Trouble::wrong("the scheduler's events ended"));
        };
        match event.kind {
            EventKind::Started { .. } => started = Some(Instant::now()),
            EventKind::Ended { .. } => break,
            _ => {}
        }
    }
    started.ok_or_else(|| Trouble::wrong("a job ended without a start"))
}

const PAYLOAD: &str = r#"{"priority":3,"runtime":7}"#;

/// The least that must be done: a message to the raw server, from there to one
/// who waits for it, and a start.
fn through_limit(server: &Server, times: usize) -> Result<f64> {
    let mut scheduler = client(server.port(), "scheduler")?;
    let mut producer = client(server.port(), "producer")?;
    let mut message = Vec::new();
    let request = format!(r#"{{"cmd":"job_request","payload":{PAYLOAD}}}"#);
    websocket::client_frame(websocket::TEXT, request.as_bytes(), &mut message);
    let mut took = Vec::new();
    for _ in 0..times {
        std::thread::sleep(PAUSE);
        let began = Instant::now();
        producer.write_all(&message).doing("write to the raw server")?;
        hear(&mut scheduler, |bytes| {
            websocket::header(bytes).is_some_and(|it| it.end <= bytes.len())
        })?;
        let mut command = Program::new(JOB);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().doing("start a process")?;
        took.push(began.elapsed().as_nanos() as f64);
        child.wait().doing("wait for a process")?;
    }
    median(took).ok_or_else(|| Trouble::wrong("nothing was started"))
}

fn client(port: u16, role: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).doing("connect")?;
    stream.set_nodelay(true).doing("connect")?;
    stream.set_read_timeout(Some(GUARD)).doing("connect")?;
    stream.write_all(websocket::handshake(port).as_bytes()).doing("connect")?;
    hear(&mut stream, |bytes| websocket::head_end(bytes).is_some())?;
    let mut frame = Vec::new();
    let text = format!(r#"{{"cmd":"register","type":"{role}"}}"#);
    websocket::client_frame(websocket::TEXT, text.as_bytes(), &mut frame);
    stream.write_all(&frame).doing("register")?;
    Ok(stream)
}

/// Reads until it is all there.
fn hear(stream: &mut TcpStream, is_all: impl Fn(&[u8]) -> bool) -> Result<()> {
    let (mut bytes, mut part) = (Vec::new(), [0; 1024]);
    while !is_all(&bytes) {
        match stream.read(&mut part) {
            Ok(0) => return Err(Trouble::wrong("the raw server has closed a connection")),
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).doing("read from the raw server"),
        }
    }
    Ok(())
}
