//! Bounds of what clients say in words, so that whatever the bus makes of it
//! fits into a message.

/// The longest name of a client, in bytes.
pub(super) const LONGEST_NAME: usize = 256;

/// The longest reason in a report, in bytes.
pub(super) const LONGEST_REASON: usize = 1024;

/// The most output in a report, in bytes: 4 KiB of bytes that are no UTF-8
/// become three times as many.
pub(super) const LONGEST_OUTPUT: usize = 12 * 1024;

/// The beginning of a text, of at most so many bytes.
pub(super) fn head(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The end of a text, of at most so many bytes.
pub(super) fn tail(text: &str, most: usize) -> &str {
    let mut begin = text.len() - most.min(text.len());
    while !text.is_char_boundary(begin) {
        begin += 1;
    }
    text.get(begin..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((head("aéb", 2), head("aéb", 3), head("aéb", 99)), ("a", "aé", "aéb"));
        assert_eq!((tail("aéb", 2), tail("aéb", 3), tail("aéb", 99)), ("b", "éb", "aéb"));
        assert_eq!((head("é", 0), tail("é", 0)), ("", ""));
    }
}
