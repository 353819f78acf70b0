//! The short cut for the message that a bus hears most: a plain job request.
//!
//! Reading a message with serde_json takes two passes, one over the message and
//! one over its payload; for a bus that is busy passing jobs on this is most of
//! its work. A message that is written as producers write it, with a payload of
//! numbers, words and plain strings, is read here in one pass. Whatever is not
//! so plain (nested, escaped, in another order, wrong) is `None`, and read in
//! the general way; what is read here is what the general way would have made
//! of it.

use super::payload::{Fields, PayloadError, TestJob};

/// How producers write what comes before the payload: ours, and Python's.
const BEFORE_PAYLOAD: [&str; 2] =
    [r#"{"cmd":"job_request","payload":"#, r#"{"cmd": "job_request", "payload": "#];

/// The payload of a plain job request, and the job that it is.
pub(super) fn job_request(text: &str) -> Option<(&str, Result<TestJob, PayloadError>)> {
    let before = BEFORE_PAYLOAD.into_iter().find(|before| text.starts_with(before))?;
    let start = before.len();
    let mut skim = Skim { text, at: start };
    let fields = skim.object()?;
    let payload = text.get(start..skim.at)?;
    skim.punctuation(b'}')?;
    (skim.at == text.len()).then(|| (payload, TestJob::from_fields(fields)))
}

struct Skim<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Skim<'a> {
    /// The fields of an object of plain values.
    fn object(&mut self) -> Option<Fields<'a>> {
        let mut fields = Fields::default();
        self.byte(b'{')?;
        self.white_space();
        if self.byte(b'}').is_some() {
            return Some(fields);
        }
        loop {
            let key = self.string()?;
            self.punctuation(b':')?;
            let value = self.value()?;
            fields.take(key, value);
            self.white_space();
            if self.byte(b'}').is_some() {
                return Some(fields);
            }
            self.punctuation(b',')?;
        }
    }

    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        match self.peek()? {
            b'"' => {
                self.string()?;
            }
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word()?,
        }
        self.text.get(start..self.at)
    }

    /// A string without escapes; its content.
    fn string(&mut self) -> Option<&'a str> {
        self.byte(b'"')?;
        let rest = self.text.as_bytes().get(self.at..)?;
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
        let content = self.text.get(self.at..self.at + length);
        self.at += length;
        self.byte(b'"')?;
        content
    }

    fn number(&mut self) -> Option<()> {
        let _minus = self.byte(b'-');
        if self.byte(b'0').is_none() {
            self.digits()?;
        }
        if self.byte(b'.').is_some() {
            self.digits()?;
        }
        if self.byte(b'e').or_else(|| self.byte(b'E')).is_some() {
            let _sign = self.byte(b'-').or_else(|| self.byte(b'+'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    fn word(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word))?;
        self.at += word.len();
        Some(())
    }

    /// This byte, and the white space around it.
    fn punctuation(&mut self, byte: u8) -> Option<()> {
        if self.byte(byte).is_none() {
            self.white_space();
            self.byte(byte)?;
        }
        self.white_space();
        Some(())
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Command;
    use super::*;
    use alloc::string::String;
    use alloc::{format, vec::Vec};

    const PLAIN: &[&str] = &[
        r#"{"cmd":"job_request","payload":{"priority":3,"runtime":7}}"#,
        r#"{"cmd": "job_request", "payload": {"priority": 3, "runtime": 7.5, "name": "x y"}}"#,
        "{\"cmd\":\"job_request\",\"payload\":{ \"runtime\" :\t1e-3 ,\n\"priority\":\r0 } } ",
        r#"{"cmd":"job_request","payload":{}}"#,
        r#"{"cmd":"job_request","payload":{"priority":-1,"runtime":-0.5E+9}}"#,
        r#"{"cmd":"job_request","payload":{"priority":1,"priority":2,"runtime":null,"a":true,"b":false}}"#,
        r#"{"cmd":"job_request","payload":{"priority":"3","runtime":1,"\u00e9":"é\u007f"}}"#,
        r#"{"cmd":"job_request","payload":{"priority":1e400,"runtime":0.10,"é":""}}"#,
    ];

    /// What the general way makes of it.
    fn general(text: &str) -> Option<(&str, Result<TestJob, PayloadError>)> {
        match Command::parse(text) {
            Ok(Command::JobRequest { payload }) => Some((payload, TestJob::from_payload(payload))),
            _ => None,
        }
    }

    #[test]
    fn a_plain_job_request_is_read_in_one_pass() {
        for text in PLAIN {
            let escaped = text.contains('\\');
            assert_eq!(job_request(text).is_none(), escaped, "{text}");
        }
        let job = r#"{"cmd":"job_request","payload":{"priority":3,"runtime":7}}"#;
        assert_eq!(job_request(job).unwrap().0, r#"{"priority":3,"runtime":7}"#);
    }

    #[test]
    fn what_is_read_is_what_the_general_way_reads() {
        // Every text with every byte replaced, left out or doubled: what is
        // taken must be the same, what is not taken is the general way's.
        let mut taken = 0;
        let mut check = |text: &str| {
            if let Some(read) = job_request(text) {
                assert_eq!(Some(read), general(text), "{text}");
                taken += 1;
            }
        };
        for text in PLAIN {
            check(text);
            let chars: Vec<char> = text.chars().collect();
            for at in 0..chars.len() {
                let (before, after) = (&chars[..at], &chars[at + 1..]);
                let with = |middle: &str| {
                    let mut all: String = before.iter().collect();
                    all.push_str(middle);
                    all.extend(after);
                    all
                };
                check(&with(""));
                check(&with(&format!("{0}{0}", chars[at])));
                for other in "{}[]:,\"\\ \n\u{1}0159-+.eEtné\u{7f}".chars() {
                    check(&with(&format!("{other}")));
                    check(&with(&format!("{}{other}", chars[at])));
                }
            }
        }
        assert!(taken > 1000, "{taken}");
    }
}
