//! What a disk has to do for jobs, and nothing else.
//!
//! The changes are those of the bus, which were looked at in its groups: where a
//! scheduler has room, a job is accepted and given away in one change, and its
//! outcome is another. Outcomes are kept, and the oldest forgotten many at once.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Database, TableDefinition};

use crate::trouble::{Doing, Result, Trouble};

const JOBS: TableDefinition<'_, u64, &str> = TableDefinition::new("jobs");

/// About the length of a job's record on the bus, and of its outcome's.
const RECORD: usize = 200;

/// The bus keeps so many outcomes, and forgets them when it has that many more.
const KEPT: u64 = 1024;
const FORGOTTEN_TOGETHER: u64 = KEPT / 8;

/// Jobs a second if nothing is done but to commit their changes, after a fifth
/// of the time to warm up.
pub(super) fn redb_alone(path: &Path, jobs_a_commit: f64, time: Duration) -> Result<f64> {
    let mut jobs = Alone::create(path, jobs_a_commit).map_err(Trouble::wrong)?;
    // A new file's numbers begin with the first commit that is made by others.
    jobs.commit().map_err(Trouble::wrong)?;
    let (before, made) = (commits(path)?, jobs.commits);
    jobs.keep_busy(time / 5)?;
    let (ended, began) = (jobs.ended, Instant::now());
    jobs.keep_busy(time)?;
    let jobs_a_second = (jobs.ended - ended) as f64 / began.elapsed().as_secs_f64();
    let (made, told) = (jobs.commits - made, commits(path)? - before);
    if told != made {
        return Err(Trouble::wrong(format_args!("{made} commits are told as {told}")));
    }
    Ok(jobs_a_second)
}

/// The number of the last commit, as a file of redb tells it: each of its two
/// slots has the number of the commit that wrote it.
pub(super) fn commits(path: &Path) -> Result<u64> {
    const NUMBERS: [usize; 2] = [64 + 104, 192 + 104];
    let mut header = [0; 320];
    let mut file = File::open(path).doing("open a file of redb")?;
    file.read_exact(&mut header).doing("read a file of redb")?;
    let number = |at: usize| header[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    Ok(NUMBERS.into_iter().filter_map(number).max().unwrap_or_default())
}

/// A queue without anybody who submits, decides or runs. Jobs are numbered.
struct Alone {
    database: Database,
    jobs_a_commit: f64,
    commits: u64,
    /// How many were accepted, had their outcome, and were forgotten.
    accepted: u64,
    ended: u64,
    forgotten: u64,
}

#[expect(clippy::result_large_err, reason = "the type is redb's")]
impl Alone {
    fn create(path: &Path, jobs_a_commit: f64) -> std::result::Result<Self, redb::Error> {
        let mut settings = Database::builder();
        settings.create_with_file_format_v3(true);
        let database = settings.create(path)?;
        Ok(Self { database, jobs_a_commit, commits: 0, accepted: 0, ended: 0, forgotten: 0 })
    }

    fn keep_busy(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            self.commit().map_err(Trouble::wrong)?;
        }
        Ok(())
    }

    /// Accepts the next jobs, and ends those that the last commit accepted.
    fn commit(&mut self) -> std::result::Result<(), redb::Error> {
        let record = "x".repeat(RECORD);
        let mut transaction = self.database.begin_write()?;
        // As the bus does it, so that a commit cut short is never taken for a whole one.
        transaction.set_two_phase_commit(true);
        let mut jobs = transaction.open_table(JOBS)?;
        let until = ((self.commits + 1) as f64 * self.jobs_a_commit) as u64;
        for job in self.ended..until {
            jobs.insert(job, &*record)?;
        }
        (self.ended, self.accepted) = (self.accepted, until);
        if self.ended - self.forgotten > KEPT + FORGOTTEN_TOGETHER {
            for job in self.forgotten..self.ended - KEPT {
                jobs.remove(job)?;
            }
            self.forgotten = self.ended - KEPT;
        }
        drop(jobs);
        self.commits += 1;
        Ok(transaction.commit()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_tells_how_often_it_was_committed_to() {
        let path = std::env::temp_dir().join(format!("sched-bench-redb-{}", std::process::id()));
        let _of_an_earlier_run = std::fs::remove_file(&path);
        // What the file tells is compared with what was done.
        let jobs = redb_alone(&path, 2.5, Duration::from_millis(200));
        std::fs::remove_file(&path).unwrap();
        assert!(jobs.unwrap() > 0.0);
    }
}
