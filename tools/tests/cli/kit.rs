//! What these tests do again and again.

use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::time::Duration;

use async_tungstenite::tungstenite::Message;
use futures_lite::StreamExt;
use serde_json::Value;
use smol::{Async, Timer};

use crate::support::{BUS, Program, SCHED, output, text};

/// Runs `sched VERB --bus URL …`.
pub(crate) fn sched(url: &str, verb: &str, arguments: &[&str]) -> Output {
    output(SCHED, &[&[verb, "--bus", url], arguments].concat())
}

/// What it prints, when it must succeed.
pub(crate) fn says(url: &str, verb: &str, arguments: &[&str]) -> String {
    let done = sched(url, verb, arguments);
    assert_eq!(done.status.code(), Some(0), "{verb} {arguments:?}: {}", text(&done.stderr));
    text(&done.stdout).to_owned()
}

/// Its lines of JSON.
pub(crate) fn json(url: &str, verb: &str, arguments: &[&str]) -> Vec<Value> {
    let told = says(url, verb, &[&["--json"], arguments].concat());
    told.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The ids of the lines of one kind.
pub(crate) fn jobs(lines: &[Value], kind: &str) -> Vec<String> {
    let of_kind = lines.iter().filter(|line| line["kind"] == kind);
    of_kind.map(|line| line["job"].as_str().unwrap().to_owned()).collect()
}

/// A scheduler that may run `sh`, known to the bus.
pub(crate) fn scheduler(url: &str, name: &str, slots: &str) -> Program {
    let arguments = ["scheduler", "--bus", url, "--name", name, "-s", slots, "--allow", "sh"];
    let more = ["--allow", "no-such-program", "--allow", "/", "--grace", "0.2"];
    let mut scheduler = Program::start(SCHED, &[&arguments[..], &more].concat());
    scheduler.logs("speaks version 1");
    scheduler
}

/// Follows all events, from the first on.
pub(crate) fn events(url: &str) -> Program {
    events_after(url, "0")
}

pub(crate) fn events_after(url: &str, since: &str) -> Program {
    Program::start(SCHED, &["events", "--bus", url, "--json", "--since", since])
}

/// The exit status of a program that is submitted and waited for.
pub(crate) fn waited(
    url: &str,
    options: &[&str],
    program: &[&str],
) -> (Option<i32>, String, String) {
    let all = [&["--wait", "--attempts", "1"], options, &["--"], program].concat();
    let done = sched(url, "submit", &all);
    (done.status.code(), text(&done.stdout).to_owned(), text(&done.stderr).to_owned())
}

/// An address that nobody listens at.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// A bus that shakes hands, reads, and never says a word: that is all a
/// producer hears of one of version 0.
pub(crate) fn bus_of_version_0() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for tcp in listener.incoming() {
            let tcp = Async::new(tcp.unwrap()).unwrap();
            std::thread::spawn(move || smol::block_on(say_nothing(tcp)));
        }
    });
    url
}

async fn say_nothing(tcp: Async<TcpStream>) {
    let mut web_socket = async_tungstenite::accept_async(tcp).await.unwrap();
    while let Some(Ok(_)) = web_socket.next().await {}
}

/// A bus that welcomes whoever registers at once the first time, hears what else
/// is said, and hangs up; and is late with its welcome the second time. Gives what
/// is said to it then.
pub(crate) async fn bus_that_is_late(listener: &TcpListener, late: Duration) -> String {
    const WELCOME: &str = r#"{"ev":"welcome","v":1,"session":"s7","durability":"fsync","beat_ms":5000,"lease_ms":15000,"max_frame":1048576,"seq":0}"#;
    let mut said = String::new();
    for wait in [Duration::ZERO, late] {
        let tcp = Async::new(listener.accept().unwrap().0).unwrap();
        let mut web_socket = async_tungstenite::accept_async(tcp).await.unwrap();
        web_socket.next().await.unwrap().unwrap();
        Timer::after(wait).await;
        web_socket.send(Message::text(WELCOME)).await.unwrap();
        said = web_socket.next().await.unwrap().unwrap().to_string();
    }
    said
}

/// A bus at this address, as soon as it listens.
pub(crate) fn bus_at(address: &str, arguments: &[&str]) -> Program {
    let mut bus = Program::start(BUS, &[&["--listen", address], arguments].concat());
    assert_eq!(bus.url(), format!("ws://{address}"));
    bus
}
