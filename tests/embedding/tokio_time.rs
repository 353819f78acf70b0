//! tokio: each fake process is a task, and so is whoever asks. The runtime's
//! clock is paused: it jumps to the next timer when every task waits.

use sched_core::{
    Exit, ExitStatus, Instant, ProcessSpawner, RunId, RunInfo, SchedulerBin, SpawnFailure, Stop,
};
use sched_tests::sim::processes::{Report, Script};
use std::collections::HashMap;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{self, Duration, sleep_until};

use crate::script::{Happening, asks, give, machine, run_of};
use crate::{Story, drain};

pub(crate) fn drive() -> Story {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async { time::timeout(Duration::from_secs(3600), schedule()).await.unwrap() })
}

/// The driver: what an embedding in tokio looks like.
async fn schedule() -> Story {
    let epoch = time::Instant::now();
    let now = || Instant::from(epoch.elapsed());
    let (happens, mut inbox) = unbounded_channel();
    let mut tasks = Tasks { happens: happens.clone(), stops: HashMap::new() };
    let mut bin = machine();
    let mut events = Vec::new();
    let asker = tokio::spawn(ask(epoch, happens));
    loop {
        bin.dispatch(now(), &mut tasks);
        drain(&mut bin, &mut events);
        if asker.is_finished() && is_idle(&bin) {
            return Story::new(&bin, events);
        }
        tokio::select! {
            biased;
            Some(what) = inbox.recv() => {
                tasks.forget(&what);
                give(&mut bin, now(), what);
            }
            () = sleep_until(tokio_instant(epoch, bin.poll_timeout())) => bin.handle_timeout(now()),
        }
    }
}

fn is_idle(bin: &SchedulerBin<Script>) -> bool {
    bin.jobs().next().is_none()
}

/// No timer: in a year.
fn tokio_instant(epoch: time::Instant, at: Option<Instant>) -> time::Instant {
    epoch + at.map_or(Duration::from_secs(31_536_000), |at| at.since(Instant::ZERO))
}

async fn ask(epoch: time::Instant, happens: UnboundedSender<Happening>) {
    for (at, ask) in asks() {
        sleep_until(tokio_instant(epoch, Some(at))).await;
        happens.send(Happening::Ask(ask)).unwrap();
    }
}

/// The spawner: a task for each process.
struct Tasks {
    happens: UnboundedSender<Happening>,
    stops: HashMap<RunId, UnboundedSender<Stop>>,
}

impl Tasks {
    /// A process that was reaped cannot be stopped any more.
    fn forget(&mut self, what: &Happening) {
        if let Happening::Report(report @ Report::Exit(..)) = what {
            self.stops.remove(&run_of(report));
        }
    }
}

impl ProcessSpawner for Tasks {
    type Command = Script;

    fn spawn(&mut self, run: &RunInfo, script: &Script) -> Result<(), SpawnFailure> {
        let (stop, stops) = unbounded_channel();
        self.stops.insert(run.id, stop);
        tokio::spawn(process(run.id, script.clone(), stops, self.happens.clone()));
        Ok(())
    }

    fn stop(&mut self, run: RunId, how: Stop) {
        if let Some(process) = self.stops.get(&run) {
            // A process that has just ended does not hear it.
            let _ = process.send(how);
        }
    }
}

/// The life of a fake process.
async fn process(
    run: RunId,
    script: Script,
    mut stops: UnboundedReceiver<Stop>,
    happens: UnboundedSender<Happening>,
) {
    time::sleep(script.start).await;
    happens.send(Happening::Report(Report::Started(run))).unwrap();
    let mut ends = time::Instant::now() + script.run;
    let mut exit = Exit::natural(script.status);
    loop {
        let how = tokio::select! {
            biased;
            () = sleep_until(ends) => break,
            Some(how) = stops.recv() => how,
        };
        exit.after_stop = true;
        let (number, after) = match how {
            Stop::Terminate => (15, script.heeds_term),
            Stop::Kill => (9, Some(script.dies_after)),
        };
        let dies = after.map(|after| time::Instant::now() + after);
        if let Some(dies) = dies.filter(|dies| *dies < ends) {
            ends = dies;
            exit.status = ExitStatus::Signal(number);
        }
    }
    happens.send(Happening::Report(Report::Exit(run, exit))).unwrap();
}
