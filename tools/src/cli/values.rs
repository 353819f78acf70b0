//! Values of options: seconds, counts and ranges that make sense.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use sched_core::bus::MAX_RUNTIME;
use thiserror::Error;

/// The longest time that an option takes: ten years.
pub const LONGEST: Duration = MAX_RUNTIME;

/// The shortest period that is no flood.
const SHORTEST: Duration = Duration::from_millis(1);

/// Why the value of an option makes no sense.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ValueError {
    /// It is not a number.
    #[error("{0:?} is not a number")]
    NotANumber(String),
    /// It is not a whole number.
    #[error("{0:?} is not a whole number from 1 to {max}", max = u32::MAX)]
    NotACount(String),
    /// It is less than the option allows.
    #[error("{0} is too small: at least {1} is needed")]
    TooSmall(String, &'static str),
    /// It is greater than anything that can be meant.
    #[error("{0} is too large: at most {1} is taken")]
    TooLarge(String, u64),
    /// It is not a range.
    #[error("{0:?} is not a range such as 3..15 (both ends belong to it)")]
    NotARange(String),
    /// A range without anything in it.
    #[error("{0:?} is empty: it ends before it begins")]
    EmptyRange(String),
}

/// A time in seconds, 0 or more, with fractions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seconds(pub Duration);

/// A time in seconds, 0.001 or more, with fractions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AboveZero(pub Duration);

/// A whole number, 1 or more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AtLeastOne(pub u32);

/// Times in seconds, `A..B`, both ends included; one number is both ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecondsRange(pub RangeInclusive<Duration>);

/// Priorities, `A..B`, both ends included; one number is both ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriorityRange(pub RangeInclusive<i32>);

impl FromStr for Seconds {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number: f64 = text.parse().map_err(|_| ValueError::NotANumber(text.to_owned()))?;
        if number.is_nan() {
            return Err(ValueError::NotANumber(text.to_owned()));
        }
        if number < 0.0 {
            return Err(ValueError::TooSmall(text.to_owned(), "0"));
        }
        Duration::try_from_secs_f64(number)
            .ok()
            .filter(|time| *time <= LONGEST)
            .map(Self)
            .ok_or_else(|| ValueError::TooLarge(text.to_owned(), LONGEST.as_secs()))
    }
}

impl FromStr for AboveZero {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse::<Seconds>() {
            Ok(Seconds(time)) if time >= SHORTEST => Ok(Self(time)),
            Ok(_) | Err(ValueError::TooSmall(..)) => {
                Err(ValueError::TooSmall(text.to_owned(), "0.001"))
            }
            Err(error) => Err(error),
        }
    }
}

impl FromStr for AtLeastOne {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse() {
            Ok(0) | Err(_) => Err(ValueError::NotACount(text.to_owned())),
            Ok(count) => Ok(Self(count)),
        }
    }
}

impl FromStr for SecondsRange {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (start, end) = ends(text)?;
        let (Seconds(start), Seconds(end)) = (start.parse()?, end.parse()?);
        range(text, start, end).map(Self)
    }
}

impl FromStr for PriorityRange {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (start, end) = ends(text)?;
        range(text, priority(start)?, priority(end)?).map(Self)
    }
}

/// `A..B`, or one value that is both.
fn ends(text: &str) -> Result<(&str, &str), ValueError> {
    match text.split_once("..") {
        Some((start, end)) if !start.is_empty() && !end.is_empty() => Ok((start, end)),
        None if !text.is_empty() => Ok((text, text)),
        _ => Err(ValueError::NotARange(text.to_owned())),
    }
}

fn priority(text: &str) -> Result<i32, ValueError> {
    let number: i64 = text.parse().map_err(|_| ValueError::NotANumber(text.to_owned()))?;
    if number < 0 {
        return Err(ValueError::TooSmall(text.to_owned(), "0"));
    }
    let max = i32::MAX.unsigned_abs().into();
    i32::try_from(number).map_err(|_| ValueError::TooLarge(text.to_owned(), max))
}

fn range<T: PartialOrd>(text: &str, start: T, end: T) -> Result<RangeInclusive<T>, ValueError> {
    if start > end {
        return Err(ValueError::EmptyRange(text.to_owned()));
    }
    Ok(start..=end)
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

impl fmt::Display for AboveZero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Seconds(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_fractions() {
        assert_eq!("0".parse(), Ok(Seconds(Duration::ZERO)));
        assert_eq!("2.5".parse(), Ok(Seconds(Duration::from_millis(2500))));
        assert_eq!("0.001".parse(), Ok(AboveZero(Duration::from_millis(1))));
        assert_eq!("1e-2".parse(), Ok(AboveZero(Duration::from_millis(10))));
    }

    #[test]
    fn f20_seconds_that_make_no_sense_are_refused() {
        for text in ["nan", "NaN", "", "five", "1,5", "1s"] {
            assert_eq!(text.parse::<AboveZero>(), Err(ValueError::NotANumber(text.into())));
        }
        for text in ["0", "-1", "-0.5", "-inf", "1e-9", "0.0"] {
            let error = ValueError::TooSmall(text.into(), "0.001");
            assert_eq!(text.parse::<AboveZero>(), Err(error));
        }
        for text in ["inf", "infinity", "1e400", "315360001"] {
            let error = ValueError::TooLarge(text.into(), 315_360_000);
            assert_eq!(text.parse::<Seconds>(), Err(error));
        }
        assert_eq!("-1".parse::<Seconds>(), Err(ValueError::TooSmall("-1".into(), "0")));
    }

    #[test]
    fn f20_a_count_of_nothing_is_refused() {
        assert_eq!("5".parse(), Ok(AtLeastOne(5)));
        for text in ["0", "-3", "2.5", "many", "", "4294967296"] {
            assert_eq!(text.parse::<AtLeastOne>(), Err(ValueError::NotACount(text.into())));
        }
    }

    #[test]
    fn ranges_include_both_ends() {
        let seconds = |secs| Duration::from_millis(secs);
        assert_eq!("0..10".parse(), Ok(PriorityRange(0..=10)));
        assert_eq!("7".parse(), Ok(PriorityRange(7..=7)));
        assert_eq!("0.25..3".parse(), Ok(SecondsRange(seconds(250)..=seconds(3000))));
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        for text in ["", "..", "3..", "..3"] {
            let error = ValueError::NotARange(text.into());
            assert_eq!(text.parse::<PriorityRange>(), Err(error.clone()));
            assert_eq!(text.parse::<SecondsRange>(), Err(error));
        }
        let empty = |text: &str| ValueError::EmptyRange(text.into());
        assert_eq!("5..4".parse::<PriorityRange>(), Err(empty("5..4")));
        assert_eq!("2..1.5".parse::<SecondsRange>(), Err(empty("2..1.5")));
        assert_eq!("1.5".parse::<PriorityRange>(), Err(ValueError::NotANumber("1.5".into())));
        let small = ValueError::TooSmall("-1".into(), "0");
        assert_eq!("-1..3".parse::<PriorityRange>(), Err(small));
        let large = ValueError::TooLarge("2147483648".into(), 2_147_483_647);
        assert_eq!("0..2147483648".parse::<PriorityRange>(), Err(large));
    }
}
