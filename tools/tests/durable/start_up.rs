//! A bus that finds 100,000 jobs.

use std::time::Instant;

use crate::support::directory::Directory;
use crate::wire::{Wire, bus, run};

const JOBS: usize = 100_000;
const AT_ONCE: usize = 2000;

/// How long it takes is printed, and no promise of this test: see with
/// `cargo test --release -p tools --test bus_durable -- --nocapture 100_000`.
#[test]
fn a_bus_that_finds_100_000_jobs_has_them_all_however_its_forerunner_ended() {
    run(async {
        let directory = Directory::new("durable-start-up");
        let (mut first, address) = bus(&directory.0);
        let (mut producer, _) = Wire::register(&address, r#""type":"producer""#).await.unwrap();
        let began = Instant::now();
        for batch in 0..JOBS / AT_ONCE {
            for n in 0..AT_ONCE {
                let priority = (batch + n) % 11;
                let request = format!(
                    r#"{{"cmd":"submit","id":{n},"payload":{{"priority":{priority},"runtime":7.5}},"opts":{{"key":"{batch}-{n}"}}}}"#
                );
                producer.say(&request).await.unwrap();
            }
            for _ in 0..AT_ONCE {
                producer.hears("accepted").await.unwrap();
            }
        }
        let took = began.elapsed();
        println!("{JOBS} jobs accepted in {took:.2?}");
        first.signal("KILL");
        first.status();
        let again = start("after a kill", &directory).await;
        drop(again);
        let mut again = start("after another", &directory).await;
        again.signal("TERM");
        again.status();
        start("after an orderly end", &directory).await;
    });
}

async fn start(when: &str, directory: &Directory) -> crate::support::Program {
    let began = Instant::now();
    let (again, address) = bus(&directory.0);
    let took = began.elapsed();
    let (_observer, snapshot) = Wire::observer(&address).await.unwrap();
    assert_eq!(snapshot["counters"]["pending"], JOBS);
    println!("{when}: the bus listens after {took:.2?}");
    again
}
