use std::sync::Arc;

use super::super::writer;
use super::*;
use async_tungstenite::tungstenite::protocol::Role as Side;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use smol::block_on;
use smol::future::poll_once;
use smol::io::AsyncReadExt;

fn batch(outbox: &Outbox) -> Option<Vec<Bytes>> {
    let mut batch = VecDeque::new();
    match block_on(poll_once(outbox.next_batch(&mut batch))) {
        Some(true) => Some(batch.into()),
        Some(false) => Some(Vec::new()),
        None => None,
    }
}

fn last() -> Bytes {
    wire::close(Side::Server, CloseCode::Away, "")
}

const PONG: &[u8] = &[0x8a, 0];

#[test]
fn frames_come_out_in_order_and_in_batches() {
    let outbox = Outbox::new(1 << 20);
    let frames: Vec<_> = (0..=BATCH_FRAMES as u32).map(|n| n.to_be_bytes().to_vec()).collect();
    frames.iter().for_each(|frame| outbox.push(frame.clone().into()).unwrap());
    assert_eq!(batch(&outbox).unwrap(), &frames[..BATCH_FRAMES]);
    assert_eq!(outbox.unsent(), frames.len());
    assert_eq!(batch(&outbox).unwrap(), &frames[BATCH_FRAMES..]);
    assert_eq!(batch(&outbox), None);
    assert_eq!((outbox.backlog(), outbox.unsent()), (0, 0));
}

#[test]
fn it_is_full_by_bytes_and_takes_one_frame_of_any_size() {
    let outbox = Outbox::new(1000);
    assert_eq!(outbox.push(vec![0x81; 5000].into()), Ok(()));
    assert_eq!(outbox.push(vec![0x81; 1].into()), Err(NotTaken::Full));
    assert_eq!(batch(&outbox).unwrap().len(), 1);
    assert_eq!(outbox.push(vec![0x81; 1].into()), Ok(()));
}

#[test]
fn of_many_pongs_the_newest_waits_even_when_it_is_full() {
    let outbox = Outbox::new(10);
    outbox.push(vec![0x81; 100].into()).unwrap();
    (0..10_000).for_each(|_| outbox.answer(Bytes::from_static(PONG)));
    assert_eq!(batch(&outbox).unwrap(), [Bytes::from_static(PONG), vec![0x81; 100].into()]);
    assert_eq!(batch(&outbox), None);
}

#[test]
fn a_close_writes_the_backlog_first_or_gives_it_up() {
    for (backlog, frames) in [(Backlog::Write, 1), (Backlog::Drop, 0)] {
        let outbox = Outbox::new(1000);
        outbox.push(Bytes::from_static(b"\x81")).unwrap();
        outbox.close(last(), backlog);
        assert_eq!(outbox.push(Bytes::from_static(b"\x81late")), Err(NotTaken::Closed));
        let mut all: Vec<Bytes> = Vec::new();
        while let Some(more) = batch(&outbox).filter(|more| !more.is_empty()) {
            all.extend(more);
        }
        assert_eq!(all.len(), frames + 1, "{backlog:?}");
        assert_eq!(all.last(), Some(&last()));
        assert_eq!((outbox.is_closed(), outbox.unsent()), (true, 1 - frames));
    }
}

#[test]
fn the_first_close_counts_and_an_abort_ends_everything() {
    let outbox = Outbox::new(1000);
    outbox.close(last(), Backlog::Write);
    outbox.close(Bytes::from_static(b"other"), Backlog::Write);
    assert_eq!(batch(&outbox), Some(vec![last()]));
    assert_eq!(batch(&outbox), Some(vec![]));
    let outbox = Outbox::new(1000);
    outbox.push(Bytes::from_static(b"\x81")).unwrap();
    outbox.abort();
    assert_eq!(batch(&outbox), Some(vec![]));
    assert_eq!(outbox.unsent(), 1);
}

#[test]
fn a_close_is_told_to_all_who_wait_for_it() {
    let outbox = Arc::new(Outbox::new(1000));
    let wait = |outbox: Arc<Outbox>| smol::spawn(async move { outbox.closed().await });
    let waiting = [wait(outbox.clone()), wait(outbox.clone())];
    while outbox.look().until_closed.len() < waiting.len() {
        std::thread::yield_now();
    }
    block_on(async {
        for _ in 0..10 {
            assert_eq!(poll_once(outbox.closed()).await, None);
        }
        assert_eq!(outbox.look().until_closed.len(), 3, "one entry a task");
        outbox.close(last(), Backlog::Write);
        for one in waiting {
            one.await;
        }
        outbox.closed().await;
    });
}

#[test]
fn room_is_waited_for() {
    let outbox = Outbox::new(100);
    let small = Bytes::from_static(b"\x81");
    outbox.push(vec![0x81; 100].into()).unwrap();
    assert_eq!(block_on(poll_once(outbox.room_for(&small))), None);
    batch(&outbox);
    assert_eq!(block_on(poll_once(outbox.room_for(&small))), Some(()));
}

