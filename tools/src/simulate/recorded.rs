//! What happened on a bus, to be run again.

use std::collections::BTreeMap;
use std::time::Duration;

use sched_core::Instant;
use sched_core::bus::v1::HeardChange;
use serde::Deserialize;

use super::Work;

/// Puts the events of a bus together again to the jobs they tell of.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    jobs: BTreeMap<String, Job>,
}

#[derive(Debug)]
struct Job {
    submitted: Option<Duration>,
    priority: i32,
    runtime: Option<Duration>,
}

#[derive(Deserialize)]
struct Head<'a> {
    ev: &'a str,
}

impl Recorded {
    /// Reads a line. What is no event of a job is passed over.
    pub(super) fn event(&mut self, line: &str) -> Result<(), String> {
        let head: Head<'_> = serde_json::from_str(line).map_err(|why| why.to_string())?;
        if head.ev != "job" {
            return Ok(());
        }
        let change: HeardChange<'_> = serde_json::from_str(line).map_err(|why| why.to_string())?;
        let at = change.time().ok_or_else(|| format!("{:?} is no time", change.at))?;
        // Of a job whose first event is another, the submission is not known.
        let at = at - Instant::ZERO;
        let first = change.state == "pending" && change.by.is_none() && change.on.is_none();
        let job = self.jobs.entry(change.job.into_owned()).or_insert_with(|| Job {
            submitted: first.then_some(at),
            priority: change.priority,
            runtime: None,
        });
        if change.last && matches!(&*change.state, "finished" | "failed") {
            job.runtime = change.ran_ms.map(Duration::from_millis);
        }
        Ok(())
    }

    /// Gives the jobs that are known from their begin to their end; returns how
    /// many others there are.
    pub(super) fn take(self, works: &mut Vec<Work>) -> usize {
        let all = self.jobs.len();
        let known = self.jobs.into_values().filter_map(|job| {
            let Job { priority, .. } = job;
            Some(Work { submitted: job.submitted?, runtime: job.runtime?, priority, limit: None })
        });
        let before = works.len();
        works.extend(known);
        all - (works.len() - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_put_together_from_their_events() {
        let mut recorded = Recorded::default();
        for line in [
            r#"{"ev":"job","seq":1,"job":"j1","state":"pending","priority":5,"attempt":1,"at":"1970-01-01T00:00:10.000Z"}"#,
            r#"{"ev":"job","seq":2,"job":"j1","state":"running","priority":5,"attempt":1,"on":"a","at":"1970-01-01T00:00:11.000Z"}"#,
            r#"{"ev":"job","seq":3,"job":"j0","state":"finished","priority":1,"ran_ms":7,"final":true,"at":"1970-01-01T00:00:11.500Z"}"#,
            r#"{"ev":"job","seq":4,"job":"j1","state":"pending","priority":5,"by":"j2","ran_ms":100,"at":"1970-01-01T00:00:12.000Z"}"#,
            r#"{"ev":"resync","seq":4}"#,
            r#"{"ev":"job","seq":5,"job":"j1","state":"finished","priority":5,"ran_ms":2500,"final":true,"at":"1970-01-01T00:00:20.000Z"}"#,
        ] {
            recorded.event(line).unwrap();
        }
        assert!(recorded.event("{").is_err());
        assert!(recorded.event(r#"{"ev":"job","job":"j9","at":"now"}"#).is_err());
        let mut works = Vec::new();
        assert_eq!(recorded.take(&mut works), 1, "the begin of j0 is not known");
        let (submitted, runtime) = (Duration::from_secs(10), Duration::from_millis(2500));
        assert_eq!(works, [Work { submitted, runtime, priority: 5, limit: None }]);
    }
}
