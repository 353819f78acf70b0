//! What a job is, in a few words.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::head;

/// The longest that is said of a job, in bytes.
const LONGEST: usize = 120;

/// The longest payload that is looked into, in bytes: this is done for many jobs
/// at a time.
const LONGEST_READ: usize = 16 * 1024;

/// What a payload asks for, as people may be shown it: its `name`, its
/// `command`, or its `runtime`; nothing, if it has none of them. What it
/// means is between its producer and its scheduler.
pub(super) fn label(payload: &str) -> String {
    if payload.len() > LONGEST_READ {
        return format!("a payload of {} bytes", payload.len());
    }
    let words = read(payload).unwrap_or_default();
    head(&words, LONGEST).to_owned()
}

fn read(payload: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow, default)]
        name: Option<&'a RawValue>,
        #[serde(borrow, default)]
        command: Option<&'a RawValue>,
        #[serde(borrow, default)]
        runtime: Option<&'a RawValue>,
    }
    let Fields { name, command, runtime } = serde_json::from_str(payload).ok()?;
    let name = name.and_then(|name| serde_json::from_str::<Cow<'_, str>>(name.get()).ok());
    if let Some(name) = name {
        return Some(name.into_owned());
    }
    let words = command.and_then(|it| serde_json::from_str::<Vec<Cow<'_, str>>>(it.get()).ok());
    if let Some(words) = words {
        return Some(words.join(" "));
    }
    let runtime: f64 = serde_json::from_str(runtime?.get()).ok()?;
    Some(format!("takes {runtime} s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_before_a_command_and_that_before_a_runtime() {
        for (payload, expected) in [
            (r#"{"priority":1,"name":"<script>","command":["a"]}"#, "<script>"),
            (r#"{"command":["/bin/echo","a b","\u00e9"],"runtime":3}"#, "/bin/echo a b é"),
            (r#"{"priority":1,"runtime":7.50}"#, "takes 7.5 s"),
            (r#"{"priority":1,"name":3,"command":"x"}"#, ""),
            (r#"[1]"#, ""),
        ] {
            assert_eq!(label(payload), expected, "{payload}");
        }
    }

    #[test]
    fn it_is_bounded() {
        assert_eq!(label(&format!(r#"{{"name":"{}"}}"#, "é".repeat(500))).len(), LONGEST);
        let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(LONGEST_READ));
        assert_eq!(label(&large), "a payload of 16395 bytes");
    }
}
