//! Which path is answered with what.

use std::future::Future;

use futures_lite::FutureExt;
use hyper::header::{self, HeaderValue};
use hyper::{Method, StatusCode};
use smol::Timer;

use super::super::server::BusStats;
use super::body::Lines;
use super::{Http, QUESTION_TIME, Request, Response, metrics, page};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON_LINES: &str = "application/jsonl; charset=utf-8";

const NAMES: &str = "There is no such thing here. There are:
/              a page that shows what the bus does; its WebSocket, for clients
/healthz       whether the bus lives
/readyz        whether it takes jobs; 503 if not
/metrics       its figures, in OpenMetrics
/events.jsonl  what has happened to jobs, one JSON object a line";

impl Http {
    pub(super) async fn route(&self, request: &Request) -> Response {
        let path = request.uri().path();
        let file = page::file(path);
        let served = matches!(path, "/healthz" | "/readyz" | "/metrics" | "/events.jsonl");
        if !served && file.is_none() {
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
            _ => self.events().await,
        }
    }

    async fn of_stats(&self, answer: impl FnOnce(&BusStats) -> Response) -> Response {
        match in_time(self.bus.stats()).await {
            Some(stats) => answer(&stats),
            None => unavailable("The bus does not answer."),
        }
    }

    async fn events(&self) -> Response {
        let Some(leave) = self.event_readers.try_acquire_arc() else {
            let response = unavailable("Too many read the events now; try again.");
            return with(response, header::RETRY_AFTER, "1");
        };
        match in_time(self.bus.kept_events()).await {
            Some(events) => answer(StatusCode::OK, JSON_LINES, Lines::new(events).holding(leave)),
            None => unavailable("The bus does not answer."),
        }
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
