//! A scheduler of real processes that does not run what it is given.

use std::num::NonZeroUsize;

use futures_lite::future;
use sched_core::{Policy, Priority};
use sched_runtime_smol::Command;
use sched_runtime_smol::bus::{Agent, AgentConfig, Wanted};

use crate::support::{Bus, run};
use crate::v1_support::{Peer, text};

/// A scheduler with one slot, whose jobs sleep for a minute.
async fn agent(bus: &Bus) -> Agent {
    let config = AgentConfig {
        bus: format!("ws://{}/", bus.address).parse().unwrap(),
        name: "real".to_owned(),
        slots: NonZeroUsize::MIN,
        policy: Policy::durable(),
    };
    let command = || Command::new("sleep").args(["60"]);
    let priority = Priority::new(5);
    let translate = move |_: &str| Ok(Wanted { priority, command: command(), time_limit: None });
    let (agent, _story) = Agent::start(config, Box::new(translate)).await.unwrap();
    future::poll_once(agent.serve()).await;
    agent
}

#[test]
fn what_a_scheduler_refuses_goes_to_another_and_not_to_it_again() {
    run(async {
        let bus = Bus::start().await;
        let agent = agent(&bus).await;
        agent.scheduler().drain().await.unwrap();
        bus.until(|now| now.schedulers == 1).await;
        let job = Peer::producer(&bus).await.submits(5).await;
        bus.until(|now| now.exchange.assigned == 1 && now.exchange.pending == 1).await;
        let mut observer = Peer::register(&bus, r#""type":"observer""#).await;
        let snapshot = observer.ask(r#"{"cmd":"subscribe","id":"q"}"#, "snapshot").await;
        assert_eq!(text(&snapshot["pending"][0], "why"), "no scheduler accepts it");
        let mut other = Peer::scheduler(&bus, 1).await;
        let assignment = other.hears("assign").await;
        assert_eq!(text(&assignment, "job"), job);
        other.reports(&assignment, "finished").await;
        other.hears("ok").await;
        let (_, counts) = agent.end(future::pending()).await;
        assert_eq!((counts.offered, counts.refused), (1, 1));
        assert_eq!(bus.drop().await.exchange.assigned, 2);
    });
}
