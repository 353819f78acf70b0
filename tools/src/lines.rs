//! Lines of files that others wrote, which may have no end.

use std::io::{self, BufRead, Read};

/// What was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Nothing: the file is at its end.
    End,
    /// A line; the last one needs no line break.
    Line,
    /// One that is longer than was allowed. The rest of it has been passed
    /// over.
    TooLong,
}

/// Reads a line into `line`, without its line break and in place of what is
/// there, if it has at most `longest` bytes.
///
/// # Errors
///
/// The file cannot be read.
pub fn read_line(file: &mut impl BufRead, line: &mut Vec<u8>, longest: usize) -> io::Result<Found> {
    line.clear();
    let most = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    if file.by_ref().take(most).read_until(b'\n', line)? == 0 {
        return Ok(Found::End);
    }
    if line.ends_with(b"\n") {
        line.pop();
    } else if line.len() > longest {
        line.clear();
        file.skip_until(b'\n')?;
        return Ok(Found::TooLong);
    }
    Ok(Found::Line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut text: &[u8]) -> Vec<(Found, String)> {
        let mut line = Vec::new();
        std::iter::from_fn(|| {
            let found = read_line(&mut text, &mut line, 3).unwrap();
            (found != Found::End).then(|| (found, String::from_utf8(line.clone()).unwrap()))
        })
        .collect()
    }

    #[test]
    fn lines_are_whole_or_too_long() {
        let line = |text: &str| (Found::Line, text.to_owned());
        let too_long = || (Found::TooLong, String::new());
        assert_eq!(all(b"abc\nabcd\n\nab"), [line("abc"), too_long(), line(""), line("ab")]);
        assert_eq!(all(b"abcdefgh"), [too_long()]);
        assert_eq!(all(b""), []);
    }
}
