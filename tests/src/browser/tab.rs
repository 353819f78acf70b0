//! A tab: what a person does with a page, and what can be known of it.

use serde_json::{Value, json};

use super::devtools::Devtools;

/// A tab of a browser.
#[derive(Debug)]
pub struct Tab {
    tools: Devtools,
    /// Where the test has gone: `127.0.0.1:PORT` of each.
    visited: Vec<String>,
    /// Parts of the complaints that belong to the test.
    expected: Vec<&'static str>,
}

/// A key of the keyboard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "as they are labelled")]
pub enum Key {
    Tab,
    Enter,
    Escape,
    Space,
    ArrowDown,
}

impl Key {
    /// Its name, its code on Windows, which the protocol wants, and what it types.
    const fn parts(self) -> (&'static str, u8, Option<&'static str>) {
        match self {
            Self::Tab => ("Tab", 9, None),
            Self::Enter => ("Enter", 13, Some("\r")),
            Self::Escape => ("Escape", 27, None),
            Self::Space => (" ", 32, Some(" ")),
            Self::ArrowDown => ("ArrowDown", 40, None),
        }
    }
}

/// What the main thread of a page did, in time of the processor: what else the
/// machine was busy with does not count.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Work {
    /// The longest task: so long the page stood still, in milliseconds.
    pub longest_ms: f64,
    /// All tasks, in milliseconds.
    pub all_ms: f64,
    /// How many there were.
    pub tasks: usize,
}

impl Work {
    fn of(trace: &[&Value]) -> Self {
        let thread = |event: &Value| (event["pid"].clone(), event["tid"].clone());
        let is_main = |event: &&&Value| event["args"]["name"] == "CrRendererMain";
        let main: Vec<_> = trace.iter().filter(is_main).map(|event| thread(event)).collect();
        let tasks = trace.iter().filter(|it| it["name"] == "RunTask" && main.contains(&thread(it)));
        let micros: Vec<f64> = tasks.filter_map(|task| task["tdur"].as_f64()).collect();
        assert!(!micros.is_empty(), "a page that did nothing was not measured");
        Self {
            longest_ms: micros.iter().copied().fold(0.0, f64::max) / 1000.0,
            all_ms: micros.iter().sum::<f64>() / 1000.0,
            tasks: micros.len(),
        }
    }
}

/// Resolves to whether `so` became true: now, or when something in the document
/// changes, its text, its attributes, or where the focus is.
const UNTIL: &str = r"
new Promise((resolve, reject) => {
  const so = () => (SO);
  const kinds = ['focusin', 'focusout', 'close', 'scroll'];
  const end = (how, value) => {
    observer.disconnect();
    clearTimeout(guard);
    for (const kind of kinds) removeEventListener(kind, look, true);
    how(value);
  };
  const look = () => {
    try { if (so()) end(resolve, true); } catch (error) { end(reject, error); }
  };
  const observer = new MutationObserver(look);
  const guard = setTimeout(() => end(resolve, false), 60000);
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  observer.observe(document, all);
  for (const kind of kinds) addEventListener(kind, look, true);
  look();
})";

/// Going and looking.
impl Tab {
    pub(super) async fn open(tools: Devtools) -> Self {
        let mut tab = Self { tools, visited: Vec::new(), expected: Vec::new() };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.tools.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab.tools.call("Page.bringToFront", json!({})).await;
        tab.size(1280, 800).await;
        tab
    }

    /// Loads `http://HOST/PATH`.
    pub async fn visit(&mut self, host: impl ToString, path: &str) {
        let host = host.to_string();
        let seen = self.tools.events.len();
        let url = json!({"url": format!("http://{host}/{path}")});
        self.visited.push(host);
        let went = self.tools.call("Page.navigate", url).await;
        assert_eq!(went["errorText"], Value::Null, "{went}");
        self.tools.event("Page.loadEventFired", seen).await;
    }

    /// What an expression is worth in the page, once it is settled.
    ///
    /// # Panics
    ///
    /// It throws.
    pub async fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.tools.call("Runtime.evaluate", asked).await;
        assert_eq!(answer["exceptionDetails"], Value::Null, "{expression:.500}");
        answer["result"]["value"].take()
    }

    /// As [`value`](Self::value), of one that is a text.
    pub async fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression).await;
        value.as_str().map_or_else(|| panic!("{expression}: {value}"), ToOwned::to_owned)
    }

    /// As [`value`](Self::value), of one that is a number.
    pub async fn number(&mut self, expression: &str) -> f64 {
        let value = self.value(expression).await;
        value.as_f64().unwrap_or_else(|| panic!("{expression}: {value}"))
    }

    /// Whether an expression is true in the page.
    pub async fn is(&mut self, expression: &str) -> bool {
        self.value(expression).await == true
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    ///
    /// It does not become so, or the console has heard of errors already.
    pub async fn until(&mut self, so: &str) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "{so}\nis hoped for after\n{}", complaints.join("\n"));
        if !self.is(&UNTIL.replace("SO", so)).await {
            panic!("{so}\ndid not become true. {}", self.shown().await);
        }
    }

    /// What there is to say of a page where something is amiss.
    pub(super) async fn shown(&mut self) -> String {
        let focus = self.text("document.activeElement?.outerHTML.slice(0, 200) ?? ''").await;
        let shown = self.text("document.body.innerText").await;
        let complaints = self.complaints().join("\n");
        format!("The page shows:\n{shown}\nwith the focus on {focus}\n{complaints}")
    }

    /// What is visible, as a picture in PNG.
    pub async fn picture(&mut self) -> Vec<u8> {
        let shot = self.tools.call("Page.captureScreenshot", json!({"format": "png"})).await;
        let text = shot["data"].as_str().expect("a picture");
        data_encoding::BASE64.decode(text.as_bytes()).expect("in base64")
    }
}

