//! What a process is told through its environment, and where it runs.

use sched_runtime_smol::{Command, Output, Process};
use sched_tests::processes::{Bench, sh, within_a_minute};

async fn output(bench: &mut Bench, command: Command) -> String {
    let (exit, output) = bench.complete(&command.output(Output::CAPTURE)).await;
    assert!(exit.status.is_success(), "{exit:?}");
    output.expect("a captured output").text().trim().to_owned()
}

#[test]
fn a_run_knows_its_job_run_attempt_and_slot() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let script = "echo $SCHED_JOB $SCHED_RUN $SCHED_ATTEMPT $SCHED_SLOT";
        assert_eq!(output(&mut bench, sh(script)).await, "j1 r1 3 7");
        let lying = sh(script).env("SCHED_JOB", "another");
        assert_eq!(output(&mut bench, lying).await, "j2 r2 3 7", "the scheduler has the last word");
        let named = sh(script).env_above_all("SCHED_JOB", "another");
        assert_eq!(output(&mut bench, named).await, "another r3 3 7", "but for what is above all");
    });
}

#[test]
fn additions_and_the_rest_of_the_environment_arrive() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let script = sh("echo \"$FRUIT/$PATH\"").env("FRUIT", "pear").env("FRUIT", "two plums");
        let path = std::env::var("PATH").unwrap();
        assert_eq!(output(&mut bench, script).await, format!("two plums/{path}"));
    });
}

#[test]
fn it_runs_in_its_working_directory_and_under_the_name_it_was_given() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        assert_eq!(output(&mut bench, sh("pwd -P; echo $0").cwd("/")).await, "/\nsh");
    });
}

#[test]
fn a_process_on_its_own_gets_no_variables_of_a_scheduler() {
    within_a_minute(async {
        let command = sh("echo [$SCHED_SLOT]").env("SCHED_SLOT", "").output(Output::CAPTURE);
        let mut process = Process::new(command);
        process.start().unwrap();
        let output = process.wait().await.unwrap().output.unwrap();
        assert_eq!(output.text(), "[]\n");
    });
}
