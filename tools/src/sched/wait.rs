//! `sched wait`, and what `sched submit --wait` has of it.

use std::collections::BTreeSet;
use std::io::{self, Write};

use argh::FromArgs;
use sched_core::JobId;
use sched_core::bus::v1::HeardChange;
use sched_runtime_smol::bus::BusUrl;

use super::address::{self, USUAL_PATIENCE};
use super::words::{for_terminal, sentence};
use super::{Ended, Failure, Patience, Seen, Since, Snapshot, Status, Talk, Watch, note};
use crate::cli::{self, AboveZero, Shutdown};

/// Waits until these jobs have ended, and prints how each did. Exits as the job
/// did, if it is one.
#[derive(FromArgs, Debug)]
#[argh(
    subcommand,
    name = "wait",
    help_triggers("-h", "--help"),
    note = "A program that failed gives its own exit code. The bus remembers the last thousand \
            outcomes.",
    error_code(0, "finished (of several: all of them)"),
    error_code(1, "of several, not all finished"),
    error_code(2, "the arguments make no sense"),
    error_code(120, "evicted, and not to come back"),
    error_code(121, "cancelled"),
    error_code(122, "expired: it waited too long to start"),
    error_code(123, "lost: too many schedulers vanished with it"),
    error_code(124, "timed out, by its time limit or its deadline"),
    error_code(125, "no bus, one of version 0, or it knows no such job"),
    error_code(126, "its program could not be started"),
    error_code(127, "its program was not found"),
    error_code(128, "and N more: its program was ended by signal N"),
    error_code(130, "the waiting was interrupted; the job goes on")
)]
pub struct Wait {
    /// where the bus is (default: $SCHED_BUS, or ws://localhost:8101)
    #[argh(option, arg_name = "URL")]
    bus: Option<BusUrl>,

    /// seconds to wait for a bus that is not there (default: 5)
    #[argh(option, arg_name = "SECONDS", default = "AboveZero(USUAL_PATIENCE)")]
    connect: AboveZero,

    /// the jobs, such as j17
    #[argh(positional, arg_name = "JOB", from_str_fn(address::job))]
    jobs: Vec<JobId>,
}

impl Wait {
    pub(super) fn run(self) -> Result<Status, Failure> {
        if self.jobs.is_empty() {
            cli::refuse("sched wait", "a job is needed, such as j17");
        }
        let url = address::bus(self.bus);
        address::run(wait(url, Patience::AtFirst(self.connect.0), self.jobs))
    }
}

async fn wait(url: BusUrl, patience: Patience, jobs: Vec<JobId>) -> Result<Status, Failure> {
    let shutdown = Shutdown::on_signals().map_err(|why| Failure::Here(why.to_string()))?;
    let mut waiter = Waiter::default();
    for job in jobs {
        waiter.add(job);
    }
    let all_ended = async {
        let talk = Talk::open(url, patience, "observer").await?;
        let mut watch = Watch::start(talk, Since::Snapshot, true).await?;
        while !waiter.is_done() {
            let told = waiter.ended.len();
            waiter.see(&watch.next().await?)?;
            for ended in &waiter.ended[told..] {
                cli::print_line(&ended.words);
            }
        }
        watch.end().await;
        Ok(())
    };
    match shutdown.or_done(all_ended).await {
        Some(Err(why)) => Err(why),
        Some(Ok(())) => Ok(waiter.status()),
        None => Ok(waiter.interrupted()),
    }
}

/// Jobs that are waited for.
#[derive(Debug, Default)]
pub(super) struct Waiter {
    open: BTreeSet<String>,
    ended: Vec<Ended>,
}

impl Waiter {
    pub(super) fn add(&mut self, job: JobId) {
        self.open.insert(job.to_string());
    }

    pub(super) fn has_none(&self) -> bool {
        self.open.is_empty() && self.ended.is_empty()
    }

