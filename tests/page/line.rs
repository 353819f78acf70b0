//! A line between a page and its bus that can be cut.

use std::net::SocketAddr;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use smol::net::{TcpListener, TcpStream};
use smol::{Task, io};

/// Passes on to the bus what comes in at `address`.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    cut: Sender<bool>,
    _passing: Task<()>,
}

impl Line {
    pub(crate) async fn to(bus: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cut, told) = async_channel::unbounded();
        Self { address, cut, _passing: smol::spawn(pass(listener, bus, told)) }
    }

    /// Ends the connections, and those that are tried from now on.
    pub(crate) async fn cut(&self) {
        self.cut.send(true).await.unwrap();
    }

    pub(crate) async fn mend(&self) {
        self.cut.send(false).await.unwrap();
    }
}

async fn pass(listener: TcpListener, bus: SocketAddr, told: Receiver<bool>) {
    let mut is_cut = false;
    let mut lines: Vec<Task<io::Result<()>>> = Vec::new();
    loop {
        let accepted = async { listener.accept().await.ok().map(|(page, _)| Ok(page)) };
        let asked = async { told.recv().await.ok().map(Err) };
        match asked.or(accepted).await {
            None => return,
            Some(Ok(_refused)) if is_cut => {}
            Some(Ok(page)) => lines.push(smol::spawn(join(page, bus))),
            Some(Err(cut)) => {
                is_cut = cut;
                lines.clear();
            }
        }
    }
}

async fn join(page: TcpStream, bus: SocketAddr) -> io::Result<()> {
    let bus = TcpStream::connect(bus).await?;
    let there = io::copy(page.clone(), bus.clone());
    let back = io::copy(bus, page);
    there.or(back).await.map(drop)
}
