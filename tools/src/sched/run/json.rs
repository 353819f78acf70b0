//! Outcomes for other programs: one JSON object a line.

use std::io::{self, Read, Write};

use sched_core::{ExitStatus, Outcome};
use sched_runtime_smol::scheduler::Ended;
use serde::Serialize;

use super::line::{JobLine, LineError};

/// What is told of a line, but for what its job wrote.
#[derive(Serialize)]
struct Told<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<&'a str>,
    outcome: &'a str,
    code: Option<i32>,
    signal: Option<i32>,
    reason: Option<String>,
    waited_ms: u128,
    ran_ms: u128,
    runs: u32,
    evictions: u32,
}

/// Tells of a job, with all that its last run wrote.
pub(super) fn write_job(out: &mut impl Write, line: &JobLine, ended: &Ended) -> io::Result<()> {
    let exit = exit_of(&ended.outcome);
    let command = String::from_utf8_lossy(&line.text);
    let told = Told {
        line: line.number,
        priority: Some(line.priority.number()),
        command: Some(&command),
        outcome: ended.outcome.kind().name(),
        code: exit
            .and_then(|exit| if let ExitStatus::Code(code) = exit { Some(code) } else { None }),
        signal: exit.and_then(|exit| if let ExitStatus::Signal(n) = exit { Some(n) } else { None }),
        reason: match &ended.outcome {
            Outcome::SpawnFailed(why) => Some(why.to_string()),
            _ => None,
        },
        waited_ms: ended.tally.waited.as_millis(),
        ran_ms: ended.tally.ran.as_millis(),
        runs: ended.tally.runs,
        evictions: ended.tally.evictions,
    };
    write_open(out, &told)?;
    let spools =
        ended.spooled.iter().flat_map(|it| [("stdout", &it.stdout), ("stderr", &it.stderr)]);
    for (name, spool) in spools {
        write!(out, ",\"{name}\":\"")?;
        write_text(out, spool.reader())?;
        out.write_all(b"\"")?;
    }
    out.write_all(b"}\n")
}

/// Tells of a line that is no job.
pub(super) fn write_refused(out: &mut impl Write, line: u64, why: &LineError) -> io::Result<()> {
    let told = Told {
        line,
        priority: None,
        command: None,
        outcome: "refused",
        code: None,
        signal: None,
        reason: Some(why.to_string()),
        waited_ms: 0,
        ran_ms: 0,
        runs: 0,
        evictions: 0,
    };
    write_open(out, &told)?;
    out.write_all(b"}\n")
}

/// An object to which more can be added.
fn write_open(out: &mut impl Write, told: &Told<'_>) -> io::Result<()> {
    let object = serde_json::to_string(told).map_err(io::Error::other)?;
    out.write_all(object.strip_suffix('}').unwrap_or(&object).as_bytes())
}

/// The inside of a JSON string, a piece at a time: it may be longer than memory.
fn write_text(out: &mut impl Write, mut from: impl Read) -> io::Result<()> {
    let mut chunk = [0; 8 * 1024];
    let mut kept = 0;
    loop {
        let read = from.read(&mut chunk[kept..])?;
        let there = kept + read;
        kept = write_valid(out, &chunk[..there], read == 0)?;
        chunk.copy_within(there - kept..there, 0);
        if read == 0 {
            return Ok(());
        }
    }
}

/// Returns how many bytes at the end are the beginning of a character.
fn write_valid(out: &mut impl Write, mut bytes: &[u8], last: bool) -> io::Result<usize> {
    loop {
        let (valid, bad) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(why) => {
                let valid = std::str::from_utf8(&bytes[..why.valid_up_to()]).unwrap_or_default();
                (valid, Some(why.error_len()))
            }
        };
        let quoted = serde_json::to_string(valid).map_err(io::Error::other)?;
        out.write_all(&quoted.as_bytes()[1..quoted.len() - 1])?;
        bytes = &bytes[valid.len()..];
        match bad {
            None => return Ok(0),
            Some(None) if !last => return Ok(bytes.len()),
            Some(length) => {
                out.write_all("\u{fffd}".as_bytes())?;
                bytes = &bytes[length.unwrap_or(bytes.len())..];
            }
        }
    }
}

const fn exit_of(outcome: &Outcome) -> Option<ExitStatus> {
    match outcome {
        Outcome::Finished => Some(ExitStatus::Code(0)),
        Outcome::Failed(exit)
        | Outcome::TimedOut { exit, .. }
        | Outcome::Evicted { exit, .. }
        | Outcome::Cancelled { exit: Some(exit) } => Some(*exit),
        Outcome::Cancelled { exit: None }
        | Outcome::Expired
        | Outcome::SpawnFailed(_)
        | Outcome::Lost => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a byte at a time, so that every character is torn apart.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn any_bytes_become_a_string_of_json_however_they_come() {
        let bytes = b"a\"\\\n\x01\xc3\xa4\xe2\x82\xac\xff\xf0\x9f\x98\x80\xe2\x82";
        for from in [&mut Drip(bytes) as &mut dyn Read, &mut &bytes[..]] {
            let mut out = b"\"".to_vec();
            write_text(&mut out, from).unwrap();
            out.push(b'"');
            let text: String = serde_json::from_slice(&out).unwrap();
            assert_eq!(text, String::from_utf8_lossy(bytes));
        }
    }
}
