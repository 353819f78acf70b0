//! A new process with its program. The one place with unsafe code.
//!
//! This is what `posix_spawn` of the C library does, and `std::process` with it,
//! with four things that a supervisor of processes cannot do without, and that
//! they leave out (the standard library wholly, C libraries for some years yet):
//!
//! - The pidfd comes into being with the process. Asking for it afterwards can
//!   fail, when no descriptor is left: there is a process then that nobody can
//!   watch.
//! - The process has no descriptor but 0, 1 and 2. Those that were made without the
//!   close-on-exec flag (by whoever started this program, by a C library in it)
//!   would otherwise stay open in it.
//! - The limit of descriptors is its own before its program begins.
//! - What failed is told: the directory or the program.
//!
//! And it is faster: a process that does nothing costs 0.9 of what it costs with
//! `posix_spawn` of glibc 2.36, which maps a stack for each and unmaps it, and asks for
//! the limit of descriptors six times.
//!
//! # Why this is sound
//!
//! The new process begins with this program's memory (`CLONE_VM`), and the thread
//! that makes it stands still until the process has its own program or has ended
//! (`CLONE_VFORK`). It runs [`become_program`] on a stack of its own, and in it
//! nothing but system calls: no allocation, no lock, nothing that panics. What it
//! reads was made before and is borrowed from the thread that stands still; all it
//! writes is its stack, that thread's `errno`, and two atomic numbers.
//!
//! A signal handler of this program must not run in it, with the memory of both:
//! signals are blocked until each has its default action (SIGCHLD only where it has a
//! handler, see [`Quiet`]). Where it can be, the system is asked for a process that has
//! no handlers from the first ([`clone3`]); to ask for each of 64 signals whether it has
//! one is most of what a process does before its program. Its descriptors and its
//! directory are copies.

#![expect(unsafe_code, reason = "a process must be made by hand, see above")]

mod clone3;

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;
use rustix::process::{Pid, Rlimit, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::strings::Table;

/// What a process is to be.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// Its path.
    pub(super) program: &'a CStr,
    /// The first is the program's name.
    pub(super) arguments: &'a Table<'a>,
    pub(super) environment: &'a Table<'a>,
    /// `None`: this program's.
    pub(super) directory: Option<&'a CStr>,
    /// For its input, its output and its errors. `None`: this program's.
    pub(super) descriptors: [Option<BorrowedFd<'a>>; 3],
    /// Of descriptors. `None`: this program's.
    pub(super) limit: Option<Rlimit>,
}

/// Why there is no such process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// The system has no room for a process, or for what it begins with.
    Process(Errno),
    /// Its directory cannot be entered.
    Directory(Errno),
    /// Its program cannot be run.
    Program(Errno),
}

/// A process that leads a group of its own, with the descriptor by which it is
/// watched. Blocks until its program begins.
pub(super) fn vfork(plan: &Plan<'_>) -> Result<(Pid, OwnedFd), Fault> {
    born(plan, clone3::clone)
}

/// A way to make a process: its number and its pidfd.
type Way = fn(&Birth, stack: &mut [MaybeUninit<Line>]) -> Result<(Pid, RawFd), Errno>;

/// In this way first, and in the old one if that cannot be done.
fn born(plan: &Plan<'_>, first: Way) -> Result<(Pid, OwnedFd), Fault> {
    let mut birth = Birth {
        program: plan.program.as_ptr(),
        arguments: plan.arguments.as_ptr(),
        environment: plan.environment.as_ptr(),
        directory: plan.directory.map_or(ptr::null(), CStr::as_ptr),
        descriptors: plan.descriptors.map(|it| it.map_or(NONE, |it| it.as_raw_fd())),
        limit: plan.limit.as_ref().map(in_c),
        has_handlers: false,
        failed: AtomicI32::new(0),
        errno: AtomicI32::new(0),
    };
    let (pid, pidfd) = {
        let _quiet = Quiet::begin();
        STACK_OF_CHILD.with_borrow_mut(|stack| {
            let born = first(&birth, stack);
            born.or_else(|_why| {
                birth.has_handlers = true;
                clone(&birth, stack)
            })
        })
    }
    .map_err(Fault::Process)?;
    let pidfd = watched(pid, pidfd)?;
    let Some(fault) = birth.fault() else { return Ok((pid, pidfd)) };
    // It has ended, or is about to. If somebody else in this program has reaped it,
    // so be it.
    while let Err(Errno::INTR) = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {}
    Err(fault)
}

/// A [`Plan`] as the new process reads it, and what it has to say.
struct Birth {
    program: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    directory: *const c_char,
    descriptors: [RawFd; 3],
    limit: Option<libc::rlimit>,
    /// Whether signals have this program's handlers.
    has_handlers: bool,
    /// The step that failed, if one did.
    failed: AtomicI32,
    errno: AtomicI32,
}

