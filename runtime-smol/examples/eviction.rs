//! How long an eviction takes, from the decision until the successor runs,
//! beside TERM + wait + `posix_spawn` without a scheduler. Prints both medians
//! in microseconds and their ratio. One argument: how many rounds (200).

use std::error::Error;
use std::num::NonZeroUsize;
use std::process;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sched_core::{EventKind, JobSpec, Policy, Priority};
use sched_runtime_smol::scheduler::{Notice, Subscription};
use sched_runtime_smol::{Command, Scheduler};

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(200), |rounds| rounds.parse::<usize>())?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    // Alternating, so that both see the same machine.
    for _ in 0..rounds.max(1) {
        ours.push(smol::block_on(smol::spawn(evict())).map_err(|why| why.to_string())?);
        bare.push(replace()?);
    }
    let (ours, bare) = (median(ours).as_micros(), median(bare).as_micros());
    println!("eviction {ours} us, bare {bare} us, ratio {:.3}", ours as f64 / bare as f64);
    Ok(())
}

async fn evict() -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let scheduler = Scheduler::start(NonZeroUsize::MIN, Policy::seed())?;
    let mut story = scheduler.subscribe().await?;
    let sleep =
        |priority| JobSpec::new(Priority::new(priority), Command::new("/bin/sleep").arg("60"));
    scheduler.submit(sleep(9)).await?;
    until(&mut story, |kind| matches!(kind, EventKind::Started { .. })).await;
    // Until the victim has become /bin/sleep, as the bare one has below.
    smol::Timer::after(Duration::from_millis(5)).await;
    scheduler.submit(sleep(1)).await?;
    let decided = until(&mut story, |kind| matches!(kind, EventKind::Stopping { .. })).await;
    let runs = until(&mut story, |kind| matches!(kind, EventKind::Started { .. })).await;
    scheduler.kill().await;
    Ok(runs - decided)
}

async fn until(story: &mut Subscription, is: impl Fn(&EventKind) -> bool) -> sched_core::Instant {
    loop {
        match story.next().await {
            Some(Notice::Event(event)) if is(&event.kind) => return event.at,
            Some(_) => {}
            None => return sched_core::Instant::ZERO,
        }
    }
}

fn replace() -> Result<Duration, Box<dyn Error>> {
    let mut victim = process::Command::new("/bin/sleep").arg("60").spawn()?;
    std::thread::sleep(Duration::from_millis(5));
    let decided = Instant::now();
    kill_process(Pid::from_child(&victim), Signal::TERM)?;
    victim.wait()?;
    let mut successor = process::Command::new("/bin/sleep").arg("60").spawn()?;
    let took = decided.elapsed();
    successor.kill()?;
    successor.wait()?;
    Ok(took)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
