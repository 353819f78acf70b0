//! One line of the input: a job.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use sched_core::Priority;
use thiserror::Error;

/// The priority of a line that names none, as of `sched submit`.
const USUAL: Priority = Priority::new(5);

/// A job as it was read.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct JobLine {
    /// Where it stands, from 1.
    pub(super) number: u64,
    pub(super) priority: Priority,
    /// The command as it stands there.
    pub(super) text: Box<[u8]>,
}

/// Why a line is no job.
#[derive(Clone, PartialEq, Eq, Error, Debug)]
pub(super) enum LineError {
    #[error("a quote is not closed, or a backslash stands at the end")]
    OpenQuote,
    #[error("{0:?} is no priority: a whole number from 0 to {max}", max = i32::MAX)]
    Priority(String),
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
}

/// The job of a line and its words; `None`: nothing stands there.
pub(super) fn parse(
    number: u64,
    line: &[u8],
) -> Result<Option<(JobLine, Vec<OsString>)>, LineError> {
    let (priority, text) = split_priority(line)?;
    let words = shlex::bytes::split(text).ok_or(LineError::OpenQuote)?;
    if words.is_empty() {
        return Ok(None);
    }
    let words = words.into_iter().map(OsString::from_vec).collect();
    Ok(Some((JobLine { number, priority, text: text.into() }, words)))
}

/// What stands before the first tab is a priority if it is a number. A command
/// may have tabs, too.
fn split_priority(line: &[u8]) -> Result<(Priority, &[u8]), LineError> {
    let Some(tab) = line.iter().position(|byte| *byte == b'\t') else { return Ok((USUAL, line)) };
    let head = String::from_utf8_lossy(&line[..tab]);
    let head = head.trim();
    let digits = head.strip_prefix(['-', '+']).unwrap_or(head);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok((USUAL, line));
    }
    match head.parse::<i32>() {
        Ok(number) if number >= 0 => Ok((Priority::new(number), &line[tab + 1..])),
        _ => Err(LineError::Priority(head.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> (i32, Vec<String>) {
        let (job, words) = parse(1, line.as_bytes()).unwrap().unwrap();
        let words = words.into_iter().map(|word| word.into_string().unwrap()).collect();
        (job.priority.number(), words)
    }

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let expected = ["echo", "a b", "c d", "e f", "$HOME", "*", ""].map(str::to_owned).to_vec();
        assert_eq!(words(r#"echo 'a b' "c d" e\ f '$HOME' * "" # done"#), (5, expected));
    }

    #[test]
    fn a_number_before_a_tab_is_the_priority() {
        assert_eq!(words("3\ttrue"), (3, vec!["true".into()]));
        assert_eq!(words("0\techo\tx"), (0, vec!["echo".into(), "x".into()]));
        assert_eq!(words("echo\tx"), (5, vec!["echo".into(), "x".into()]));
        assert_eq!(words("3 x"), (5, vec!["3".into(), "x".into()]));
        assert_eq!(words("\techo x"), (5, vec!["echo".into(), "x".into()]));
    }

    #[test]
    fn nothing_is_no_job_and_nonsense_is_named() {
        for nothing in ["", "  ", "# a comment", "3\t", "3\t # x"] {
            assert_eq!(parse(1, nothing.as_bytes()), Ok(None), "{nothing:?}");
        }
        for open in ["echo 'a", "echo \"a", "echo a\\"] {
            assert_eq!(parse(1, open.as_bytes()), Err(LineError::OpenQuote), "{open:?}");
        }
        for priority in ["-1", "2147483648", "-99999999999999999999"] {
            let line = format!("{priority}\ttrue");
            assert_eq!(parse(1, line.as_bytes()), Err(LineError::Priority(priority.into())));
        }
    }

    #[test]
    fn bytes_that_are_no_text_reach_the_command() {
        let (_, words) = parse(1, b"cat 'a\xff'").unwrap().unwrap();
        assert_eq!(words[1], OsString::from_vec(b"a\xff".to_vec()));
    }
}
