//! A text without what only its readers need, made by the compiler.

/// How many bytes [`squeeze`] leaves of a text.
pub(super) const fn size(text: &str) -> usize {
    let (mut at, mut size) = (0, 0);
    while let Some((begin, end)) = next_line(text.as_bytes(), at) {
        size += end - begin;
        at = end;
    }
    size
}

/// A script, a style or a page without indentation, empty lines, and comments
/// that are the first thing in a line. Every line of it must end with a line
/// break.
pub(super) const fn squeeze<const SIZE: usize>(text: &str) -> [u8; SIZE] {
    let text = text.as_bytes();
    let mut left = [0; SIZE];
    let (mut at, mut size) = (0, 0);
    while let Some((begin, end)) = next_line(text, at) {
        at = begin;
        while at < end {
            left[size] = text[at];
            (at, size) = (at + 1, size + 1);
        }
    }
    left
}

/// Where the next line that is kept begins and ends.
const fn next_line(text: &[u8], mut at: usize) -> Option<(usize, usize)> {
    while at < text.len() {
        match text[at] {
            b' ' | b'\t' | b'\n' => at += 1,
            b'/' if text[at + 1] == b'*' => at = end_of_comment(text, at, b"*/"),
            b'<' if text[at + 1] == b'!' && text[at + 2] == b'-' => {
                at = end_of_comment(text, at, b"->");
            }
            _ => return Some((at, end_of_line(text, at))),
        }
    }
    None
}

const fn end_of_comment(text: &[u8], mut at: usize, end: &[u8; 2]) -> usize {
    while !(text[at] == end[0] && text[at + 1] == end[1]) {
        at += 1;
    }
    at + 2
}

const fn end_of_line(text: &[u8], mut at: usize) -> usize {
    while text[at] != b'\n' {
        at += 1;
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_what_is_before_them_and_nothing_else() {
        const TEXT: &str =
            "<!--\n d -->\n/* a\n  b */\n\tx = \"é  /* c */\"; /* d */\n\n  /** e */\ny\n";
        let left: [u8; size(TEXT)] = squeeze(TEXT);
        assert_eq!(std::str::from_utf8(&left), Ok("x = \"é  /* c */\"; /* d */\ny\n"));
    }
}
