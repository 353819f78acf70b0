//! The program `test_process`, end to end.

mod support;

use support::{TEST_PROCESS, output, text};

#[test]
fn every_scene_goes_well() {
    let list = output(TEST_PROCESS, &["--list"]);
    assert_eq!(list.status.code(), Some(0));
    let scenes = text(&list.stdout).lines().count();
    assert!(scenes >= 9, "five of the prototype, four more");
    let played = output(TEST_PROCESS, &["--seconds", "0.3"]);
    let told = text(&played.stdout);
    assert_eq!(played.status.code(), Some(0), "{told}");
    assert!(told.ends_with(&format!("{scenes} of {scenes} scenes went well\n")), "{told}");
}

#[test]
fn a_scene_is_played_by_name_and_an_unknown_one_is_refused() {
    let list = output(TEST_PROCESS, &["--list"]);
    let name = text(&list.stdout).split_whitespace().next().unwrap().to_owned();
    let played = output(TEST_PROCESS, &["-s", "0.3", &name]);
    assert!(text(&played.stdout).ends_with("1 of 1 scenes went well\n"));
    for arguments in [&["no-such-scene"][..], &["-s", "0"], &["--what"]] {
        let refused = output(TEST_PROCESS, arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(text(&refused.stderr).contains("--help"), "{arguments:?}");
    }
}
