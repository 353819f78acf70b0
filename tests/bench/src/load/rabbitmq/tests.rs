use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use super::*;

/// What RabbitMQ says with a method, with its arguments.
fn said(method: Method, fields: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    amqp::push_method(CHANNEL, method, fields, &mut bytes);
    bytes
}

/// A job's delivery: the consumer's tag, its own, whether it comes again, the
/// exchange, the routing key.
fn delivery(tag: u64, again: u8, body: &str) -> Vec<u8> {
    let fields = [b"\x03tag", &tag.to_be_bytes()[..], &[again], b"\0\x04jobs"].concat();
    let mut bytes = said(amqp::BASIC_DELIVER, &fields);
    amqp::push_transient(CHANNEL, body.as_bytes(), &mut bytes);
    bytes
}

fn confirm(tag: u64, multiple: u8) -> Vec<u8> {
    said(amqp::BASIC_ACK, &[&tag.to_be_bytes()[..], &[multiple]].concat())
}

/// A queue with a consumer and a producer, who are connected to somebody who is
/// silent; so many jobs are published.
fn queue(published: u64) -> (Queue, TcpListener) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut queue = Queue::empty(listener.local_addr().unwrap().port()).unwrap();
    let ids = [queue.connect().unwrap(), queue.connect().unwrap()];
    assert_eq!(ids, [CONSUMER, FIRST_PRODUCER]);
    queue.published = published;
    queue.confirms[FIRST_PRODUCER].published = published;
    (queue, listener)
}

/// What the consumer or a producer has said, as methods with their arguments.
fn heard(queue: &mut Queue, listener: &TcpListener, id: usize) -> Vec<(Method, Vec<u8>)> {
    let sockets: Vec<_> = (0..=id).map(|_| listener.accept().unwrap().0).collect();
    queue.mux.flush(id).unwrap();
    queue.mux.close(id);
    let mut bytes = Vec::new();
    (&sockets[id]).read_to_end(&mut bytes).unwrap();
    let (mut heard, mut rest) = (Vec::new(), &bytes[..]);
    while let Some(frame) = amqp::frame(rest).unwrap() {
        let (method, _fields) = amqp::method(frame.payload).unwrap();
        heard.push((method, frame.payload[4..].to_vec()));
        rest = &rest[frame.length..];
    }
    assert_eq!(rest, b"");
    heard
}

#[test]
fn deliveries_that_are_cut_anywhere_are_acknowledged_once_each() {
    let length = [delivery(1, 0, PAYLOAD), delivery(2, 0, PAYLOAD)].concat().len();
    let count = 2 * (length as u64 + 1);
    let (mut queue, listener) = queue(count);
    for cut in 0..=length {
        let tag = queue.delivered + 1;
        let bytes = [delivery(tag, 0, PAYLOAD), delivery(tag + 1, 0, PAYLOAD)].concat();
        let used = queue.take(CONSUMER, &bytes[..cut]).unwrap();
        assert_eq!(used + queue.take(CONSUMER, &bytes[used..]).unwrap(), length, "{cut}");
        assert_eq!((queue.delivered, queue.acknowledged), (tag + 1, tag + 1), "{cut}");
    }
    let wanted =
        (1..=count).map(|tag: u64| (amqp::BASIC_ACK, [&tag.to_be_bytes()[..], &[0]].concat()));
    assert_eq!(heard(&mut queue, &listener, CONSUMER), wanted.collect::<Vec<_>>());
}

#[test]
fn a_delivery_that_was_not_expected_is_an_error() {
    for (tag, again, body) in [(2, 0, PAYLOAD), (1, 1, PAYLOAD), (1, 0, "else"), (0, 0, PAYLOAD)] {
        let (mut queue, _listener) = queue(9);
        let taken = queue.take(CONSUMER, &delivery(tag, again, body));
        assert!(taken.is_err(), "{tag}, {again}, {body}");
    }
    let (mut queue, _listener) = queue(0);
    assert!(queue.take(CONSUMER, &delivery(1, 0, PAYLOAD)).is_err());
}

#[test]
fn a_confirm_is_for_one_job_or_for_all_up_to_it() {
    // What is confirmed already, the confirm, and for how many it is.
    let confirms = [
        (0, (1, false), Some(1)),
        (0, (1, true), Some(1)),
        (0, (3, true), Some(3)),
        (1, (3, true), Some(2)),
        (1, (2, false), Some(1)),
        // Not in its order, twice, or never published.
        (0, (3, false), None),
        (2, (2, true), None),
        (2, (1, false), None),
        (0, (0, true), None),
        (0, (4, true), None),
        (3, (4, false), None),
    ];
    for (confirmed, (tag, multiple), count) in confirms {
        let mut confirms = Confirms { published: 3, confirmed };
        let taken = confirms.take(tag, multiple).ok();
        assert_eq!(taken, count, "{confirmed}, {tag}, {multiple}");
        assert_eq!(confirms.confirmed, confirmed + count.unwrap_or_default());
    }
}

