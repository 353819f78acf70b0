//! What ends the processes of a program that was itself killed.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Once;

use smol::future::{block_on, poll_once};
use thiserror::Error;

/// The variable that marks the processes of a guarded program.
pub(crate) const MARK: &str = "SCHED_GUARD";

/// How long marked processes have between TERM and KILL, in tenths of a second:
/// less than what is left of a lease of the bus (15 s, renewed every 5) when
/// its scheduler dies, so that a job has ended here before it runs elsewhere.
const GRACE_TENTHS: u32 = 50;

/// Ends processes when this program cannot: when it was killed with KILL, or
/// crashed.
///
/// A small shell process, no child of this program, waits for the end of a pipe
/// that only this program holds. The kernel closes it, however the program
/// dies. Then the guard looks for processes whose environment bears
/// [`mark`](Self::mark), also those that have left their process group, and
/// sends them TERM, and KILL to those that are still there after 5 s. It costs a
/// run nothing but that variable.
///
/// What clears its environment, or changes its user, is not found. Linux, with
/// `sh`, `grep` and `/proc`.
#[derive(Debug)]
pub struct Guard {
    mark: String,
    line: OwnedFd,
}

/// Why there is no guard.
#[derive(Debug, Error)]
pub enum GuardError {
    /// Its shell could not be started.
    #[error("cannot start sh: {0}")]
    Shell(#[from] io::Error),
    /// Its shell gave up.
    #[error("sh could not start the guard: {0}")]
    GaveUp(ExitStatus),
}

/// `$1`: the mark, `$2`: the grace period in tenths of a second. It goes into
/// the background at once, so that its parent is not this program; a shell
/// gives a background job no input, hence descriptor 3. A word before the end
/// of the input sends it home. A process that is just being given its program
/// has no environment for a moment: the guard goes when it has found nothing
/// twice. What even KILL does not end, it leaves after a minute.
const SCRIPT: &str = r#"
command -v grep >/dev/null || exit 3
exec 3<&0 </dev/null
(
    trap '' HUP INT QUIT TERM
    read -r _ <&3 && exit
    marked() { grep -alsF "$1" /proc/[0-9]*/environ | tr -c '0-9\n' ' '; }
    told=' ' tenths=0 quiet=0
    while [ "$quiet" -lt 2 ] && [ "$tenths" -lt 600 ]; do
        quiet=$((quiet + 1))
        for pid in $(marked "$1"); do
            quiet=0
            case "$told" in
            *" $pid "*) [ "$tenths" -lt "$2" ] || kill -s KILL "$pid" ;;
            *) kill -s TERM "$pid"; kill -s CONT "$pid"; told="$told$pid " ;;
            esac
        done
        sleep 0.1
        tenths=$((tenths + 1))
    done
) &
"#;

impl Guard {
    /// Posts a guard, and waits until its shell is ready.
    ///
    /// # Errors
    ///
    /// There is no shell here, or no room for one more process.
    pub async fn post() -> Result<Self, GuardError> {
        let mark = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "sched-guard", &format!("{MARK}={mark}")])
            .arg(GRACE_TENTHS.to_string())
            // What a terminal sends to this program is not for the guard.
            .process_group(0)
            .current_dir("/")
            .env_remove(MARK);
        drive_async_process();
        let mut shell = async_process::Command::from(shell);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn()?;
        let line = shell.stdin.take().map(OwnedFd::try_from).transpose()?;
        let status = shell.status().await?;
        match line {
            Some(line) if status.success() => Ok(Self { mark, line }),
            _ => Err(GuardError::GaveUp(status)),
        }
    }

    /// The variable, and its value, that a process must have to be ended with
    /// this program.
    #[must_use]
    pub fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.mark)
    }

    /// Sends the guard home: what still runs is meant to.
    pub fn dismiss(self) {
        // One that is gone already needs no word.
        let _ = rustix::io::write(&self.line, b"\n");
    }
}

/// Keeps async-process from starting a thread of its own, which it does at the
/// first process unless somebody has already polled its driver.
fn drive_async_process() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut driver = Box::pin(async_process::driver());
        let _pending = block_on(poll_once(&mut driver));
        smol::spawn(driver).detach();
    });
}
