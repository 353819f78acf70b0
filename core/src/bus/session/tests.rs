//! Scenes of a client and what it hears.

use super::*;
use crate::id::{BinIndex, SlotId};
use crate::spawner::ExitStatus;

const WELCOME: &str = r#"{"ev":"welcome","v":1,"session":"s7","durability":"memory","beat_ms":5000,"lease_ms":15000,"max_frame":1048576,"seq":3}"#;

fn scheduler() -> Session {
    Session::new(Identity { role: "scheduler", name: "g1".to_owned(), slots: 2 })
}

fn sent(session: &mut Session) -> Vec<String> {
    core::iter::from_fn(|| session.poll_transmit()).collect()
}

fn heard(session: &mut Session) -> Vec<SessionEvent> {
    core::iter::from_fn(|| session.poll_event()).collect()
}

fn at(secs: u64) -> Instant {
    Instant::from_secs(secs)
}

fn up(session: &mut Session, now: Instant) {
    session.handle_connected(now);
    session.handle_message(now, WELCOME);
    sent(session);
    heard(session);
}

fn assign(session: &mut Session, now: Instant, lease: u64) {
    let text = format!(
        r#"{{"ev":"assign","job":"j1","lease":{lease},"attempt":1,"payload":{{}},"opts":{{}}}}"#
    );
    session.handle_message(now, &text);
}

fn job() -> JobId {
    JobId::new(BinIndex::default(), 1)
}

fn finished(lease: u64) -> JobReport {
    JobReport {
        job: job(),
        lease: LeaseId::new(lease),
        state: ReportState::Finished,
        exit: Some(ExitStatus::Code(0)),
        by: None,
        ran: Duration::from_millis(5),
        reason: None,
        output: Some("a \"quoted\" line\n".to_owned()),
        slot: Some(SlotId::new(3)),
    }
}

