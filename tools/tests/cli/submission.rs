//! What may be submitted, and what a key is for.

use crate::kit::{sched, scheduler, waited};
use crate::support::{BUS, Program, submit, text};

/// The largest job that the bus takes reaches its scheduler, and one that is
/// larger is refused: nobody loses its connection over it.
#[test]
fn jobs_may_be_large_but_not_larger_than_the_bus_takes() {
    for more in [&[][..], &["--max-frame", "4000000"]] {
        let mut bus = Program::start(BUS, &[&["--listen", "127.0.0.1:0"], more].concat());
        let url = bus.url();
        let most = more.get(1).map_or(1 << 20, |most| most.parse().unwrap());
        let _scheduler = scheduler(&url, "g1", "1");
        // An argument has 128 KiB at most.
        let words = |size: usize| {
            let word = |at: usize| "x".repeat((size - at).min(100_000));
            (0..size).step_by(100_000).map(word).collect::<Vec<_>>()
        };
        let script = ["--wait", "--attempts", "1", "--", "sh", "-c", "echo $#", "sh"];
        let argue = |words: &[String]| {
            let words = words.iter().map(String::as_str);
            sched(&url, "submit", &script.iter().copied().chain(words).collect::<Vec<_>>())
        };
        let fits = words(most.min(1_900_000) - 1000);
        let done = argue(&fits);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert_eq!(text(&done.stdout), format!("j1\n{}\n", fits.len()));
        if most < 1_900_000 {
            for size in [most - 200, most + 1000] {
                let refused = argue(&words(size));
                let why = text(&refused.stderr);
                assert_eq!(refused.status.code(), Some(125), "{why}");
                assert!(why.contains("this bus takes 1048576"), "{why}");
            }
        }
    }
}

#[test]
fn a_program_with_an_endless_name_is_declined_in_few_words() {
    let (_bus, url) = Program::bus();
    let mut scheduler = scheduler(&url, "g1", "1");
    let name = "\\".repeat(100_000);
    let (status, stdout, why) = waited(&url, &["--expires", "1"], &[&name]);
    assert_eq!((status, &*stdout), (Some(122), "j1\n"));
    assert!(why.contains("j1 waits (on g1, this scheduler is not allowed"), "{why}");
    assert!(why.len() < 2000 && scheduler.logs("declined").len() < 2000);
    // It is still there.
    assert_eq!(waited(&url, &[], &["sh", "-c", "exit 3"]).0, Some(3));
}

#[test]
fn a_key_makes_two_submissions_one_job() {
    let (_bus, url) = Program::bus();
    let first = submit(&url, &["--key", "k", "--runtime", "0"]);
    assert_eq!(submit(&url, &["--key", "k", "--runtime", "0"]), first);
    assert_ne!(submit(&url, &["--runtime", "3600"]), first);
    let _scheduler = scheduler(&url, "g1", "1");
    assert_eq!(sched(&url, "wait", &[&first]).status.code(), Some(0));
    // The job of another session, which has ended long before.
    let again = sched(&url, "submit", &["--wait", "--key", "k", "--runtime", "0"]);
    assert_eq!((again.status.code(), text(&again.stdout).trim_end()), (Some(0), &*first));
}
