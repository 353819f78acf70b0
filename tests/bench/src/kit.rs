//! What measuring needs: the programs, and a place for files.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::rc::Rc;

use crate::child::{Process, Server, directory, program};
use crate::cleanup::Guard;
use crate::machine::Place;
use crate::trouble::{Doing, Result, Trouble};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Shared by all that measures.
#[derive(Clone)]
pub(crate) struct Kit(Rc<Inner>);

struct Inner {
    /// This program.
    me: PathBuf,
    /// Where the programs are that are measured: beside this one.
    programs: PathBuf,
    files: PathBuf,
    data: PathBuf,
    /// Those of C, when they are compiled.
    spawn: OnceCell<PathBuf>,
    evict: OnceCell<PathBuf>,
    herald: OnceCell<PathBuf>,
    _files: Guard,
    _data: Guard,
}

impl Kit {
    /// Makes the directories.
    pub(crate) fn assemble(data: Option<PathBuf>) -> Result<Self> {
        let me = std::env::current_exe().doing("find this program")?;
        let programs = me.parent().map(Path::to_owned).unwrap_or_default();
        let name = format!("sched-bench-{}", id());
        let files = std::env::temp_dir().join(&name);
        let data = data.unwrap_or_else(|| programs.clone()).join(name + "-data");
        let (made_files, made_data) = (directory(&files)?, directory(&data)?);
        Ok(Self(Rc::new(Inner {
            me,
            programs,
            files,
            data,
            spawn: OnceCell::new(),
            evict: OnceCell::new(),
            herald: OnceCell::new(),
            _files: made_files,
            _data: made_data,
        })))
    }

    /// Builds the programs, where cargo runs this one: what is measured is what
    /// is there now.
    pub(crate) fn build(&self) -> Result<()> {
        let Some(cargo) = std::env::var_os("CARGO") else {
            return Ok(());
        };
        let mut command = Command::new(cargo);
        command.args(["build", "--release", "--quiet", "-p", "tools"]);
        command.args(["--manifest-path", WORKSPACE]).stdin(Stdio::null());
        if Process::start(&mut command, Place::Anywhere)?.wait()?.success() {
            return Ok(());
        }
        Err(Trouble::wrong("the programs cannot be built"))
    }

    /// A bus, in memory.
    pub(crate) fn bus(&self) -> Result<Server> {
        Server::that_tells(&mut self.bus_command(), Place::Server)
    }

    /// A bus that keeps its jobs in this directory. It has a thread for the disk
    /// beside the one that talks, and may use the processors that there are.
    pub(crate) fn durable_bus(&self, data: &Path) -> Result<Server> {
        Server::that_tells(self.bus_command().arg("--data").arg(data), Place::Anywhere)
    }

    fn bus_command(&self) -> Command {
        let mut command = Command::new(self.0.programs.join("bus"));
        command.args(["--listen", "127.0.0.1:0"]).env("RUST_LOG", "error");
        command
    }

    /// The raw server.
    pub(crate) fn limit(&self, batch: bool) -> Result<Server> {
        let mut command = Command::new(&self.0.me);
        command.arg("limit").args(batch.then_some("--batch"));
        Server::that_tells(&mut command, Place::Server)
    }

    pub(crate) fn sched(&self) -> Command {
        Command::new(self.0.programs.join("sched"))
    }

    /// A path in a directory that is gone afterwards.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.files.join(name)
    }

    /// A directory on the disk for durable queues, which goes with its guard.
    pub(crate) fn empty_data(&self, name: &str) -> Result<(PathBuf, Guard)> {
        let path = self.0.data.join(name);
        let guard = directory(&path)?;
        Ok((path, guard))
    }

    /// The floor of starting processes.
    pub(crate) fn spawn_limit(&self) -> Result<PathBuf> {
        self.compiled(&self.0.spawn, "spawn", include_str!("../c/spawn.c"))
    }

    /// The floor of an eviction.
    pub(crate) fn evict_limit(&self) -> Result<PathBuf> {
        self.compiled(&self.0.evict, "evict", include_str!("../c/evict.c"))
    }

    /// What tells when it runs.
    pub(crate) fn herald(&self) -> Result<PathBuf> {
        self.compiled(&self.0.herald, "herald", include_str!("../c/herald.c"))
    }

    fn compiled(&self, cell: &OnceCell<PathBuf>, name: &str, source: &str) -> Result<PathBuf> {
        if let Some(path) = cell.get() {
            return Ok(path.clone());
        }
        let compiler = program("cc", "gcc")?;
        let (from, to) = (self.file(&format!("{name}.c")), self.file(&format!("{name}.out")));
        std::fs::write(&from, source).doing("write a program of C")?;
        let mut command = Command::new(compiler);
        let process =
            Process::start(command.arg("-O2").arg("-o").arg(&to).arg(&from), Place::Anywhere)?;
        if !process.wait()?.success() {
            return Err(Trouble::wrong(format_args!("cc does not compile {name}.c")));
        }
        Ok(cell.get_or_init(|| to).clone())
    }
}
