//! However the bytes arrive: the short cut and the layer together read what
//! the layer alone reads.

use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
use async_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use smol::io::AsyncWriteExt;

use super::super::tcp;
use super::*;

const MAX_FRAME: usize = 100_000;
const RUNS: u64 = 60;

#[derive(PartialEq, Eq, Debug)]
enum Heard {
    Text(String),
    Binary(usize),
    End(String),
}

fn frame(random: &mut fastrand::Rng, opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
    let mask = random.u32(..).to_be_bytes();
    let header = FrameHeader { is_final, opcode, mask: Some(mask), ..FrameHeader::default() };
    let mut bytes = Vec::new();
    header.format(payload.len() as u64, &mut bytes).unwrap();
    bytes.extend(payload.iter().enumerate().map(|(n, byte)| byte ^ mask[n % 4]));
    bytes
}

fn text(random: &mut fastrand::Rng) -> String {
    let length = [random.usize(..20), random.usize(..300), random.usize(..70_000)];
    "\u{e9}x".repeat(length[random.choice([0, 0, 0, 0, 1, 1, 2]).unwrap()] / 3)
}

/// Frames of every kind that a client may send, and perhaps one that it may not.
fn conversation(random: &mut fastrand::Rng) -> Vec<u8> {
    let (text_op, more) = (OpCode::Data(Data::Text), OpCode::Data(Data::Continue));
    let mut all = Vec::new();
    for _ in 0..random.usize(1..60) {
        let said = text(random);
        let kind = random.u8(..12);
        let ping = frame(random, OpCode::Control(Control::Ping), true, b"ping");
        match kind {
            0 => all.extend(ping),
            1 => all.extend(frame(random, OpCode::Data(Data::Binary), true, said.as_bytes())),
            2 => {
                let cut = random.usize(..=said.len());
                all.extend(frame(random, text_op, false, &said.as_bytes()[..cut]));
                all.extend(ping);
                all.extend(frame(random, more, true, &said.as_bytes()[cut..]));
            }
            _ => all.extend(frame(random, text_op, true, said.as_bytes())),
        }
    }
    match random.u8(..6) {
        0 => all.extend(frame(random, text_op, true, b"\xff\xfe")),
        1 => all.extend(frame(random, text_op, true, &[b'x'; MAX_FRAME + 1])),
        2 => all.extend(frame(random, more, true, b"of nothing")),
        3 => {
            all.extend(frame(random, text_op, false, b"begun"));
            all.extend(frame(random, text_op, true, b"amid fragments"));
        }
        4 => all.extend(frame(random, OpCode::Control(Control::Close), true, &[3, 232])),
        _ => {}
    }
    // Behind a fault or a close nothing counts any more.
    all.extend(frame(random, text_op, true, b"last"));
    all
}

/// What a receiver hears when `bytes` come in such pieces.
async fn heard(bytes: &[u8], pieces: &[usize], short_cut: bool) -> Vec<Heard> {
    let (mut client, tcp) = tcp::pair().await;
    client.get_ref().set_nodelay(true).unwrap();
    let socket = Socket::new(Arc::new(Outbox::onto(tcp, 1 << 20)));
    let settings = wire::settings(Side::Server, MAX_FRAME);
    let web_socket = WebSocketStream::from_raw_socket(socket, Side::Server, Some(settings)).await;
    let mut receiver = Receiver::new(Side::Server, web_socket, Duration::from_secs(600));
    if short_cut {
        receiver.take_short_cut(MAX_FRAME);
    }
    let sending = async {
        let mut rest = bytes;
        for piece in pieces {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            // Whoever has heard a fault reads no more.
            let _written = client.write_all(now).await;
            smol::future::yield_now().await;
            rest = later;
        }
        let _written = client.write_all(rest).await;
        let _closed = client.get_ref().shutdown(std::net::Shutdown::Write);
    };
    let hearing = async {
        let mut heard = Vec::new();
        loop {
            let some = match short_cut {
                true => poll_fn(|cx| receiver.poll_incoming(cx)).await,
                false => receiver.next().await.map(Incoming::One),
            };
            match some {
                Ok(Incoming::Texts(texts)) => {
                    heard.extend(texts.iter().map(|text| Heard::Text(text.to_owned())));
                }
                Ok(Incoming::One(Received::Text(text))) => {
                    heard.push(Heard::Text(text.as_str().to_owned()));
                }
                Ok(Incoming::One(Received::Binary(bytes))) => heard.push(Heard::Binary(bytes)),
                Err(end) => {
                    heard.push(Heard::End(end.to_string()));
                    return heard;
                }
            }
        }
    };
    let sending = smol::future::zip(sending, hearing);
    let ((), heard) = sending.await;
    heard
}

fn pieces(random: &mut fastrand::Rng, length: usize) -> Vec<usize> {
    let most = [3, 50, 5000, 200_000][random.usize(..4)];
    // Many tiny writes tell no more than some do.
    (0..(length / most + 1).min(300)).map(|_| random.usize(1..=most)).collect()
}

#[test]
fn the_short_cut_changes_nothing_in_what_is_heard() {
    for seed in 0..RUNS {
        let mut random = fastrand::Rng::with_seed(seed);
        let bytes = conversation(&mut random);
        let pieces = pieces(&mut random, bytes.len());
        smol::block_on(async {
            let by_layer = heard(&bytes, &pieces, false).await;
            let by_both = heard(&bytes, &pieces, true).await;
            assert!(by_both == by_layer, "seed {seed}: {:?} {:?}", by_both.len(), by_layer.len());
            assert!(matches!(by_layer.last(), Some(Heard::End(_))));
        });
    }
}
