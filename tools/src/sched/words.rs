//! Events in words.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::time::Duration;

use sched_core::bus::v1::HeardChange;

/// What there is to say about an event beyond the job and its state.
#[must_use]
pub fn details(change: &HeardChange<'_>) -> String {
    let mut parts = Vec::new();
    if change.state == "pending" && change.by.is_none() && change.on.is_none() {
        parts.push(format!("priority {}", change.priority));
    }
    if change.attempt > 1 {
        parts.push(format!("attempt {}", change.attempt));
    }
    if let Some(by) = &change.by {
        parts.push(format!("evicted for {by}"));
    }
    if let Some(job) = &change.room_for {
        parts.push(format!("to make room for {job}"));
    }
    if let Some(code) = change.code.filter(|code| *code != 0) {
        parts.push(format!("exit code {code}"));
    }
    if let Some(signal) = change.signal {
        parts.push(format!("signal {signal}"));
    }
    if let Some(ran) = change.ran_ms {
        parts.push(format!("ran {}", span(Duration::from_millis(ran))));
    }
    if let Some(on) = &change.on {
        parts.push(format!("on {on}"));
    }
    if let Some(reason) = &change.reason {
        parts.push(reason.to_string());
    }
    if let Some(retry) = change.retry_ms {
        parts.push(format!("tried again in {}", span(Duration::from_millis(retry))));
    }
    one_line(&parts.join(", "))
}

/// An event as a sentence about its job.
#[must_use]
pub fn sentence(change: &HeardChange<'_>) -> String {
    let state = one_line(state(&change.state));
    let details = details(change);
    let job = one_line(&change.job);
    if details.is_empty() { format!("{job} {state}") } else { format!("{job} {state} ({details})") }
}

/// A state in words.
fn state(name: &str) -> &str {
    match name {
        "pending" => "waits",
        "assigned" => "is assigned",
        "running" => "runs",
        "stopping" => "is asked to end",
        "timed_out" => "timed out",
        "evicted" => "was evicted for good",
        "cancelled" => "was cancelled",
        "spawn_failed" => "could not be started",
        "lost" => "was lost",
        other => other,
    }
}

/// A time, short: `0.25 s`, `12.3 s`, `3m05s`, `2h04m`, `3d02h`.
#[must_use]
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{:.2} s", time.as_secs_f64()),
        10..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// What a program wrote, as a terminal may be shown it: without the sequences
/// that would steer it. Anything but a terminal gets it as it was written.
pub(super) fn for_terminal(text: &str) -> Cow<'_, str> {
    if io::stdout().is_terminal() { without_controls(text) } else { Cow::Borrowed(text) }
}

fn without_controls(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    Cow::Owned(text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect())
}

/// A text of others, without what would spoil the terminal or the table.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_not_shown_to_it() {
        let written = "50 %\r\x1b[2Jdone\tall\n\u{9b}é";
        assert_eq!(without_controls(written), "50 %\u{fffd}\u{fffd}[2Jdone\tall\n\u{fffd}é");
    }

    #[test]
    fn an_event_is_told_in_one_line() {
        let words = |json: &str| sentence(&serde_json::from_str(json).unwrap());
        let evicted = r#"{"job":"j3","state":"pending","attempt":1,"by":"j4","on":"g1","ran_ms":2310,"signal":15}"#;
        assert_eq!(words(evicted), "j3 waits (evicted for j4, signal 15, ran 2.31 s, on g1)");
        let stopping = r#"{"job":"j3","state":"stopping","attempt":1,"room_for":"j4","on":"g1"}"#;
        assert_eq!(words(stopping), "j3 is asked to end (to make room for j4, on g1)");
        let failed = r#"{"job":"j3","state":"failed","attempt":2,"code":3,"ran_ms":61000,"reason":"a\nb","final":true}"#;
        assert_eq!(words(failed), "j3 failed (attempt 2, exit code 3, ran 1m01s, a b)");
        let named = r#"{"job":"j\u001b3","state":"o\u0007dd","on":"\u001b]0;x\u0007\ng1"}"#;
        assert_eq!(words(named), "j 3 o dd (on  ]0;x  g1)");
        let retried = r#"{"job":"j3","state":"pending","attempt":2,"code":3,"retry_ms":750}"#;
        let expected = "j3 waits (priority 0, attempt 2, exit code 3, tried again in 0.75 s)";
        assert_eq!(words(retried), expected);
    }

    #[test]
    fn times_are_short() {
        let short = |seconds: f64| span(Duration::from_secs_f64(seconds));
        assert_eq!(short(0.25), "0.25 s");
        assert_eq!(short(12.34), "12.3 s");
        assert_eq!(short(185.0), "3m05s");
        assert_eq!(short(7_440.0), "2h04m");
        assert_eq!(short(266_400.0), "3d02h");
    }
}
