//! A place for the files of a test.

use std::path::{Path, PathBuf};
use std::{fs, process};

/// A directory on a real disk that goes with the test. To be made before what
/// has files in it, so that it goes last.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    /// An empty one; no other test of this program may have the name.
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("{name}-{}", process::id()));
        let _of_an_earlier_run = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where something of this name is, or may be made.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A file with this content.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}
