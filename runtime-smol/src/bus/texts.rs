//! Text messages that came in together.

/// Text messages in one piece of memory. One by one each would be an
/// allocation and a hop to whoever is to read it.
#[derive(Debug)]
pub(super) struct Texts {
    all: String,
    /// Where each message ends in `all`.
    ends: Vec<u32>,
}

impl Texts {
    /// The messages that end at `ends`, if each of them is UTF-8.
    pub(super) fn new(all: Vec<u8>, ends: Vec<u32>) -> Option<Self> {
        let all = String::from_utf8(all).ok()?;
        let whole = ends.iter().all(|end| all.is_char_boundary(*end as usize));
        whole.then_some(Self { all, ends })
    }

    /// The messages, in the order in which they came in.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let from = std::mem::replace(&mut start, *end as usize);
            // Not out of range: see `new`.
            self.all.get(from..start).unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_as_they_were() {
        let texts = Texts::new("one\u{e9}three".into(), vec![3, 5, 5, 10]).unwrap();
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["one", "\u{e9}", "", "three"]);
    }

    #[test]
    fn each_message_must_be_utf8_by_itself() {
        assert!(Texts::new("\u{e9}".into(), vec![1, 2]).is_none());
        assert!(Texts::new(vec![0xff], vec![1]).is_none());
    }
}