    /// Whether there were jobs, and all have ended.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty() && !self.ended.is_empty()
    }

    /// Takes note of what is seen.
    pub(super) fn see(&mut self, seen: &Seen) -> Result<(), Failure> {
        match seen {
            Seen::Event(text) => self.take(text),
            Seen::Snapshot(text) => self.compare(&Snapshot::parse(text)?)?,
            Seen::NewBus => return Err(Failure::Forgotten),
            Seen::Away(why) => note(format_args!("the bus is gone ({why}); waiting for it")),
            Seen::Back => note(format_args!("the bus is there again")),
            Seen::Alarm | Seen::Other(_) => {}
        }
        Ok(())
    }

    fn take(&mut self, event: &str) {
        let Ok(change) = serde_json::from_str::<HeardChange<'_>>(event) else { return };
        if !self.open.contains(&*change.job) {
            return;
        }
        if let Some(ended) = Ended::of(&change) {
            self.open.remove(&*change.job);
            self.ended.push(ended);
        } else if change.state == "pending" && change.reason.is_some() {
            // Declined, or given back: whoever waits may wait for nothing.
            note(sentence(&change));
        }
    }

    /// What has ended meanwhile, and what there never was.
    fn compare(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        for job in self.open.clone() {
            if let Some(event) = snapshot.ending_of(&job) {
                self.take(event.get());
            } else if snapshot.is_alive(&job) == Some(false) {
                return Err(Failure::NoJob(job));
            }
        }
        Ok(())
    }

    /// The status of one job is its own, that of several whether all finished.
    fn status(&self) -> Status {
        match &self.ended[..] {
            [one] => one.status,
            all if all.iter().all(|ended| ended.status == Status::FINISHED) => Status::FINISHED,
            _ => Status::FAILED,
        }
    }

    /// Passes on what the program of a job wrote, and what there is to say.
    pub(super) fn conclude_one(&self) -> Status {
        for ended in &self.ended {
            if let Some(output) = &ended.output {
                let mut stdout = io::stdout().lock();
                let _nobody_listens =
                    stdout.write_all(for_terminal(output).as_bytes()).and_then(|()| stdout.flush());
            }
            if ended.status != Status::FINISHED {
                note(&ended.words);
            }
        }
        self.status()
    }

    pub(super) fn interrupted(&self) -> Status {
        for job in &self.open {
            note(format_args!("{job} goes on; `sched wait {job}` waits for it again"));
        }
        Status::INTERRUPTED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(jobs: &[&str]) -> Waiter {
        let mut waiter = Waiter::default();
        for job in jobs {
            waiter.add(JobId::parse(job).unwrap());
        }
        waiter
    }

    fn event(job: &str, state: &str) -> Seen {
        let last = !matches!(state, "pending" | "running");
        Seen::Event(format!(
            r#"{{"ev":"job","seq":1,"job":"{job}","state":"{state}","code":3,"final":{last}}}"#
        ))
    }

    fn snapshot(ended: &str, pending: u64) -> Seen {
        Seen::Snapshot(format!(
            r#"{{"ev":"snapshot","seq":9,"running":[{{"job":"j1"}}],"pending":[],
                "ended":[{ended}],"counters":{{"running":1,"pending":{pending}}}}}"#
        ))
    }

    #[test]
    fn one_job_gives_its_own_status() {
        let mut waiter = waiter(&["j1"]);
        for (seen, done) in [
            (event("j1", "running"), false),
            (event("j2", "failed"), false),
            (event("j1", "failed"), true),
        ] {
            waiter.see(&seen).unwrap();
            assert_eq!(waiter.is_done(), done, "{seen:?}");
        }
        assert_eq!(waiter.status(), Status(3));
    }

    #[test]
    fn several_jobs_give_whether_all_finished() {
        for (last, status) in [("finished", Status::FINISHED), ("failed", Status::FAILED)] {
            let mut waiter = waiter(&["j1", "j2"]);
            waiter.see(&event("j1", "finished")).unwrap();
            assert!(!waiter.is_done());
            waiter.see(&event("j2", last)).unwrap();
            assert!(waiter.is_done());
            assert_eq!(waiter.status(), status);
        }
    }

    #[test]
    fn a_snapshot_tells_what_was_missed() {
        let mut waiter = waiter(&["j1", "j7"]);
        let seen = snapshot(r#"{"seq":8,"job":"j7","state":"expired","final":true}"#, 0);
        waiter.see(&seen).unwrap();
        assert_eq!(waiter.ended[0].status, Status::EXPIRED);
        assert!(waiter.open.contains("j1"), "it runs");
    }

    #[test]
    fn a_job_that_there_is_not_is_an_error_but_not_one_that_is_not_named() {
        let unknown = waiter(&["j7"]).see(&snapshot("", 0));
        assert_eq!(unknown, Err(Failure::NoJob("j7".into())));
        waiter(&["j7"]).see(&snapshot("", 5000)).unwrap();
    }

    #[test]
    fn a_bus_that_has_forgotten_everything_is_an_error() {
        assert_eq!(waiter(&["j1"]).see(&Seen::NewBus), Err(Failure::Forgotten));
    }
}
