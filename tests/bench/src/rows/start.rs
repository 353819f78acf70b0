//! From a submission until the process runs, through a bus that is idle.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command as Program, Stdio};
use std::time::Duration;

use futures_lite::FutureExt;
use sched_core::bus::v1::SubmitOptions;
use sched_core::bus::{Identity, Role as BusRole};
use sched_runtime_smol::bus::{BusUrl, ClientConfig, SessionClient};
use smol::Timer;

use crate::child::Process;
use crate::herald::{Herald, now};
use crate::kit::Kit;
use crate::machine::Place;
use crate::net::websocket;
use crate::row::{Contender, Metric, Role, Row, Target, Terms, median};
use crate::trouble::{Doing, Result, Trouble};

/// Between two submissions: everybody has come to rest by then.
const PAUSE: Duration = Duration::from_millis(5);

/// How long anything may take.
const GUARD: Duration = Duration::from_secs(10);

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    let target = Target::TimesLimit(1.5);
    let (ours, limit) = (kit.clone(), kit.clone());
    vec![Row {
        key: "start".to_owned(),
        what: "from submitting a job until its process runs, all idle".to_owned(),
        metrics: vec![Metric { what: "median", unit: "us", target }],
        slices: 1,
        contenders: vec![
            Contender::new(Role::Ours, "bus and sched scheduler", move |terms| {
                Ok(vec![Some(through_bus(&ours, times(terms))? / 1e3)])
            }),
            Contender::new(Role::Limit, "two loopback hops and posix_spawn", move |terms| {
                Ok(vec![Some(through_limit(&limit, times(terms))? / 1e3)])
            }),
        ],
    }]
}

const fn times(terms: &Terms) -> usize {
    terms.pick(200, 20)
}

/// The median, in nanoseconds.
fn through_bus(kit: &Kit, times: usize) -> Result<f64> {
    let (bus, herald) = (kit.bus()?, Herald::new(kit, "start")?);
    let url = format!("ws://127.0.0.1:{}/", bus.port());
    let [program, argument] = herald.words();
    let mut scheduler = kit.sched();
    scheduler.args(["scheduler", "-s", "1", "--allow", &program, "--bus", &url]);
    scheduler.env("RUST_LOG", "error").stdin(Stdio::null()).stdout(Stdio::null());
    let _scheduler = Process::start(&mut scheduler, Place::Anywhere)?;
    let url: BusUrl = url.parse().map_err(Trouble::wrong)?;
    let identity = Identity { role: "producer", name: String::new(), slots: 0 };
    let producer = SessionClient::open(ClientConfig::new(url, BusRole::Producer), identity);
    let job = format!(r#"{{"priority":3,"command":[{program:?},{argument:?}]}}"#);
    smol::block_on(async {
        let answers = async {
            while producer.next_event().await.is_some() {}
            Err(Trouble::wrong("the producer has ended"))
        };
        let took = started(&producer, job, &herald, times).or(answers).await;
        producer.close().await;
        took
    })
}

async fn started(
    producer: &SessionClient,
    job: String,
    herald: &Herald,
    times: usize,
) -> Result<f64> {
    let mut took = Vec::new();
    // The first waits until everybody is connected.
    for round in 0..=times {
        Timer::after(PAUSE).await;
        let (job, began) = (job.clone(), now());
        let submit =
            producer.call(move |session, _| session.submit(&job, &SubmitOptions::default()));
        submit.await.map_err(Trouble::wrong)?;
        let ran = herald.ran()?;
        if round > 0 {
            took.push((ran - began) as f64);
        }
    }
    median(took).ok_or_else(|| Trouble::wrong("nothing was started"))
}

const PAYLOAD: &str = r#"{"priority":3,"runtime":7}"#;

/// The least that must be done: a message to the raw server, from there to one
/// who waits for it, and a start.
fn through_limit(kit: &Kit, times: usize) -> Result<f64> {
    let (server, herald) = (kit.limit(false)?, Herald::new(kit, "start-limit")?);
    let mut scheduler = client(server.port(), "scheduler")?;
    let mut producer = client(server.port(), "producer")?;
    let mut message = Vec::new();
    let request = format!(r#"{{"cmd":"job_request","payload":{PAYLOAD}}}"#);
    websocket::client_frame(websocket::TEXT, request.as_bytes(), &mut message);
    let [program, argument] = herald.words();
    let mut took = Vec::new();
    for _ in 0..times {
        std::thread::sleep(PAUSE);
        let began = now();
        producer.write_all(&message).doing("write to the raw server")?;
        hear(&mut scheduler, |bytes| {
            websocket::header(bytes).is_some_and(|it| it.end <= bytes.len())
        })?;
        let mut command = Program::new(&program);
        command.arg(&argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().doing("start a process")?;
        took.push((herald.ran()? - began) as f64);
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
