//! The bus on real sockets, one behaviour a file. Everything is on loopback,
//! on ports that the system chooses.

#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use sched_tests::bus as support;
use sched_tests::bus::peer as v1_support;

mod admission;
mod agent;
mod client_comes_back;
mod closing;
mod fan_out;
mod floods;
mod http;
mod malformed;
mod many_subscriptions;
mod metrics;
mod python_clients;
mod read_to_the_end;
mod roles;
mod session_client;
mod silence;
mod slow_subscriber;
mod v1_beside_v0;
mod v1_connections;
mod v1_durable;
mod v1_jobs;