#[test]
fn who_is_confirmed_publishes_again_once() {
    let (mut queue, _listener) = queue(3);
    queue.take(FIRST_PRODUCER, &confirm(2, 1)).unwrap();
    assert_eq!((queue.confirmed, &queue.waiting[..]), (2, &[][..]));
    queue.take(FIRST_PRODUCER, &confirm(3, 0)).unwrap();
    assert_eq!((queue.confirmed, &queue.waiting[..]), (3, &[FIRST_PRODUCER][..]));
    assert!(queue.take(FIRST_PRODUCER, &confirm(3, 0)).is_err());
}

#[test]
fn everybody_is_registered_step_by_step() {
    let greetings = [
        said(amqp::CONNECTION_START, b"\0\x09"),
        said(amqp::CONNECTION_TUNE, b"\x07\xff\0\x02\0\0\0\x3c"),
        said(amqp::CONNECTION_OPEN_OK, b"\0"),
        said(amqp::CHANNEL_OPEN_OK, b"\0\0\0\0"),
    ];
    let consumer =
        [said(amqp::QUEUE_DECLARE_OK, &[0; 9]), said(amqp::BASIC_CONSUME_OK, b"\x03tag")];
    let producer = [said(amqp::CONFIRM_SELECT_OK, b"")];
    let last = [vec![amqp::QUEUE_DECLARE, amqp::BASIC_CONSUME], vec![amqp::CONFIRM_SELECT]];
    for (id, answers) in [(CONSUMER, &consumer[..]), (FIRST_PRODUCER, &producer)] {
        let (mut queue, listener) = queue(0);
        for bytes in greetings.iter().chain(answers) {
            assert!(!queue.open[id]);
            assert_eq!(queue.take(id, bytes).unwrap(), bytes.len());
        }
        assert!(queue.open[id]);
        let heard = heard(&mut queue, &listener, id);
        let methods: Vec<Method> = heard.iter().map(|(method, _)| *method).collect();
        let first = [
            amqp::CONNECTION_START_OK,
            amqp::CONNECTION_TUNE_OK,
            amqp::CONNECTION_OPEN,
            amqp::CHANNEL_OPEN,
        ];
        assert_eq!(methods, [&first[..], &last[id]].concat());
        // The same limits, and no heartbeats.
        assert_eq!(heard[1].1, b"\x07\xff\0\x02\0\0\0\0");
    }
}

#[test]
fn a_close_is_told_with_its_text() {
    for method in [amqp::CONNECTION_CLOSE, amqp::CHANNEL_CLOSE] {
        let (mut queue, _listener) = queue(0);
        let close = said(method, b"\x01\x94\x09NOT_FOUND\0\x3c\0\x14");
        let trouble = queue.take(CONSUMER, &close).unwrap_err();
        assert_eq!(trouble.to_string(), "RabbitMQ says 404: NOT_FOUND");
    }
}

#[test]
fn acknowledgements_that_were_not_heard_are_an_error() {
    let trouble = "acknowledgements that RabbitMQ has not heard: 3";
    for (left, trouble) in [(0, None), (3, Some(trouble))] {
        let (mut queue, listener) = queue(0);
        let server = thread::spawn(move || {
            let [mut consumer, mut producer] = [(); 2].map(|()| listener.accept().unwrap().0);
            let goodbye = said(amqp::CHANNEL_CLOSE, GOODBYE);
            let deletion = said(amqp::QUEUE_DELETE, QUEUE_TO_DELETE);
            answer(&mut consumer, &goodbye, &said(amqp::CHANNEL_CLOSE_OK, b""));
            answer(&mut producer, &deletion, &said(amqp::QUEUE_DELETE_OK, &[0, 0, 0, left]));
            (consumer, producer)
        });
        let settled = queue.settle().map_err(|trouble| trouble.to_string());
        assert_eq!(settled.err().as_deref(), trouble);
        server.join().unwrap();
    }
}

/// Waits until it hears what it wants, and answers.
fn answer(socket: &mut TcpStream, wanted: &[u8], answer: &[u8]) {
    let mut bytes = vec![0; wanted.len()];
    socket.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, wanted);
    socket.write_all(answer).unwrap();
}
