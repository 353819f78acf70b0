use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use super::*;
use crate::bus::message::CommandError;
use crate::bus::payload::PayloadError;

const NOW: Instant = Instant::ZERO;
const REGISTER_PRODUCER: &str = r#"{"cmd":"register","type":"producer"}"#;
const REGISTER_SCHEDULER: &str = r#"{"cmd":"register","type":"scheduler"}"#;
const JOB: &str = r#"{"priority":3,"runtime":7}"#;

/// A broker with so many connected clients, and the means to see everything
/// that comes out of it.
struct Bus(Broker);

impl Bus {
    fn with_clients(count: u64) -> Self {
        let mut broker = Broker::new();
        for n in 1..=count {
            broker.handle_connect(NOW, client(n), &format!("peer-{n}"));
        }
        Self(broker)
    }

    fn say(&mut self, n: u64, text: &str) {
        self.0.handle_message(NOW, client(n), text);
    }

    fn request(&mut self, n: u64, payload: &str) {
        self.say(n, &format!(r#"{{"cmd":"job_request","payload":{payload}}}"#));
    }

    fn sent(&mut self) -> Vec<(u64, Arc<str>)> {
        core::iter::from_fn(|| self.0.poll_transmit()).map(|t| (t.to.number(), t.frame)).collect()
    }

    fn events(&mut self) -> Vec<BrokerEvent> {
        core::iter::from_fn(|| self.0.poll_event()).collect()
    }

    fn expect(&mut self, sent: &[(u64, &str)], events: &[BrokerEvent]) {
        let frames = self.sent();
        let frames: Vec<_> = frames.iter().map(|(to, frame)| (*to, &**frame)).collect();
        assert_eq!(frames, sent);
        assert_eq!(self.events(), events);
        assert_eq!(self.0.poll_timeout(), None);
    }
}

fn client(n: u64) -> ClientId {
    ClientId::new(n)
}

fn roles(producers: usize, schedulers: usize) -> BrokerEvent {
    BrokerEvent::RolesChanged { producers, schedulers }
}

fn fault(n: u64, fault: Fault) -> BrokerEvent {
    BrokerEvent::Fault { client: client(n), peer: format!("peer-{n}").into(), fault }
}

fn dropped(n: u64) -> BrokerEvent {
    BrokerEvent::Dropped { client: client(n), peer: format!("peer-{n}").into() }
}

#[test]
fn a_job_goes_to_every_scheduler_and_to_nobody_else() {
    let mut bus = Bus::with_clients(5);
    bus.say(1, REGISTER_PRODUCER);
    bus.say(2, REGISTER_SCHEDULER);
    bus.say(3, REGISTER_SCHEDULER);
    bus.say(4, REGISTER_PRODUCER);
    bus.expect(&[], &[roles(1, 0), roles(1, 1), roles(1, 2), roles(2, 2)]);
    bus.request(1, JOB);
    bus.expect(&[(2, JOB), (3, JOB)], &[]);
}

#[test]
fn a_driver_may_take_a_job_once_instead_of_copy_by_copy() {
    let mut bus = Bus::with_clients(4);
    [2, 3].into_iter().for_each(|n| bus.say(n, REGISTER_SCHEDULER));
    let mut once = |from: u64| {
        bus.request(from, JOB);
        let publication = bus.0.poll_publication().unwrap();
        assert_eq!(publication.frame, JOB);
        let listeners: Vec<_> = publication.listeners().map(ClientId::number).collect();
        let once = (publication.audience, publication.except.map(ClientId::number), listeners);
        assert_eq!(bus.sent(), []);
        once
    };
    let (audience, nobody, listeners) = once(1);
    assert_eq!((nobody, listeners), (None, vec![2, 3]));
    assert_eq!(once(2), (audience, Some(2), vec![2, 3]));
    bus.say(2, REGISTER_SCHEDULER);
    bus.request(1, JOB);
    assert_eq!(bus.0.poll_publication().unwrap().audience, audience);
    bus.say(4, REGISTER_SCHEDULER);
    bus.request(1, JOB);
    let more = bus.0.poll_publication().unwrap().audience;
    bus.0.end_roles(NOW, client(3));
    bus.request(1, JOB);
    let fewer = bus.0.poll_publication().unwrap().audience;
    assert!(audience != more && more != fewer);
    assert_eq!(bus.0.stats().transmitted, 2 + 1 + 2 + 3 + 2);
}

#[test]
fn a_job_of_which_a_copy_was_given_out_is_not_given_out_once_more() {
    let mut bus = Bus::with_clients(3);
    [2, 3].into_iter().for_each(|n| bus.say(n, REGISTER_SCHEDULER));
    bus.request(1, JOB);
    assert_eq!(bus.0.poll_transmit().map(|it| it.to), Some(client(2)));
    assert!(bus.0.poll_publication().is_none());
    assert_eq!(bus.sent(), [(3, JOB.into())]);
    assert!(bus.0.poll_publication().is_none());
}

#[test]
fn jobs_that_nobody_has_polled_yet_wait_in_order() {
    let mut bus = Bus::with_clients(3);
    [2, 3].into_iter().for_each(|n| bus.say(n, REGISTER_SCHEDULER));
    let jobs = [1, 2, 3].map(|n| format!(r#"{{"priority":{n},"runtime":1}}"#));
    jobs.iter().for_each(|job| bus.request(1, job));
    assert_eq!(bus.0.poll_publication().unwrap().frame, jobs[0]);
    assert_eq!(bus.0.poll_transmit().map(|it| (it.to, it.frame)), {
        Some((client(2), jobs[1].as_str().into()))
    });
    bus.request(2, JOB);
    let sent: [(u64, &str); 4] = [(3, &jobs[1]), (2, &jobs[2]), (3, &jobs[2]), (3, JOB)];
    assert_eq!(bus.sent(), sent.map(|(to, job)| (to, job.into())));
}

#[test]
fn a_client_without_a_role_may_submit() {
    let mut bus = Bus::with_clients(2);
    bus.say(2, REGISTER_SCHEDULER);
    bus.request(1, JOB);
    bus.expect(&[(2, JOB)], &[roles(0, 1)]);
}

#[test]
fn a_job_never_comes_back_to_its_sender() {
    let mut bus = Bus::with_clients(2);
    bus.say(1, REGISTER_SCHEDULER);
    bus.request(1, JOB);
    bus.expect(&[], &[roles(0, 1), dropped(1)]);
    bus.say(2, REGISTER_SCHEDULER);
    bus.request(1, JOB);
    bus.expect(&[(2, JOB)], &[roles(0, 2)]);
}

#[test]
fn a_job_that_nobody_hears_is_counted_and_told() {
    let mut bus = Bus::with_clients(1);
    bus.request(1, JOB);
    bus.expect(&[], &[dropped(1)]);
    let stats = bus.0.stats();
    assert_eq!((stats.jobs, stats.dropped, stats.transmitted), (1, 1, 0));
}

#[test]
fn all_receivers_share_one_frame() {
    let mut bus = Bus::with_clients(3);
    bus.say(2, REGISTER_SCHEDULER);
    bus.say(3, REGISTER_SCHEDULER);
    bus.request(1, JOB);
    let sent = bus.sent();
    assert!(Arc::ptr_eq(&sent[0].1, &sent[1].1));
    assert_eq!(sent.len(), 2);
}

#[test]
fn f17_a_payload_leaves_as_it_came() {
    let mut bus = Bus::with_clients(2);
    bus.say(2, REGISTER_SCHEDULER);
    bus.events();
    let payload = "{ \"runtime\":1.50,\n\"priority\" : 3, \"seed\":123456789012345678901234567890}";
    bus.request(1, &format!("\t{payload}  "));
    bus.expect(&[(2, payload)], &[]);
}

#[test]
fn f8_malformed_messages_are_counted_told_and_end_nothing() {
    let mut bus = Bus::with_clients(2);
    bus.say(2, REGISTER_SCHEDULER);
    bus.events();
    bus.say(1, "{}");
    bus.say(1, r#"{"cmd":"job_request"}"#);
    bus.0.handle_binary(NOW, client(1), 12);
    bus.expect(
        &[],
        &[
            fault(1, Fault::Command(CommandError::MissingCommand)),
            fault(1, Fault::Command(CommandError::MissingPayload)),
            fault(1, Fault::Binary { bytes: 12 }),
        ],
    );
    bus.say(1, "nonsense");
    assert!(matches!(
        bus.events()[..],
        [BrokerEvent::Fault { fault: Fault::Command(CommandError::Malformed { .. }), .. }]
    ));
    assert_eq!((bus.0.stats().faults, bus.0.clients()), (4, 2));
    bus.request(1, JOB);
    bus.expect(&[(2, JOB)], &[]);
}

#[test]
fn a_job_of_no_use_is_passed_on_and_told() {
    let mut bus = Bus::with_clients(2);
    bus.say(2, REGISTER_SCHEDULER);
    bus.events();
    bus.request(1, r#"{"runtime":7}"#);
    let missing = PayloadError::Missing { field: "priority" };
    bus.expect(&[(2, r#"{"runtime":7}"#)], &[fault(1, Fault::Payload(missing))]);
    assert_eq!(bus.0.stats().faults, 1);
}

#[test]
fn what_is_not_known_is_ignored_and_counted() {
    let mut bus = Bus::with_clients(2);
    bus.say(2, REGISTER_SCHEDULER);
    bus.events();
    bus.say(1, r#"{"cmd":"register","type":"observer"}"#);
    bus.say(1, r#"{"cmd":"beat","leases":[17]}"#);
    bus.expect(&[], &[]);
    assert_eq!(bus.0.stats().ignored, 2);
}

#[test]
fn f18_both_roles_of_a_connection_end_with_it() {
    let mut bus = Bus::with_clients(2);
    bus.say(1, REGISTER_PRODUCER);
    bus.say(1, REGISTER_SCHEDULER);
    bus.events();
    bus.0.handle_disconnect(NOW, client(1), true);
    bus.expect(&[], &[roles(0, 0)]);
    assert_eq!((bus.0.clients(), bus.0.producers(), bus.0.schedulers()), (1, 0, 0));
    bus.request(2, JOB);
    bus.expect(&[], &[dropped(2)]);
}

#[test]
fn a_role_taken_twice_counts_once() {
    let mut bus = Bus::with_clients(2);
    for _ in 0..3 {
        bus.say(1, REGISTER_PRODUCER);
        bus.say(2, REGISTER_SCHEDULER);
    }
    bus.request(1, JOB);
    bus.expect(&[(2, JOB)], &[roles(1, 0), roles(1, 1)]);
}

#[test]
fn a_client_without_its_roles_is_still_heard() {
    let mut bus = Bus::with_clients(2);
    bus.say(1, REGISTER_SCHEDULER);
    bus.say(2, REGISTER_SCHEDULER);
    bus.events();
    bus.0.end_roles(NOW, client(1));
    bus.request(1, JOB);
    bus.request(2, JOB);
    bus.expect(&[(2, JOB)], &[roles(0, 1), dropped(2)]);
    for role in [REGISTER_SCHEDULER, REGISTER_PRODUCER, REGISTER_MODERN] {
        bus.say(1, role);
    }
    bus.expect(&[], &[]);
    bus.0.handle_disconnect(NOW, client(1), true);
    bus.expect(&[], &[]);
}

#[test]
fn strangers_are_ignored() {
    let mut bus = Bus::with_clients(1);
    bus.say(9, REGISTER_SCHEDULER);
    bus.say(9, "nonsense");
    bus.0.handle_binary(NOW, client(9), 1);
    bus.0.handle_disconnect(NOW, client(9), true);
    bus.0.handle_timeout(NOW);
    bus.expect(&[], &[]);
    assert_eq!(bus.0.stats(), BrokerStats::default());
}

#[test]
fn events_that_nobody_polls_are_bounded_and_counted() {
    let mut bus = Bus::with_clients(1);
    for _ in 0..EVENTS_KEPT + 5 {
        bus.request(1, JOB);
    }
    assert_eq!(bus.0.stats().events_lost, 5);
    assert_eq!(bus.events(), vec![dropped(1); EVENTS_KEPT]);
}

const REGISTER_MODERN: &str =
    r#"{"cmd":"register","type":"scheduler","v":1,"name":"g1","slots":1}"#;

/// What was sent, each cut down to its first field: `(2, {"ev":"assign")`.
fn kinds(bus: &mut Bus) -> Vec<(u64, String)> {
    let kind = |frame: &str| frame.split(',').next().unwrap_or_default().into();
    bus.sent().into_iter().map(|(to, frame)| (to, kind(&frame))).collect()
}

#[test]
fn a_job_of_version_0_goes_to_one_of_the_schedulers_of_version_1() {
    let mut bus = Bus::with_clients(4);
    bus.say(2, REGISTER_SCHEDULER);
    bus.say(3, REGISTER_MODERN);
    bus.say(4, REGISTER_MODERN);
    assert_eq!(bus.events(), [roles(0, 1), roles(0, 2), roles(0, 3)]);
    bus.sent();
    bus.request(1, JOB);
    let sent = kinds(&mut bus);
    assert_eq!(sent[0], (2, r#"{"priority":3"#.into()), "as version 0 wants it");
    let assigned: Vec<_> = sent.iter().filter(|(_, it)| it == r#"{"ev":"assign""#).collect();
    assert_eq!((sent.len(), assigned.len()), (2, 1), "{sent:?}");
    assert_eq!(bus.0.stats().dropped, 0);
}

#[test]
fn with_queue_job_requests_nothing_is_broadcast_or_dropped() {
    let mut bus = Bus::with_clients(3);
    bus.0.queue_job_requests();
    bus.say(2, REGISTER_SCHEDULER);
    bus.request(1, JOB);
    bus.expect(&[], &[roles(0, 1)]);
    bus.say(3, REGISTER_MODERN);
    assert_eq!(kinds(&mut bus).last(), Some(&(3, r#"{"ev":"assign""#.into())));
    bus.request(1, r#"{"runtime":7}"#);
    assert_eq!((bus.0.stats().dropped, bus.0.counters().accepted), (1, 1), "no priority");
}

#[test]
fn f8_a_client_of_version_1_is_told_what_is_wrong_and_stays() {
    let mut bus = Bus::with_clients(1);
    bus.say(1, r#"{"cmd":"register","type":"producer","v":1}"#);
    bus.sent();
    for text in ["{", "[]", r#"{"cmd":"fly"}"#, r#"{"cmd":"submit","payload":{}}"#] {
        bus.say(1, text);
        assert_eq!(kinds(&mut bus), [(1, r#"{"ev":"error""#.into())], "{text}");
    }
    bus.say(1, r#"{"cmd":"submit","payload":{"priority":1}}"#);
    assert_eq!(kinds(&mut bus), [(1, r#"{"ev":"accepted""#.into())]);
    assert_eq!(bus.0.stats().faults, 4);
}

#[test]
fn a_scheduler_of_version_1_that_leaves_in_order_gives_its_jobs_back() {
    let mut bus = Bus::with_clients(3);
    bus.say(2, REGISTER_MODERN);
    bus.request(1, JOB);
    bus.0.handle_disconnect(NOW, client(2), true);
    bus.sent();
    bus.say(3, REGISTER_MODERN);
    assert_eq!(kinds(&mut bus).last(), Some(&(3, r#"{"ev":"assign""#.into())));
    assert_eq!(bus.events().last(), Some(&roles(0, 1)));
}
