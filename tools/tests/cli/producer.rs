//! `producer --submit`.

use crate::kit::{bus_at, free_address, scheduler};
use crate::support::directory::Directory;
use crate::support::{PRODUCER, Program, output, text};

#[test]
fn the_producer_hears_what_becomes_of_its_jobs() {
    let (_bus, url) = Program::bus();
    let _scheduler = scheduler(&url, "g1", "4");
    let arguments = ["--submit", "--bus", &url, "--count", "20", "-p", "0.005", "--seed", "3"];
    let producer = output(PRODUCER, &[&arguments[..], &["--runtime", "0.01..0.05"]].concat());
    let (told, log) = (text(&producer.stdout), text(&producer.stderr));
    assert_eq!(producer.status.code(), Some(0), "{log}");
    for part in ["job 20: accepted as j20", "runs (on g1)", "finished", "ending after 20 jobs"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["finished", "20"]), "{told}");
    assert!(rows.contains(&vec!["TIME", "P50", "P99"]), "{told}");
    assert!(told.contains("wait ") && told.contains("turnaround "), "{told}");
}

#[test]
fn the_producer_loses_no_job_when_the_bus_is_killed() {
    let directory = Directory::new("producer");
    let data = ["--data", &directory.path("data")];
    let address = free_address();
    let url = format!("ws://{address}");
    let mut bus = bus_at(&address, &data);
    let _scheduler = scheduler(&url, "g1", "4");
    let arguments = ["--submit", "--bus", &url, "--count", "60", "-p", "0.005"];
    let runtime = ["--runtime", "0.01..0.05"];
    let mut producer = Program::start(PRODUCER, &[&arguments[..], &runtime].concat());
    producer.logs("job 20: accepted");
    bus.signal("KILL");
    bus.status();
    let _bus = bus_at(&address, &data);
    producer.logs("ending after 60 jobs");
    let told = producer.rest();
    assert!(told.contains("finished  60\n"), "{told}");
    assert_eq!(producer.status(), Some(0));
}

#[test]
fn an_interrupted_producer_says_what_is_open() {
    let (_bus, url) = Program::bus();
    let arguments = ["--submit", "--bus", &url, "--count", "2", "-p", "0.001"];
    let mut producer = Program::start(PRODUCER, &arguments);
    producer.logs("job 2: accepted");
    producer.signal("INT");
    producer.says("(none yet)  2");
    assert_eq!(producer.status(), Some(0));
}
