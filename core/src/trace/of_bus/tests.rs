use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value;

use super::*;

/// The event of a job, a second after another of them each.
fn event(seq: u64, job: &str, state: &str, more: &str) -> String {
    let (priority, last) = (job.len(), !matches!(state, "pending" | "assigned" | "running"));
    format!(
        r#"{{"ev":"job","seq":{seq},"job":"{job}","state":"{state}","attempt":1,"priority":{priority},{more}"final":{last},"at":"1970-01-01T00:00:{seq:02}.000Z"}}"#
    )
}

fn trace(lines: &[String]) -> Value {
    let mut out = String::new();
    let mut trace = BusTrace::begin(&mut out);
    for line in lines {
        trace.line(&mut out, line).unwrap();
    }
    trace.end(&mut out, None);
    serde_json::from_str(&out).unwrap()
}

/// The bars: whose, in which slot, from and until which second, and how it ended.
fn bars(trace: &Value) -> Vec<(&str, u64, u64, u64, &str)> {
    let all = trace["traceEvents"].as_array().unwrap().iter();
    let bars = all.filter(|it| it["ph"] == "X");
    bars.map(|it| {
        let (ts, dur) = (it["ts"].as_u64().unwrap(), it["dur"].as_u64().unwrap());
        let outcome = it["args"]["outcome"].as_str().unwrap_or("");
        let name = it["name"].as_str().unwrap();
        (name, it["tid"].as_u64().unwrap(), ts / 1_000_000, (ts + dur) / 1_000_000, outcome)
    })
    .collect()
}

const ON: &str = r#""on":"g1","#;

#[test]
fn a_job_runs_where_its_victim_ran() {
    let evicted = r#""on":"g1","by":"j3","ran_ms":4000,"signal":9,"#;
    let trace = trace(&[
        event(1, "j1", "running", ON),
        event(2, "j2", "running", ON),
        event(3, "j3", "assigned", ON),
        event(4, "j1", "finished", r#""on":"g1","ran_ms":3000,"code":0,"#),
        event(6, "j2", "pending", evicted).replace(r#""seq":6"#, r#""seq":5"#),
        event(7, "j3", "running", ON).replace(r#""seq":7"#, r#""seq":6"#),
        event(8, "j3", "finished", ON).replace(r#""seq":8"#, r#""seq":7"#),
    ]);
    let all = [
        ("j1", 1, 1, 4, "finished"),
        ("j2", 2, 2, 6, "evicted"),
        ("TERM to KILL", 2, 3, 6, ""),
        ("j3", 2, 7, 8, "finished"),
    ];
    assert_eq!(bars(&trace), all, "{trace:#}");
    let arrows = trace["traceEvents"].as_array().unwrap().iter();
    let arrows: Vec<_> = arrows
        .filter(|it| it["cat"] == "eviction")
        .map(|it| (it["ph"].as_str().unwrap(), it["ts"].as_u64().unwrap() / 1_000_000))
        .collect();
    assert_eq!(arrows, [("s", 3), ("f", 7)]);
    let about = &trace["otherData"];
    assert_eq!((&about["earlier_events"], &about["missing_events"]), (&0.into(), &0.into()));
}

#[test]
fn what_a_scheduler_says_of_slots_and_stops_is_shown() {
    let trace = trace(&[
        event(1, "j1", "running", r#""on":"g1","slot":7,"#),
        event(2, "j2", "running", r#""on":"g1","slot":7,"#),
        event(3, "j1", "stopping", r#""on":"g1","room_for":"j3","grace_ms":1,"#)
            .replace("true", "false"),
        event(4, "j2", "stopping", ON).replace("true", "false"),
        event(5, "j1", "pending", r#""on":"g1","by":"j3","ran_ms":4000,"signal":15,"#),
        event(6, "j3", "running", r#""on":"g1","slot":7,"#),
        event(7, "j2", "timed_out", r#""on":"g1","ran_ms":4000,"signal":9,"#),
    ]);
    let all = [
        ("j1", 8, 1, 5, "evicted"),
        ("TERM to exit", 8, 3, 5, ""),
        ("j2", 1, 2, 7, "timed_out"),
        ("TERM to KILL", 1, 4, 7, ""),
        ("j3", 8, 6, 7, "running"),
    ];
    assert_eq!(bars(&trace), all, "{trace:#}");
    let arrows = trace["traceEvents"].as_array().unwrap().iter();
    assert_eq!(arrows.filter(|it| it["cat"] == "eviction").count(), 2, "one arrow");
}

#[test]
fn a_run_that_began_earlier_takes_no_slot_from_another() {
    let finished = |ran_ms| format!(r#""on":"g1","ran_ms":{ran_ms},"#);
    let trace = trace(&[
        event(11, "j5", "running", ON),
        event(12, "j1", "finished", &finished(60_000)),
        event(13, "j6", "running", ON),
        event(14, "j5", "finished", &finished(3000)),
        event(15, "j2", "cancelled", ""),
    ]);
    let all =
        [("j1", 2, 0, 12, "finished"), ("j5", 1, 11, 14, "finished"), ("j6", 2, 13, 15, "running")];
    assert_eq!(bars(&trace), all, "{trace:#}");
    assert_eq!(trace["otherData"]["earlier_events"], 10);
    assert!(trace["traceEvents"][0]["name"].as_str().unwrap().starts_with("10 earlier events"));
}

#[test]
fn what_is_missing_is_said_and_what_was_told_is_not_told_again() {
    let finished = event(9, "j1", "finished", r#""on":"g1","ran_ms":8000,"#);
    let trace = trace(&[
        event(1, "j1", "running", ON),
        event(2, "j2", "running", ON),
        event(2, "j2", "running", ON),
        event(1, "j1", "running", ON),
        r#"{"ev":"resync","seq":6}"#.to_owned(),
        event(7, "j2", "running", ON),
        r#"{"ev":"later"}"#.to_owned(),
        finished,
        r#"{"ev":"resync","seq":0}"#.to_owned(),
        event(1, "j1", "running", r#""on":"g2","#).replace("00:01", "00:30"),
    ]);
    let all = [
        ("j2", 2, 2, 2, "unknown"),
        ("j1", 1, 1, 9, "finished"),
        ("j1", 1, 30, 30, "running"),
        ("j2", 2, 7, 7, "unknown"),
    ];
    assert_eq!(bars(&trace), all, "{trace:#}");
    assert_eq!(trace["otherData"]["missing_events"], 5);
    let remarks = trace["traceEvents"].as_array().unwrap().iter().filter(|it| it["ph"] == "i");
    let remarks: Vec<_> = remarks.map(|it| it["name"].as_str().unwrap()).collect();
    let all = ["4 events are missing", "1 events are missing", "the bus was started anew"];
    assert_eq!(remarks, all);
}

#[test]
fn what_makes_no_sense_is_named() {
    let (mut out, line) = (String::new(), event(1, "j1", "running", ON));
    let mut trace = BusTrace::begin(&mut out);
    let mut why = |line: &str| trace.line(&mut out, line).unwrap_err();
    assert!(matches!(why("{"), TraceError::NotAnEvent(_)));
    assert!(matches!(why("[]"), TraceError::NotAnEvent(_)));
    assert_eq!(why(&line.replace("j1", "k1")), TraceError::NoJob("k1".into()));
    assert!(matches!(why(&line.replace("1970", "now")), TraceError::NoTime(_)));
    trace.end(&mut out, None);
    let trace: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(trace["traceEvents"], Value::Array(vec![]));
}
