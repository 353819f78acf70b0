//! Which file a command means.
//!
//! It is resolved before the start, to an absolute path: a bare name together
//! with a changed `PATH` would turn `posix_spawn` into the much slower `fork`,
//! and "not found" would not say what was not found.

use std::env;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sched_core::SpawnFailure;

use super::command::Command;
use super::error::{bad_command, failed};

/// Where a name is looked up when there is no `PATH` at all, as the C library does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The absolute path of the program of `command`. Only what is looked up is
/// known to be there: see [`fault`].
pub(super) fn resolve(command: &Command) -> Result<PathBuf, SpawnFailure> {
    let program = Path::new(command.program());
    if program.as_os_str().is_empty() {
        return Err(bad_command("the command names no program".into()));
    }
    if command.program().as_bytes().contains(&b'/') {
        absolute(program, command)
    } else {
        look_up(program, command)
    }
}

/// What is wrong with the directory or the program of a `command` that the
/// system did not start. Looked at only then: the system does so at every start,
/// but does not say which of the two it was.
pub(super) fn fault(command: &Command, program: &Path) -> Option<SpawnFailure> {
    let dir = command.working_dir().map_or(Ok(()), check_dir);
    dir.and_then(|()| check_program(program)).err()
}

fn check_dir(dir: &Path) -> Result<(), SpawnFailure> {
    match dir.metadata() {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(bad_command(format!("working directory {dir:?} is not a directory"))),
        Err(why) => Err(failed(format!("working directory {dir:?}"), &why)),
    }
}

fn absolute(path: &Path, command: &Command) -> Result<PathBuf, SpawnFailure> {
    let path = command.working_dir().map_or_else(|| path.to_owned(), |dir| dir.join(path));
    std::path::absolute(&path).map_err(|why| failed(format!("program {path:?}"), &why))
}

fn check_program(path: &Path) -> Result<(), SpawnFailure> {
    let meta = path.metadata().map_err(|why| failed(format!("program {path:?}"), &why))?;
    if is_executable(&meta) {
        Ok(())
    } else {
        Err(bad_command(format!("program {path:?} is not an executable file")))
    }
}

fn look_up(name: &Path, command: &Command) -> Result<PathBuf, SpawnFailure> {
    let mut not_executable = None;
    for dir in env::split_paths(&search_path(command)) {
        let path = absolute(&dir.join(name), command)?;
        match path.metadata() {
            Ok(meta) if is_executable(&meta) => return Ok(path),
            Ok(meta) if meta.is_file() => not_executable = not_executable.or(Some(path)),
            _ => {}
        }
    }
    Err(not_executable.map_or_else(
        || bad_command(format!("program {name:?} is not in PATH")),
        |path| bad_command(format!("program {path:?} is not an executable file")),
    ))
}

fn search_path(command: &Command) -> OsString {
    let own = command.variables().iter().rev().find(|(name, _)| name == "PATH");
    own.map(|(_, value)| value.clone())
        .or_else(|| env::var_os("PATH"))
        .unwrap_or_else(|| DEFAULT_PATH.into())
}

fn is_executable(meta: &Metadata) -> bool {
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use sched_core::SpawnFailureKind;

    use super::*;

    fn refused(command: &Command) -> String {
        let fault = |path: PathBuf| fault(command, &path).map_or(Ok(()), Err);
        let why = resolve(command).and_then(fault).unwrap_err();
        assert_eq!(why.kind, SpawnFailureKind::Command);
        why.message
    }

    #[test]
    fn a_bare_name_is_looked_up_in_the_path_that_the_process_gets() {
        let path = resolve(&Command::new("sh")).unwrap();
        assert!(path.is_absolute() && path.ends_with("sh"), "{path:?}");
        let message = refused(&Command::new("sh").env("PATH", "/nowhere"));
        assert!(message.contains("\"sh\" is not in PATH"), "{message}");
    }

    #[test]
    fn a_relative_path_counts_from_the_working_directory() {
        let sh = resolve(&Command::new("sh")).unwrap();
        let dir = sh.parent().unwrap();
        assert_eq!(resolve(&Command::new("./sh").cwd(dir)).unwrap(), dir.join("sh"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(refused(&Command::new("")).contains("no program"));
        assert!(refused(&Command::new("/etc/passwd")).contains("not an executable file"));
        assert!(refused(&Command::new("/")).contains("not an executable file"));
        assert!(refused(&Command::new("/nowhere/x")).contains("\"/nowhere/x\""));
        assert!(refused(&Command::new("sh").cwd("/nowhere")).contains("working directory"));
        assert!(refused(&Command::new("sh").cwd("/etc/passwd")).contains("not a directory"));
    }
}
