//! `bus --data DIR`, the real program: what it has accepted survives whatever
//! happens to it and to its disk.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

mod support;

#[path = "durable/directory.rs"]
mod directory;
#[path = "durable/full_disk.rs"]
mod full_disk;
#[path = "durable/kills.rs"]
mod kills;
#[path = "durable/start_up.rs"]
mod start_up;
#[path = "durable/wire.rs"]
mod wire;
