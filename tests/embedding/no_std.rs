//! `core` needs no `std`: neither itself nor through what it depends on.
//!
//! The compiler would prove it on a target that has none. Where no such
//! target is installed, this shows what that proof rests on: the attribute, sources
//! that never name `std`, and dependencies without their `std` feature.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn core() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let deeper = folders.iter().flat_map(|folder| sources(folder));
    files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|it| it == "rs"))
        .chain(deeper)
        .collect()
}

/// The code of a file: without comments, and without its tests, which stand
/// last and may use `std`.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn core_says_that_it_needs_no_std() {
    let root = code(&core().join("src/lib.rs"));
    assert!(root.contains("#![no_std]"), "the attribute is missing, or has a condition");
    assert!(root.contains("extern crate alloc;"));
}

#[test]
fn no_source_of_core_names_std() {
    let files: Vec<_> = sources(&core().join("src"))
        .into_iter()
        .filter(|file| !file.ends_with("tests.rs"))
        .collect();
    assert!(files.len() > 10, "only {files:?}");
    for file in files {
        let code = code(&file);
        for word in ["extern crate std", "std::"] {
            assert!(!code.contains(word), "{} in {}", word, file.display());
        }
    }
}

#[test]
fn core_depends_on_serde_alone_and_without_std() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "sched-core",
            "-e",
            "normal,features",
            "--prefix",
            "none",
            "--offline",
        ])
        .current_dir(core())
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    assert!(text.contains("serde_json feature \"alloc\""), "{text}");
    let with_std: Vec<_> = text.lines().filter(|line| line.contains("feature \"std\"")).collect();
    assert!(with_std.is_empty(), "{with_std:?}");

    let direct = Command::new(env!("CARGO"))
        .args(["tree", "-p", "sched-core", "-e", "normal", "--depth", "1", "--prefix", "none"])
        .args(["--offline", "--format", "{lib}"])
        .current_dir(core())
        .output()
        .unwrap();
    let text = String::from_utf8(direct.stdout).unwrap();
    let mut names: Vec<_> = text.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["sched_core", "serde", "serde_json"]);
}
