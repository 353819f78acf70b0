//! What variables a process gets.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::command::Command;
use super::start::Variables;
use super::strings::{Strings, Table, ZeroInside};

/// This program's variables as they were at one moment: copying them for each of
/// thousands of processes costs 5 % of a start.
#[derive(Debug)]
pub(super) struct Environment {
    /// `NAME=VALUE`
    entries: Strings,
}

/// What one process has beside those, or in their stead.
#[derive(Debug)]
pub(super) struct Additions {
    entries: Strings,
}

impl Environment {
    /// As it is now.
    pub(super) fn now() -> Self {
        let mut entries = Strings::default();
        for (name, value) in env::vars_os() {
            // They came with zeros at their ends, and have none inside.
            let _ = entries.push(&[name.as_bytes(), b"=", value.as_bytes()]);
        }
        Self { entries }
    }

    /// The value of a variable.
    pub(super) fn value(&self, name: &str) -> Option<OsString> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| name_of(entry) == name.as_bytes())?;
        Some(OsString::from_vec(entry[name.len() + 1..].to_vec()))
    }

    /// With these, which win.
    pub(super) fn with<'a>(&'a self, additions: &'a Additions) -> Table<'a> {
        let added = &additions.entries;
        let names: BTreeSet<_> = added.iter().map(name_of).collect();
        let mut table = Table::with_capacity(self.entries.iter().count() + names.len());
        table.add(&self.entries, |entry| !names.contains(name_of(entry)));
        table.add(added, |_| true);
        table
    }
}

/// What no process can be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadWord {
    /// There is a zero in it.
    Zero,
    /// A variable's name is empty, or has the sign in it that would end it.
    Name,
}

impl From<ZeroInside> for BadWord {
    fn from(_: ZeroInside) -> Self {
        Self::Zero
    }
}

impl Additions {
    /// Those of a command and of its run. Of two with one name the later wins.
    pub(super) fn new(command: &Command, run: &Variables) -> Result<Self, BadWord> {
        let own = command.variables().iter().map(borrowed);
        let of_run = run.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
        let last = command.variables_above_all().iter().map(borrowed);
        let all: BTreeMap<_, _> = own.chain(of_run).chain(last).collect();
        let mut entries = Strings::default();
        for (name, value) in all {
            if name.is_empty() || name_of(name.as_bytes()).len() < name.len() {
                return Err(BadWord::Name);
            }
            entries.push(&[name.as_bytes(), b"=", value.as_bytes()])?;
        }
        Ok(Self { entries })
    }
}

fn borrowed((name, value): &(OsString, OsString)) -> (&OsStr, &OsStr) {
    (name, value)
}

/// A name may begin with the sign that otherwise ends it.
fn name_of(entry: &[u8]) -> &[u8] {
    let end = entry.iter().skip(1).position(|byte| *byte == b'=').map(|at| at + 1);
    &entry[..end.unwrap_or(entry.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(entries: &[&str]) -> Environment {
        Environment { entries: Strings::of(entries) }
    }

    fn texts(entries: &Strings) -> Vec<String> {
        entries.iter().map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
    }

    #[test]
    fn the_last_of_two_with_one_name_wins_and_the_mark_over_all() {
        let command = Command::new("x").env("A", "1").env("A", "2").env("SCHED_JOB", "mine");
        let command = command.env_above_all("SCHED_RUN", "above").env("SCHED_RUN", "mine");
        let run = vec![("SCHED_JOB", "7".to_owned()), ("SCHED_RUN", "8".to_owned())];
        let additions = Additions::new(&command, &run).unwrap();
        assert_eq!(texts(&additions.entries), ["A=2", "SCHED_JOB=7", "SCHED_RUN=above"]);
    }

    #[test]
    fn additions_stand_in_the_place_of_those_with_their_names() {
        let environment = environment(&["A=x=y", "AB=1", "=C=2", "B="]);
        let additions = Additions::new(&Command::new("x").env("A", "0"), &Vec::new()).unwrap();
        // AB, =C, B, A and the null.
        assert_eq!(environment.with(&additions).len(), 4);
        assert_eq!(environment.value("A"), Some("x=y".into()));
        assert_eq!(environment.value("=C"), Some("2".into()));
        assert_eq!(environment.value("B"), Some("".into()));
        assert_eq!(environment.value("C"), None);
    }

    #[test]
    fn what_would_be_taken_for_something_else_is_refused() {
        for (name, value, why) in [
            ("A", "a\0b", BadWord::Zero),
            ("A\0", "a", BadWord::Zero),
            ("", "a", BadWord::Name),
            ("SCHED_JOB=7", "", BadWord::Name),
        ] {
            let command = Command::new("x").env(name, value);
            assert_eq!(Additions::new(&command, &Vec::new()).unwrap_err(), why, "{name}");
        }
        assert!(Additions::new(&Command::new("x").env("=C", "a=b"), &Vec::new()).is_ok());
    }
}
