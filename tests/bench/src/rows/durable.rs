//! The same with every job on disk before it is accepted.

use std::path::Path;
use std::time::Instant;

use redb::{Database, TableDefinition};

use super::queue::{beanstalkd, beanstalkd_jobs, bus_jobs, figures, metrics, time};
use crate::kit::Kit;
use crate::row::{Contender, Role, Row, Target, Terms, counted};
use crate::trouble::Trouble;

const JOBS: TableDefinition<'_, u64, &str> = TableDefinition::new("jobs");

/// About the length of a job's record on the bus.
const RECORD: usize = 200;

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    [1, 64].into_iter().map(|producers| row(kit, producers)).collect()
}

fn row(kit: &Kit, producers: usize) -> Row {
    let (ours, limit, peer) = (kit.clone(), kit.clone(), kit.clone());
    Row {
        key: format!("durable-{producers}"),
        what: format!(
            "{}, one submission each under way: on disk before every answer",
            counted(producers, "producer")
        ),
        metrics: metrics(Target::OfLimit(0.7)),
        contenders: vec![
            Contender::new(Role::Ours, "bus --data", move |terms| {
                let (bus, _data) = ours.durable_bus()?;
                figures(bus_jobs(&bus, producers, terms)?)
            }),
            Contender::new(Role::Limit, "redb alone, as many jobs a commit", move |terms| {
                let (path, _data) = limit.empty_data("redb")?;
                let jobs = redb_alone(&path, producers as u64, terms).map_err(Trouble::wrong)?;
                Ok(vec![Some(jobs), None])
            }),
            Contender::new(Role::Peer, "beanstalkd -b -f 0", move |terms| {
                let (path, _data) = peer.empty_data("beanstalkd")?;
                let server = beanstalkd(Some(&path))?;
                figures(beanstalkd_jobs(&server, producers, terms)?)
            }),
        ],
    }
}

/// Jobs a second if every commit takes one step of every producer's jobs: so
/// many are accepted, as many are given away that were accepted with the last
/// commit, and as many are finished that were given away with it.
#[expect(clippy::result_large_err, reason = "the type is redb's")]
fn redb_alone(directory: &Path, producers: u64, terms: &Terms) -> Result<f64, redb::Error> {
    let mut settings = Database::builder();
    settings.create_with_file_format_v3(true);
    let database = settings.create(directory.join("jobs.redb"))?;
    let record = "x".repeat(RECORD);
    let (mut commits, began) = (0, Instant::now());
    while began.elapsed() < time(terms) {
        let mut transaction = database.begin_write()?;
        // As the bus does it, so that a commit cut short is never taken for a whole one.
        transaction.set_two_phase_commit(true);
        let mut jobs = transaction.open_table(JOBS)?;
        let accepted = commits * producers;
        for job in accepted..accepted + producers {
            jobs.insert(job, &*record)?;
            if let Some(given) = job.checked_sub(producers) {
                jobs.insert(given, &*record)?;
            }
            if let Some(finished) = job.checked_sub(2 * producers) {
                jobs.remove(finished)?;
            }
        }
        drop(jobs);
        transaction.commit()?;
        commits += 1;
    }
    Ok((commits * producers) as f64 / began.elapsed().as_secs_f64())
}
