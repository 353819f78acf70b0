//! What a process writes into its files is its own output and no other's.

use std::io::Read;

use sched_runtime_smol::{Command, Output, Report};
use sched_tests::processes::{Bench, Fifo, sh, within_a_minute};

async fn output(bench: &mut Bench, command: Command) -> [String; 2] {
    bench.start(&command.output(Output::Spool)).await;
    let Report::Exited { spooled: Some(spooled), exit, .. } = bench.report().await else {
        panic!("the end of a process with its output");
    };
    assert!(exit.status.is_success(), "{exit:?}");
    [&spooled.stdout, &spooled.stderr].map(|spool| {
        let mut text = String::new();
        spool.reader().read_to_string(&mut text).expect("text in a file");
        assert_eq!(spool.len(), text.len() as u64);
        text
    })
}

#[test]
fn the_files_of_silent_processes_are_used_again_and_stay_apart() {
    within_a_minute(async {
        let mut bench = Bench::new(1);
        let nothing = [(); 2].map(|()| String::new());
        for round in 0..20 {
            assert_eq!(output(&mut bench, Command::new("true")).await, nothing);
            let script = format!("echo out {round}; echo err {round} >&2");
            let expected = [format!("out {round}\n"), format!("err {round}\n")];
            assert_eq!(output(&mut bench, sh(&script)).await, expected);
            let script = format!("echo {round} >> /dev/stdout; echo x >> /dev/stderr");
            let expected = [format!("{round}\n"), "x\n".to_owned()];
            assert_eq!(output(&mut bench, sh(&script)).await, expected);
        }
    });
}

#[test]
fn a_descendant_that_got_away_with_the_files_does_not_write_into_those_of_others() {
    within_a_minute(async {
        let (up, go, done) = (Fifo::new(), Fifo::new(), Fifo::new());
        let mut bench = Bench::new(1);
        let away = format!(
            "setsid sh -c 'echo up > {0}; read go < {1}; echo late; echo late >&2; echo done > {2}' & \
             read up < {0}",
            up.name(),
            go.name(),
            done.name()
        );
        let nothing = [(); 2].map(|()| String::new());
        assert_eq!(output(&mut bench, sh(&away)).await, nothing);
        // The files of the one before might be taken by any of these.
        for _ in 0..5 {
            assert_eq!(output(&mut bench, Command::new("true")).await, nothing);
        }
        let wake = format!("echo go > {}; read done < {}; echo mine", go.name(), done.name());
        assert_eq!(output(&mut bench, sh(&wake)).await, ["mine\n".to_owned(), String::new()]);
        for _ in 0..5 {
            assert_eq!(output(&mut bench, Command::new("true")).await, nothing);
        }
    });
}