/// No descriptor.
const NONE: RawFd = -1;

const PREPARATION: c_int = 1;
const DIRECTORY: c_int = 2;
const PROGRAM: c_int = 3;

/// The highest signal there is, but on MIPS.
const LAST_SIGNAL: c_int = 64;

/// A set of signals as the kernel has it: bit 0 of the first is signal 1.
type Signals = [c_ulong; SIGNAL_WORDS];
const SIGNAL_WORDS: usize = LAST_SIGNAL as usize / c_ulong::BITS as usize;

/// What is done on a signal, as the kernel has it: the handler, flags, a place to
/// return to, and a set of signals. All zeros are the default action.
type Action = [usize; 5];

/// The status of a process that has found no program, which nobody will see.
const NO_PROGRAM: c_int = 127;

/// As aligned as a stack must be.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Line(#[expect(dead_code, reason = "room for others")] [u8; 16]);

/// 32 KiB, as in C libraries. It is touched by one process after another, so that its
/// pages are there.
const STACK: usize = 32 * 1024 / size_of::<Line>();

thread_local! {
    static STACK_OF_CHILD: RefCell<Vec<MaybeUninit<Line>>> =
        RefCell::new(vec![MaybeUninit::uninit(); STACK]);
}

/// The C library's function, which every system has that this one has.
fn clone(birth: &Birth, stack: &mut [MaybeUninit<Line>]) -> Result<(Pid, RawFd), Errno> {
    const FLAGS: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd = NONE;
    let birth = ptr::from_ref(birth).cast_mut().cast::<c_void>();
    let top = stack.as_mut_ptr_range().end.cast::<c_void>();
    // SAFETY: the stack is this thread's alone, and grows down from `top`, which
    // is aligned. This thread goes on only when nobody reads `birth` or uses the
    // stack any more. The descriptor is written here before that.
    let pid = unsafe { libc::clone(become_program, top, FLAGS, birth, &raw mut pidfd) };
    let pid = Pid::from_raw(pid.max(0));
    let why = || Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::AGAIN);
    Ok((pid.ok_or_else(why)?, pidfd))
}

fn watched(pid: Pid, pidfd: RawFd) -> Result<OwnedFd, Fault> {
    if pidfd == NONE {
        // Before Linux 5.2 nobody can watch it.
        let _ = kill_process(pid, Signal::KILL);
        while let Err(Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED) {}
        return Err(Fault::Process(Errno::NOSYS));
    }
    // SAFETY: the system has just made it, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

/// The new process, until it has its program.
extern "C" fn become_program(birth: *mut c_void) -> c_int {
    // SAFETY: it is what `clone` was given, and who has it stands still.
    let birth = unsafe { &*birth.cast::<Birth>() };
    // SAFETY: this is the new process, on a stack of its own, with signals blocked.
    let failed = unsafe { birth.attempt() };
    // SAFETY: `errno` is that of the thread that stands still.
    birth.errno.store(unsafe { *libc::__errno_location() }, Ordering::Relaxed);
    birth.failed.store(failed, Ordering::Relaxed);
    // SAFETY: it ends, and does nothing else of what ending a program can mean.
    unsafe { libc::_exit(NO_PROGRAM) }
}

impl Birth {
    /// What the process has said, now that it says nothing more.
    fn fault(&self) -> Option<Fault> {
        let fault = match self.failed.load(Ordering::Relaxed) {
            0 => return None,
            DIRECTORY => Fault::Directory,
            PROGRAM => Fault::Program,
            _ => Fault::Process,
        };
        Some(fault(Errno::from_raw_os_error(self.errno.load(Ordering::Relaxed))))
    }

    /// Returns the step that has failed.
    ///
    /// # Safety
    ///
    /// Only for a process that is to become another program, and has this one's memory.
    unsafe fn attempt(&self) -> c_int {
        // SAFETY: system calls, with pointers to what the thread that stands still has.
        unsafe {
            // It fails only where a filter of system calls forbids it.
            if libc::setpgid(0, 0) != 0 || !self.connect() {
                return PREPARATION;
            }
            if let Some(limit) = &self.limit {
                // Lower than it is, or the same: this cannot fail.
                libc::setrlimit(libc::RLIMIT_NOFILE, limit);
            }
            // Not there before Linux 5.11, or forbidden: then those stay open that do not
            // say themselves that they are not for others' programs.
            let flag = libc::CLOSE_RANGE_CLOEXEC as libc::c_uint;
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, flag);
            if !self.directory.is_null() && libc::chdir(self.directory) != 0 {
                return DIRECTORY;
            }
            self.forget_handlers();
            libc::execve(self.program, self.arguments, self.environment);
        }
        PROGRAM
    }

    /// Ends what this program does on signals, and the quiet: no signal is blocked
    /// then. What it ignores stays ignored (`nohup` means just that), but for SIGPIPE,
    /// which the standard library ignores in every program.
    ///
    /// # Safety
    ///
    /// As of [`attempt`](Self::attempt).
    unsafe fn forget_handlers(&self) {
        let usual: Action = [0; 5];
        let mut act_as_usual = |signal| {
            // SAFETY: a system call, for a process that has not yet a program of its own.
            unsafe { act_on(signal, &raw const usual, ptr::null_mut()) };
        };
        if self.has_handlers {
            (1..=LAST_SIGNAL).filter(|it| is_handled(*it)).for_each(&mut act_as_usual);
        }
        act_as_usual(libc::SIGPIPE);
        block(libc::SIG_SETMASK, &[0; SIGNAL_WORDS]);
    }

    /// Puts the descriptors where they belong.
    ///
    /// # Safety
    ///
    /// As of [`attempt`](Self::attempt).
    unsafe fn connect(&self) -> bool {
        let mut sources = self.descriptors;
        for source in &mut sources {
            if *source != NONE && *source <= libc::STDERR_FILENO {
                // In the way of one of the others.
                // SAFETY: a system call.
                *source = unsafe { libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, 3) };
                if *source < 0 {
                    return false;
                }
            }
        }
        (0..).zip(sources).all(|(target, source)| {
            // SAFETY: a system call.
            source == NONE || unsafe { libc::dup2(source, target) } >= 0
        })
    }
}

