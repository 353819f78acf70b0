//! Starts a browser, and leaves nothing of it behind.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use async_channel::Sender;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;

use super::devtools::Devtools;
use super::tab::Tab;

/// What it is called, by who packages it.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// No window, no state but the test's, and no talk with its maker. The sandbox
/// does not work for root, nor in most containers; the pages are our own.
const FLAGS: [&str; 14] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

/// Ends the browser with the test: also where that is killed, the pipe to this
/// shell has its end. The last line ends the group, and so itself.
const KEEPER: &str = r#""$@" &
exec 2>&-
read -r _
kill -KILL 0"#;

/// What it prints once it can be driven.
const READY: &str = "DevTools listening on ";

/// The browser of this machine.
pub(super) fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let named = |name| folders.iter().map(move |folder: &PathBuf| folder.join(name));
    NAMES.into_iter().flat_map(named).find(|program| program.is_file())
}

/// A browser that runs. Dropped, it and its directory are gone.
#[derive(Debug)]
pub(super) struct Launched {
    child: Child,
    directory: PathBuf,
    url: String,
}

impl Launched {
    pub(super) async fn start(program: &Path) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let name = format!("sched-browser-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let mut child = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", directory.display()))
            .arg("about:blank")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the browser can be started");
        let stderr = child.stderr.take().expect("piped");
        let mut launched = Self { child, directory, url: String::new() };
        let (sender, lines) = async_channel::unbounded();
        thread::spawn(move || read(stderr, &sender));
        let mut said = String::new();
        while let Ok(line) = lines.recv().await {
            if let Some(url) = line.strip_prefix(READY) {
                launched.url = url.trim().to_owned();
                return launched;
            }
            said.push_str(&line);
            said.push('\n');
        }
        panic!("the browser has ended:\n{said}");
    }

    /// A new tab, which is empty.
    pub(super) async fn tab(&self) -> Tab {
        let mut browser = Devtools::connect(&self.url).await;
        let made = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let id = made["targetId"].as_str().expect("it has an id");
        let (host, _) = self.url.split_once("/devtools/").expect("an address of this form");
        Tab::open(Devtools::connect(&format!("{host}/devtools/page/{id}")).await).await
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        // Of everything it has started; they have no state that is worth an orderly end.
        let group = Pid::from_child(&self.child);
        let _gone_already = kill_process_group(group, Signal::KILL);
        let _status = self.child.wait();
        let _left_behind = std::fs::remove_dir_all(&self.directory);
    }
}

/// Tells the lines until there is nobody to hear them, and reads on: a browser
/// whose stderr is full stands still.
fn read(stderr: impl Read, lines: &Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _no_longer_of_interest = lines.send_blocking(line);
    }
}
