//! A part of the terminal that is drawn again and again.

use std::io::{self, Write};

use rustix::termios::tcgetwinsize;

use super::picture::Picture;

/// The size of a terminal that does not say: columns and rows.
const USUAL: (usize, usize) = (80, 24);

/// The lines at the end of a picture that are always shown.
const LAST: usize = 3;

/// The lines that were drawn last are drawn over.
#[derive(Debug, Default)]
pub(super) struct Screen {
    drawn: usize,
}

impl Screen {
    pub(super) const fn new() -> Self {
        Self { drawn: 0 }
    }

    pub(super) fn draw(&mut self, picture: &Picture) {
        let (columns, rows) = size();
        let lines = fit(picture.lines(columns), rows.saturating_sub(1));
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to where the last picture began.
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        for line in &lines {
            // The rest of the old line is cleared before the new one is ended.
            text.push_str(&format!("{line}\x1b[K\r\n"));
        }
        text.push_str("\x1b[J");
        self.drawn = lines.len();
        // A terminal that has gone away is no reason to stop the jobs.
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// What would scroll away is left out, and said to be: the last slots.
fn fit(mut lines: Vec<String>, rows: usize) -> Vec<String> {
    if lines.len() > rows && rows > LAST + 1 {
        let shown = rows - LAST - 1;
        let hidden = lines.len() - LAST - shown;
        lines.splice(shown..shown + hidden, [format!("… {hidden} more slots")]);
    }
    lines.truncate(rows.max(1));
    lines
}

fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_picture_never_has_more_lines_than_the_terminal() {
        let lines: Vec<_> = (0..20).map(|line| line.to_string()).collect();
        assert_eq!(fit(lines.clone(), 20), lines);
        let fitted = fit(lines.clone(), 9);
        assert_eq!(fitted, ["0", "1", "2", "3", "4", "… 12 more slots", "17", "18", "19"]);
        for rows in 1..30 {
            assert!(fit(lines.clone(), rows).len() <= rows, "{rows}");
        }
    }
}
