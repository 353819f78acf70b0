//! The page, as it is in the binary: one file each of HTML, style and script.

mod squeeze;

use std::str;

/// A file of the page.
#[derive(Debug)]
pub(super) struct File {
    /// Where it is asked for.
    pub(super) path: &'static str,
    /// What it is.
    pub(super) kind: &'static str,
    pub(super) text: &'static str,
}

/// A text as it is served: what it says to who reads it here stays here.
macro_rules! served {
    ($text:expr) => {{
        const SQUEEZED: [u8; squeeze::size($text)] = squeeze::squeeze($text);
        match str::from_utf8(&SQUEEZED) {
            Ok(text) => text,
            // Whole characters are left out, so that this is never reached.
            Err(_) => "",
        }
    }};
}

/// What the page may do, in a browser that has it: use what comes from this
/// bus, and nothing else. `'self'` covers its WebSocket. Its icon is in its text.
pub(super) const SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const FILES: [File; 3] = [
    File { path: "/", kind: "text/html; charset=utf-8", text: served!(PAGE) },
    File { path: "/page.css", kind: "text/css; charset=utf-8", text: served!(STYLE) },
    File { path: "/page.js", kind: "text/javascript; charset=utf-8", text: served!(SCRIPT) },
];

const PAGE: &str = include_str!("page/index.html");

const STYLE: &str = include_str!("page/style.css");

/// Several files, so that each is about one thing; one script, in a scope of its
/// own.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("page/dom.js"),
    include_str!("page/link.js"),
    include_str!("page/model.js"),
    include_str!("page/course.js"),
    include_str!("page/figures.js"),
    include_str!("page/gantt.js"),
    include_str!("page/rows.js"),
    include_str!("page/lists.js"),
    include_str!("page/job.js"),
    include_str!("page/main.js"),
    "})();\n"
);

/// The file at this path; `None`: that is no part of the page.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        let size: usize = FILES.iter().map(|file| file.text.len()).sum();
        assert!(size < 60 * 1024, "{size} bytes");
    }

    #[test]
    fn it_asks_nobody_else_for_anything() {
        for File { path, text, .. } in &FILES {
            let hosts = text.match_indices("//").map(|(at, _)| &text[at..]);
            for host in hosts {
                let known = ["//www.w3.org/2000/svg", "//${location.host}/"];
                assert!(known.iter().any(|it| host.starts_with(it)), "{path}: {host:.60}");
            }
        }
    }

    #[test]
    fn it_makes_no_markup_of_text() {
        for way in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
        {
            assert!(!SCRIPT.contains(way), "{way}");
        }
        for way in [" style=", "<style", "onclick=", "onload=", "javascript:"] {
            assert!(!FILES[0].text.contains(way), "{way}");
        }
    }
}
