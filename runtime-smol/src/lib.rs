//! `sched-core` on smol: real processes, real sockets.
