//! A part of the terminal that is drawn again and again.

use std::io::{self, Write};

use rustix::termios::tcgetwinsize;

use super::picture::Picture;

/// The width of a terminal that does not say.
const USUAL_WIDTH: usize = 80;

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
        let lines = picture.lines(width());
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

fn width() -> usize {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col),
        _ => USUAL_WIDTH,
    }
}
