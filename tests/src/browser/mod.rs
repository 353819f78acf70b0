//! A real browser: Chromium without a window, driven over the protocol of its
//! developer tools, which shows more than a WebDriver does: every request, every
//! complaint of the console, the media that a page asks for, time of the processor.

mod devtools;
mod launch;
mod tab;

use std::future::Future;
use std::time::Duration;

use futures_lite::FutureExt;
use smol::Timer;
use smol::lock::Semaphore;

use self::launch::Launched;
pub use self::tab::{Key, Tab, Work};
use crate::missing::skip;

/// After this long a test has failed: what it waits for does not happen.
const GUARD: Duration = Duration::from_secs(120);

/// Browsers that run at the same time, at most: each is half a dozen processes.
static SEATS: Semaphore = Semaphore::new(4);

/// Runs a test in an empty tab of a browser of its own, and then asks what every
/// page must answer: that the console heard no error and that nothing was asked
/// from a host that the test did not visit.
///
/// What the test returns is kept until then: a page whose bus has gone complains.
/// Where there is no Chromium, nothing is tested, and that is said.
///
/// # Panics
///
/// The test fails, or hangs; or there is no Chromium, and `CI` is set.
pub fn in_a_browser<T>(test: impl AsyncFnOnce(&mut Tab) -> T) {
    let Some(program) = launch::chromium() else {
        return skip("no Chromium is installed (apt-get install chromium)");
    };
    smol::block_on(async {
        let _seat = SEATS.acquire().await;
        let browser = in_time(Launched::start(&program)).await.expect("the browser starts");
        let mut tab = in_time(browser.tab()).await.expect("the browser opens a tab");
        let Some(_kept) = in_time(test(&mut tab)).await else {
            let shown = in_time(tab.shown()).await;
            panic!("the test hangs. {}", shown.as_deref().unwrap_or("And so does the page."));
        };
        in_time(tab.leave()).await.expect("the page answers");
    });
}

async fn in_time<T>(what: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(GUARD).await;
        None
    };
    async { Some(what.await) }.or(late).await
}
