//! F14: everyone who asked is told, whatever another callback does.

use async_channel::bounded;
use sched_core::{ExitStatus, Outcome};
use sched_runtime_smol::{Command, Process};
use sched_tests::processes::{sh, sleeper, within_a_minute};

#[test]
fn f14_a_callback_that_panics_harms_only_itself() {
    within_a_minute(async {
        let (told, outcomes) = bounded(10);
        let mut process = Process::new(sh("exit 3"));
        let tell = |told: async_channel::Sender<_>| {
            move |result: &sched_runtime_smol::ProcessResult| {
                told.try_send(result.outcome.clone()).unwrap();
            }
        };
        process.on_done(tell(told.clone()));
        process.on_done(|_| panic!("a callback of this test panics on purpose"));
        process.on_done(tell(told.clone()));
        process.start().unwrap();
        process.on_done(tell(told.clone()));
        process.wait().await.unwrap();
        process.on_done(|_| panic!("a callback of this test panics on purpose"));
        process.on_done(tell(told));
        for _ in 0..4 {
            assert_eq!(outcomes.recv().await.unwrap(), Outcome::Failed(ExitStatus::Code(3)));
        }
        assert!(outcomes.recv().await.is_err(), "each was called once");
    });
}

#[test]
fn it_is_called_for_every_cause() {
    within_a_minute(async {
        let (told, outcomes) = bounded(10);
        let mut processes = [Command::new("/nowhere/at/all"), sleeper()].map(Process::new);
        for process in &mut processes {
            let told = told.clone();
            process.on_done(move |result| told.try_send(result.outcome.kind()).unwrap());
            process.start().unwrap();
            process.terminate().unwrap();
            let kind = process.wait().await.unwrap().outcome.kind();
            assert_eq!(outcomes.recv().await.unwrap(), kind);
        }
    });
}

#[test]
fn a_process_that_is_never_started_calls_nobody() {
    within_a_minute(async {
        let (told, outcomes) = bounded::<()>(1);
        let process = Process::new(sleeper());
        process.on_done(move |_| drop(told));
        drop(process);
        assert!(outcomes.recv().await.is_err());
    });
}
