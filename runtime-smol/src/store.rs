//! Where a bus keeps what must survive it: a directory with one file of redb.
//!
//! Behind a trait, because the next major version of redb is under way, and
//! because tests want a disk that fails.

mod file;
mod group;
#[cfg(test)]
mod slow;

use std::io;
use std::path::PathBuf;

use sched_core::JobId;
use thiserror::Error;

pub(crate) use file::FileStore;
pub(crate) use group::Group;
#[cfg(test)]
pub(crate) use slow::{Hold, slow};

/// A place for records that survives the process.
///
/// Every call may block for as long as a disk takes.
pub(crate) trait Store: Send + 'static {
    /// Everything that is there.
    fn load(&mut self) -> Result<Records, StoreError>;

    /// Puts a group there: all of it, so that it survives whatever comes, or
    /// none of it. After an error it may be tried again.
    fn commit(&mut self, group: &Group) -> Result<(), StoreError>;
}

/// Everything that was kept.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// The record of the ids.
    pub(crate) ids: Option<String>,
    /// Those of the jobs.
    pub(crate) jobs: Vec<(JobId, String)>,
}

/// The directory of a bus cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be made or opened.
    #[error("cannot use {}: {source}", path.display())]
    Unusable {
        /// The directory, or a file in it.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another bus has it.
    #[error(
        "{} is in use by another bus; end that one, or give this one a directory of its own",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// What is there is damaged. It is not served: jobs would be lost, or run
    /// twice, in silence.
    #[error(
        "{} is damaged: {why}. Put a sound copy of it back; or move it away to begin with an \
         empty queue, which gives up the jobs in it",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It was written by a bus of another version.
    #[error("{} has the format {found:?}, and this bus reads {expected:?}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
        /// The format of this version.
        expected: &'static str,
    },
    /// The disk does not take it: it is full, say.
    #[error("cannot write to {}: {why}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}
