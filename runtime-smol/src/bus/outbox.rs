//! One connection's socket, and the frames that wait to be written to it,
//! bounded in bytes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_tungstenite::tungstenite::Bytes;
use async_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};
use futures_lite::future::poll_fn;

use super::tcp::{self, Tcp};
use super::wire;

/// What a waiting frame costs beyond its bytes.
const FRAME_COST: usize = 64;

/// The writer takes no more than about this much at once, so that what it
/// holds beside the outbox stays small.
const BATCH_BYTES: usize = 64 * 1024;

/// The frames of a batch, at most; each becomes one piece of a vectored write.
pub(super) const BATCH_FRAMES: usize = 64;

/// The mailbox between whoever has something to send and the writer.
///
/// This is a lock and not a channel because it must do what no channel does:
/// count bytes, replace a pong, and give up its backlog when it closes. The
/// lock is held for a few instructions or one write that does not wait, and
/// never over an `await`.
///
/// A message to a thousand subscribers looks into a thousand outboxes, and the
/// kernel's work in between has driven all of them out of the processor's
/// nearest caches, and their pages out of its tables. So what an outbox is asked
/// then fits into one line of a cache, and these can [lie close to each
/// other](Self::some); the rest is elsewhere.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Outbox {
    /// Where whoever has something to send may write to itself.
    tcp: Option<Tcp>,
    state: Mutex<Near>,
}

const _: () = assert!(size_of::<Outbox>() == 64, "one line of a cache");

/// What a [`send`](Outbox::send) looks at, and the way to the rest.
#[derive(Debug)]
struct Near {
    /// Known to be open and to have nothing to write; if not, it may be so all
    /// the same.
    idle: bool,
    state: Box<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In bytes.
    limit: usize,
    frames: VecDeque<Bytes>,
    /// The first of them has been written in part: nothing else may come next.
    begun: bool,
    bytes: usize,
    /// The writer has taken something, and not yet come back for more.
    writing: bool,
    /// The frames among it that were pushed.
    in_flight: usize,
    given_up: usize,
    pong: Option<Bytes>,
    end: End,
    writer: Option<Waker>,
    pusher: Option<Waker>,
    /// Who waits until it begins to close: one entry a task.
    until_closed: Vec<Waker>,
}

#[derive(Debug, Default)]
enum End {
    #[default]
    Open,
    /// Nothing more is taken; this is written last.
    Closing(Bytes),
    /// Nothing more is taken, nothing more is written.
    Closed,
}

/// What becomes of the frames that wait when an outbox is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Backlog {
    /// They are written first.
    Write,
    /// They are given up.
    Drop,
}

/// Why a frame was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NotTaken {
    /// There is no room for it.
    Full,
    /// The outbox is closing.
    Closed,
}

impl Outbox {
    /// An outbox that holds up to `limit` bytes, and has no socket yet.
    pub(super) fn new(limit: usize) -> Self {
        Self::of(State::new(limit))
    }

    /// The same for this connection.
    pub(super) fn onto(tcp: Tcp, limit: usize) -> Self {
        let mut outbox = Self::new(limit);
        outbox.connect(tcp);
        outbox
    }

    /// So many, side by side: nothing else is made in between.
    pub(super) fn some(count: usize, limit: usize) -> Vec<Arc<Self>> {
        let states: Vec<_> = (0..count).map(|_| State::new(limit)).collect();
        states.into_iter().map(|state| Arc::new(Self::of(state))).collect()
    }

    const fn of(state: Box<State>) -> Self {
        Self { tcp: None, state: Mutex::new(Near { idle: false, state }) }
    }

    /// Gives it its socket.
    pub(super) fn connect(&mut self, tcp: Tcp) {
        self.tcp = Some(tcp);
    }

    /// Its socket.
    ///
    /// # Errors
    ///
    /// It has none yet.
    pub(super) fn tcp(&self) -> io::Result<&Tcp> {
        self.tcp.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Adds a frame. An empty outbox takes any frame.
    pub(super) fn push(&self, frame: Bytes) -> Result<(), NotTaken> {
        let mut state = self.lock();
        state.may_take(&frame)?;
        state.add(frame);
        wake(state, |state| &mut state.writer);
        Ok(())
    }

    /// Adds a frame that is to be written with the next [`flush`](Self::flush),
    /// which must follow. Before it is full, it is flushed.
    pub(super) fn queue(&self, frame: Bytes) -> Result<(), NotTaken> {
        let mut state = self.lock();
        if state.may_take(&frame) == Err(NotTaken::Full) {
            self.write_queued(&mut state);
        }
        state.may_take(&frame)?;
        state.add(frame);
        Ok(())
    }

    /// Writes what is queued straight to the connection, all of it at once if
    /// the socket takes it. Only for what is left over the writer is woken.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        self.write_queued(&mut state);
        if !state.frames.is_empty() {
            wake(state, |state| &mut state.writer);
        }
    }

