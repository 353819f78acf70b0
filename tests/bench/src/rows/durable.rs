//! The same with every job on disk before it is accepted.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use redb::{Database, TableDefinition};

use super::queue::{beanstalkd, beanstalkd_jobs, figures, metrics};
use crate::kit::Kit;
use crate::load::jobs::{Jobs, Pace};
use crate::machine::{Place, at};
use crate::row::{Contender, Figures, Metric, Role, Row, Target, Terms, counted};
use crate::trouble::{Doing, Result, Trouble};

const JOBS: TableDefinition<'_, u64, &str> = TableDefinition::new("jobs");

/// About the length of a job's record on the bus.
const RECORD: usize = 200;

/// Changes of its record that a job needs: accepted, given away, finished.
const CHANGES: u64 = 3;

/// A disk that is shared may take ten times as long in one second as in the
/// next: short rounds, and many, have what is compared see the same disk.
const SLICES: usize = 4;

pub(super) fn rows(kit: &Kit) -> Vec<Row> {
    [1, 64].into_iter().map(|producers| row(kit, producers)).collect()
}

fn row(kit: &Kit, producers: usize) -> Row {
    let (ours, limit, peer) = (kit.clone(), kit.clone(), kit.clone());
    // The size of the bus's commits, for the limit to have the same.
    let arose = Rc::new(Cell::new(None));
    let known = arose.clone();
    let mut metrics = metrics(Target::OfLimit(0.7));
    metrics.push(Metric { what: "changes a commit", unit: "1", target: Target::None });
    Row {
        key: format!("durable-{producers}"),
        what: format!(
            "{}, one submission each under way: on disk before every answer",
            counted(producers, "producer")
        ),
        metrics,
        slices: SLICES,
        contenders: vec![
            Contender::new(Role::Ours, "bus --data", move |terms| {
                let (figures, batch) = durable_bus(&ours, producers, terms)?;
                arose.set(Some(batch));
                Ok(figures)
            }),
            Contender::new(Role::Limit, "redb alone, in commits of that size", move |terms| {
                let unknown = || Trouble::wrong("the size of the bus's commits is not known");
                let batch = known.get().ok_or_else(unknown)?;
                let (path, _data) = limit.empty_data("redb")?;
                let jobs = redb_alone(&path.join("jobs.redb"), batch, terms)?;
                Ok(vec![Some(jobs), None, None, Some(batch)])
            }),
            Contender::new(Role::Peer, "beanstalkd -b -f 0", move |terms| {
                let (path, _data) = peer.empty_data("beanstalkd")?;
                let server = beanstalkd(Some(&path))?;
                let mut figures = figures(beanstalkd_jobs(&server, producers, slice(terms))?);
                figures.push(None);
                Ok(figures)
            }),
        ],
    }
}

const fn slice(terms: &Terms) -> Pace {
    Pace { time: Duration::from_millis(terms.pick(500, 200)), spinning: false }
}

/// The figures, and how many changes a commit had.
fn durable_bus(kit: &Kit, producers: usize, terms: &Terms) -> Result<(Figures, f64)> {
    let (path, _data) = kit.empty_data("bus")?;
    let bus = kit.durable_bus(&path)?;
    let file = path.join("queue.redb");
    at(Place::Load, || {
        let mut jobs = Jobs::gather(bus.port(), producers)?;
        let before = commits(&file)?;
        let mut figures = figures(jobs.run(bus.pid(), slice(terms))?);
        let commits = commits(&file)? - before;
        let batch = (jobs.finished() * CHANGES) as f64 / commits as f64;
        figures.push(Some(batch));
        Ok((figures, batch))
    })?
}

/// The number of the last commit, as a file of redb tells it: each of its two
/// slots has the number of the commit that wrote it.
fn commits(path: &Path) -> Result<u64> {
    const NUMBERS: [usize; 2] = [64 + 104, 192 + 104];
    let mut header = [0; 320];
    let mut file = File::open(path).doing("open a file of redb")?;
    file.read_exact(&mut header).doing("read a file of redb")?;
    let number = |at: usize| header[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    Ok(NUMBERS.into_iter().filter_map(number).max().unwrap_or_default())
}

/// Jobs a second if nothing is done but to commit their changes.
fn redb_alone(path: &Path, batch: f64, terms: &Terms) -> Result<f64> {
    let mut settings = Database::builder();
    settings.create_with_file_format_v3(true);
    let database = settings.create(path).map_err(Trouble::wrong)?;
    let lag = batch.ceil() as u64;
    // A new file's numbers begin with the first commit that is made by others.
    commit(&database, 0..0, lag).map_err(Trouble::wrong)?;
    let (mut made, mut changes, began, before) = (0_u64, 0, Instant::now(), commits(path)?);
    while began.elapsed() < slice(terms).time {
        made += 1;
        let goal = (made as f64 * batch) as u64;
        commit(&database, changes..goal, lag).map_err(Trouble::wrong)?;
        changes = goal;
    }
    let jobs = changes as f64 / CHANGES as f64 / began.elapsed().as_secs_f64();
    let told = commits(path)? - before;
    if told != made {
        return Err(Trouble::wrong(format_args!("{made} commits are told as {told}")));
    }
    Ok(jobs)
}

/// Every third change adds a job, every third changes one that was added
/// before, and every third takes one away that was changed before.
#[expect(clippy::result_large_err, reason = "the type is redb's")]
fn commit(
    database: &Database,
    changes: std::ops::Range<u64>,
    lag: u64,
) -> std::result::Result<(), redb::Error> {
    let record = "x".repeat(RECORD);
    let mut transaction = database.begin_write()?;
    // As the bus does it, so that a commit cut short is never taken for a whole one.
    transaction.set_two_phase_commit(true);
    let mut jobs = transaction.open_table(JOBS)?;
    for change in changes {
        let (newest, kind) = (change / CHANGES, change % CHANGES);
        match (kind, newest.checked_sub(kind * lag)) {
            (0 | 1, Some(job)) => drop(jobs.insert(job, &*record)?),
            (_, Some(job)) => drop(jobs.remove(job)?),
            (_, None) => {}
        }
    }
    drop(jobs);
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_how_often_it_was_committed_to() {
        let path = std::env::temp_dir().join(format!("sched-bench-redb-{}", std::process::id()));
        let _of_an_earlier_run = std::fs::remove_file(&path);
        // What the file tells is compared with what was done.
        let jobs = redb_alone(&path, 2.5, &Terms { rounds: 1, quick: true });
        std::fs::remove_file(&path).unwrap();
        assert!(jobs.unwrap() > 0.0);
    }
}
