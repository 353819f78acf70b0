//! A view of `sched` in a pseudo-terminal. Not every test uses all of it.
#![allow(dead_code, reason = "every test file is a crate of its own")]

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::support::{SCHED, children};
use glass::{COLUMNS, Glass, ROWS};

#[path = "glass.rs"]
mod glass;

/// What a terminal is sent to leave the picture, and to show its cursor.
pub(crate) const LEAVE: &str = "\x1b[?1049l";
pub(crate) const CURSOR: &str = "\x1b[?25h";

/// Seconds after which a view that does not show what it must is ended, which
/// fails the test.
const GUARD: u32 = 120;

/// `sched` in a pseudo-terminal, between two lines that tell its settings.
pub(crate) struct Terminal {
    script: Child,
    pub(crate) glass: Glass,
}

impl Terminal {
    /// `None`: there is no `script` here to make one, and nothing is tested.
    pub(crate) fn start(arguments: &str, without_colours: bool) -> Option<Self> {
        let line = format!(
            "stty rows {ROWS} cols {COLUMNS}; echo \"<$(stty -g)>\"; \
             timeout --foreground {GUARD} {SCHED} {arguments}; \
             status=$?; echo \"<$(stty -g)>\"; exit $status"
        );
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env("SHELL", "/bin/sh");
        match without_colours {
            true => script.env("NO_COLOR", "1"),
            false => script.env_remove("NO_COLOR"),
        };
        let script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut script) = script else {
            let missing = "no `script` (util-linux) here to make a pseudo-terminal";
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("skipped: {missing}");
            return None;
        };
        let mut glass = Glass::new(script.stdout.take().unwrap());
        glass.writes("\x1b[?1049h");
        Some(Self { script, glass })
    }

    pub(crate) fn press(&self, keys: &str) {
        let mut keyboard = self.script.stdin.as_ref().unwrap();
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).unwrap();
    }

    /// Takes nothing more of what is written to it.
    pub(crate) fn halt(&self) {
        self.signal("STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let pid = self.script.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The process of `sched`: below `script`, a shell and `timeout`.
    pub(crate) fn pid(&self) -> u32 {
        (0..3).fold(self.script.id(), |pid, _| children(pid)[0])
    }

    /// Everything it has written, and its status.
    pub(crate) fn end(mut self) -> (String, Option<i32>) {
        let Self { script, glass } = &mut self;
        let written = glass.rest();
        (written, script.wait().unwrap().code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Its end is a hang-up for what runs in it.
        let _ended = self.script.kill();
        let _reaped = self.script.wait();
    }
}

/// The terminal is as it was.
pub(crate) fn assert_same_settings(written: &str) {
    let told = |text: &str| text.split_once('>').map(|(told, _)| told.to_owned());
    let settings: Vec<_> = written.split('<').skip(1).map(told).collect();
    assert!(settings.len() == 2 && settings[0] == settings[1], "{settings:?} in {written:?}");
}
