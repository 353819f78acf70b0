//! Which file a command means.
//!
//! It is resolved before the start, to an absolute path: what has not its program
//! yet, but this one's memory, can look nothing up, and "not found" would not say
//! what was not found.

use std::env;
use std::ffi::OsString;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use sched_core::SpawnFailure;

use super::command::Command;
use super::environment::Environment;
use super::error::{bad_command, failed};

/// Where a name is looked up when there is no `PATH` at all, as the C library does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The absolute path of the program of `command`. Only what is looked up is
/// known to be there: see [`fault`].
pub(super) fn resolve(
    command: &Command,
    environment: &Environment,
) -> Result<PathBuf, SpawnFailure> {
    let program = Path::new(command.program());
    if program.as_os_str().is_empty() {
        return Err(bad_command("the command names no program".into()));
    }
    if command.program().as_bytes().contains(&b'/') {
        absolute(program, command)
    } else {
        look_up(program, command, environment)
    }
}

/// What is wrong with a program that the system did not start, where more can be
/// said than what it said itself. Looked at only then: the system does so at every
/// start.
pub(super) fn fault(program: &Path, said: Errno) -> Option<SpawnFailure> {
    let why = match (program.metadata(), said) {
        (Err(why), _) => return Some(failed(format!("program {program:?}"), &why)),
        (Ok(meta), _) if !is_executable(&meta) => "is not an executable file",
        (_, Errno::NOENT) => "names an interpreter or a loader that is not there",
        (_, Errno::NOEXEC) => {
            "is neither a program for this machine nor a script that begins with #!"
        }
        _ => return None,
    };
    Some(bad_command(format!("program {program:?} {why}")))
}

fn absolute(path: &Path, command: &Command) -> Result<PathBuf, SpawnFailure> {
    let path = command.working_dir().map_or_else(|| path.to_owned(), |dir| dir.join(path));
    std::path::absolute(&path).map_err(|why| failed(format!("program {path:?}"), &why))
}

fn look_up(
    name: &Path,
    command: &Command,
    environment: &Environment,
) -> Result<PathBuf, SpawnFailure> {
    let mut not_executable = None;
    for dir in env::split_paths(&search_path(command, environment)) {
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

fn search_path(command: &Command, environment: &Environment) -> OsString {
    let own = command
        .variables()
        .iter()
        .chain(command.variables_above_all())
        .rev()
        .find(|(name, _)| name == "PATH");
    own.map(|(_, value)| value.clone())
        .or_else(|| environment.value("PATH"))
        .unwrap_or_else(|| DEFAULT_PATH.into())
}

fn is_executable(meta: &Metadata) -> bool {
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use sched_core::SpawnFailureKind;

    use super::*;

    fn resolved(command: &Command) -> Result<PathBuf, String> {
        resolve(command, &Environment::now()).map_err(|why| {
            assert_eq!(why.kind, SpawnFailureKind::Command);
            why.message
        })
    }

    #[test]
    fn a_bare_name_is_looked_up_in_the_path_that_the_process_gets() {
        let path = resolved(&Command::new("sh")).unwrap();
        assert!(path.is_absolute() && path.ends_with("sh"), "{path:?}");
        let message = resolved(&Command::new("sh").env("PATH", "/nowhere")).unwrap_err();
        assert!(message.contains("\"sh\" is not in PATH"), "{message}");
        let above_all = Command::new("sh").env_above_all("PATH", "/nowhere").env("PATH", "/bin");
        resolved(&above_all).unwrap_err();
        assert!(resolved(&Command::new("")).unwrap_err().contains("no program"));
    }

    #[test]
    fn a_relative_path_counts_from_the_working_directory() {
        let sh = resolved(&Command::new("sh")).unwrap();
        let dir = sh.parent().unwrap();
        assert_eq!(resolved(&Command::new("./sh").cwd(dir)).unwrap(), dir.join("sh"));
    }

    #[test]
    fn what_is_wrong_with_a_program_is_said() {
        let sh = resolved(&Command::new("sh")).unwrap();
        let sh = sh.to_str().unwrap();
        for (path, said, reason) in [
            ("/etc/passwd", Errno::ACCESS, "\"/etc/passwd\" is not an executable file"),
            ("/", Errno::ACCESS, "\"/\" is not an executable file"),
            ("/nowhere/x", Errno::NOENT, "\"/nowhere/x\": No such file"),
            (sh, Errno::NOENT, "an interpreter or a loader"),
            (sh, Errno::NOEXEC, "begins with #!"),
        ] {
            let why = fault(Path::new(path), said).unwrap();
            assert_eq!(why.kind, SpawnFailureKind::Command);
            assert!(why.message.contains(reason), "{why}");
        }
        assert_eq!(fault(Path::new(sh), Errno::TOOBIG), None);
    }
}