#[test]
fn where_there_is_room_for_a_small_frame_a_great_one_may_have_to_wait() {
    let outbox = Outbox::new(1000);
    let (small, great) = (Bytes::from_static(b"\x81"), Bytes::from(vec![0x81; 5000]));
    outbox.push(small.clone()).unwrap();
    assert_eq!(block_on(poll_once(outbox.room_for(&small))), Some(()));
    assert_eq!(block_on(poll_once(outbox.room_for(&great))), None);
    batch(&outbox);
    assert_eq!(block_on(poll_once(outbox.room_for(&great))), Some(()));
    assert_eq!(outbox.push(great), Ok(()));
}

#[test]
fn what_a_socket_does_not_take_waits_for_the_writer_and_stays_in_order() {
    const FRAMES: usize = 400;
    let frame = |n: usize| Bytes::from(vec![n as u8; 20_000 + n]);
    block_on(async {
        let (mut reader, tcp) = tcp::pair().await;
        rustix::net::sockopt::set_socket_send_buffer_size(&tcp, 64 * 1024).unwrap();
        let outbox = Arc::new(Outbox::onto(tcp, usize::MAX));
        assert_eq!((outbox.send(&frame(0)), outbox.backlog()), (Ok(()), 0));
        let mut sent = 1;
        while outbox.backlog() == 0 {
            outbox.send(&frame(sent)).unwrap();
            sent += 1;
            assert!(sent < FRAMES, "the socket takes everything");
        }
        // Now it writes, and between its writes it is written to directly.
        let writing = smol::spawn(writer::write(outbox.clone()));
        let mut received = Vec::new();
        while sent < FRAMES {
            outbox.send(&frame(sent)).unwrap();
            sent += 1;
            let mut some = vec![0; 30_000];
            let count = reader.read(&mut some).await.unwrap();
            received.extend_from_slice(&some[..count]);
        }
        outbox.close(last(), Backlog::Write);
        reader.read_to_end(&mut received).await.unwrap();
        writing.await;
        let all: Vec<u8> = (0..FRAMES).flat_map(frame).chain(last()).collect();
        assert!(received == all, "{} bytes of {}", received.len(), all.len());
    });
}

/// A connection whose socket takes no more, the rest of a frame waiting; and
/// the other end, with all bytes that are or will be on their way.
async fn stuck() -> (Outbox, Tcp, Vec<u8>) {
    let (reader, tcp) = tcp::pair().await;
    let outbox = Outbox::onto(tcp, 1 << 30);
    let (frame, mut sent) = (Bytes::from(vec![7; 100_000]), Vec::new());
    while outbox.backlog() == 0 {
        outbox.queue(frame.clone()).unwrap();
        outbox.flush();
        sent.extend_from_slice(&frame);
    }
    (outbox, reader, sent)
}

async fn written(outbox: Outbox, reader: &mut Tcp) -> Vec<u8> {
    let writing = smol::spawn(writer::write(Arc::new(outbox)));
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.unwrap();
    writing.await;
    received
}

#[test]
fn what_is_queued_goes_out_with_the_flush_and_in_order() {
    block_on(async {
        let (outbox, mut reader, mut sent) = stuck().await;
        for byte in 0..200 {
            outbox.queue(Bytes::from(vec![byte; 3])).unwrap();
            sent.extend([byte; 3]);
        }
        outbox.flush();
        outbox.close(last(), Backlog::Write);
        sent.extend(last());
        assert!(written(outbox, &mut reader).await == sent);
    });
}

#[test]
fn no_answer_comes_in_the_middle_of_a_frame() {
    block_on(async {
        let (outbox, mut reader, mut sent) = stuck().await;
        outbox.answer(Bytes::from_static(PONG));
        outbox.queue(Bytes::from_static(b"\x81")).unwrap();
        outbox.flush();
        outbox.close(last(), Backlog::Write);
        sent.extend([PONG, b"\x81", &last()].concat());
        assert!(written(outbox, &mut reader).await == sent);
    });
}

#[test]
fn a_close_that_drops_the_backlog_ends_the_frame_that_was_begun() {
    block_on(async {
        let (outbox, mut reader, mut sent) = stuck().await;
        if !outbox.lock().begun {
            // The socket is full to a frame's end: there is nothing to be ended.
            sent.truncate(sent.len() - 100_000);
        }
        outbox.queue(Bytes::from_static(b"\x81")).unwrap();
        outbox.close(last(), Backlog::Drop);
        sent.extend(last());
        assert!(written(outbox, &mut reader).await == sent);
    });
}

#[test]
fn it_is_flushed_before_it_is_full() {
    block_on(async {
        let (mut reader, tcp) = tcp::pair().await;
        let outbox = Outbox::onto(tcp, 1000);
        (0..10).for_each(|_| outbox.queue(Bytes::from(vec![7; 400])).unwrap());
        outbox.flush();
        assert_eq!((outbox.backlog(), outbox.unsent()), (0, 0));
        reader.read_exact(&mut [0; 4000]).await.unwrap();
    });
}
