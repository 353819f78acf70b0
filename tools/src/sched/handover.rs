//! How a job is submitted, and followed to its end.

use sched_core::JobId;
use sched_core::bus::SessionEvent;
use sched_core::bus::v1::SubmitOptions;
use sched_runtime_smol::bus::BusUrl;

use super::wait::Waiter;
use super::{Failure, Heard, Patience, Seen, Since, Status, Talk, Watch};
use crate::cli::{self, Shutdown};

/// Submits, and prints the id.
pub(super) async fn hand_in(
    url: BusUrl,
    patience: Patience,
    payload: String,
    opts: SubmitOptions,
) -> Result<Status, Failure> {
    let mut talk = Talk::open(url, patience, "producer").await?;
    let asked = talk.ask(move |session| session.submit(&payload, &opts)).await?;
    loop {
        let Heard::Session(event) = talk.next().await? else { continue };
        if let Some(answer) = answer(asked, event) {
            let (job, _) = answer?;
            cli::print_line(job);
            talk.end().await;
            return Ok(Status::FINISHED);
        }
    }
}

/// Submits, and waits for the outcome. Whoever interrupts this ends the
/// waiting, not the job.
pub(super) async fn follow(
    url: BusUrl,
    patience: Patience,
    payload: String,
    opts: SubmitOptions,
) -> Result<Status, Failure> {
    let shutdown = Shutdown::on_signals().map_err(|why| Failure::Here(why.to_string()))?;
    let mut waiter = Waiter::default();
    let done = shutdown.or_done(see_through(url, patience, payload, opts, &mut waiter)).await;
    match done {
        Some(Err(why)) => Err(why),
        Some(Ok(())) => Ok(waiter.conclude_one()),
        None => Ok(waiter.interrupted()),
    }
}

async fn see_through(
    url: BusUrl,
    patience: Patience,
    payload: String,
    opts: SubmitOptions,
    waiter: &mut Waiter,
) -> Result<(), Failure> {
    let talk = Talk::open(url, patience, "producer").await?;
    let mut watch = Watch::start(talk, Since::Now, false).await?;
    let asked = watch.ask(move |session| session.submit(&payload, &opts)).await?;
    while !waiter.is_done() {
        match watch.next().await? {
            Seen::Other(event) => {
                if let Some(answer) = answer(asked, event) {
                    let (job, dup) = answer?;
                    cli::print_line(job);
                    waiter.add(job);
                    if dup {
                        // It may be another session's, and have ended long ago.
                        watch.look_around().await?;
                    }
                }
            }
            // Nothing of ours was there to be forgotten.
            Seen::NewBus if waiter.has_none() => {}
            seen => waiter.see(&seen)?,
        }
    }
    watch.end().await;
    Ok(())
}

/// The answer to a submission, if this is it.
fn answer(asked: u64, event: SessionEvent) -> Option<Result<(JobId, bool), Failure>> {
    match event {
        SessionEvent::Accepted { request, job, dup } if request == asked => Some(Ok((job, dup))),
        SessionEvent::Refused { request, message, .. } if request == Some(asked) => {
            Some(Err(Failure::Refused(message)))
        }
        SessionEvent::Unknown { request } if request == asked => Some(Err(Failure::NotKnown)),
        _ => None,
    }
}
