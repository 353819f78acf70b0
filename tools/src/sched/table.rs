//! Tables that fit the terminal.

use std::io;

use rustix::termios::tcgetwinsize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width where there is no terminal, or one that does not say.
const USUAL_WIDTH: usize = 80;
/// The last column is never made narrower than this: it goes below its row
/// instead.
const NARROWEST: usize = 20;
const GAP: &str = "  ";
/// How far a last column is set in that stands below its row.
const INDENT: usize = 4;

/// Rows under a heading. The last column is set in as many lines as it needs.
///
/// Widths are those of a terminal, where a letter of some scripts takes two
/// columns, and an accent none.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Columns of numbers, which are set to the right.
    numbers: &'static [usize],
}

impl Table {
    /// One with these headings; `numbers` are the columns set to the right.
    #[must_use]
    pub fn new(heading: &[&str], numbers: &'static [usize]) -> Self {
        Self { rows: vec![heading.iter().map(|&text| text.to_owned()).collect()], numbers }
    }

    /// Adds a row, of as many columns as the heading has.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether there is nothing but the heading.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The lines, none wider than `width` unless the columns before the last ask
    /// for it.
    #[must_use]
    pub fn lines(&self, width: usize) -> Vec<String> {
        let widths = self.widths();
        let Some((_, fixed)) = widths.split_last() else { return Vec::new() };
        let before: usize = fixed.iter().map(|column| column + GAP.len()).sum();
        let beside = width.saturating_sub(before);
        let last = match beside < NARROWEST.min(widths.last().copied().unwrap_or(0)) {
            true => Last::Below(width.saturating_sub(INDENT).max(NARROWEST)),
            false => Last::Beside(before, beside),
        };
        self.rows.iter().flat_map(|row| self.set(row, fixed, last)).collect()
    }

    fn set(&self, row: &[String], fixed: &[usize], place: Last) -> Vec<String> {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(fixed).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            match self.numbers.contains(&column) {
                true => line.extend([&padding, cell.as_str(), GAP]),
                false => line.extend([cell, padding.as_str(), GAP]),
            }
        }
        let last = row.last().map(String::as_str).unwrap_or_default();
        let mut lines = Vec::new();
        let (indent, room) = match place {
            Last::Beside(indent, room) => (indent, room),
            Last::Below(room) => {
                lines.push(line.trim_end().to_owned());
                if last.is_empty() {
                    return lines;
                }
                line = " ".repeat(INDENT);
                (INDENT, room)
            }
        };
        for part in wrap(last, room) {
            lines.push(format!("{line}{part}").trim_end().to_owned());
            line = " ".repeat(indent);
        }
        lines
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widest = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max()
        };
        (0..columns).map(|column| widest(column).unwrap_or(0)).collect()
    }
}

/// Where the last column goes.
#[derive(Clone, Copy, Debug)]
enum Last {
    /// Beside the others, which take the first; the second is left for it.
    Beside(usize, usize),
    /// Below them, in lines of this width.
    Below(usize),
}

/// The width of the terminal on stdout.
#[must_use]
pub fn width() -> usize {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => USUAL_WIDTH,
    }
}

/// A text in lines of at most `width`; broken at spaces, and within a word
/// where that is too long.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut room = width;
    for word in text.split_whitespace() {
        let long = word.width();
        if long < room || (room == width && long <= room) {
            if room < width {
                push(&mut lines, " ");
                room -= 1;
            }
        } else if room < width {
            lines.push(String::new());
            room = width;
        }
        for letter in word.chars() {
            let takes = letter.width().unwrap_or(0);
            if takes > room {
                lines.push(String::new());
                room = width;
            }
            room = room.saturating_sub(takes);
            push(&mut lines, letter.encode_utf8(&mut [0; 4]));
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_the_last_is_wrapped() {
        let mut table = Table::new(&["JOB", "PRIO", "WHY"], &[1]);
        table.row(["j1".into(), "10".into(), "no slot is free, and it outranks none".into()]);
        table.row(["j1234".into(), "3".into(), String::new()]);
        let expected = [
            "JOB    PRIO  WHY",
            "j1       10  no slot is free, and",
            "             it outranks none",
            "j1234     3",
        ];
        assert_eq!(table.lines(33), expected);
    }

    #[test]
    fn letters_count_as_they_are_shown() {
        let mut table = Table::new(&["NAME", "N", "WHY"], &[1]);
        table.row(["観測".into(), "1".into(), "é".into()]);
        table.row(["e\u{301}te\u{301}".into(), "2".into(), "b".into()]);
        assert_eq!(table.lines(80), ["NAME  N  WHY", "観測  1  é", "e\u{301}te\u{301}   2  b"]);
        assert_eq!(wrap("観測の順", 5), ["観測", "の順"]);
    }

    #[test]
    fn in_a_narrow_terminal_the_last_column_goes_below() {
        let mut table = Table::new(&["JOB", "PRIO", "AGE", "WHY"], &[1, 2]);
        table.row(["j1".into(), "10".into(), "1m20s".into(), "no slot is free, it waits".into()]);
        table.row(["j2".into(), "11".into(), "2.00 s".into(), String::new()]);
        let expected = [
            "JOB  PRIO     AGE",
            "    WHY",
            "j1     10   1m20s",
            "    no slot is free, it",
            "    waits",
            "j2     11  2.00 s",
        ];
        assert_eq!(table.lines(24), expected);
    }

    #[test]
    fn nothing_is_cut_and_nothing_is_wider_than_the_terminal() {
        let mut random = fastrand::Rng::with_seed(5);
        for width in 25..60 {
            let words: Vec<String> = (0..20).map(|_| "x".repeat(random.usize(1..40))).collect();
            let mut table = Table::new(&["A", "B"], &[]);
            table.row(["a".into(), words.join(" ")]);
            let lines = table.lines(width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
            let kept: usize = lines[1..].iter().map(|line| line.matches('x').count()).sum();
            assert_eq!(kept, words.iter().map(String::len).sum::<usize>());
        }
    }

    #[test]
    fn a_word_that_just_fits_stays_on_its_line() {
        assert_eq!(wrap("ab cd", 5), ["ab cd"]);
        assert_eq!(wrap("ab cde", 5), ["ab", "cde"]);
        assert_eq!(wrap("abcdefg", 5), ["abcde", "fg"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
