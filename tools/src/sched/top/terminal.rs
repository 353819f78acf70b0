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

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn it_is_given_back_before_a_panic_is_told() {
        let this = std::env::current_exe().unwrap();
        let line = format!(
            "stty rows 30 cols 90; echo \"<$(stty -g)>\"; {} --ignored --nocapture --exact \
             sched::top::terminal::tests::panics; echo \"<$(stty -g)>\"",
            this.display()
        );
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("SHELL", "/bin/sh");
        script.env("RUST_BACKTRACE", "0");
        let Ok(told) = script.stdin(Stdio::null()).output() else {
            let missing = "no `script` (util-linux) here to make a pseudo-terminal";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            return eprintln!("skipped: {missing}");
        };
        let told = String::from_utf8_lossy(&told.stdout);
        let (before, after) = told.split_once("the picture is wrong").expect(&told);
        assert!(before.contains("\x1b[?1049h") && before.contains("\x1b[?1049l"), "{told:?}");
        assert!(after.contains("\x1b[?25h"), "{told:?}");
        let first = before.split(['<', '>']).nth(1);
        let last = after.rsplit(['<', '>']).nth(1);
        assert!(first.is_some() && first == last, "{told:?}");
    }

    #[test]
    #[ignore = "run by the test above, in a pseudo-terminal"]
    #[should_panic(expected = "the picture is wrong")]
    fn panics() {
        let mut screen = Screen::take().unwrap();
        screen.draw(|_| panic!("the picture is wrong")).unwrap();
    }
}
