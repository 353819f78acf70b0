//! Sockets without a runtime: one thread, one epoll set.

pub(crate) mod amqp;
mod hist;
mod mux;
pub(crate) mod websocket;

pub(crate) use hist::Histogram;
pub(crate) use mux::{Mux, Ready, Received};
