//! Lines that wait to be written.

use std::collections::VecDeque;

/// How much is written at once, in bytes, unless one line is longer: what a pipe
/// takes as a whole or not at all (`PIPE_BUF`). So lines stay whole when others
/// write to the same pipe, and when this process ends while nobody reads.
const AT_ONCE: usize = 4096;

/// What a line costs beside its text, in bytes.
const OVERHEAD: usize = size_of::<Lines>();

/// Lines in the order in which they are to be written, and how many there was no
/// room for.
#[derive(Debug)]
pub(super) struct Backlog {
    waiting: VecDeque<Lines>,
    bytes: usize,
    most: usize,
    dropped: u64,
    /// Whether what was taken last could not be written.
    broken: bool,
}

/// Some whole lines.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Lines {
    pub(super) text: Vec<u8>,
    /// How many lines are not told if this is not written.
    pub(super) count: u64,
}

impl Backlog {
    /// With room for so many bytes.
    pub(super) const fn new(most: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, most, dropped: 0, broken: false }
    }

    /// Adds a line, or drops and counts it. After one that was dropped all are,
    /// until there is room for many: no line here and line there.
    pub(super) fn push(&mut self, line: Vec<u8>) {
        let most = if self.dropped > 0 { self.most / 2 } else { self.most };
        if self.bytes + cost(&line) > most {
            self.dropped += 1;
            return;
        }
        if let Some(notice) = self.notice() {
            self.add(notice);
        }
        self.add(Lines { text: line, count: 1 });
    }

    /// Takes what is to be written next.
    pub(super) fn take(&mut self) -> Option<Lines> {
        let Some(mut taken) = self.next(usize::MAX) else {
            return if self.broken { None } else { self.notice() };
        };
        while let Some(next) = self.next(AT_ONCE.saturating_sub(taken.text.len())) {
            taken.text.extend_from_slice(&next.text);
            taken.count += next.count;
        }
        Some(taken)
    }

    /// What was taken is written.
    pub(super) const fn written(&mut self) {
        self.broken = false;
    }

    /// So many lines that were taken could not be written. That is told before
    /// the next one and not at once, for it may never be possible again.
    pub(super) const fn lost(&mut self, lines: u64) {
        self.broken = true;
        self.dropped += lines;
    }

    /// Whether there is nothing to take.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && (self.broken || self.dropped == 0)
    }

    fn add(&mut self, lines: Lines) {
        self.bytes += cost(&lines.text);
        self.waiting.push_back(lines);
    }

    /// The first that waits, if it is not longer than this.
    fn next(&mut self, longest: usize) -> Option<Lines> {
        if self.waiting.front()?.text.len() > longest {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.bytes -= cost(&next.text);
        Some(next)
    }

    fn notice(&mut self) -> Option<Lines> {
        let count = std::mem::take(&mut self.dropped);
        let text = || format!("{count} lines were dropped: nobody read them\n");
        (count > 0).then(|| Lines { text: text().into_bytes(), count })
    }
}

const fn cost(line: &[u8]) -> usize {
    line.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(backlog: &mut Backlog) -> Option<(String, u64)> {
        let Lines { text, count } = backlog.take()?;
        Some((String::from_utf8(text).unwrap(), count))
    }

    fn told(text: &str, count: u64) -> Option<(String, u64)> {
        Some((text.to_owned(), count))
    }

    /// With room for so many lines of two bytes.
    fn with_room_for(lines: usize) -> Backlog {
        Backlog::new(lines * (2 + OVERHEAD))
    }

    #[test]
    fn lines_come_in_order_and_several_at_once() {
        let mut backlog = with_room_for(4);
        for line in ["a\n", "b\n", "c\n"] {
            backlog.push(line.into());
        }
        assert_eq!(taken(&mut backlog), told("a\nb\nc\n", 3));
        assert!(backlog.is_empty() && taken(&mut backlog).is_none());
    }

    #[test]
    fn no_more_is_taken_than_a_pipe_takes_at_once_but_for_one_long_line() {
        let line = |length| vec![b'x'; length];
        let mut backlog = Backlog::new(1 << 20);
        for length in [4000, 96, 1, 9000, 1] {
            backlog.push(line(length));
        }
        let mut sizes = Vec::new();
        while let Some(lines) = backlog.take() {
            sizes.push(lines.text.len());
        }
        assert_eq!(sizes, [4096, 1, 9000, 1]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_told_in_its_place() {
        let mut backlog = with_room_for(2);
        for line in ["a\n", "b\n", "c\n", "d\n"] {
            backlog.push(line.into());
        }
        assert_eq!(taken(&mut backlog), told("a\nb\n", 2));
        backlog.push("e\n".into());
        let expected = "2 lines were dropped: nobody read them\ne\n";
        assert_eq!(taken(&mut backlog), told(expected, 3));
        assert!(backlog.is_empty());
    }

    #[test]
    fn it_is_told_as_well_when_no_line_follows() {
        let mut backlog = with_room_for(1);
        for line in ["a\n", "b\n"] {
            backlog.push(line.into());
        }
        assert_eq!(taken(&mut backlog), told("a\n", 1));
        assert!(!backlog.is_empty());
        assert_eq!(taken(&mut backlog), told("1 lines were dropped: nobody read them\n", 1));
        assert!(backlog.is_empty());
    }

    #[test]
    fn after_a_drop_there_must_be_room_for_many() {
        let mut backlog = Backlog::new(4 * (4096 + OVERHEAD));
        let line = vec![b'x'; 4096];
        (0..5).for_each(|_| backlog.push(line.clone()));
        assert_eq!(backlog.take().unwrap().count, 1);
        // There is room for one, but not for many.
        backlog.push(line.clone());
        assert_eq!(backlog.dropped, 2);
        (0..2).for_each(|_| assert_eq!(backlog.take().unwrap().count, 1));
        backlog.push(line);
        assert_eq!(backlog.dropped, 0);
    }

    #[test]
    fn what_cannot_be_written_is_told_before_the_next_line_and_is_not_tried_without_end() {
        let mut backlog = with_room_for(9);
        backlog.push("a\n".into());
        assert_eq!(taken(&mut backlog), told("a\n", 1));
        backlog.lost(1);
        assert!(backlog.is_empty() && taken(&mut backlog).is_none());
        backlog.push("b\n".into());
        let notice = "1 lines were dropped: nobody read them\n";
        assert_eq!(taken(&mut backlog), told(&format!("{notice}b\n"), 2));
        backlog.lost(2);
        backlog.push("c\n".into());
        let notice = "2 lines were dropped: nobody read them\n";
        assert_eq!(taken(&mut backlog), told(&format!("{notice}c\n"), 3));
        backlog.written();
        assert!(backlog.is_empty() && taken(&mut backlog).is_none());
    }
}
