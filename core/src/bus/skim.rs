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
    let mut skim = Skim { text, rest: &text.as_bytes()[start..] };
    let fields = skim.object()?;
    let payload = text.get(start..skim.at())?;
    skim.punctuation(b'}')?;
    skim.rest.is_empty().then(|| (payload, TestJob::from_fields(fields)))
}

/// Which bytes a string may have that stand for themselves.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut control = 0;
    while control < b' ' {
        plain[control as usize] = false;
        control += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

struct Skim<'a> {
    text: &'a str,
    /// The end of it that is still to be read.
    rest: &'a [u8],
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
            let key = self.key()?;
            let start = self.at();
            self.value()?;
            fields.take(key, self.text.get(start..self.at())?);
            self.white_space();
            if self.byte(b'}').is_some() {
                return Some(fields);
            }
            self.punctuation(b',')?;
        }
    }

    /// A key, and what comes between it and its value.
    fn key(&mut self) -> Option<&'a str> {
        let known: [(&str, &[u8]); 2] =
            [("priority", br#""priority":"#), ("runtime", br#""runtime":"#)];
        for (key, written) in known {
            if let Some(rest) = self.rest.strip_prefix(written) {
                self.rest = rest;
                self.white_space();
                return Some(key);
            }
        }
        let key = self.string()?;
        self.punctuation(b':')?;
        Some(key)
    }

    fn value(&mut self) -> Option<()> {
        match self.rest.first()? {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    /// A string without escapes; its content.
    fn string(&mut self) -> Option<&'a str> {
        self.byte(b'"')?;
        let start = self.at();
        self.skip(|byte| PLAIN[usize::from(byte)]);
        let content = self.text.get(start..self.at());
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
        self.rest.first()?.is_ascii_digit().then_some(())?;
        while let Some((eight, rest)) = self.rest.split_first_chunk() {
            if !are_digits(u64::from_le_bytes(*eight)) {
                break;
            }
            self.rest = rest;
        }
        self.skip(|byte| byte.is_ascii_digit());
        Some(())
    }

    fn word(&mut self) -> Option<()> {
        let words: [&[u8]; 3] = [b"true", b"false", b"null"];
        self.rest = words.into_iter().find_map(|word| self.rest.strip_prefix(word))?;
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
        self.skip(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
    }

    fn skip(&mut self, which: impl Fn(u8) -> bool) {
        while let Some((first, rest)) = self.rest.split_first() {
            if !which(*first) {
                return;
            }
            self.rest = rest;
        }
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (*first == byte).then(|| self.rest = rest)
    }

    /// How much of the text has been read.
    const fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }
}

/// Whether eight bytes are digits, all of them.
const fn are_digits(bytes: u64) -> bool {
    const fn eight(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let digits = bytes ^ eight(b'0');
    (digits.wrapping_add(eight(0x7f - 9)) | digits) & eight(0x80) == 0
}

#[cfg(test)]
mod tests {
    use super::super::message::Command;
    use super::*;
    use alloc::string::String;
    use alloc::{format, vec::Vec};

    const TEXTS: &[&str] = &[
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
        for text in TEXTS {
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
        for text in TEXTS {
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

    #[test]
    fn eight_digits_are_told_from_what_has_another_byte_among_them() {
        for (byte, at) in (0..=u8::MAX).flat_map(|byte| (0..8).map(move |at| (byte, at))) {
            for around in *b"059" {
                let mut bytes = [around; 8];
                bytes[at] = byte;
                let digits = are_digits(u64::from_le_bytes(bytes));
                assert_eq!(digits, byte.is_ascii_digit(), "{bytes:?}");
            }
        }
    }
}
