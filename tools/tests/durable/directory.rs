//! Whose a directory is, and what must be in it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::directory::Directory;
use crate::support::{BUS, Program};
use crate::wire::{Wire, bus, rows, run, word};

/// What a bus says that must not start.
fn refused(directory: &Path) -> String {
    let mut command = Command::new(BUS);
    let mut refused =
        Program::spawn(command.args(["--listen", "127.0.0.1:0", "--data"]).arg(directory));
    assert_eq!(refused.url(), "ws://", "it listens");
    let why = refused.logs("ERROR");
    assert_eq!(refused.status(), Some(1), "{why}");
    why
}

#[test]
fn a_second_bus_is_refused_and_the_first_goes_on() {
    run(async {
        let directory = Directory::new("durable-second");
        let (_bus, address) = bus(&directory.0);
        let why = refused(&directory.0);
        assert!(why.contains("in use by another bus"), "{why}");
        let (mut producer, _) = Wire::register(&address, r#""type":"producer""#).await.unwrap();
        let answer = producer.submit(r#"{"priority":1}"#, "k").await.unwrap();
        assert_eq!(answer["ev"], "accepted");
    });
}

#[test]
fn jobs_survive_an_orderly_end() {
    run(async {
        let directory = Directory::new("durable-orderly");
        let (mut first, address) = bus(&directory.0);
        first.logs("jobs are kept in");
        let (mut producer, welcome) =
            Wire::register(&address, r#""type":"producer""#).await.unwrap();
        assert_eq!(welcome["durability"], "fsync");
        let mut jobs = Vec::new();
        for n in 0..5 {
            let answer = producer.submit(r#"{"priority":1}"#, &format!("k{n}")).await.unwrap();
            jobs.push(word(&answer, "job"));
        }
        drop(producer);
        first.signal("TERM");
        first.logs("5 jobs accepted, 0 refused");
        assert_eq!(first.status(), Some(0));
        let (_second, address) = bus(&directory.0);
        let (_observer, snapshot) = Wire::observer(&address).await.unwrap();
        let pending: Vec<_> =
            rows(&snapshot, "pending").iter().map(|row| word(row, "job")).collect();
        assert_eq!(pending, jobs);
    });
}

#[test]
fn a_damaged_file_is_refused_with_what_to_do_and_left_as_it_is() {
    run(async {
        let directory = Directory::new("durable-damaged");
        let (mut first, address) = bus(&directory.0);
        let (mut producer, _) = Wire::register(&address, r#""type":"producer""#).await.unwrap();
        for n in 0..50 {
            producer.submit(r#"{"priority":1}"#, &format!("k{n}")).await.unwrap();
        }
        first.signal("KILL");
        first.status();
        let path = directory.0.join("queue.redb");
        let sound = fs::read(&path).unwrap();
        let payload = br#"{"payload":{"priority":1}"#;
        let mut flipped = sound.clone();
        // Of a record there are older copies, which count for nothing.
        for at in 0..sound.len() - payload.len() {
            if sound[at..].starts_with(payload) {
                flipped[at + 2] ^= 0x20;
            }
        }
        let short = sound[..sound.len() / 3].to_vec();
        for bytes in [vec![0x55; 20_000], short, Vec::new(), flipped] {
            fs::write(&path, &bytes).unwrap();
            let damage = |why: String| {
                assert!(why.contains("is damaged") && why.contains("sound copy"), "{why}");
            };
            damage(refused(&directory.0));
            damage(refused(&directory.0));
        }
        fs::write(&path, &sound).unwrap();
        let (_second, address) = bus(&directory.0);
        let (_observer, snapshot) = Wire::observer(&address).await.unwrap();
        assert_eq!(rows(&snapshot, "pending").len(), 50);
    });
}

#[test]
fn a_directory_that_cannot_be_made_is_a_clear_error() {
    let directory = Directory::new("durable-unusable");
    let file = directory.0.join("file");
    fs::write(&file, "in the way").unwrap();
    let why = refused(&file);
    assert!(why.contains("cannot use"), "{why}");
}
