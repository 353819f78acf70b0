//! Plain HTTP beside the WebSocket: what a monitor asks the bus, and a page for
//! people.
//!
//! The start of a connection is read until it is clear what it asks for. What
//! asks for an upgrade is a handshake, and goes to the WebSocket layer with all
//! that was read. Everything else is answered here: one request, one answer,
//! and the connection ends.

mod asked;
mod body;
mod io;
mod metrics;
mod page;
mod routes;
mod trace;

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_lite::FutureExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use smol::Timer;
use smol::lock::Semaphore;

use self::io::Io;
use super::LINGER;
use super::server::admission::{self, Refusal};
use super::server::{BusConfig, BusHandle};
use super::socket::Socket;
pub(super) use asked::{Asked, asked};

/// How long an answer may take, from the end of the request's head until its
/// reader has it and the connection has ended.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How long the bus may take to say what is to be answered.
const QUESTION_TIME: Duration = Duration::from_secs(5);

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// Who may read the kept events at the same time, at most: a slow reader holds
/// on to those that the bus would have forgotten.
const EVENT_READERS: usize = 8;

/// What answers requests.
#[derive(Debug)]
pub(super) struct Http {
    bus: BusHandle,
    config: Arc<BusConfig>,
    event_readers: Arc<Semaphore>,
}

/// Why a request did not get what it asked for.
#[derive(Debug)]
pub(super) enum NotServed {
    /// It comes from a foreign page, or uses a false name.
    Refused(Refusal),
    /// There is no such thing to ask for; it was told so.
    Status(StatusCode),
    /// It was no request.
    NotHttp(hyper::Error),
}

type Request = hyper::Request<Incoming>;
type Response = hyper::Response<body::Lines>;

impl Http {
    pub(super) fn new(bus: BusHandle, config: Arc<BusConfig>) -> Self {
        Self { bus, config, event_readers: Arc::new(Semaphore::new(EVENT_READERS)) }
    }

    /// Answers one request, and ends the connection.
    pub(super) async fn answer(&self, socket: &mut Socket) -> Result<(), NotServed> {
        let fault = OnceLock::new();
        let service = service_fn(|request| self.respond(request, &fault));
        let served = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(LONGEST_HEAD)
            .header_read_timeout(None)
            .serve_connection(Io(socket), service)
            .await;
        end(socket).await;
        match (fault.into_inner(), served) {
            (Some(why), _) => Err(why),
            // Whoever hung up in the middle of an answer did ask for it.
            (None, Err(error)) if error.is_parse() || error.is_incomplete_message() => {
                Err(NotServed::NotHttp(error))
            }
            (None, _) => Ok(()),
        }
    }

    async fn respond(
        &self,
        request: Request,
        fault: &OnceLock<NotServed>,
    ) -> Result<Response, Infallible> {
        let mut response = match admission::judge(&request, &self.config.allowed_hosts) {
            Ok(()) => self.route(&request).await,
            Err(why) => {
                let response = routes::text(StatusCode::FORBIDDEN, &why.to_string());
                let _first = fault.set(NotServed::Refused(why));
                response
            }
        };
        if response.status().is_client_error() {
            let _or_refused = fault.set(NotServed::Status(response.status()));
        }
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        let policy = HeaderValue::from_static("same-origin");
        headers.insert("cross-origin-resource-policy", policy);
        Ok(response)
    }
}

/// Says that nothing more comes, and reads what is left: closing a socket with
/// unread bytes resets the connection, and that overtakes the answer.
async fn end(socket: &mut Socket) {
    let _already_broken = socket.end_writing();
    let late = async {
        Timer::after(LINGER).await;
    };
    socket.drain().or(late).await;
}
