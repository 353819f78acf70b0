//! The picture in README.md, made as people see it: real processes, evictions.

use std::path::PathBuf;
use std::time::Duration;

use futures_lite::future;
use sched_tests::browser::in_a_browser;
use sched_tests::bus::Bus;
use sched_tests::bus::peer::Peer;
use smol::Timer;

use crate::eviction::real_scheduler;
use crate::scene::{open, submit};

/// Where it goes, if not into the build directory.
const WHERE: &str = "SCHED_SCREENSHOT";

/// How long the jobs come for a picture that is to be kept: nearly as long as
/// the time that the page shows.
const KEPT: Duration = Duration::from_secs(100);

/// What the jobs are called, and how they run for as long as `$1` says: one of
/// them fails, and one does not mind being asked to end.
const KINDS: [(&str, &str); 6] = [
    ("reduce frames", "exec sleep $1"),
    ("encode 4k", "exec sleep $1"),
    ("fit model", "trap '' TERM; sleep $1"),
    ("index photos", "exec sleep $1"),
    ("nightly report", "sleep $1; exit 3"),
    ("thumbnails", "exec sleep $1"),
];

/// Submits jobs of all kinds for so long, and until two were evicted.
async fn play(bus: &Bus, mut producer: Peer, length: Duration) {
    let began = std::time::Instant::now();
    let mut random = fastrand::Rng::with_seed(12);
    while began.elapsed() < length || bus.stats().await.exchange.evictions < 2 {
        let urgent = random.u32(0..5) == 0;
        let priority = if urgent { random.u32(0..3) } else { random.u32(3..9) };
        let seconds = f64::from(random.u32(20..100)) / 10.0;
        let (name, script) = KINDS[random.usize(..KINDS.len())];
        let command = ["sh", "-c", script, "sh", &seconds.to_string()];
        let payload = serde_json::json!({"priority": priority, "name": name, "command": command});
        submit(&mut producer, &payload.to_string(), "{}").await;
        Timer::after(Duration::from_millis(random.u64(400..1600))).await;
    }
}

#[test]
fn a_screenshot_is_made_with_evictions() {
    in_a_browser(async |tab| {
        let wanted = std::env::var_os(WHERE).map(PathBuf::from);
        let length = if wanted.is_some() { KEPT } else { Duration::ZERO };
        let bus = Bus::start().await;
        let (one, two) =
            (real_scheduler(&bus, "gpu1", 3).await, real_scheduler(&bus, "gpu2", 2).await);
        open(tab, &bus).await;
        play(&bus, Peer::producer(&bus).await, length).await;
        tab.until("document.querySelector('#slots-table').textContent.split('evicted').length > 2")
            .await;
        let picture = tab.picture().await;
        assert!(picture.starts_with(b"\x89PNG"));
        assert_eq!(picture[16..24], [0, 0, 5, 0, 0, 0, 3, 32], "1280 by 800");
        let path =
            wanted.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page.png"));
        std::fs::write(&path, picture).unwrap();
        println!("the picture is {}", path.display());
        let (ending, too) = (one.end(future::pending()), two.end(future::pending()));
        future::zip(ending, too).await;
        bus
    });
}
