//! What a machine may lack, without which some tests test nothing.

use std::future::Future;
use std::io::Write;
use std::process::Stdio;

use smol::process::Command;

use crate::bus::run;

/// Says that this test tests nothing, past the test harness, which keeps the
/// words of what passes to itself.
///
/// # Panics
///
/// `CI` is set: there, nothing may be missing.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}, and CI is set");
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _nobody_reads = writeln!(std::io::stderr(), "{name}: skipped: {why}");
}

/// Runs a test that needs Python and one of its libraries, or
/// [skips](skip) it.
///
/// # Panics
///
/// It takes longer than a minute; or one of the two is missing, and `CI` is
/// set.
pub fn with_python(library: &str, test: impl Future<Output = ()>) {
    run(async {
        let mut python = Command::new("python3");
        python.args(["-c", &format!("import {library}")]).stderr(Stdio::null());
        if python.status().await.is_ok_and(|status| status.success()) {
            return test.await;
        }
        skip(&format!("no {library} is installed (python3 -m pip install {library})"));
    });
}
