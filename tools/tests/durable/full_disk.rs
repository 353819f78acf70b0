//! The disk fills up, and has room again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::directory::Directory;
use crate::support::{BUS, Program, http};
use crate::wire::{Wire, bus, rows, run, start, word};

#[test]
fn a_full_tmpfs_refuses_jobs_for_as_long_as_it_is_full() {
    let directory = Directory::new("durable-tmpfs");
    let Some(mount) = Mount::tmpfs(&directory.0) else {
        // The other test of this file needs no rights.
        eprintln!("SKIPPED: a tmpfs cannot be mounted here (are you root?)");
        return;
    };
    let data = mount.0.join("data");
    let ballast = mount.0.join("ballast");
    let (bus, address) = bus(&data);
    let fill = || while append(&ballast, 4096) {};
    run(survives(bus, &address, &data, fill, |_| fs::remove_file(&ballast).unwrap()));
}

#[test]
fn a_limit_on_the_size_of_files_refuses_jobs_for_as_long_as_it_holds() {
    let directory = Directory::new("durable-limit");
    let data = directory.0.join("data");
    // In units of 512 bytes; a write beyond it fails, as XFSZ is ignored.
    let script = format!(
        "trap '' XFSZ; ulimit -S -f 6144; exec {BUS} --listen 127.0.0.1:0 --data {}",
        data.display()
    );
    let (bus, address) = start(Command::new("sh").args(["-c", &script]));
    let lift = |bus: &Program| {
        let pid = bus.pid().to_string();
        let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
        assert!(lifted.unwrap().success());
    };
    run(survives(bus, &address, &data, || {}, lift));
}

async fn survives(
    mut bus: Program,
    address: &str,
    data: &Path,
    fill: impl FnOnce(),
    make_room: impl FnOnce(&Program),
) {
    let fields = r#""type":"scheduler","name":"g1","slots":1"#;
    let (mut scheduler, _) = Wire::register(address, fields).await.unwrap();
    let (mut producer, _) = Wire::register(address, r#""type":"producer""#).await.unwrap();
    let mut accepted = Vec::new();
    let runs = word(&producer.submit(r#"{"priority":1}"#, "runs").await.unwrap(), "job");
    let assignment = scheduler.hears("assign").await.unwrap();
    let lease = assignment["lease"].as_u64().unwrap();
    scheduler.report(&runs, lease, "started").await.unwrap();
    scheduler.hears("ok").await.unwrap();

    fill();
    let large = format!(r#"{{"priority":5,"pad":"{}"}}"#, "x".repeat(100_000));
    let refused = loop {
        let n = accepted.len();
        assert!(n < 1000, "a disk that takes everything");
        let answer = producer.submit(&large, &format!("k{n}")).await.unwrap();
        if answer["ev"] != "accepted" {
            break answer;
        }
        accepted.push(word(&answer, "job"));
    };
    assert_eq!((&refused["code"], &refused["name"]), (&(-32005).into(), &"storage".into()));
    bus.logs("cannot write to");
    let again = producer.submit(r#"{"priority":1}"#, "small").await.unwrap();
    assert_eq!(again["code"], -32005, "{again}");
    assert_eq!(http::get(address, "/healthz").status, 200);
    let unready = http::get(address, "/readyz");
    assert!(unready.status == 503 && unready.body.contains("The disk fails"), "{}", unready.body);
    let metrics = http::get(address, "/metrics").body;
    assert!(metrics.contains("\nsched_bus_disk_failing 1\n"), "{metrics}");
    assert!(!metrics.contains("\nsched_bus_commit_failures_total 0\n"), "{metrics}");
    let beat = format!(r#"{{"cmd":"beat","leases":[{lease}]}}"#);
    let beat = scheduler.ask(&beat, "beat").await.unwrap();
    assert!(rows(&beat, "revoked").is_empty(), "what runs goes on");
    scheduler.report(&runs, lease, "finished").await.unwrap();

    make_room(&bus);
    scheduler.hears("ok").await.unwrap();
    bus.logs("the disk works again");
    let answer = producer.submit(r#"{"priority":5}"#, "after").await.unwrap();
    assert_eq!(answer["ev"], "accepted", "{answer}");
    accepted.push(word(&answer, "job"));
    assert_eq!(http::get(address, "/readyz").status, 200);
    bus.signal("KILL");
    bus.status();

    let (_second, address) = crate::wire::bus(data);
    let (_observer, snapshot) = Wire::observer(&address).await.unwrap();
    let ended = rows(&snapshot, "ended");
    assert_eq!((word(&ended[0], "job"), word(&ended[0], "state")), (runs, "finished".to_owned()));
    let mut open: Vec<_> = [rows(&snapshot, "running"), rows(&snapshot, "pending")]
        .concat()
        .iter()
        .map(|row| word(row, "job"))
        .collect();
    open.sort_unstable_by_key(|job| job[1..].parse::<u64>().unwrap());
    assert_eq!(open, accepted, "what was refused is not there, what was accepted is");
}

/// Adds so many bytes to a file, if there is room.
fn append(path: &Path, bytes: usize) -> bool {
    use std::io::Write;
    let file = fs::File::options().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(&vec![0; bytes])).is_ok()
}

struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at).output();
        mount.is_ok_and(|mount| mount.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _still_busy = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
