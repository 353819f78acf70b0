//! What has become of the lines.

use std::fmt;

use sched_core::{Outcome, OutcomeKind};
use sched_runtime_smol::scheduler::Summary;

use crate::sched::span;

/// Counts by outcome.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    ended: [u64; OutcomeKind::ALL.len()],
    /// Lines that are no jobs.
    pub(super) refused: u64,
    /// Whether there may have been more than was read.
    pub(super) cut_short: bool,
}

impl Tally {
    pub(super) fn count(&mut self, outcome: &Outcome) {
        self.ended[outcome.kind() as usize] += 1;
    }

    pub(super) fn jobs(&self) -> u64 {
        self.ended.iter().sum()
    }

    fn finished(&self) -> u64 {
        self.ended[OutcomeKind::Finished as usize]
    }

    pub(super) fn unfinished(&self) -> u64 {
        self.jobs() - self.finished() + self.refused
    }

    /// Whether all that was asked for was done.
    pub(super) fn all_finished(&self) -> bool {
        self.unfinished() == 0 && !self.cut_short
    }

    pub(super) fn in_words<'a>(&'a self, summary: &'a Summary) -> InWords<'a> {
        InWords(self, summary)
    }
}

/// A [`Tally`] for people.
pub(super) struct InWords<'a>(&'a Tally, &'a Summary);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(tally, summary) = self;
        let Summary { elapsed, slots, .. } = summary;
        write!(f, "{} jobs in {} on {slots} slots", tally.jobs(), span(*elapsed))?;
        let counts = OutcomeKind::ALL.into_iter().map(|kind| (kind.name(), kind as usize));
        let counts = counts.map(|(name, at)| (name, tally.ended[at]));
        let more = [("lines refused", tally.refused), ("evictions", summary.stats.evictions)];
        let mut before = ": ";
        for (name, count) in counts.chain(more).filter(|(_, count)| *count > 0) {
            write!(f, "{before}{count} {name}")?;
            before = ", ";
        }
        if tally.cut_short { f.write_str("; ended early") } else { Ok(()) }
    }
}
