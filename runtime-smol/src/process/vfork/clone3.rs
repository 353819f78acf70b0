//! A process that begins without this program's signal handlers: Linux 5.5.
//!
//! The C library has no function for it that programs may call. What is ignored stays
//! ignored in it.

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use rustix::io::Errno;
use rustix::process::Pid;

use super::{Birth, Line};

/// A new process, with its pidfd.
///
/// # Errors
///
/// It cannot be made in this way, because the system does not know it (as most sandboxes
/// and emulators say), or for whatever other reason.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
pub(super) fn clone(birth: &Birth, stack: &mut [MaybeUninit<Line>]) -> Result<(Pid, RawFd), Errno> {
    use std::arch::asm;
    use std::ffi::c_int;
    use std::ptr;

    const CLEAR_SIGHAND: u64 = 1 << 32;
    const SHARED: c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD;

    let mut pidfd = super::NONE;
    // As the system calls it `clone_args`: flags, pidfd, child_tid, parent_tid,
    // exit_signal, stack, stack_size, tls.
    let arguments: [u64; 8] = [
        SHARED as u64 | CLEAR_SIGHAND,
        (&raw mut pidfd).expose_provenance() as u64,
        0,
        0,
        libc::SIGCHLD as u64,
        stack.as_mut_ptr().expose_provenance() as u64,
        size_of_val(stack) as u64,
        0,
    ];
    let answer: isize;
    // SAFETY: the new process has the registers of this thread, but for its stack, which
    // is this thread's to lend and aligned at its end, and for `rax`, which is 0. It calls
    // `become_program`, which does not return. This thread goes on behind it with all it
    // had, and only when nobody reads `birth` or uses the stack any more; `pidfd` is
    // written before that.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call {become_program}",
            "ud2",
            "2:",
            become_program = sym super::become_program,
            inlateout("rax") libc::SYS_clone3 as isize => answer,
            in("rdi") &raw const arguments,
            in("rsi") size_of_val(&arguments),
            in("r12") ptr::from_ref(birth),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    // A number, or that of an error below zero.
    let answer = answer as i32;
    let pid = Pid::from_raw(answer.max(0));
    Ok((pid.ok_or_else(|| Errno::from_raw_os_error(-answer))?, pidfd))
}

/// Not written for this processor.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
pub(super) const fn clone(_: &Birth, _: &mut [MaybeUninit<Line>]) -> Result<(Pid, RawFd), Errno> {
    Err(Errno::NOSYS)
}
