//! A seed decides everything.

use sched_tests::bussim::plan::Plan;
use sched_tests::bussim::world;

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let run = || world::run(&Plan::random(seed));
        assert_eq!(run(), run(), "seed {seed}");
    }
}
