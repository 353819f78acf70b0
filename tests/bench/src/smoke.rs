//! One tiny row, end to end, in every test run: nothing is lost.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sched_runtime_smol::bus::{BusConfig, BusServer};

use crate::limit::LimitServer;
use crate::load::jobs::{Jobs, Pace};
use crate::load::{Burst, Crowd, Dialect, Rate};

/// What any server must do with this crowd: as many copies as subscribers.
fn fan_out(port: u16) {
    let mut crowd = Crowd::gather(Dialect::Bus, port, 1, 2).unwrap();
    let short = Duration::from_millis(100);
    let burst = Burst { window: 16, warm: Duration::ZERO, time: short };
    // Lost and disordered messages are errors.
    let fan = crowd.fan(std::process::id(), &burst).unwrap();
    assert!(fan.deliveries > 0);
    let rate = Rate { a_second: 200, warm: Duration::ZERO, time: short };
    assert!(crowd.latency(&rate).unwrap() > 0.0);
}

fn bus() -> u16 {
    let config = BusConfig::new(([127, 0, 0, 1], 0).into());
    let server = smol::block_on(BusServer::bind(config)).unwrap();
    let port = server.local_addr().port();
    smol::spawn(server.run()).detach();
    port
}

#[test]
fn the_bus_passes_on_everything_in_order() {
    fan_out(bus());
}

#[test]
fn the_limit_passes_on_everything_in_order() {
    for batch in [true, false] {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let (mut server, port) = LimitServer::new(batch).unwrap();
            tell.send(port).unwrap();
            while server.turn().is_ok() {}
        });
        fan_out(told.recv().unwrap());
    }
}

#[test]
fn every_job_that_was_submitted_is_finished_once() {
    let mut jobs = Jobs::gather(bus(), 3).unwrap();
    let pace = Pace { time: Duration::from_millis(100), spinning: false };
    let done = jobs.run(std::process::id(), pace).unwrap();
    assert!(done.jobs_a_second > 0.0);
}
