//! Every row of the table of targets, measured on this machine: the scheduler
//! and the bus, the limits of the machine, and what people would otherwise use.

#![forbid(unsafe_code)]

mod child;
mod cleanup;
mod herald;
mod kit;
mod limit;
mod load;
mod machine;
mod net;
mod rabbitmq;
mod row;
mod rows;
#[cfg(test)]
mod smoke;
mod table;
mod trouble;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use argh::FromArgs;

use crate::kit::Kit;
use crate::limit::Limit;
use crate::row::{Row, Terms};
use crate::table::Form;
use crate::trouble::{Result, Trouble};

/// Measures the scheduler and the bus against the limits of this machine and
/// against the peers that are installed, and prints the table. It builds the
/// programs first.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Arguments {
    /// only these rows, separated by commas; "fan" is all whose name begins
    /// with "fan-" (default: all)
    #[argh(option, arg_name = "NAMES", default = "String::new()")]
    rows: String,

    /// how often every contender is measured (default: 5)
    #[argh(option, arg_name = "N", default = "5")]
    rounds: usize,

    /// shorter rounds: shows whether it works, not how fast
    #[argh(switch)]
    quick: bool,

    /// print tables of markdown
    #[argh(switch)]
    markdown: bool,

    /// only name the rows
    #[argh(switch)]
    list: bool,

    /// where the durable queue is kept meanwhile: on a real disk (default:
    /// beside this program)
    #[argh(option, arg_name = "DIR")]
    data: Option<PathBuf>,

    #[argh(subcommand)]
    part: Option<Part>,
}

/// What this program is to itself.
#[derive(FromArgs)]
#[argh(subcommand)]
enum Part {
    Limit(Limit),
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    machine::allow_many_files();
    let done = match &arguments.part {
        Some(Part::Limit(limit)) => limit.run(),
        None => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say(&format!("sched-bench: {trouble}\n"));
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<()> {
    if cfg!(debug_assertions) && !arguments.list {
        return Err(Trouble::wrong("it is built without optimisation; use cargo run --release"));
    }
    if arguments.rounds == 0 {
        return Err(Trouble::wrong("--rounds is 0; it is 1 at least"));
    }
    let wanted: Vec<&str> = arguments.rows.split(',').map(str::trim).collect();
    let is_wanted = |key: &str| wanted.iter().any(|wanted| is_called(key, wanted));
    cleanup::on_signals()?;
    let kit = Kit::assemble(arguments.data.clone())?;
    let rows = rows::all(&kit).into_iter().filter(|row| is_wanted(&row.key));
    let rows: Vec<Row> = rows.collect();
    if rows.is_empty() {
        return Err(Trouble::wrong("there is no such row; --list names them"));
    }
    if arguments.list {
        rows.iter().for_each(|row| print(&format!("{}: {}\n", row.key, row.what)));
        return Ok(());
    }
    kit.build()?;
    let form = if arguments.markdown { Form::Markdown } else { Form::Plain };
    let terms = Terms { rounds: arguments.rounds, quick: arguments.quick };
    let quick = if terms.quick { ", QUICK: not to be quoted" } else { "" };
    print(&format!("{}; {} rounds{quick}\n\n", machine::description(), terms.rounds));
    print(&format!("{}\n\n", table::HOW_TO_READ));
    let mut all = Vec::new();
    for row in rows {
        let measured = row.run(&terms, |progress| say(&format!("{progress}\n")));
        print(&table::row(&measured, form));
        all.push(measured);
    }
    print(&table::summary(&all, form));
    Ok(())
}

/// Whether a row goes by that name, or belongs to what does.
fn is_called(key: &str, name: &str) -> bool {
    let rest = key.strip_prefix(name);
    name.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Prints a part of the result. Who does not read it has his reasons.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _nobody_reads = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Says how things go.
fn say(text: &str) {
    let _nobody_listens = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::is_called;

    #[test]
    fn a_name_is_a_row_s_or_that_of_several() {
        for (name, called) in [("fan-1x1", true), ("fan", true), ("", true), ("fan-1x", false)] {
            assert_eq!(is_called("fan-1x1", name), called, "{name}");
        }
        assert!(!is_called("fan-1x100", "fan-1x1"));
    }
}
