//! What the hub is told by others than its clients.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use async_channel::Sender;
use async_tungstenite::tungstenite::Error as WsError;
use hyper::StatusCode;

use super::super::admission::Refusal;
use super::super::client::Newcomer;
use super::super::report::BusStats;

/// What connections and handles tell the hub.
#[derive(Debug)]
pub(in super::super) enum Input {
    Connected(Newcomer),
    NotAdmitted(SocketAddr, NotAdmitted),
    TurnedAway(SocketAddr),
    AcceptFailed(io::Error),
    HttpAnswered,
    Watch(Watch),
    KeptEvents(Sender<Vec<Arc<str>>>),
    Shutdown,
}

/// Somebody who waits for the counts to be so.
pub(in super::super) struct Watch {
    pub(in super::super) so: Box<dyn Fn(&BusStats) -> bool + Send>,
    pub(in super::super) reply: Sender<BusStats>,
}

/// Why a connection did not become a client.
#[derive(Debug)]
pub(in super::super) enum NotAdmitted {
    Refused(Refusal),
    Garbage(WsError),
    NotServed(StatusCode),
    NotHttp(hyper::Error),
    Late,
    Stopping,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "handshake refused: {why}"),
            Self::Garbage(error) => write!(f, "not a handshake: {error}"),
            Self::NotServed(status) => write!(f, "not a handshake: answered with {status}"),
            Self::NotHttp(error) => write!(f, "not a handshake, nor HTTP: {error}"),
            Self::Late => f.write_str("handshake not finished in time"),
            Self::Stopping => f.write_str("the bus is shutting down"),
        }
    }
}
