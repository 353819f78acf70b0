//! How a scheduler renews its leases.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::id::LeaseId;

/// What surrounds the leases in a beat, in bytes, at most: two numbers of 32
/// bits, and names.
const AROUND_LEASES: usize = 64 + 10 + 11;

/// A number of 64 bits and a comma, in bytes, at most.
const LONGEST_LEASE: usize = 20 + 1;

/// How many leases a beat names, so that it has no more bytes than this; one at
/// least.
pub(super) fn most_leases(max_frame: usize) -> usize {
    (max_frame.saturating_sub(AROUND_LEASES) / LONGEST_LEASE).max(1)
}

pub(super) fn to_text(leases: &[LeaseId], free: u32, floor: Option<i32>) -> String {
    let leases: Vec<String> = leases.iter().map(|id| id.number().to_string()).collect();
    let floor = floor.map_or_else(|| "null".to_owned(), |floor| floor.to_string());
    let leases = leases.join(",");
    format!(r#"{{"cmd":"beat","leases":[{leases}],"free":{free},"floor":{floor}}}"#)
}
