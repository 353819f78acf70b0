//! F7: a time limit acts on time, and never on a process that has ended.

use std::time::{Duration, Instant};

use sched_core::{ExitStatus, Outcome, TimeBound};
use sched_runtime_smol::Process;
use sched_tests::processes::{sh, sleeper, within_a_minute};

#[test]
fn a_process_over_its_limit_is_terminated_and_not_earlier() {
    within_a_minute(async {
        let limit = Duration::from_millis(120);
        let mut process = Process::new(sleeper()).time_limit(limit);
        process.start().unwrap();
        let result = process.wait().await.unwrap();
        let exit = ExitStatus::Signal(15);
        assert_eq!(result.outcome, Outcome::TimedOut { limit: TimeBound::Run, exit });
        assert!(result.ran >= limit, "ended early: {:?}", result.ran);
    });
}

#[test]
fn f7_the_timer_of_a_limit_dies_with_its_process() {
    within_a_minute(async {
        let limit = Duration::from_millis(250);
        let began = Instant::now();
        let mut quick = Process::new(sh("exit 0")).time_limit(limit);
        quick.start().unwrap();
        assert_eq!(quick.wait().await.unwrap().outcome, Outcome::Finished);
        // A longer limit, awaited: the first one would have acted by now.
        let mut slow = Process::new(sleeper()).time_limit(limit * 2);
        slow.start().unwrap();
        slow.wait().await.unwrap();
        assert!(began.elapsed() > limit);
        assert_eq!(quick.wait().await.unwrap().outcome, Outcome::Finished);
    });
}
