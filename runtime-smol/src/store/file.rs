//! The records in a file of redb.

#![expect(clippy::result_large_err, reason = "the type is redb's, and a call is a disk's work")]

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, ReadableTable, StorageError, TableDefinition};
use rustix::fs::{FlockOperation, flock};
use sched_core::{BinIndex, JobId};

use super::{Group, Records, Store, StoreError};

/// By the number of a job. All jobs of a bus are those of one bin.
const JOBS: TableDefinition<'_, u64, &str> = TableDefinition::new("jobs");
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("about");
const IDS: &str = "ids";
const FORMAT: &str = "format";
/// Which format the records have.
const THIS_FORMAT: &str = "1";

/// redb would take 1 GiB. Records are written, and read once.
const CACHE: usize = 32 * 1024 * 1024;

/// A directory with a file of redb, and a lock that keeps other buses away.
///
/// Commits are in two phases: the file always names one commit that is whole,
/// and a damaged one is never taken for one that was cut short, which redb
/// would mend by going back to the commit before.
#[derive(Debug)]
pub(crate) struct FileStore {
    path: PathBuf,
    /// After an error redb wants its file opened anew.
    database: Option<Database>,
    /// Held beside redb's own, which ends whenever the file is opened anew.
    _lock: File,
}

impl FileStore {
    /// Opens the directory, which is made if it is not there.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let unusable = |source| StoreError::Unusable { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(unusable)?;
        let lock = lock(directory)?;
        let path = directory.join("queue.redb");
        if !path.try_exists().map_err(unusable)? {
            create(directory, &path)?;
        }
        let mut store = Self { path, database: None, _lock: lock };
        store.with_database(|_| Ok(()))?;
        Ok(store)
    }

    /// Does something with the open file. Whatever is wrong with a file, or
    /// with the code that reads it, must not end the bus.
    fn with_database<T>(
        &mut self,
        act: impl FnOnce(&mut Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let (path, slot) = (&self.path, &mut self.database);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let database = match slot {
                Some(database) => database,
                None => slot.insert(settings().open(path)?),
            };
            act(database).inspect_err(|_| *slot = None)
        }));
        let result = result.unwrap_or_else(|panic| {
            self.database = None;
            Err(redb::Error::Corrupted(told(&panic)))
        });
        result.map_err(|error| self.error(error))
    }

    fn error(&self, error: redb::Error) -> StoreError {
        let path = self.path.clone();
        match error {
            redb::Error::Corrupted(why) => StoreError::Damaged { path, why },
            // What redb says of a file that is not one of its own.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                StoreError::Damaged { path, why: error.to_string() }
            }
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path },
            error => StoreError::Failed { path, why: error.to_string() },
        }
    }
}

impl Store for FileStore {
    fn load(&mut self) -> Result<Records, StoreError> {
        let (records, format) = self.with_database(|database| {
            if !database.check_integrity()? {
                return Err(redb::Error::Corrupted("its pages do not fit together".to_owned()));
            }
            read(database)
        })?;
        if format != THIS_FORMAT {
            let path = self.path.clone();
            return Err(StoreError::Format { path, found: format, expected: THIS_FORMAT });
        }
        Ok(records)
    }

    fn commit(&mut self, group: &Group) -> Result<(), StoreError> {
        self.with_database(|database| write(database, group))
    }
}

fn settings() -> redb::Builder {
    let mut settings = Database::builder();
    settings.create_with_file_format_v3(true).set_cache_size(CACHE);
    settings
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("lock");
    let options = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = options.map_err(|source| StoreError::Unusable { path: path.clone(), source })?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse { path: directory.to_owned() }),
        Err(error) => Err(StoreError::Unusable { path, source: error.into() }),
    }
}

/// Makes the file under another name first: one that is there is whole, and an
/// empty one is damaged, and not new.
fn create(directory: &Path, path: &Path) -> Result<(), StoreError> {
    let new = directory.join("queue.redb.new");
    let unusable = |source| StoreError::Unusable { path: new.clone(), source };
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    let made = settings().create(&new).map_err(redb::Error::from).and_then(|database| {
        let transaction = database.begin_write()?;
        transaction.open_table(ABOUT)?.insert(FORMAT, THIS_FORMAT)?;
        transaction.open_table(JOBS)?;
        Ok(transaction.commit()?)
    });
    made.map_err(|error| StoreError::Failed { path: new.clone(), why: error.to_string() })?;
    fs::rename(&new, path).map_err(unusable)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(unusable)
}