    /// Writes frames straight to the connection if nothing waits to be written
    /// before them. What is left over then waits like any other, and for that
    /// only the writer is woken.
    pub(super) fn send(&self, frames: &Bytes) -> Result<(), NotTaken> {
        let mut state = self.look();
        if !state.idle {
            state.may_take(frames)?;
            state.idle = state.frames.is_empty() && state.may_write();
        }
        let written = match &self.tcp {
            Some(tcp) if state.idle => so_far(tcp::send(tcp, frames)),
            _ => 0,
        };
        if written < frames.len() {
            state.idle = false;
            state.begun |= written > 0;
            state.add(frames.slice(written..));
            wake(state, |state| &mut state.writer);
        }
        Ok(())
    }

    /// Has the processor fetch what a [`send`](Self::send) begins with. It is far
    /// away, in the memory's time, if it was not used lately; for several
    /// outboxes asked in a row, it is the same time.
    pub(super) fn fetch(&self) {
        std::hint::black_box(self.tcp.as_ref().map(|tcp| tcp.as_raw_fd()));
    }

    /// Takes an answer of the WebSocket layer: always, and in bounded space.
    /// Of pongs only the newest waits. A reply to a close closes the outbox,
    /// and gives up what waits: the other end has said that it reads no more.
    pub(super) fn answer(&self, frame: Bytes) {
        match wire::opcode(&frame) {
            Some(OpCode::Control(Control::Close)) => self.close(frame, Backlog::Drop),
            _ => {
                let mut state = self.lock();
                if !state.is_closed() {
                    state.pong = Some(frame);
                    wake(state, |state| &mut state.writer);
                }
            }
        }
    }

    /// Closes the outbox: `last` is written last. The first close counts.
    pub(super) fn close(&self, last: Bytes, backlog: Backlog) {
        let mut state = self.lock();
        if !state.is_closed() {
            state.end = End::Closing(last);
            if backlog == Backlog::Drop {
                state.give_up();
            }
        }
        wake_all(state);
    }

    /// Closes the outbox for good: nothing more is written.
    pub(super) fn abort(&self) {
        let mut state = self.lock();
        state.end = End::Closed;
        wake_all(state);
    }

    /// Whether the outbox is closing or closed.
    pub(super) fn is_closed(&self) -> bool {
        self.look().is_closed()
    }

