//! Arguments in, or a clear word and the right exit status.

use std::fmt;
use std::io::{self, Write};
use std::process::exit;

use argh::TopLevelCommand;

use super::until_told;

/// Exit status for arguments that make no sense.
const BAD_ARGUMENTS: i32 = 2;

/// Arguments that know `--version`.
pub trait Versioned: TopLevelCommand {
    /// Whether the version is asked for, and nothing else.
    fn version(&self) -> bool;

    /// Whether a word that is only `-` means standard input after this first
    /// word. To argh it looks like an option.
    fn reads_stdin_as_dash(_first: &str) -> bool {
        false
    }
}

/// What to open for standard input.
const STDIN: &str = "/dev/stdin";

/// The arguments of this process.
///
/// Ends the process when it is asked for help or its version, with exit status
/// 0, and when the arguments make no sense, with exit status 2.
#[must_use]
pub fn arguments<T: Versioned>(program: &str) -> T {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    if words.first().is_some_and(|first| T::reads_stdin_as_dash(first)) {
        words.iter_mut().filter(|word| **word == "-").for_each(|word| *word = STDIN);
    }
    match T::from_args(&[program], &words) {
        Ok(arguments) if arguments.version() => {
            print_line(format_args!("{program} {}", env!("CARGO_PKG_VERSION")));
            exit(0)
        }
        Ok(arguments) => arguments,
        Err(early) if early.status.is_ok() => {
            print_line(early.output.trim_end());
            exit(0)
        }
        Err(early) => refuse(program, &early.output),
    }
}

/// Prints a line for other programs, and waits until it is taken: a result, when
/// there is nothing else to do; otherwise [tell](super::tell_line) it. One that has stopped to listen is none of
/// our concern, and no reason to panic.
pub fn print_line(line: impl fmt::Display) {
    // As one text: what formats itself need not expect a writer that fails.
    let line = format!("{line}\n");
    let mut stdout = io::stdout().lock();
    let _nobody_listens = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
}

/// Says why the arguments make no sense, and ends the process with exit status 2.
pub fn refuse(program: &str, why: &str) -> ! {
    until_told();
    let mut stderr = io::stderr().lock();
    let why = why.trim();
    let _nobody_listens =
        writeln!(stderr, "{program}: {why}\nRun {program} --help for the options.");
    exit(BAD_ARGUMENTS)
}