/// Whether a handler of this program is called. One system call, which changes
/// nothing.
fn is_handled(signal: c_int) -> bool {
    let mut action: Action = [0; 5];
    // SAFETY: a system call, which writes what it is given.
    unsafe { act_on(signal, ptr::null(), &raw mut action) };
    ![libc::SIG_DFL, libc::SIG_IGN].contains(&action[0])
}

/// The system call itself. The C library's function of that name takes a lock for
/// SIGABRT, and the lock would be that of both programs.
///
/// # Safety
///
/// What is pointed at is an action or nothing, and a new one is meant.
unsafe fn act_on(signal: c_int, new: *const Action, old: *mut Action) {
    let size = size_of::<Signals>();
    // SAFETY: as promised.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, c_long::from(signal), new, old, size) };
}

/// Blocks signals on this thread: beside those that are (`SIG_BLOCK`), or in their stead
/// (`SIG_SETMASK`). Returns what was blocked before. The system call itself: the C
/// library would leave out some.
fn block(how: c_int, signals: &Signals) -> Signals {
    let mut before: Signals = [0; SIGNAL_WORDS];
    let (signals, size) = (ptr::from_ref(signals), size_of::<Signals>());
    // SAFETY: a system call, which reads and writes what it is given.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, c_long::from(how), signals, &raw mut before, size)
    };
    before
}

/// As long as this lives no signal is handled on this thread.
///
/// SIGCHLD is let be where it has no handler: one who has it blocked, to wait for it,
/// finds it so. If it were blocked where it does nothing, the end of
/// another process of this thread's would be told to any thread that does not block
/// it, and wake that for nothing: one more context switch a process.
struct Quiet {
    before: Signals,
}

impl Quiet {
    fn begin() -> Self {
        let mut all: Signals = [c_ulong::MAX; SIGNAL_WORDS];
        if !is_handled(libc::SIGCHLD) {
            all[0] &= !(1 << (libc::SIGCHLD - 1));
        }
        Self { before: block(libc::SIG_BLOCK, &all) }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        block(libc::SIG_SETMASK, &self.before);
    }
}

