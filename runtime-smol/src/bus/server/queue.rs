//! The queue that a bus starts with.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sched_core::Instant;
use sched_core::bus::v1::Durability;
use sched_core::bus::{Broker, Exchange, ExchangeConfig};

use super::BusConfig;
use super::disk::Disk;
use crate::store::{FileStore, Store, StoreError};

/// How many times as much may wait for the disk for one client as may wait to be
/// written to it: that the disk takes its time is not the client's fault.
const WAITING_OUTBOXES: usize = 4;

/// 2024-01-01, so that ids stay short, in seconds since 1970.
const FIRST_YEAR: Duration = Duration::from_secs(1_704_067_200);

/// A broker with what is on disk, if anything is to be; and the disk.
pub(super) async fn open(
    config: &BusConfig,
    now: Instant,
) -> Result<(Broker, Option<Disk>), StoreError> {
    let terms = terms(config);
    let (exchange, disk) = match config.data.clone() {
        None => (Exchange::new(terms), None),
        Some(directory) => {
            let restored = smol::unblock(move || restore(&directory, terms, now)).await?;
            (restored.0, Some(Disk::new(Box::new(restored.1))))
        }
    };
    let mut broker = Broker::with_exchange(exchange);
    if config.queue_job_requests {
        broker.queue_job_requests();
    }
    Ok((broker, disk))
}

fn terms(config: &BusConfig) -> ExchangeConfig {
    let durable = config.data.is_some();
    ExchangeConfig {
        policy: config.policy.clone(),
        lease: config.lease,
        beat: config.beat,
        durability: if durable { Durability::Fsync } else { Durability::Memory },
        max_frame: config.max_frame,
        max_waiting: config.outbox_bytes.saturating_mul(WAITING_OUTBOXES),
        ..ExchangeConfig::new(first_id())
    }
}

/// No bus gives an id that an earlier one has given: none gives a million a
/// second. It stays below 2^53, which is what JSON numbers hold, until 2309.
fn first_id() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.saturating_sub(FIRST_YEAR).as_micros()).unwrap_or_default()
}

fn restore(
    directory: &Path,
    terms: ExchangeConfig,
    now: Instant,
) -> Result<(Exchange, FileStore), StoreError> {
    let mut store = FileStore::open(directory)?;
    let records = store.load()?;
    let jobs = records.jobs.iter().map(|(job, record)| (*job, record.as_str()));
    let exchange = Exchange::restore(now, terms, records.ids.as_deref(), jobs);
    let damaged = |why: String| StoreError::Damaged { path: directory.to_owned(), why };
    Ok((exchange.map_err(|error| damaged(error.to_string()))?, store))
}
