//! The page of the bus in a real browser, one behaviour a file. Where there is
//! no Chromium, or no axe-core (`npm ci` in this directory), these tests say that
//! they were skipped; where `CI` is set, they fail.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod foreign_origin;
mod site;
