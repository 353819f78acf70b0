//! Nothing is left behind: what was started or made is undone when its guard
//! goes, and on INT and TERM.

use std::collections::BTreeMap;
use std::process::exit;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;

use crate::trouble::{Doing, Result};

type Undo = Box<dyn FnOnce() + Send>;

static PENDING: Mutex<Pending> =
    Mutex::new(Pending { ending: false, next: 0, undos: BTreeMap::new() });

/// Held while something is undone, so that the program does not end meanwhile.
static UNDOING: Mutex<()> = Mutex::new(());

struct Pending {
    ending: bool,
    next: u64,
    /// In the order in which they were asked for.
    undos: BTreeMap<u64, Undo>,
}

/// Undoes something when it is dropped.
#[must_use]
pub(crate) struct Guard(u64);

/// Does something together with saying how it is undone: when the guard is
/// dropped, or when this program is told to end, also in the middle of this.
pub(crate) fn undoing<T, U>(start: impl FnOnce() -> Result<(T, U)>) -> Result<(T, Guard)>
where
    U: FnOnce() + Send + 'static,
{
    let mut pending = locked(&PENDING);
    while pending.ending {
        drop(pending);
        thread::park();
        pending = locked(&PENDING);
    }
    let (started, undo) = start()?;
    let number = pending.next;
    pending.next += 1;
    pending.undos.insert(number, Box::new(undo));
    Ok((started, Guard(number)))
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _undoing = locked(&UNDOING);
        let undo = locked(&PENDING).undos.remove(&self.0);
        if let Some(undo) = undo {
            undo();
        }
    }
}

/// From now on INT and TERM undo everything, the newest first, and end the
/// program.
pub(crate) fn on_signals() -> Result<()> {
    let mut signals = Signals::new([Signal::Int, Signal::Term]).doing("take over INT and TERM")?;
    thread::spawn(move || {
        let _signal = smol::block_on(signals.next());
        let _undoing = locked(&UNDOING);
        let undos = {
            let mut pending = locked(&PENDING);
            pending.ending = true;
            std::mem::take(&mut pending.undos)
        };
        undos.into_values().rev().for_each(|undo| undo());
        exit(130);
    });
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
