//! A web server that is not the bus.

use std::net::SocketAddr;

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::stream::StreamExt;

/// A site on a port of its own that answers everything with one small page.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    _serving: smol::Task<()>,
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
    Connection: close\r\n\r\n<!doctype html><html lang=en><title>Another site</title>\
    <link rel=icon href='data:,'><p>Not the bus.";

impl Site {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async move {
            let mut visitors = listener.incoming();
            while let Some(Ok(visitor)) = visitors.next().await {
                smol::spawn(answer(visitor)).detach();
            }
        };
        Self { address, _serving: smol::spawn(serve) }
    }
}

async fn answer(mut visitor: TcpStream) {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match visitor.read(&mut piece).await {
            Ok(read @ 1..) => head.extend_from_slice(&piece[..read]),
            _ => return,
        }
    }
    let _left = visitor.write_all(ANSWER.as_bytes()).await;
}
