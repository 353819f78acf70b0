//! `sched`: what people use by hand.

use std::process::ExitCode;

use argh::FromArgs;
use tools::cli::{self, Versioned};
use tools::sched::Verb;

/// A preemptive priority scheduler for processes.
#[derive(FromArgs)]
#[argh(
    help_triggers("-h", "--help"),
    note = "Every command has a --help of its own, which lists its exit statuses."
)]
struct Arguments {
    #[argh(subcommand)]
    verb: Option<Verb>,

    /// print the version
    #[argh(switch)]
    version: bool,
}

impl Versioned for Arguments {
    fn version(&self) -> bool {
        self.version
    }

    fn reads_stdin_as_dash(verb: &str) -> bool {
        matches!(verb, "simulate" | "trace")
    }
}

fn main() -> ExitCode {
    let _last_words = cli::LastWords;
    // A program or a path goes to the bus as JSON, which knows no other text.
    if std::env::args_os().any(|word| word.to_str().is_none()) {
        cli::refuse("sched", "an argument is not UTF-8");
    }
    let arguments: Arguments = cli::arguments("sched");
    match arguments.verb {
        Some(verb) => verb.run(),
        None => cli::refuse("sched", "a command is needed, such as list"),
    }
}
