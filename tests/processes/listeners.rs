//! Who listens is told, whatever another who listens does.

use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use sched_core::{EventKind, JobSpec, Outcome, Policy, Priority};
use sched_runtime_smol::Scheduler;
use sched_runtime_smol::scheduler::Notice;
use sched_tests::processes::{sh, sleeper, within_a_minute};
use sched_tests::scheduling::Scene;
use smol::future::poll_once;

fn job(script: &str) -> JobSpec<sched_runtime_smol::Command> {
    JobSpec::new(Priority::new(5), sh(script))
}

/// Drops the last handle when it is woken, as an executor does whose tasks end
/// with what they own.
struct Drops {
    scheduler: Mutex<Option<Scheduler>>,
    dropped: Mutex<Sender<()>>,
}

impl Wake for Drops {
    fn wake(self: Arc<Self>) {
        let scheduler = self.scheduler.lock().expect("no panic before").take();
        if let Some(scheduler) = scheduler {
            drop(scheduler);
            let dropped = self.dropped.lock().expect("no panic before");
            dropped.send(()).expect("the test waits");
        }
    }
}

#[test]
fn who_is_woken_may_drop_the_last_handle() {
    let is_told = || {
        let (dropped, told) = channel();
        let scheduler = Scheduler::start(std::num::NonZeroUsize::MIN, Policy::seed()).unwrap();
        let job = smol::block_on(scheduler.submit(job("sleep 0.1"))).unwrap();
        let (scheduler, dropped) = (Mutex::new(Some(scheduler)), Mutex::new(dropped));
        let waker = Arc::new(Drops { scheduler, dropped }).into();
        let mut ended = pin!(job.ended());
        match ended.as_mut().poll(&mut Context::from_waker(&waker)) {
            // It was faster; that shows nothing.
            Poll::Ready(_) => false,
            Poll::Pending => {
                told.recv_timeout(Duration::from_secs(60)).expect("the scheduler waits for itself");
                true
            }
        }
    };
    assert!((0..100).any(|_| is_told()));
}

/// Panics whenever it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker of this test panics on purpose");
    }
}

#[test]
fn a_waker_that_panics_harms_only_itself() {
    within_a_minute(async {
        let scene = Scene::new(1, Policy::seed()).await;
        let mut first = scene.scheduler.subscribe().await.unwrap();
        let mut second = scene.scheduler.subscribe().await.unwrap();
        let waker = Arc::new(Panics).into();
        let mut next = Box::pin(first.next());
        assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        scene.scheduler.pause().await.unwrap();
        // What waits in there does not survive the panic of its own waker.
        std::mem::forget(next);
        let told = second.next().await;
        let paused = matches!(&told, Some(Notice::Event(event)) if event.kind == EventKind::Paused);
        assert!(paused, "{told:?}");
        scene.scheduler.resume().await.unwrap();
        let job = scene.scheduler.submit(job("exit 0")).await.unwrap();
        assert_eq!(job.ended().await.unwrap().outcome, Outcome::Finished);
        scene.end().await;
    });
}

#[test]
fn an_outcome_is_told_to_each_who_waits_though_one_of_them_stops_asking() {
    within_a_minute(async {
        let scene = Scene::new(1, Policy::seed()).await;
        let job = scene.submit(5, sleeper()).await;
        let mut asked_once = pin!(job.ended());
        assert!(poll_once(asked_once.as_mut()).await.is_none());
        scene.scheduler.kill_job(job.id()).await.unwrap();
        let exit = job.ended().await.unwrap().outcome;
        assert!(matches!(exit, Outcome::Cancelled { .. }), "{exit:?}");
        assert_eq!(asked_once.await.unwrap().outcome, exit);
        scene.end().await;
    });
}