fn in_c(limit: &Rlimit) -> libc::rlimit {
    let number = |limit: Option<u64>| limit.map_or(libc::RLIM_INFINITY, |it| it as libc::rlim_t);
    libc::rlimit { rlim_cur: number(limit.current), rlim_max: number(limit.maximum) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::{env, fs};

    use super::super::strings::Strings;
    use super::*;

    /// As `vfork` does, and as it does where the system can do no better.
    const WAYS: [Way; 2] = [clone3::clone, |_, _| Err(Errno::NOSYS)];

    /// The status of a shell that runs `script` with these descriptors and variables,
    /// made in either way.
    fn shell(script: &str, descriptors: [Option<BorrowedFd<'_>>; 3], vars: &[&str]) -> Option<i32> {
        let (words, vars) = (Strings::of(&["sh", "-c", script]), Strings::of(vars));
        let plan = Plan {
            program: c"/bin/sh",
            arguments: &Table::of(&words),
            environment: &Table::of(&vars),
            directory: Some(c"/"),
            descriptors,
            limit: None,
        };
        let run = |way| {
            let (_pid, pidfd) = born(&plan, way).unwrap();
            let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap();
            status.and_then(|status| status.exit_status())
        };
        let [one, other] = WAYS.map(run);
        assert_eq!(one, other);
        one
    }

    /// Has a test run in a process of its own, with pipes for its output and the mark
    /// among its variables, once a shell has done `first`.
    fn run_again(test: &str, mark: &str, first: &str) {
        let script = format!("{first}; exec \"$0\" --exact \"$1\" --nocapture");
        let mut again = Command::new("sh");
        again.args(["-c", &script]).arg(env::current_exe().unwrap()).arg(test).env(mark, "");
        let again = again.output().unwrap();
        let text = String::from_utf8_lossy(&again.stdout);
        assert!(again.status.success() && text.contains("1 passed"), "{again:?}");
    }

    #[test]
    fn what_is_ignored_stays_so_but_for_broken_pipes() {
        const TEST: &str = "process::vfork::tests::what_is_ignored_stays_so_but_for_broken_pipes";
        const MARK: &str = "SCHED_IGNORES";
        if env::var_os(MARK).is_none() {
            // SIGPIPE is ignored in every program of Rust.
            return run_again(TEST, MARK, "trap '' USR2");
        }
        let script = "while read -r name mask; do case $name in SigIgn:) \
                      exit $((0x$mask >> 11 & 3));; esac; done </proc/$$/status; exit 9";
        assert_eq!((libc::SIGUSR2, libc::SIGPIPE), (12, 13));
        assert_eq!(shell(script, [None; 3], &["PATH=/bin:/usr/bin"]), Some(1));
    }

    #[test]
    fn descriptors_that_are_in_each_others_way_find_their_places() {
        const TEST: &str = "process::vfork::tests::\
                            descriptors_that_are_in_each_others_way_find_their_places";
        const MARK: &str = "SCHED_TWO_PIPES";
        if env::var_os(MARK).is_none() {
            // Where the two are not the same.
            return run_again(TEST, MARK, ":");
        }
        let (out, err) = (io::stdout(), io::stderr());
        let name = |number: i32| fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
        assert_ne!(name(1), name(2));
        let vars = [format!("OUT={}", name(2).display()), format!("ERR={}", name(1).display())];
        let script = "at() { readlink /proc/$$/fd/$1; }; [ $(at 1) = $OUT ] && [ $(at 2) = $ERR ]";
        let swapped = [None, Some(err.as_fd()), Some(out.as_fd())];
        let vars: Vec<_> = vars.iter().map(String::as_str).chain(["PATH=/bin:/usr/bin"]).collect();
        assert_eq!(shell(script, swapped, &vars), Some(0));
    }

    #[test]
    fn nothing_is_blocked_that_is_blocked_here() {
        let _quiet = Quiet::begin();
        let script = "while read -r name mask; do case $name in SigBlk:) \
                      exit $((0x$mask != 0));; esac; done </proc/$$/status; exit 9";
        assert_eq!(shell(script, [None; 3], &["PATH=/bin:/usr/bin"]), Some(0));
        // And still is here.
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        assert_ne!(mask & 1 << (libc::SIGTERM - 1), 0, "{mask:x}");
    }

    #[test]
    fn who_waits_for_the_ends_of_children_has_them_blocked_all_the_time() {
        const CHILD: c_ulong = 1 << (libc::SIGCHLD - 1);
        let blocked = || block(libc::SIG_BLOCK, &[0; SIGNAL_WORDS])[0] & CHILD != 0;
        for wanted in [true, false] {
            let mut signals = [0; SIGNAL_WORDS];
            signals[0] = if wanted { CHILD } else { 0 };
            block(libc::SIG_SETMASK, &signals);
            let quiet = Quiet::begin();
            assert_eq!(blocked(), wanted);
            drop(quiet);
            assert_eq!(blocked(), wanted);
        }
    }

    #[test]
    fn what_failed_is_told_and_leaves_nothing() {
        let (words, vars) = (Strings::of(&["x"]), Strings::default());
        let (arguments, environment) = (Table::of(&words), Table::of(&vars));
        let plan = |program, directory| Plan {
            program,
            arguments: &arguments,
            environment: &environment,
            directory,
            descriptors: [None; 3],
            limit: None,
        };
        for (program, directory, fault) in [
            (c"/nowhere", None, Fault::Program(Errno::NOENT)),
            (c"/", None, Fault::Program(Errno::ACCESS)),
            (c"/bin/sh", Some(c"/nowhere"), Fault::Directory(Errno::NOENT)),
            (c"/bin/sh", Some(c"/bin/sh"), Fault::Directory(Errno::NOTDIR)),
        ] {
            for way in WAYS {
                assert_eq!(born(&plan(program, directory), way).unwrap_err(), fault);
            }
        }
    }
}
