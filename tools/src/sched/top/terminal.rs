//! The terminal, as long as it is ours.

use std::io::{self, stdout};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::{Frame, Terminal};

use crate::sched::Failure;

/// The whole terminal. It is given back when this is dropped, and before a
/// panic is told.
#[derive(Debug)]
pub(super) struct Screen(Terminal<CrosstermBackend<io::Stdout>>);

impl Screen {
    /// Takes it.
    pub(super) fn take() -> Result<Self, Failure> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(why) => {
                give_back();
                Err(failed(&why))
            }
        }
    }

    pub(super) fn draw(&mut self, picture: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.0.draw(picture).map(|_| ()).map_err(|why| failed(&why))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// The terminal cannot be used.
pub(super) fn failed(why: &io::Error) -> Failure {
    Failure::Here(format!("the terminal cannot be used: {why}; `sched top --once` needs none"))
}

/// A terminal that is gone needs nothing back.
fn give_back() {
    let _gone = ratatui::try_restore();
    let _gone = execute!(stdout(), Show);
}
