use alloc::format;

use super::*;
use crate::bus::v1::ErrorCode;

fn code_of(text: &str) -> ErrorCode {
    Envelope::parse(text).request.unwrap_err().code
}

#[test]
fn a_submission_keeps_its_payload_as_it_was_written() {
    let text = r#"{"cmd":"submit","id":"c42","payload":{"priority": 3, "x":1e400},"opts":{"key":"k","on_evict":"drop","timeout_ms":5}}"#;
    let envelope = Envelope::parse(text);
    assert_eq!(envelope.id.unwrap().get(), r#""c42""#);
    let Ok(Request::Submit(submission)) = envelope.request else { panic!() };
    assert_eq!(submission.payload, r#"{"priority": 3, "x":1e400}"#);
    assert_eq!(submission.priority, Priority::new(3));
    assert_eq!(submission.opts.on_evict, Some(OnEvict::Drop));
    assert_eq!((submission.opts.timeout_ms, submission.opts.expires_ms), (Some(5), None));
}

#[test]
fn a_report_says_how_a_process_ended() {
    let text = r#"{"cmd":"report","job":"j1","lease":17,"state":"evicted","code":null,"signal":15,"by":"j2","ran_ms":2310,"reason":null}"#;
    let Ok(Request::Report(report)) = Envelope::parse(text).request else { panic!() };
    assert_eq!((report.state, report.exit), (ReportState::Evicted, ExitStatus::Signal(15)));
    assert_eq!(report.by, JobId::parse("j2"));
}

#[test]
fn a_floor_of_null_is_not_a_floor_left_out() {
    let floor = |text| match Envelope::parse(text).request {
        Ok(Request::Beat { floor, .. }) => floor,
        other => panic!("{other:?}"),
    };
    assert_eq!(floor(r#"{"cmd":"beat","leases":[]}"#), None);
    assert_eq!(floor(r#"{"cmd":"beat","floor":8}"#), Some(Some(8)));
    assert_eq!(floor(r#"{"cmd":"beat","floor":null}"#), Some(None));
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(code_of("{"), ErrorCode::Parse);
    assert_eq!(code_of("[1]"), ErrorCode::Request);
    assert_eq!(code_of("{}"), ErrorCode::Request);
    assert_eq!(code_of(r#"{"cmd":"fly"}"#), ErrorCode::UnknownCommand);
    assert_eq!(code_of(r#"{"cmd":"cancel"}"#), ErrorCode::BadParams);
    assert_eq!(code_of(r#"{"cmd":"cancel","job":"17"}"#), ErrorCode::BadParams);
    for payload in [
        "{}",
        r#"{"priority":"x"}"#,
        r#"{"priority":-1}"#,
        r#"{"priority":1e400}"#,
        r#"{"priority":1.5}"#,
    ] {
        let text = format!(r#"{{"cmd":"submit","payload":{payload}}}"#);
        assert_eq!(code_of(&text), ErrorCode::BadPayload, "{payload}");
    }
    let opts = r#"{"cmd":"submit","payload":{"priority":1},"opts":{"on_evict":"eat"}}"#;
    assert_eq!(code_of(opts), ErrorCode::BadParams);
}
