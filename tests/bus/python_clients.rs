//! The prototype's Python programs in the place of ours, in every combination.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use futures_lite::io::{BufReader, Lines};
use futures_lite::{AsyncBufReadExt, StreamExt};
use sched_core::Priority;
use sched_core::bus::{Role, TestJob};
use sched_runtime_smol::bus::BusClient;
use sched_tests::missing::with_python;
use smol::process::{Child, ChildStdout, Command};

use crate::support::{Bus, client_at};

const JOBS: u64 = 10;

/// Who plays a part.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Us,
    Python,
}
use By::{Python, Us};

#[test]
fn python_producer() {
    combination(Python, Us, Us);
}

#[test]
fn python_bus() {
    combination(Us, Python, Us);
}

#[test]
fn python_scheduler() {
    combination(Us, Us, Python);
}

#[test]
fn python_producer_and_bus() {
    combination(Python, Python, Us);
}

#[test]
fn python_producer_and_scheduler() {
    combination(Python, Us, Python);
}

#[test]
fn python_bus_and_scheduler() {
    combination(Us, Python, Python);
}

#[test]
fn python_everywhere() {
    combination(Python, Python, Python);
}

#[test]
fn our_clients_answer_the_pings_of_a_python_bus() {
    with_python("websockets", async {
        let mut bus = Script::start("bus", &["ping"]);
        let address = bus.address().await;
        let producer = client_at(address, Role::Producer);
        let scheduler = client_at(address, Role::Scheduler);
        let mut pongs = (0, 0);
        while pongs != (3, 3) {
            match bus.line().await.as_str() {
                "pong from producer" => pongs.0 += 1,
                "pong from scheduler" => pongs.1 += 1,
                _ => {}
            }
        }
        assert_eq!(producer.close().await.connections, 1);
        assert_eq!(scheduler.close().await.connections, 1);
    });
}

/// All jobs of a producer arrive at a scheduler, in order.
fn combination(producer: By, bus: By, scheduler: By) {
    with_python("websockets", async {
        let bus = AnyBus::start(bus).await;
        let (address, mut bus) = (bus.address, bus);
        let mut scheduler = AnyScheduler::start(scheduler, address);
        bus.has_a_scheduler().await;
        let producing = produce(producer, address);
        for n in 0..JOBS {
            assert_eq!(scheduler.next().await, job(n));
        }
        producing.await;
    });
}

fn job(n: u64) -> TestJob {
    TestJob { priority: Priority::new(n as i32), runtime: Duration::from_secs(3 + n) }
}

fn produce(by: By, address: SocketAddr) -> smol::Task<()> {
    smol::spawn(async move {
        match by {
            Us => {
                let producer = client_at(address, Role::Producer);
                for n in 0..JOBS {
                    producer.send_job(&job(n)).await.unwrap();
                }
                assert_eq!(producer.close().await.unsent, 0);
            }
            Python => Script::client("producer", address).ends_well().await,
        }
    })
}

struct AnyBus {
    address: SocketAddr,
    by: Result<Bus, Script>,
}

impl AnyBus {
    async fn start(by: By) -> Self {
        match by {
            Us => {
                let bus = Bus::start().await;
                Self { address: bus.address, by: Ok(bus) }
            }
            Python => {
                let mut script = Script::start("bus", &[]);
                Self { address: script.address().await, by: Err(script) }
            }
        }
    }

    async fn has_a_scheduler(&mut self) {
        match &mut self.by {
            Ok(bus) => drop(bus.until(|now| now.schedulers == 1).await),
            Err(script) => assert_eq!(script.line().await, "registered scheduler"),
        }
    }
}

enum AnyScheduler {
    Us(BusClient),
    Python(Script),
}

impl AnyScheduler {
    fn start(by: By, address: SocketAddr) -> Self {
        match by {
            Us => Self::Us(client_at(address, Role::Scheduler)),
            Python => Self::Python(Script::client("scheduler", address)),
        }
    }

    async fn next(&mut self) -> TestJob {
        match self {
            Self::Us(client) => {
                TestJob::from_payload(&client.next_payload().await.unwrap()).unwrap()
            }
            Self::Python(script) => {
                let line = script.line().await;
                let (priority, runtime) = line.split_once(' ').unwrap();
                TestJob {
                    priority: Priority::new(priority.parse().unwrap()),
                    runtime: Duration::try_from_secs_f64(runtime.parse().unwrap()).unwrap(),
                }
            }
        }
    }
}

/// One of the scripts beside this file. It is killed when it is dropped.
struct Script {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let path = format!("{}/bus/python/{name}.py", env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("python3");
        command.arg(path).args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn client(name: &str, address: SocketAddr) -> Self {
        Self::start(name, &[&format!("ws://{address}"), &JOBS.to_string()])
    }

    async fn line(&mut self) -> String {
        self.lines.next().await.expect("the script ended").unwrap()
    }

    /// Of a bus: the first line is its port.
    async fn address(&mut self) -> SocketAddr {
        ([127, 0, 0, 1], self.line().await.parse().unwrap()).into()
    }

    async fn ends_well(mut self) {
        assert!(self.child.status().await.unwrap().success());
    }
}
