//! The rows of the table.

mod decision;
mod durable;
mod evict;
mod fan;
mod idle;
mod pending;
mod queue;
mod run;
mod start;

use crate::kit::Kit;
use crate::row::Row;

/// All rows, in the order of the table.
pub(crate) fn all(kit: &Kit) -> Vec<Row> {
    let groups = [
        run::rows(kit),
        evict::rows(kit),
        fan::throughput(kit),
        fan::latency(kit),
        idle::rows(kit),
        queue::rows(kit),
        durable::rows(kit),
        start::rows(kit),
        decision::rows(),
        pending::rows(kit),
    ];
    groups.into_iter().flatten().collect()
}
