//! What a terminal would show of what was written to it: as much of one as
//! `sched top` makes use of.

use std::io::Read;
use std::process::ChildStdout;

pub(crate) const ROWS: usize = 40;
pub(crate) const COLUMNS: usize = 110;

pub(crate) struct Glass {
    from: ChildStdout,
    /// Everything that was written.
    pub(crate) written: Vec<u8>,
    /// How much of it has been shown.
    shown: usize,
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Glass {
    pub(crate) fn new(from: ChildStdout) -> Self {
        let cells = vec![vec![' '; COLUMNS]; ROWS];
        Self { from, written: Vec::new(), shown: 0, cells, row: 0, column: 0 }
    }

    /// Reads on until what is shown contains all of this; fails at its end.
    pub(crate) fn shows(&mut self, texts: &[&str]) -> String {
        self.shows_that(|picture| texts.iter().all(|text| picture.contains(text)))
            .unwrap_or_else(|picture| panic!("no {texts:?} in\n{picture}"))
    }

    /// Reads on until this holds of what is shown; `Err`: it has not until its
    /// end.
    pub(crate) fn shows_that(&mut self, holds: impl Fn(&str) -> bool) -> Result<String, String> {
        loop {
            let picture = self.picture();
            if holds(&picture) {
                return Ok(picture);
            }
            if !self.read() {
                return Err(picture);
            }
        }
    }

    /// Reads on until what was written, sequences and all, contains this.
    pub(crate) fn writes(&mut self, text: &str) {
        while !self.text().contains(text) {
            assert!(self.read(), "no {text:?} in {:?}", self.text());
        }
    }

    /// Everything that is written, to the end.
    pub(crate) fn rest(&mut self) -> String {
        while self.read() {}
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.written).into_owned()
    }

    fn picture(&self) -> String {
        let rows = self.cells.iter().map(|row| row.iter().collect::<String>());
        rows.map(|row| row.trim_end().to_owned() + "\n").collect()
    }

    /// Whether there was anything more.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // A pseudo-terminal whose program has ended fails to be read.
        let count = self.from.read(&mut bytes).unwrap_or(0);
        self.written.extend(&bytes[..count]);
        while let Some(used) = self.show_next() {
            self.shown += used;
        }
        count > 0
    }

    /// Shows the next character or sequence; `None`: it is not complete.
    fn show_next(&mut self) -> Option<usize> {
        let rest = &self.written[self.shown..];
        let length = match *rest.first()? {
            0x1b => return self.obey(),
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let c = std::str::from_utf8(rest.get(..length)?).unwrap().chars().next()?;
        match c {
            '\r' => self.column = 0,
            '\n' => self.row = (self.row + 1).min(ROWS - 1),
            c => {
                if let Some(cell) = self.cells[self.row].get_mut(self.column) {
                    *cell = c;
                }
                self.column += 1;
            }
        }
        Some(length)
    }

    fn obey(&mut self) -> Option<usize> {
        let rest = &self.written[self.shown..];
        if *rest.get(1)? != b'[' {
            return Some(2);
        }
        let end = 2 + rest[2..].iter().position(|byte| (0x40..0x7f).contains(byte))?;
        let numbers = String::from_utf8_lossy(&rest[2..end]).into_owned();
        let mut numbers = numbers.split(';').map(|number| number.parse().unwrap_or(1));
        let mut next = || numbers.next().unwrap_or(1usize).max(1) - 1;
        match rest[end] {
            b'H' => {
                (self.row, self.column) = (next().min(ROWS - 1), next());
            }
            b'J' => self.cells = vec![vec![' '; COLUMNS]; ROWS],
            _ => {}
        }
        Some(end + 1)
    }
}
