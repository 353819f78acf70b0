//! Who may shake hands: no page of another site, under no false name.

use std::fmt;
use std::net::IpAddr;

use async_tungstenite::tungstenite::handshake::server::{ErrorResponse, Response};
use async_tungstenite::tungstenite::http::header::{HOST, HeaderName, HeaderValue, ORIGIN};
use async_tungstenite::tungstenite::http::uri::Authority;
use async_tungstenite::tungstenite::http::{self, StatusCode, header};

/// Why a handshake is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in super::super) enum Refusal {
    /// There is no usable `Host`, or it names somebody else.
    Host(String),
    /// The handshake comes from a page that this bus did not serve.
    Origin(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "Host {host:.200} is not a name of this bus"),
            Self::Origin(origin) => write!(f, "Origin {origin:.200} is foreign"),
        }
    }
}

/// Judges a handshake, or a plain request.
///
/// A browser sends `Origin` with every handshake, and a page cannot change it;
/// a native client sends none, and is let in. An origin must be this bus
/// itself: `http`, and the very host and port that `Host` names. Names of the
/// local machine are equal to each other. `Host` must be an IP address,
/// `localhost`, or one of `allowed_hosts`: a page that has rebound its own
/// name to this machine sends that name.
pub(in super::super) fn judge<T>(
    request: &http::Request<T>,
    allowed_hosts: &[String],
) -> Result<(), Refusal> {
    let host = single(request, &HOST).and_then(|host| host.parse::<Authority>().ok());
    let host = host
        .filter(|host| is_own_name(host, allowed_hosts))
        .ok_or_else(|| Refusal::Host(shown(request, &HOST)))?;
    if !request.headers().contains_key(ORIGIN) {
        return Ok(());
    }
    let origin = single(request, &ORIGIN)
        .and_then(|origin| origin.strip_prefix("http://"))
        .and_then(|authority| authority.parse::<Authority>().ok());
    match origin {
        Some(origin) if is_same(&origin, &host) => Ok(()),
        _ => Err(Refusal::Origin(shown(request, &ORIGIN))),
    }
}

/// The answer to a handshake that is refused.
pub(super) fn forbidden(refusal: &Refusal, response: Response) -> ErrorResponse {
    let body = format!("{refusal}\n");
    let (mut parts, ()) = response.into_parts();
    parts.status = StatusCode::FORBIDDEN;
    parts.headers.clear();
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    ErrorResponse::from_parts(parts, Some(body))
}

/// A header that is there once: with two it is open which one is meant.
fn single<'a, T>(request: &'a http::Request<T>, name: &HeaderName) -> Option<&'a str> {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn shown<T>(request: &http::Request<T>, name: &HeaderName) -> String {
    request.headers().get(name).map_or_else(|| "(none)".to_owned(), |value| format!("{value:?}"))
}

fn is_own_name(host: &Authority, allowed: &[String]) -> bool {
    if host.as_str().contains('@') {
        return false;
    }
    let name = host.host();
    ip(name).is_some()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
}

fn is_same(origin: &Authority, host: &Authority) -> bool {
    const HTTP: u16 = 80;
    let port = |of: &Authority| of.port_u16().unwrap_or(HTTP);
    let plain = |of: &Authority| !of.as_str().contains('@');
    let (one, other) = (origin.host(), host.host());
    plain(origin)
        && port(origin) == port(host)
        && (one.eq_ignore_ascii_case(other) || is_local(one) && is_local(other))
}

fn is_local(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost") || ip(name).is_some_and(|ip| ip.is_loopback())
}

fn ip(name: &str) -> Option<IpAddr> {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    inner.unwrap_or(name).parse().ok()
}

#[cfg(test)]
mod tests {
    use async_tungstenite::tungstenite::handshake::server::Request;

    use super::*;

    fn judged(host: &str, origin: Option<&str>) -> Result<(), Refusal> {
        let mut request = Request::new(());
        request.headers_mut().insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert(ORIGIN, origin.parse().unwrap());
        }
        judge(&request, &["bus.example".to_owned()])
    }

    #[test]
    fn a_native_client_is_let_in_under_any_own_name() {
        for host in ["localhost:8101", "127.0.0.1:8101", "[::1]:8101", "10.1.2.3", "BUS.example:1"]
        {
            assert_eq!(judged(host, None), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_false_name_is_refused() {
        for host in [
            "evil.example:8101",
            "localhost.evil.example",
            "evil@localhost:8101",
            "a b",
            "",
            "127.0.0.1.evil.example",
        ] {
            assert!(matches!(judged(host, None), Err(Refusal::Host(_))), "{host}");
        }
        assert_eq!(judge(&Request::new(()), &[]), Err(Refusal::Host("(none)".to_owned())));
        let mut two = Request::new(());
        for host in ["localhost", "evil.example"] {
            two.headers_mut().append(HOST, HeaderValue::from_static(host));
        }
        assert!(judge(&two, &[]).is_err());
    }

    #[test]
    fn the_own_pages_are_let_in() {
        for (host, origin) in [
            ("localhost:8101", "http://localhost:8101"),
            ("127.0.0.1:8101", "http://localhost:8101"),
            ("[::1]:8101", "http://127.0.0.1:8101"),
            ("bus.example", "http://bus.example:80"),
        ] {
            assert_eq!(judged(host, Some(origin)), Ok(()), "{origin} at {host}");
        }
    }

    #[test]
    fn foreign_pages_are_refused() {
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://localhost.evil.example:8101",
            "http://localhost:8101.evil.example",
            "http://localhost:8101@evil.example",
            "http://evil.example@localhost:8101",
            "http://localhost:3000",
            "http://localhost",
            "https://localhost:8101",
            "file://",
            "localhost:8101",
            "http://localhost:8101/path",
            "http://10.0.0.1:8101",
        ] {
            let judged = judged("localhost:8101", Some(origin));
            assert!(matches!(judged, Err(Refusal::Origin(_))), "{origin}");
        }
    }
}