fn read(database: &Database) -> Result<(Records, String), redb::Error> {
    let transaction = database.begin_read()?;
    let about = transaction.open_table(ABOUT)?;
    let about = |name| Ok::<_, StorageError>(about.get(name)?.map(|text| text.value().to_owned()));
    let format = about(FORMAT)?.unwrap_or_default();
    let mut records = Records { ids: about(IDS)?, jobs: Vec::new() };
    for entry in transaction.open_table(JOBS)?.iter()? {
        let (job, record) = entry?;
        let job = JobId::new(BinIndex::default(), job.value());
        records.jobs.push((job, record.value().to_owned()));
    }
    Ok((records, format))
}

fn write(database: &Database, group: &Group) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    if let Some(ids) = group.ids() {
        transaction.open_table(ABOUT)?.insert(IDS, ids)?;
    }
    let mut jobs = transaction.open_table(JOBS)?;
    for (job, record) in group.jobs() {
        match record {
            Some(record) => jobs.insert(job.count(), record)?,
            None => jobs.remove(job.count())?,
        };
    }
    drop(jobs);
    Ok(transaction.commit()?)
}

fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("reading it failed: {}", text.unwrap_or("no reason was given"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sched_core::bus::{Persist, PersistOp};

    /// A directory that goes with the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let name = format!("sched-store-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _of_an_earlier_run = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _left_behind = fs::remove_dir_all(&self.0);
        }
    }

    fn job(count: u64) -> JobId {
        JobId::new(BinIndex::default(), count)
    }

    fn group(puts: impl IntoIterator<Item = (u64, String)>) -> Group {
        let mut group = Group::default();
        for (count, record) in puts {
            group.add(Persist { seq: count, op: PersistOp::Put(job(count), record) });
        }
        group
    }

    fn open(directory: &Directory) -> Result<Records, StoreError> {
        FileStore::open(&directory.0)?.load()
    }

    #[test]
    fn what_was_committed_is_there_again() {
        let directory = Directory::new("again");
        let mut store = FileStore::open(&directory.0).unwrap();
        let mut first = group([(1, "a".to_owned()), (2, "b".to_owned())]);
        first.add(Persist { seq: 3, op: PersistOp::Ids("i".to_owned()) });
        store.commit(&first).unwrap();
        let mut second = group([(300, "c".to_owned())]);
        second.add(Persist { seq: 301, op: PersistOp::Forget(job(1)) });
        store.commit(&second).unwrap();
        drop(store);
        let records = open(&directory).unwrap();
        assert_eq!(records.ids.as_deref(), Some("i"));
        assert_eq!(records.jobs, [(job(2), "b".to_owned()), (job(300), "c".to_owned())]);
    }

    #[test]
    fn a_directory_is_one_bus_s() {
        let directory = Directory::new("two");
        let _first = FileStore::open(&directory.0).unwrap();
        let second = FileStore::open(&directory.0).unwrap_err();
        assert!(matches!(second, StoreError::InUse { .. }), "{second}");
        assert!(second.to_string().contains("another bus"), "{second}");
    }

    #[test]
    fn a_damaged_file_is_refused_each_time() {
        let directory = Directory::new("damaged");
        let mut store = FileStore::open(&directory.0).unwrap();
        let record = |n: u64| (n, format!("{n:0200}"));
        store.commit(&group((0..5000).map(record))).unwrap();
        drop(store);
        let path = directory.0.join("queue.redb");
        let sound = fs::read(&path).unwrap();
        let needle = format!("{:0200}", 2500).into_bytes();
        let at = sound.windows(200).position(|window| window == needle).unwrap();
        let mut flipped = sound.clone();
        flipped[at + 199] ^= 1;
        let garbage = vec![b'x'; 10_000];
        for bytes in [flipped, garbage, sound[..sound.len() / 2].to_vec(), Vec::new()] {
            fs::write(&path, &bytes).unwrap();
            for _ in 0..2 {
                let error = open(&directory).unwrap_err();
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            }
        }
        fs::write(&path, &sound).unwrap();
        assert_eq!(open(&directory).unwrap().jobs.len(), 5000);
    }
}
