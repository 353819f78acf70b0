//! What a connection takes that does nothing.

use crate::child::Server;
use crate::kit::Kit;
use crate::load::{Dialect, idle};
use crate::row::{Contender, Metric, Role, Row, Target, Terms};

use super::fan::{nats, redis};

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    let measure = |server: &Server, dialect, terms: &Terms| {
        let count = terms.pick(1000, 200);
        let bytes = idle::memory(dialect, server.port(), server.pid(), count)?;
        Ok(vec![Some(bytes / 1024.0)])
    };
    let (ours, limit) = (kit.clone(), kit.clone());
    vec![Row {
        key: "idle".to_owned(),
        what: "1000 registered schedulers to which nothing is sent".to_owned(),
        metrics: vec![Metric {
            what: "memory a connection, without the kernel's",
            unit: "KiB",
            target: Target::AtMost(6.0),
        }],
        slices: 1,
        contenders: vec![
            Contender::new(Role::Ours, "bus", move |terms| {
                measure(&ours.bus()?, Dialect::Bus, terms)
            }),
            Contender::new(Role::Limit, "raw epoll", move |terms| {
                measure(&limit.limit(true)?, Dialect::Bus, terms)
            }),
            Contender::new(Role::Peer, "nats-server", move |terms| {
                measure(&nats()?, Dialect::Nats, terms)
            }),
            Contender::new(Role::Peer, "redis-server", move |terms| {
                measure(&redis()?, Dialect::Redis, terms)
            }),
        ],
    }]
}