#[test]
fn it_registers_with_version_1_and_comes_back_with_its_session() {
    let mut session = scheduler();
    session.handle_connected(at(0));
    let register = r#"{"cmd":"register","type":"scheduler","v":1,"name":"g1","slots":2}"#;
    assert_eq!(sent(&mut session), [register]);
    session.handle_message(at(0), WELCOME);
    assert_eq!(sent(&mut session), [r#"{"cmd":"beat","leases":[],"free":2,"floor":null}"#]);
    session.handle_disconnected(at(1));
    session.handle_connected(at(2));
    assert!(sent(&mut session)[0].ends_with(r#","session":"s7"}"#));
    session.handle_message(at(2), WELCOME);
    assert!(matches!(heard(&mut session)[..], [_, SessionEvent::Welcomed { resumed: true, .. }]));
}

#[test]
fn a_bus_that_says_no_welcome_speaks_version_0() {
    let mut session = scheduler();
    session.handle_connected(at(0));
    session.handle_message(at(1), r#"{"priority":1,"runtime":2}"#);
    assert_eq!(session.poll_timeout(), Some(at(2)));
    session.handle_timeout(at(2));
    let payload = SessionEvent::Payload(r#"{"priority":1,"runtime":2}"#.to_owned());
    assert_eq!(heard(&mut session), [payload, SessionEvent::OldBus]);
    assert!(session.is_old());
}

#[test]
fn a_bus_whose_welcome_is_late_speaks_version_1_from_then_on() {
    let mut session = scheduler();
    session.handle_connected(at(0));
    session.handle_timeout(at(2));
    assert!(session.is_old());
    session.cancel(job());
    assert_eq!(sent(&mut session).len(), 1, "it has registered, and waits with the rest");
    assert_eq!(heard(&mut session), [SessionEvent::OldBus]);
    session.handle_message(at(20), WELCOME);
    let [cancel, beat] = &sent(&mut session)[..] else { panic!() };
    assert!(cancel.contains("cancel") && beat.contains("beat"), "{cancel} {beat}");
    assert!(!session.is_old() && session.is_up());
    // Only what was given out before the connection could be too old.
    session.handle_message(at(20), r#"{"ev":"beat","revoked":[]}"#);
    assign(&mut session, at(20), 17);
    let told = heard(&mut session);
    let [SessionEvent::Welcomed { .. }, SessionEvent::Assigned { .. }] = &told[..] else {
        panic!("{told:?}");
    };
    session.handle_disconnected(at(21));
    assert!(session.holds(LeaseId::new(17)));
}

#[test]
fn a_lease_ends_here_before_the_bus_gives_its_job_to_another() {
    let mut session = scheduler();
    up(&mut session, at(0));
    // Heard by the bus at once: it believes in the lease until 15.
    session.handle_message(at(0), r#"{"ev":"beat","revoked":[]}"#);
    assign(&mut session, at(0), 17);
    session.handle_disconnected(at(1));
    let due = session.poll_timeout().unwrap();
    assert!(due <= at(14), "{due}: no time is left to end the run");
}

#[test]
fn a_lease_goes_on_while_the_machine_is_suspended() {
    let mut session = scheduler();
    up(&mut session, at(0));
    session.handle_message(at(0), r#"{"ev":"beat","revoked":[]}"#);
    assign(&mut session, at(1), 17);
    session.handle_timeout(at(5));
    heard(&mut session);
    session.handle_suspended(at(6), Duration::from_secs(7));
    assert_eq!(heard(&mut session), [], "it lapses at 14, and it is 13");
    session.handle_suspended(at(6), Duration::from_secs(1));
    let lease = LeaseId::new(17);
    assert_eq!(heard(&mut session), [SessionEvent::Revoked { job: job(), lease }]);
    // What comes now may have been given out before.
    session.handle_suspended(at(6), Duration::from_secs(60));
    session.handle_message(at(6), r#"{"ev":"beat","revoked":[]}"#);
    assign(&mut session, at(6), 18);
    assert_eq!(heard(&mut session), []);
}

#[test]
fn a_lease_lasts_from_when_the_beat_that_was_answered_was_sent() {
    let mut session = scheduler();
    up(&mut session, at(0));
    session.handle_message(at(0), r#"{"ev":"beat","revoked":[]}"#);
    assign(&mut session, at(1), 17);
    assert_eq!(session.poll_timeout(), Some(at(5)), "the next beat");
    session.handle_timeout(at(5));
    assert_eq!(sent(&mut session), [r#"{"cmd":"beat","leases":[17],"free":2,"floor":null}"#]);
    session.handle_message(at(9), r#"{"ev":"beat","revoked":[]}"#);
    session.handle_disconnected(at(10));
    assert_eq!(session.poll_timeout(), Some(at(19)), "sent at 5, lasts 15, one to spare");
    heard(&mut session);
    session.handle_timeout(at(19));
    let lease = LeaseId::new(17);
    assert_eq!(heard(&mut session), [SessionEvent::Revoked { job: job(), lease }]);
}

#[test]
fn a_beat_is_never_too_large_for_the_bus_and_none_of_its_leases_is_left_out() {
    let mut session = scheduler();
    session.handle_connected(at(0));
    session.handle_message(at(0), &WELCOME.replace("1048576", "300"));
    session.handle_message(at(0), r#"{"ev":"beat","revoked":[]}"#);
    let leases: Vec<u64> = (0..100).map(|number| u64::MAX - 100 + number).collect();
    leases.iter().for_each(|lease| assign(&mut session, at(1), *lease));
    sent(&mut session);
    heard(&mut session);
    session.handle_timeout(at(5));
    let beats = sent(&mut session);
    let named = |beat: &String| -> Vec<u64> {
        let beat: serde_json::Value = serde_json::from_str(beat).unwrap();
        serde_json::from_value(beat["leases"].clone()).unwrap()
    };
    assert!(beats.iter().all(|beat| beat.len() <= 300), "{beats:?}");
    assert_eq!(beats.iter().flat_map(named).collect::<Vec<_>>(), leases);
    // One that was not answered renews nothing.
    let last = named(beats.last().unwrap());
    for _ in 1..beats.len() {
        session.handle_message(at(6), r#"{"ev":"beat","revoked":[]}"#);
    }
    session.handle_disconnected(at(7));
    session.handle_timeout(at(15));
    let lapsed = heard(&mut session).into_iter().map(|event| match event {
        SessionEvent::Revoked { lease, .. } => lease.number(),
        other => panic!("{other:?}"),
    });
    assert_eq!(lapsed.collect::<Vec<_>>(), last);
}

#[test]
fn a_report_is_sent_until_it_is_answered() {
    let mut session = scheduler();
    up(&mut session, at(0));
    assign(&mut session, at(1), 17);
    session.report(&finished(17));
    let report = sent(&mut session);
    assert!(report[0].contains(r#""output":"a \"quoted\" line\n""#), "{}", report[0]);
    session.handle_disconnected(at(2));
    session.handle_connected(at(3));
    session.handle_message(at(3), WELCOME);
    assert!(sent(&mut session).contains(&report[0]));
    session.handle_message(at(3), r#"{"ev":"ok","re":1}"#);
    assert_eq!(session.unanswered(), 0);
}

#[test]
fn another_bus_voids_the_leases_and_their_reports() {
    let mut session = scheduler();
    up(&mut session, at(0));
    assign(&mut session, at(1), 17);
    assign(&mut session, at(1), 18);
    session.report(&finished(18));
    heard(&mut session);
    session.handle_disconnected(at(2));
    session.handle_connected(at(3));
    session.handle_message(at(3), &WELCOME.replace("s7", "s900"));
    let lease = LeaseId::new(17);
    assert_eq!(heard(&mut session)[0], SessionEvent::Revoked { job: job(), lease });
    assert_eq!(session.unanswered(), 0);
}

#[test]
fn what_is_revoked_before_it_came_is_given_back_and_never_begun() {
    let mut session = scheduler();
    up(&mut session, at(0));
    let revoke = r#"{"ev":"revoke","job":"j1","lease":17,"why":"expired"}"#;
    session.handle_message(at(1), revoke);
    let told = sent(&mut session);
    assert!(told[0].contains(r#""lease":17,"state":"cancelled""#), "{told:?}");
    session.handle_message(at(1), revoke);
    assign(&mut session, at(1), 17);
    assert_eq!((sent(&mut session).len(), heard(&mut session)), (0, Vec::new()));
}

#[test]
fn an_assignment_that_is_repeated_is_heard_once() {
    let mut session = scheduler();
    up(&mut session, at(0));
    assign(&mut session, at(1), 17);
    assign(&mut session, at(2), 17);
    assert_eq!(heard(&mut session).len(), 1);
}

#[test]
fn a_submission_without_a_key_is_not_sent_twice() {
    let mut session = Session::new(Identity { role: "producer", name: "p".to_owned(), slots: 0 });
    up(&mut session, at(0));
    let key = Some("k".to_owned());
    let with_key = session.submit("{}", &SubmitOptions { key, ..SubmitOptions::default() });
    let without = session.submit("{}", &SubmitOptions::default());
    assert_eq!(sent(&mut session).len(), 2);
    session.handle_disconnected(at(1));
    up_again(&mut session, at(2));
    let again = sent(&mut session);
    assert!(again.len() == 1 && again[0].contains(r#""key":"k""#), "{again:?}");
    let unknown = SessionEvent::Unknown { request: without };
    assert!(heard(&mut session).contains(&unknown));
    session.handle_message(
        at(2),
        &format!(r#"{{"ev":"accepted","re":{with_key},"job":"j1","dup":true}}"#),
    );
    let accepted = SessionEvent::Accepted { request: with_key, job: job(), dup: true };
    assert_eq!(heard(&mut session), [accepted]);
}

#[test]
fn what_the_bus_would_close_the_connection_for_is_refused_here() {
    let mut session = Session::new(Identity { role: "producer", name: "p".to_owned(), slots: 0 });
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    let refused = |request, told: Vec<SessionEvent>| {
        told.iter().any(|event| {
            matches!(event, SessionEvent::Refused { request: Some(of), code: -32006, message }
                if *of == request && message.contains("this bus takes 1048576"))
        })
    };
    // Before it is known what the bus takes, and after.
    let early = session.submit(&large, &SubmitOptions::default());
    session.handle_connected(at(0));
    sent(&mut session);
    session.handle_message(at(0), WELCOME);
    assert!(refused(early, heard(&mut session)));
    let late = session.submit(&large, &SubmitOptions::default());
    assert!(refused(late, heard(&mut session)));
    assert_eq!((sent(&mut session), session.unanswered()), (Vec::<String>::new(), 0));
}

#[test]
fn a_stop_is_told_once_and_a_report_names_the_slot() {
    let mut session = scheduler();
    let (lease, by) = (LeaseId::new(17), JobId::new(BinIndex::default(), 2));
    session.stopping(job(), lease, Some(by), Duration::from_secs(4));
    assert_eq!(sent(&mut session), [""; 0], "nobody is there");
    up(&mut session, at(0));
    session.stopping(job(), lease, Some(by), Duration::from_secs(4));
    session.stopping(job(), lease, None, Duration::ZERO);
    let told = [
        r#"{"cmd":"stopping","job":"j1","lease":17,"by":"j2","grace_ms":4000}"#,
        r#"{"cmd":"stopping","job":"j1","lease":17,"grace_ms":0}"#,
    ];
    assert_eq!(sent(&mut session), told);
    assign(&mut session, at(0), 17);
    session.report(&finished(17));
    assert!(sent(&mut session)[0].contains(r#""slot":3"#));
    up_again(&mut session, at(1));
    assert!(!sent(&mut session).concat().contains("stopping"), "it is not answered");
}

#[test]
fn a_report_is_never_too_large_for_the_bus() {
    let mut session = scheduler();
    up(&mut session, at(0));
    assign(&mut session, at(0), 1);
    let (reason, output) = (Some("\\".repeat(600_000)), Some("é".repeat(600_000)));
    session.report(&JobReport { reason, output, ..finished(1) });
    let told = sent(&mut session).pop().unwrap();
    assert!(told.len() < 20_000 && told.contains("éé"), "{} bytes", told.len());
}

fn up_again(session: &mut Session, now: Instant) {
    session.handle_connected(now);
    sent(session);
    session.handle_message(now, WELCOME);
}