/// What a person does, and has.
impl Tab {
    /// Presses a key, and releases it.
    pub async fn press(&mut self, key: Key) {
        let (name, code, types) = key.parts();
        let kind = if types.is_some() { "keyDown" } else { "rawKeyDown" };
        for (kind, text) in [(kind, types), ("keyUp", None)] {
            let mut event = json!({
                "type": kind, "key": name, "code": if name == " " { "Space" } else { name },
                "windowsVirtualKeyCode": code,
            });
            if let Some(text) = text {
                event["text"] = text.into();
            }
            self.tools.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types a text where the focus is.
    pub async fn types(&mut self, text: &str) {
        self.tools.call("Input.insertText", json!({"text": text})).await;
    }

    /// Makes the window this large.
    pub async fn size(&mut self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tools.call("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Prefers this of a page: `prefers-color-scheme` to be `dark`, say.
    pub async fn prefers(&mut self, what: &str, how: &str) {
        let features = json!({"features": [{"name": format!("prefers-{what}"), "value": how}]});
        self.tools.call("Emulation.setEmulatedMedia", features).await;
    }
}

/// What happened behind the picture.
impl Tab {
    /// Begins to measure what the page's main thread does.
    pub async fn measure(&mut self) {
        let tasks = json!({
            "traceConfig": {
                "recordMode": "recordContinuously",
                "includedCategories": ["disabled-by-default-devtools.timeline"],
                "excludedCategories": ["*"],
            },
            "transferMode": "ReportEvents",
        });
        self.tools.call("Tracing.start", tasks).await;
    }

    /// What it did since [`measure`](Self::measure).
    pub async fn measured(&mut self) -> Work {
        let seen = self.tools.events.len();
        self.tools.call("Tracing.end", json!({})).await;
        self.tools.event("Tracing.tracingComplete", seen).await;
        let parts = self.tools.events.split_off(seen);
        let told = parts.iter().filter(|event| event["method"] == "Tracing.dataCollected");
        Work::of(
            &told
                .flat_map(|event| event["params"]["value"].as_array())
                .flatten()
                .collect::<Vec<_>>(),
        )
    }

    /// Complaints of the console that contain this are part of the test.
    pub fn expects(&mut self, complaint: &'static str) {
        self.expected.push(complaint);
    }

    /// What was asked for: the address of each request and of each WebSocket.
    #[must_use]
    pub fn requests(&self) -> Vec<&str> {
        let address = |event: &Value| match event["method"].as_str()? {
            "Network.requestWillBeSent" => Some("/params/request/url"),
            "Network.webSocketCreated" => Some("/params/url"),
            _ => None,
        };
        let asked = self.tools.events.iter();
        asked.filter_map(|event| event.pointer(address(event)?)?.as_str()).collect()
    }

    /// What the console heard that is no mere information, and what was thrown.
    fn complaints(&self) -> Vec<String> {
        let complaint = |event: &Value| {
            let params = &event["params"];
            let bad = |level: &Value| !matches!(level.as_str(), Some("verbose" | "info" | "log"));
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
                "Log.entryAdded" if bad(&params["entry"]["level"]) => {
                    Some(params["entry"].to_string())
                }
                "Runtime.consoleAPICalled"
                    if matches!(params["type"].as_str(), Some("error" | "warning" | "assert")) =>
                {
                    Some(params["args"].to_string())
                }
                "Page.javascriptDialogOpening" => Some(params.to_string()),
                _ => None,
            }
        };
        let expected = |text: &String| self.expected.iter().any(|part| text.contains(part));
        let all = self.tools.events.iter().filter_map(complaint);
        all.filter(|text| !expected(text)).collect()
    }

    /// The last questions, which every page is asked.
    pub(super) async fn leave(mut self) {
        self.value("new Promise(resolve => requestAnimationFrame(resolve)).then(() => 1)").await;
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "the console heard\n{}", complaints.join("\n"));
        for url in self.requests() {
            let host = url.split('/').nth(2).unwrap_or_default();
            let known = self.visited.iter().any(|visited| visited == host);
            assert!(known || url.starts_with("data:") || url == "about:blank", "asked for {url}");
        }
    }
}