    /// Waits until the outbox begins to close.
    pub(super) async fn closed(&self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// Whether the outbox is closing or closed; calls when it is so.
    pub(super) fn poll_closed(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.look();
        if state.is_closed() {
            return Poll::Ready(());
        }
        if !state.until_closed.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.until_closed.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until this frame would be taken and half of the room is free, or
    /// for the close. For one waiter at a time.
    pub(super) async fn room_for(&self, frame: &Bytes) {
        let limit = self.look().limit;
        let most = (limit / 2).min(limit.saturating_sub(frame.len() + FRAME_COST));
        poll_fn(|cx| self.lock().poll_bytes(most, cx)).await;
    }

    /// Whether half of the room is free, or it is closed; calls when it is so.
    /// For one waiter at a time.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let most = state.limit / 2;
        state.poll_bytes(most, cx)
    }

    /// Whether half of the room is free.
    pub(super) fn has_room(&self) -> bool {
        let state = self.look();
        state.bytes <= state.limit / 2
    }

    /// The bytes that wait.
    pub(super) fn backlog(&self) -> usize {
        self.look().bytes
    }

    /// The frames that were pushed and not known to be written as a whole.
    pub(super) fn unsent(&self) -> usize {
        let state = self.look();
        state.frames.len() + state.in_flight + state.given_up
    }

    /// Waits for frames to write, and moves some to `batch`, which must be
    /// written as a whole. `false`: that was all, for ever.
    pub(super) async fn next_batch(&self, batch: &mut VecDeque<Bytes>) -> bool {
        poll_fn(|cx| self.poll_batch(cx, batch)).await
    }

    fn poll_batch(&self, cx: &Context<'_>, batch: &mut VecDeque<Bytes>) -> Poll<bool> {
        let mut state = self.lock();
        state.in_flight = 0;
        state.writing = false;
        batch.extend(state.take_begun());
        batch.extend(state.pong.take());
        state.move_frames(batch);
        if batch.is_empty() {
            match std::mem::take(&mut state.end) {
                End::Open => {
                    state.writer = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                End::Closing(last) => batch.push_back(last),
                End::Closed => {}
            }
            state.end = End::Closed;
        }
        state.writing = !batch.is_empty();
        wake(state, |state| &mut state.pusher);
        Poll::Ready(!batch.is_empty())
    }

    fn write_queued(&self, state: &mut State) {
        let Some(tcp) = self.tcp.as_ref().filter(|_| state.may_write()) else { return };
        while !state.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); BATCH_FRAMES];
            slices.iter_mut().zip(&state.frames).for_each(|(slice, frame)| {
                *slice = IoSlice::new(frame);
            });
            let count = state.frames.len().min(BATCH_FRAMES);
            let bytes: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            let written = so_far(tcp::send_pieces(tcp, &slices[..count]));
            state.remove(written);
            if written < bytes {
                return;
            }
        }
    }

    /// For whoever may change anything.
    fn lock(&self) -> MutexGuard<'_, Near> {
        let mut state = self.look();
        state.idle = false;
        state
    }

    fn look(&self) -> MutexGuard<'_, Near> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Near {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Near {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl State {
    fn new(limit: usize) -> Box<Self> {
        Box::new(Self { limit, ..Self::default() })
    }

    /// Whether a frame can be taken now.
    fn may_take(&self, frame: &Bytes) -> Result<(), NotTaken> {
        match self.end {
            End::Open if self.bytes > 0 && self.bytes + frame.len() + FRAME_COST > self.limit => {
                Err(NotTaken::Full)
            }
            End::Open => Ok(()),
            End::Closing(_) | End::Closed => Err(NotTaken::Closed),
        }
    }

    /// Whether no more than so much waits, or it is closed; calls when it is so.
    fn poll_bytes(&mut self, most: usize, cx: &Context<'_>) -> Poll<()> {
        if self.bytes <= most || self.is_closed() {
            return Poll::Ready(());
        }
        self.pusher = Some(cx.waker().clone());
        Poll::Pending
    }

    const fn is_closed(&self) -> bool {
        !matches!(self.end, End::Open)
    }

    /// Whether what comes next is the first of the frames.
    const fn may_write(&self) -> bool {
        self.pong.is_none() && !self.writing && !matches!(self.end, End::Closed)
    }

    fn add(&mut self, frame: Bytes) {
        self.bytes += frame.len() + FRAME_COST;
        self.frames.push_back(frame);
    }

    /// Removes what has been written.
    fn remove(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(frame) = self.frames.front_mut() {
            if written < frame.len() {
                let _sent = frame.split_to(written);
                self.begun |= written > 0;
                return;
            }
            written -= frame.len();
            self.bytes -= FRAME_COST;
            self.begun = false;
            self.frames.pop_front();
        }
    }

    fn move_frames(&mut self, batch: &mut VecDeque<Bytes>) {
        if matches!(self.end, End::Closed) {
            return;
        }
        let mut taken = 0;
        while taken < BATCH_BYTES && batch.len() < BATCH_FRAMES {
            let Some(frame) = self.take() else { break };
            taken += frame.len();
            batch.push_back(frame);
        }
    }

    /// The rest of what has been written in part, for the writer.
    fn take_begun(&mut self) -> Option<Bytes> {
        if self.begun && !matches!(self.end, End::Closed) { self.take() } else { None }
    }

    fn take(&mut self) -> Option<Bytes> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len() + FRAME_COST;
        self.in_flight += 1;
        self.begun = false;
        Some(frame)
    }

    /// Gives up what waits, but not the rest of what has been begun: what is
    /// written last must not come in the middle of it.
    fn give_up(&mut self) {
        let begun = if self.begun { self.frames.pop_front() } else { None };
        self.given_up += self.frames.len();
        self.frames = VecDeque::new();
        self.bytes = 0;
        if let Some(rest) = begun {
            self.add(rest);
        }
    }
}

/// How much could be written without waiting. An error is left to the writer,
/// who will meet it too.
fn so_far(written: io::Result<usize>) -> usize {
    written.unwrap_or(0)
}

/// Wakes a task after the lock is released: it would only wait for it.
fn wake(mut state: MutexGuard<'_, Near>, which: impl FnOnce(&mut State) -> &mut Option<Waker>) {
    let waker = which(&mut state).take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The same for everybody who waits.
fn wake_all(mut state: MutexGuard<'_, Near>) {
    let State { writer, pusher, until_closed, .. } = &mut **state;
    let wakers: Vec<_> =
        writer.take().into_iter().chain(pusher.take()).chain(until_closed.drain(..)).collect();
    drop(state);
    wakers.into_iter().for_each(Waker::wake);
}

#[cfg(test)]
mod tests;
