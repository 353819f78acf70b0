//! What keeps a figure from being measured.

use std::fmt::Display;
use std::io;

use thiserror::Error;

/// Why there is no figure.
#[derive(Debug, Error)]
pub(crate) enum Trouble {
    /// A program that would be measured, or is needed for it, is not there.
    #[error("{what} is not there; {remedy}")]
    Missing { what: String, remedy: String },
    /// The system did not do something.
    #[error("{doing}: {source}")]
    System { doing: String, source: io::Error },
    /// It was measured, and the figure would not be true.
    #[error("{0}")]
    Wrong(String),
}

pub(crate) type Result<T> = std::result::Result<T, Trouble>;

impl Trouble {
    pub(crate) fn missing(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Missing { what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn wrong(what: impl Display) -> Self {
        Self::Wrong(what.to_string())
    }
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: &str) -> Result<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: &str) -> Result<T> {
        self.map_err(|error| Trouble::System { doing: what.to_owned(), source: error.into() })
    }
}
