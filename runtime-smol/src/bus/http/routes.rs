//! Which path is answered with what.

use std::future::Future;
use std::sync::Arc;

use futures_lite::FutureExt;
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use smol::Timer;

use super::super::server::BusStats;
use super::body::Lines;
use super::{Http, QUESTION_TIME, Request, Response, metrics, page, trace};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON_LINES: &str = "application/jsonl; charset=utf-8";
const JSON: &str = "application/json";

const NAMES: &str = "There is no such thing here. There are:
/              a page that shows what the bus does; its WebSocket, for clients
/healthz       whether the bus lives
/readyz        whether it takes jobs; 503 if not
/metrics       its figures, in OpenMetrics
/events.jsonl  what has happened to jobs, one JSON object a line
/trace.json    the same as a trace, for Perfetto and chrome://tracing";

/// What is served beside the page.
const PATHS: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/events.jsonl", "/trace.json"];

impl Http {
    pub(super) async fn route(&self, request: &Request) -> Response {
        let path = request.uri().path();
        let file = page::file(path);
        if file.is_none() && !PATHS.contains(&path) {
            return text(StatusCode::NOT_FOUND, NAMES);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let response = text(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD are served.");
            return with(response, header::ALLOW, "GET, HEAD");
        }
        if let Some(file) = file {
            return part_of_page(file);
        }
        match path {
            "/healthz" => self.of_stats(|_| text(StatusCode::OK, "alive")).await,
            "/readyz" => self.of_stats(ready).await,
            "/metrics" => self.of_stats(figures).await,
            "/trace.json" => self.events(JSON, |events| trace::of(&events)).await,
            _ => self.events(JSON_LINES, |events| events).await,
        }
    }

    async fn of_stats(&self, answer: impl FnOnce(&BusStats) -> Response) -> Response {
        match in_time(self.bus.stats()).await {
            Some(stats) => answer(&stats),
            None => unavailable("The bus does not answer."),
        }
    }

    /// The kept events, or what is made of them.
    async fn events(
        &self,
        kind: &'static str,
        make: fn(Vec<Arc<str>>) -> Vec<Arc<str>>,
    ) -> Response {
        let Some(leave) = self.event_readers.try_acquire_arc() else {
            let response = unavailable("Too many read the events now; try again.");
            return with(response, header::RETRY_AFTER, "1");
        };
        let Some(events) = in_time(self.bus.kept_events()).await else {
            return unavailable("The bus does not answer.");
        };
        // There may be many of them, and others wait for this thread.
        // Who hangs up meanwhile is one of the readers until it is done: nothing ends
        // the work before.
        let (lines, leave) = smol::unblock(move || (make(events), leave)).await;
        answer(StatusCode::OK, kind, Lines::new(lines).holding(leave))
    }
}

/// A text of some lines.
pub(super) fn text(status: StatusCode, text: &str) -> Response {
    answer(status, TEXT, Lines::new(vec![text.into()]))
}

fn ready(stats: &BusStats) -> Response {
    match (stats.disk_fails, stats.draining) {
        (true, _) => unavailable("The disk fails; submissions are refused until it works again."),
        (false, true) => unavailable("The bus drains; it takes no more jobs."),
        (false, false) => text(StatusCode::OK, "ready"),
    }
}

fn figures(stats: &BusStats) -> Response {
    match metrics::text(stats) {
        Ok(text) => {
            // Every line gets its break where it is written, the last one too.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            answer(StatusCode::OK, metrics::CONTENT_TYPE, Lines::new(vec![text.into()]))
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn part_of_page(file: &page::File) -> Response {
    // Every line gets its break where it is written, the last one too.
    let lines = vec![file.text.trim_end().into()];
    let response = answer(StatusCode::OK, file.kind, Lines::new(lines));
    with(response, header::CONTENT_SECURITY_POLICY, page::SECURITY_POLICY)
}

fn unavailable(why: &str) -> Response {
    text(StatusCode::SERVICE_UNAVAILABLE, why)
}

fn answer(status: StatusCode, kind: &'static str, lines: Lines) -> Response {
    let mut response = Response::new(lines);
    *response.status_mut() = status;
    with(response, header::CONTENT_TYPE, kind)
}

fn with(mut response: Response, name: header::HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

async fn in_time<T>(answer: impl Future<Output = Option<T>>) -> Option<T> {
    let late = async {
        Timer::after(QUESTION_TIME).await;
        None
    };
    answer.or(late).await
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    use smol::future::{poll_once, yield_now};

    use super::super::EVENT_READERS;
    use super::*;
    use crate::bus::server::{BusConfig, BusServer};

    static WORKS: AtomicBool = AtomicBool::new(false);
    static GO_ON: Barrier = Barrier::new(2);

    fn works_long(events: Vec<Arc<str>>) -> Vec<Arc<str>> {
        WORKS.store(true, Ordering::SeqCst);
        GO_ON.wait();
        events
    }

    fn places_left(http: &Http) -> usize {
        let taken: Vec<_> = std::iter::from_fn(|| http.event_readers.try_acquire_arc()).collect();
        taken.len()
    }

    #[test]
    fn who_hangs_up_is_a_reader_until_the_work_for_them_is_done() {
        smol::block_on(async {
            let config = BusConfig::new(([127, 0, 0, 1], 0).into());
            let server = BusServer::bind(config.clone()).await.unwrap();
            let http = Http::new(server.handle(), config.into());
            let running = smol::spawn(server.run());
            {
                let mut answer = std::pin::pin!(http.events(JSON, works_long));
                while !WORKS.load(Ordering::SeqCst) {
                    assert!(poll_once(answer.as_mut()).await.is_none());
                    yield_now().await;
                }
            }
            assert_eq!(places_left(&http), EVENT_READERS - 1);
            GO_ON.wait();
            while places_left(&http) < EVENT_READERS {
                yield_now().await;
            }
            http.bus.shutdown();
            running.await.unwrap();
        });
    }
}
