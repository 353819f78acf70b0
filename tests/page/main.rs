//! The page of the bus in a real browser, one behaviour a file. Where there is
//! no Chromium, or no axe-core (`npm ci` in this directory), these tests say that
//! they were skipped; where `CI` is set, they fail.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod axe;
mod dialog;
mod eviction;
mod figures;
mod foreign_origin;
mod keyboard;
mod line;
mod long_queue;
mod many_events;
mod motion;
mod motley;
mod narrow;
mod own_host_only;
mod reconnect;
mod scene;
mod screenshot;
mod site;
mod text_stays_text;
