//! What the threads of the crew know.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::command::Command;
use super::super::run::{Owner, Run};
use super::super::start::{Supplies, Variables};
use super::STARTS;

/// What is to be started.
pub(in super::super) struct Launch {
    pub(in super::super) run: Arc<Run>,
    pub(in super::super) command: Command,
    pub(in super::super) vars: Variables,
    pub(in super::super) supplies: Supplies,
}

#[derive(Default)]
pub(super) struct State {
    /// Those that wait for their turn. As many as there are runs: bounded by
    /// the places of their spawners.
    pub(super) waiting: VecDeque<Launch>,
    /// Those that have a process, by the number under which it is watched, with the
    /// post where that is.
    pub(super) runs: HashMap<u64, (Arc<Run>, usize)>,
    pub(super) last_number: u64,
    /// Which posts have a thread.
    pub(super) manned: [bool; STARTS],
    /// How many of them sleep, or are about to.
    pub(super) asleep: usize,
    /// How many starts there have been.
    pub(super) starts: u64,
    /// The one that goes on at each post: its thread looks for more after that.
    pub(super) starting: [Option<u64>; STARTS],
    /// Whether there is the thread that takes over when all others hang.
    pub(super) has_relief: bool,
    /// Who has something to pass on.
    pub(super) news: Vec<Arc<dyn Owner>>,
}

/// What is watched of a run: that it dies, and, under an odd number, its output.
pub(super) const fn number_of_output(run: u64) -> u64 {
    run + 1
}

pub(super) const NUMBERS_A_RUN: u64 = 2;

/// What is watched at a post beside its runs: the bell.
pub(super) const THE_BELL: u64 = 1;

impl State {
    pub(super) fn threads(&self) -> usize {
        self.manned.iter().filter(|manned| **manned).count()
    }

    /// Threads that start something.
    pub(super) fn busy(&self) -> usize {
        self.starting.iter().flatten().count()
    }

    /// Threads that look for what waits before they sleep.
    pub(super) fn looking(&self) -> usize {
        self.threads() - self.asleep - self.busy()
    }

    /// Whether all threads start something, and have since there were so many
    /// starts.
    pub(super) fn hangs_since(&self, starts: u64) -> bool {
        self.busy() > 0 && self.looking() + self.asleep == 0 && self.starts == starts
    }

    /// Not while something waits.
    pub(super) fn fall_asleep(&mut self) -> bool {
        let sleeps = self.waiting.is_empty();
        self.asleep += usize::from(sleeps);
        sleeps
    }

    /// Whether the thread at this post goes on. It does while anything runs, which it may have
    /// started: a process that has asked for it (`PR_SET_PDEATHSIG`) is sent a signal
    /// when the thread ends that started it.
    pub(super) fn wake_up(&mut self, post: usize, told_nothing: bool) -> bool {
        self.asleep -= 1;
        let goes_on = !self.runs.is_empty() || !told_nothing || !self.waiting.is_empty();
        self.manned[post] = goes_on;
        goes_on
    }

    /// A post for another thread, if there may be one.
    pub(super) fn free_post(&self) -> Option<usize> {
        self.manned.iter().position(|manned| !manned)
    }

    /// The posts whose starts go on since they were `seen`.
    pub(super) fn hanging(
        &self,
        seen: [Option<u64>; STARTS],
    ) -> impl Iterator<Item = usize> + use<> {
        let now = self.starting;
        (0..STARTS).filter(move |post| now[*post].is_some() && now[*post] == seen[*post])
    }

    /// It is to pass on what it has to tell.
    pub(super) fn has_news(&mut self, owner: &Arc<dyn Owner>) {
        if !self.news.iter().any(|it| Arc::ptr_eq(it, owner)) {
            self.news.push(Arc::clone(owner));
        }
    }

    pub(super) fn add(&mut self, run: &Arc<Run>, post: usize) -> u64 {
        self.last_number += NUMBERS_A_RUN;
        self.runs.insert(self.last_number, (Arc::clone(run), post));
        self.last_number
    }
}
