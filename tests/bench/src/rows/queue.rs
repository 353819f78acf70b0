//! Jobs through the queue of the bus, in memory.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::child::{Server, program};
use crate::kit::Kit;
use crate::load::beanstalk::Tube;
use crate::load::jobs::{Jobs, Pace, Throughput};
use crate::load::rabbitmq::Queue;
use crate::machine::{Place, at};
use crate::rabbitmq::Node;
use crate::row::{Contender, Figures, Metric, Role, Row, Target, Terms, counted};
use crate::trouble::Result;

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    [1, 64].into_iter().map(|producers| row(kit, producers)).collect()
}

fn row(kit: &Kit, producers: usize) -> Row {
    let (kit, peer) = (kit.clone(), kit.clone());
    Row {
        key: format!("queue-{producers}"),
        what: format!(
            "{}, one submission each under way: submit, accepted, assign, finished, ok",
            counted(producers, "producer")
        ),
        metrics: metrics(Target::Ahead),
        slices: 1,
        contenders: vec![
            Contender::new(Role::Ours, "bus, in memory", move |terms| {
                Ok(figures(bus_jobs(&kit.bus()?, producers, pace(terms))?))
            }),
            Contender::new(Role::Peer, "beanstalkd, in memory", move |terms| {
                Ok(figures(beanstalkd_jobs(&beanstalkd(None)?, producers, pace(terms))?))
            }),
            Contender::new(Role::Peer, "RabbitMQ, in memory", move |terms| {
                Ok(figures(rabbitmq_jobs(&Node::start(&peer)?, producers, pace(terms))?))
            }),
        ],
    }
}

pub(super) fn metrics(target: Target) -> Vec<Metric> {
    let told = |what, unit| Metric { what, unit, target: Target::None };
    vec![
        Metric { what: "jobs a second", unit: "/s", target },
        told("jobs per processor second of the server", "/s"),
        told("part of its processor that the server takes", "1"),
    ]
}

pub(super) fn figures(it: Throughput) -> Figures {
    let per_processor = it.jobs_a_second / it.busy;
    vec![Some(it.jobs_a_second), Some(per_processor).filter(|it| it.is_finite()), Some(it.busy)]
}

fn bus_jobs(bus: &Server, producers: usize, pace: Pace) -> Result<Throughput> {
    at(Place::Load, || Jobs::gather(bus.port(), producers)?.run(bus.pid(), pace))?
}

pub(super) fn beanstalkd_jobs(server: &Server, producers: usize, pace: Pace) -> Result<Throughput> {
    at(Place::Load, || Tube::gather(server.port(), producers)?.run(server.pid(), pace))?
}

fn rabbitmq_jobs(node: &Node, producers: usize, pace: Pace) -> Result<Throughput> {
    at(Place::Load, || Queue::gather(node.port(), producers)?.run(node.pid(), pace))?
}

/// beanstalkd; durable in a directory, or in memory.
pub(super) fn beanstalkd(log: Option<&Path>) -> Result<Server> {
    let beanstalkd = program("beanstalkd", "beanstalkd")?;
    // Where the disk is waited for, nobody is told where to run.
    let place = if log.is_some() { Place::Anywhere } else { Place::Server };
    Server::told(place, |port| {
        let mut command = Command::new(beanstalkd);
        command.args(["-l", "127.0.0.1", "-p", &port.to_string()]);
        if let Some(directory) = log {
            // Every write is on disk before it is answered.
            command.arg("-b").arg(directory).args(["-f", "0"]);
        }
        command
    })
}

const fn pace(terms: &Terms) -> Pace {
    Pace { time: Duration::from_millis(terms.pick(2000, 300)), spinning: true }
}
