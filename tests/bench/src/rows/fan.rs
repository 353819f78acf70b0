//! Messages of version 0 to every subscriber.

use std::process::Command;
use std::time::Duration;

use crate::child::{Server, program};
use crate::kit::Kit;
use crate::load::{Burst, Crowd, Dialect, Rate};
use crate::machine::{Place, at};
use crate::row::{Contender, Metric, Role, Row, Target, Terms, counted};
use crate::trouble::Result;

/// A server that is ready to be measured.
type Start = fn(&Kit, bool) -> Result<Server>;

/// Publishers, subscribers, messages under way, and what is wanted.
const THROUGHPUT: [(usize, usize, u64, f64); 5] = [
    (1, 1, 256, 0.4),
    (1, 100, 256, 0.8),
    (1, 1000, 256, 0.9),
    (100, 1, 256, 0.8),
    (1, 100, 1, 0.95),
];

/// Subscribers, messages a second, and what is wanted.
const LATENCY: [(usize, u64, f64); 3] = [(1, 1000, 1.05), (100, 100, 1.1), (1000, 20, 1.1)];

pub(super) fn throughput(kit: &Kit) -> Vec<Row> {
    let row = |(publishers, subscribers, window, least)| {
        let single = window == 1;
        let measure = move |server: &Server, dialect, terms: &Terms| {
            let burst = Burst {
                window,
                warm: Duration::from_millis(terms.pick(500, 100)),
                time: Duration::from_millis(terms.pick(2000, 300)),
            };
            let mut crowd = Crowd::gather(dialect, server.port(), publishers, subscribers)?;
            let fan = crowd.fan(server.pid(), &burst)?;
            Ok(fan.deliveries as f64 / fan.processor)
        };
        Row {
            key: format!("{}-{publishers}x{subscribers}", if single { "each" } else { "fan" }),
            what: format!(
                "{}, {}, {} under way",
                counted(publishers, "producer"),
                counted(subscribers, "scheduler"),
                counted(window as usize, "message")
            ),
            metrics: vec![Metric {
                what: "deliveries per processor second of the server",
                unit: "/s",
                target: Target::OfLimit(least),
            }],
            slices: 1,
            contenders: contenders(kit, !single, measure),
        }
    };
    THROUGHPUT.into_iter().map(row).collect()
}

pub(super) fn latency(kit: &Kit) -> Vec<Row> {
    let row = |(subscribers, a_second, most)| {
        let measure = move |server: &Server, dialect, terms: &Terms| {
            let rate = Rate {
                a_second,
                warm: Duration::from_millis(terms.pick(500, 100)),
                time: Duration::from_millis(terms.pick(2000, 300)),
            };
            let mut crowd = Crowd::gather(dialect, server.port(), 1, subscribers)?;
            Ok(crowd.latency(&rate)? / 1e3)
        };
        Row {
            key: format!("latency-1x{subscribers}"),
            what: format!(
                "1 producer, {}, {a_second} messages a second",
                counted(subscribers, "scheduler")
            ),
            metrics: vec![Metric {
                what: "median from due until heard",
                unit: "us",
                target: Target::TimesLimit(most),
            }],
            slices: 1,
            contenders: contenders(kit, false, measure),
        }
    };
    LATENCY.into_iter().map(row).collect()
}

/// All who pass messages on, measured in the same way.
fn contenders(
    kit: &Kit,
    batch: bool,
    measure: impl Fn(&Server, Dialect, &Terms) -> Result<f64> + Copy + 'static,
) -> Vec<Contender> {
    let limit = if batch { "raw epoll, a write a turn" } else { "raw epoll, a write a message" };
    let servers: [(Role, &str, Dialect, Start); 4] = [
        (Role::Ours, "bus", Dialect::Bus, |kit, _| kit.bus()),
        (Role::Limit, limit, Dialect::Bus, Kit::limit),
        (Role::Peer, "nats-server", Dialect::Nats, |_, _| nats()),
        (Role::Peer, "redis-server", Dialect::Redis, |_, _| redis()),
    ];
    let contender = |(role, name, dialect, start): (Role, &str, Dialect, Start)| {
        let kit = kit.clone();
        Contender::new(role, name, move |terms| {
            let server = start(&kit, batch)?;
            Ok(vec![Some(at(Place::Load, || measure(&server, dialect, terms))??)])
        })
    };
    servers.into_iter().map(contender).collect()
}

pub(super) fn nats() -> Result<Server> {
    let nats = program("nats-server", "nats-server")?;
    Server::told(Place::Server, |port| {
        let mut command = Command::new(nats);
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        command
    })
}

pub(super) fn redis() -> Result<Server> {
    let redis = program("redis-server", "redis-server")?;
    Server::told(Place::Server, |port| {
        let mut command = Command::new(redis);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no"]);
        command
    })
}
