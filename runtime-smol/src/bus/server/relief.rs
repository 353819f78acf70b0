//! How one thread stands in for another.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::desk::Pen;
use crate::epoll::{Epoll, Found, Told};

/// The number of the hub's set in that of who stands by.
const HUB: u64 = 0;

/// Where a thread that writes leaves the hub, and another stands by to take it
/// as soon as the hub has something to do.
///
/// Mostly it has not: whoever has left the hub finds it again. So who stands by
/// is not woken to be there, which takes longer than many a commit. It sleeps
/// in a set of its own, which has that of the hub in it, and in which that is
/// told only while the hub is here.
#[derive(Debug)]
pub(super) struct Relief<H> {
    seat: Mutex<Seat<H>>,
    post: Epoll,
    hubs: Arc<Epoll>,
}

#[derive(Debug)]
struct Seat<H> {
    hub: Option<Box<H>>,
    /// For the other thread to write, if this one keeps the hub.
    pen: Option<Pen>,
    /// When the hub has something to do by itself.
    due: Option<Instant>,
    /// When who stands by looks here by itself.
    looks: Option<Instant>,
    ended: bool,
}

/// What there is for who stands by.
pub(super) enum Duty<H> {
    Hub(Box<H>),
    Write(Pen),
}

impl<H> Relief<H> {
    /// For the hub that waits in this set. Without a second thread that set is not
    /// in another, which would cost something each time that it has news.
    pub(super) fn new(hubs: Arc<Epoll>, has_second: bool) -> io::Result<Self> {
        let post = Epoll::new()?;
        if has_second {
            post.add(&*hubs, HUB, Told::Once)?;
            post.hush(&*hubs, HUB);
        }
        let seat = Seat { hub: None, pen: None, due: None, looks: None, ended: false };
        Ok(Self { seat: Mutex::new(seat), post, hubs })
    }

    /// Leaves the hub here. At the time when something is `due` it is taken, too.
    pub(super) fn leave(&self, hub: Box<H>, due: Option<Instant>) {
        let mut seat = self.lock();
        (seat.hub, seat.due) = (Some(hub), due);
        // Who is woken by this has to wait for the seat: were it left first, the
        // set could be hushed by who takes the hub before it is asked for here.
        // It fails only for a set that was never added.
        let _ = self.post.ask_again(&*self.hubs, HUB);
        let looks_late = seat.due.is_some_and(|due| seat.looks.is_none_or(|looks| looks > due));
        drop(seat);
        if looks_late {
            self.post.ring();
        }
    }

    /// The hub, if it is still here.
    pub(super) fn come_back(&self) -> Option<Box<H>> {
        self.take_hub(&mut self.lock())
    }

    /// Has the other thread write. Without one it is back on the desk.
    pub(super) fn hand(&self, pen: Pen) {
        let mut seat = self.lock();
        if !seat.ended {
            seat.pen = Some(pen);
            drop(seat);
            self.post.ring();
        }
    }

    /// Waits until there is something to write, or the hub is here and has
    /// something to do. `None`: that will not be.
    pub(super) fn stand_by(&self) -> Option<Duty<H>> {
        let mut found = Found::at_most(2);
        loop {
            let mut seat = self.lock();
            if seat.ended {
                return None;
            }
            if let Some(pen) = seat.pen.take() {
                return Some(Duty::Write(pen));
            }
            let now = Instant::now();
            let is_due = seat.due.is_some_and(|due| due <= now);
            if is_due || found.numbers().next().is_some() {
                if let Some(hub) = self.take_hub(&mut seat) {
                    return Some(Duty::Hub(hub));
                }
            }
            // What is due while the hub is not here is not for this thread.
            seat.looks = seat.due.filter(|_| !is_due);
            let most = seat.looks.map(|looks| looks.saturating_duration_since(now));
            drop(seat);
            self.post.wait(most, &mut found);
        }
    }

    /// Nobody stands by any more.
    pub(super) fn end(&self) {
        let mut seat = self.lock();
        seat.ended = true;
        let unused = seat.pen.take();
        drop(seat);
        drop(unused);
        self.post.ring();
    }

    fn take_hub(&self, seat: &mut Seat<H>) -> Option<Box<H>> {
        let hub = seat.hub.take()?;
        self.post.hush(&*self.hubs, HUB);
        Some(hub)
    }

    fn lock(&self) -> MutexGuard<'_, Seat<H>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::super::desk::Desk;
    use super::*;
    use crate::store::slow;

    const LATER: Duration = Duration::from_secs(3600);

    struct Scene {
        hubs: Arc<Epoll>,
        relief: Relief<&'static str>,
    }

    impl Scene {
        fn new() -> Self {
            let hubs = Arc::new(Epoll::new().unwrap());
            Self { relief: Relief::new(hubs.clone(), true).unwrap(), hubs }
        }

        fn leave(&self, due: Option<Duration>) {
            self.relief.leave(Box::new("hub"), due.map(|due| Instant::now() + due));
        }

        /// What happens to who stands by, while this is done.
        fn standing_by(&self, act: impl FnOnce()) -> Option<Duty<&'static str>> {
            thread::scope(|scope| {
                let stands_by = scope.spawn(|| self.relief.stand_by());
                act();
                stands_by.join().unwrap()
            })
        }
    }

    #[test]
    fn who_comes_back_finds_the_hub_if_it_had_nothing_to_do() {
        let scene = Scene::new();
        let ended = scene.standing_by(|| {
            for _ in 0..100 {
                scene.leave(Some(LATER));
                assert!(scene.relief.come_back().is_some());
                assert!(scene.relief.come_back().is_none());
                // Nor does it matter to who stands by what happens while it is not here.
                scene.hubs.ring();
                scene.hubs.wait(None, &mut Found::at_most(1));
            }
            scene.relief.end();
        });
        assert!(ended.is_none());
    }

    #[test]
    fn who_stands_by_takes_the_hub_when_it_has_something_to_do() {
        let scene = Scene::new();
        let taken = scene.standing_by(|| {
            scene.leave(None);
            scene.hubs.ring();
        });
        assert!(matches!(taken, Some(Duty::Hub(_))));
        assert!(scene.relief.come_back().is_none());
        // It may have had something to do before.
        let taken = scene.standing_by(|| scene.leave(None));
        assert!(matches!(taken, Some(Duty::Hub(_))));
    }

    #[test]
    fn who_stands_by_gets_the_pen_that_is_handed_over_until_the_end() {
        let scene = Scene::new();
        let desk = Desk::new(slow().0);
        let handed = scene.standing_by(|| scene.relief.hand(desk.take_up().unwrap()));
        assert!(matches!(handed, Some(Duty::Write(_))));
        drop(handed);
        scene.relief.end();
        scene.relief.hand(desk.take_up().unwrap());
        assert!(desk.take_up().is_some(), "nobody would write with it");
    }

    #[test]
    fn who_stands_by_takes_the_hub_when_something_is_due() {
        let scene = Scene::new();
        for due in [Duration::ZERO, Duration::from_millis(5)] {
            let taken = scene.standing_by(|| {
                // What was due then is not.
                scene.leave(Some(LATER));
                assert!(scene.relief.come_back().is_some());
                scene.leave(Some(due));
            });
            assert!(matches!(taken, Some(Duty::Hub(_))));
        }
    }
}
