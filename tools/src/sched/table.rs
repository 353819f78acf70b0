//! Tables that fit the terminal.

use std::io;

use rustix::termios::tcgetwinsize;

/// The width where there is no terminal, or one that does not say.
const USUAL_WIDTH: usize = 80;
/// The last column is never made narrower than this.
const NARROWEST: usize = 20;
const GAP: &str = "  ";

/// Rows under a heading. The last column is set in as many lines as it needs.
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

    /// The lines, none longer than `width` unless a column other than the last
    /// asks for it.
    #[must_use]
    pub fn lines(&self, width: usize) -> Vec<String> {
        let widths = self.widths();
        let Some((_, fixed)) = widths.split_last() else { return Vec::new() };
        let before: usize = fixed.iter().map(|column| column + GAP.len()).sum();
        let left = width.saturating_sub(before).max(NARROWEST);
        self.rows.iter().flat_map(|row| self.set(row, fixed, before, left)).collect()
    }

    fn set(&self, row: &[String], fixed: &[usize], before: usize, left: usize) -> Vec<String> {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(fixed).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            match self.numbers.contains(&column) {
                true => line.extend([&padding, cell.as_str(), GAP]),
                false => line.extend([cell, padding.as_str(), GAP]),
            }
        }
        let last = row.last().map(String::as_str).unwrap_or_default();
        let mut lines = Vec::new();
        for part in wrap(last, left) {
            lines.push(format!("{line}{part}").trim_end().to_owned());
            line = " ".repeat(before);
        }
        lines
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widest = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        (0..columns).map(|column| widest(column).unwrap_or(0)).collect()
    }
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
        let mut rest: Vec<char> = word.chars().collect();
        if rest.len() < room || (room == width && rest.len() <= room) {
            if room < width {
                push(&mut lines, " ");
                room -= 1;
            }
        } else if room < width {
            lines.push(String::new());
            room = width;
        }
        while !rest.is_empty() {
            if room == 0 {
                lines.push(String::new());
                room = width;
            }
            let part: String = rest.drain(..room.min(rest.len())).collect();
            room -= part.chars().count();
            push(&mut lines, &part);
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
