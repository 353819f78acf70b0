//! The address of a bus: `ws://HOST:PORT/`.

use std::fmt;
use std::str::FromStr;

use async_tungstenite::tungstenite::http::Uri;
use thiserror::Error;

/// The address of a bus.
///
/// ```
/// use sched_runtime_smol::bus::{BusUrl, UrlError};
/// let url: BusUrl = "ws://localhost:8101".parse()?;
/// assert_eq!((url.host(), url.port()), ("localhost", 8101));
/// assert!(matches!("wss://localhost".parse::<BusUrl>(), Err(UrlError::Scheme(_))));
/// # Ok::<(), UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BusUrl {
    text: String,
    host: String,
    port: u16,
}

impl BusUrl {
    /// Where a bus is unless it is told otherwise: `ws://localhost:8101/`.
    #[must_use]
    pub fn local() -> Self {
        Self { text: "ws://localhost:8101/".to_owned(), host: "localhost".to_owned(), port: 8101 }
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 80 if the URL names none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Why a text is not the address of a bus.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UrlError {
    /// It is not a URL with a host.
    #[error("not a URL such as ws://localhost:8101: {0}")]
    Malformed(String),
    /// It is a URL of another kind.
    #[error("a bus is reached by ws://, not by {0}://")]
    Scheme(String),
    /// It has a user name in it, which a bus has no use for.
    #[error("a bus takes no user name or password")]
    UserInfo,
}

impl FromStr for BusUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let malformed = |why: &str| UrlError::Malformed(why.to_owned());
        let uri: Uri = text.parse().map_err(|error| malformed(&format!("{error}")))?;
        match uri.scheme_str() {
            Some("ws") => {}
            Some(other) => return Err(UrlError::Scheme(other.to_owned())),
            None => return Err(malformed("no ws:// in front")),
        }
        let authority = uri.authority().ok_or_else(|| malformed("no host"))?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let host = authority.host().trim_matches(['[', ']']);
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().ends_with(authority.host()) => 80,
            None => return Err(malformed("the port is no number up to 65535")),
        };
        match (host, port) {
            ("", _) => Err(malformed("no host")),
            (_, 0) => Err(malformed("port 0 is no address")),
            _ => Ok(Self { text: text.to_owned(), host: host.to_owned(), port }),
        }
    }
}

impl fmt::Display for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read() {
        for (text, host, port) in [
            ("ws://localhost:8101/", "localhost", 8101),
            ("ws://127.0.0.1:1/path?x=1", "127.0.0.1", 1),
            ("ws://[::1]:8101", "::1", 8101),
            ("ws://bus.example", "bus.example", 80),
        ] {
            let url: BusUrl = text.parse().expect(text);
            assert_eq!((url.host(), url.port(), url.as_str()), (host, port, text));
        }
    }

    #[test]
    fn the_local_bus_is_what_its_text_says() {
        assert_eq!(BusUrl::local().as_str().parse(), Ok(BusUrl::local()));
    }

    #[test]
    fn what_is_no_address_of_a_bus_is_refused() {
        for text in [
            "",
            "localhost:8101",
            "ws://",
            "ws:///x",
            "ws://:8101",
            "ws://h:99999",
            "ws://h:",
            "ws://h:0",
            "ws://a b",
            "/x",
        ] {
            let error = text.parse::<BusUrl>().expect_err(text);
            assert!(matches!(error, UrlError::Malformed(_)), "{text}: {error}");
        }
        assert_eq!("http://h".parse::<BusUrl>(), Err(UrlError::Scheme("http".into())));
        assert_eq!("ws://me:pw@h:1".parse::<BusUrl>(), Err(UrlError::UserInfo));
    }
}
