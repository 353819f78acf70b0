//! The Standard Workload Format of the Parallel Workloads Archive, version 2.

use std::time::Duration;

use super::Work;

/// How many numbers a record has.
const FIELDS: usize = 18;

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Record {
    /// A job that ran.
    Job(Work),
    /// A job that did not.
    DidNotRun,
    /// Something for people, after a semicolon.
    Comment,
}

/// Reads a line.
pub(super) fn record(line: &str, limits: bool) -> Result<Record, String> {
    if line.starts_with(';') {
        return Ok(Record::Comment);
    }
    let numbers = line.split_ascii_whitespace().map(number).collect::<Result<Vec<f64>, _>>()?;
    let fields: [f64; FIELDS] = numbers
        .try_into()
        .map_err(|found: Vec<f64>| format!("{} numbers, and not {FIELDS}", found.len()))?;
    let [_, submitted, _, runtime, _, _, _, _, asked, _, _, _, _, _, queue, ..] = fields;
    let Some(submitted) = seconds(submitted)? else {
        return Err("it does not say when it was submitted".to_owned());
    };
    let Some(runtime) = seconds(runtime)? else { return Ok(Record::DidNotRun) };
    let limit = if limits { seconds(asked)?.filter(|limit| !limit.is_zero()) } else { None };
    Ok(Record::Job(Work { submitted, runtime, priority: priority(queue)?, limit }))
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("{text:?} is no number")),
    }
}

/// -1 is "not known"; no other time is negative.
fn seconds(number: f64) -> Result<Option<Duration>, String> {
    if number == -1.0 {
        return Ok(None);
    }
    Duration::try_from_secs_f64(number)
        .map(Some)
        .map_err(|_| format!("{number} is no time in seconds"))
}

fn priority(queue: f64) -> Result<i32, String> {
    let most = f64::from(i32::MAX);
    match queue {
        -1.0 => Ok(0),
        // A whole number in the range of the type is converted without loss.
        queue if queue.fract() == 0.0 && (0.0..=most).contains(&queue) => Ok(queue as i32),
        _ => Err(format!("{queue} is no queue that could be a priority")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(submitted: u64, runtime: u64, priority: i32) -> Work {
        let seconds = Duration::from_secs;
        Work { submitted: seconds(submitted), runtime: seconds(runtime), priority, limit: None }
    }

    #[test]
    fn records_and_comments() {
        let line = "1 1200 35 3600 4 -1 -1 4 7200 -1 1 12 3 -1 2 -1 -1 -1";
        assert_eq!(record(line, false), Ok(Record::Job(job(1200, 3600, 2))));
        let limited = Work { limit: Some(Duration::from_secs(7200)), ..job(1200, 3600, 2) };
        assert_eq!(record(line, true), Ok(Record::Job(limited)));
        assert_eq!(record("; UnixStartTime: 0", false), Ok(Record::Comment));
        let cancelled = "2 1300 -1 -1 -1 -1 -1 4 7200 -1 5 12 3 -1 -1 -1 -1 -1";
        assert_eq!(record(cancelled, false), Ok(Record::DidNotRun));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (line, why) in [
            ("1 2 3", "3 numbers, and not 18"),
            ("1 x 35 3600 4 -1 -1 4 7200 -1 1 12 3 -1 2 -1 -1 -1", "\"x\" is no number"),
            ("1 nan 35 3600 4 -1 -1 4 7200 -1 1 12 3 -1 2 -1 -1 -1", "\"nan\" is no number"),
            ("1 -1 35 3600 4 -1 -1 4 7200 -1 1 12 3 -1 2 -1 -1 -1", "when it was submitted"),
            ("1 0 35 -7 4 -1 -1 4 7200 -1 1 12 3 -1 2 -1 -1 -1", "-7 is no time"),
            ("1 0 35 7 4 -1 -1 4 7200 -1 1 12 3 -1 2.5 -1 -1 -1", "2.5 is no queue"),
            ("1 0 35 7 4 -1 -1 4 7200 -1 1 12 3 -1 1e300 -1 -1 -1", "is no queue"),
        ] {
            let told = record(line, false).unwrap_err();
            assert!(told.contains(why), "{line}: {told}");
        }
    }
}
