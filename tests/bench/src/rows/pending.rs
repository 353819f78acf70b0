//! What a job takes that waits.

use crate::kit::Kit;
use crate::load::jobs::{Jobs, PAYLOAD};
use crate::machine::resident;
use crate::row::{Contender, Metric, Role, Row, Target};

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    let kit = kit.clone();
    vec![Row {
        key: "pending".to_owned(),
        what: "200,000 jobs on a bus in memory, beside 50,000 that were there before".to_owned(),
        metrics: vec![Metric {
            what: "memory a job, without its payload",
            unit: "B",
            target: Target::AtMost(200.0),
        }],
        slices: 1,
        contenders: vec![Contender::new(Role::Ours, "bus", move |terms| {
            let bus = kit.bus()?;
            // The stories of jobs that are kept for observers have their bound by then.
            let mut jobs = Jobs::without_scheduler(bus.port())?;
            jobs.pile_up(terms.pick(50_000, 20_000))?;
            let before = resident(bus.pid());
            let count = terms.pick(200_000, 20_000);
            jobs.pile_up(count)?;
            let bytes = (resident(bus.pid()) - before) / count as f64;
            Ok(vec![Some(bytes - PAYLOAD.len() as f64)])
        })],
    }]
}
