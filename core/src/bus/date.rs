//! Times as the bus tells them.

use crate::time::{Duration, Instant};

/// Reads a time as the bus writes it, such as `2026-11-24T09:45:27.017Z`; `None`:
/// it is none.
pub(super) fn since_1970(text: &str) -> Option<Instant> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let hours: u64 = time.next()?.parse().ok()?;
    let minutes: u64 = time.next()?.parse().ok()?;
    let (seconds, nanos) = seconds(time.next()?)?;
    let fits = (1970..=2500).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hours < 24
        && minutes < 60
        && seconds < 61;
    let whole = fits.then(|| (days(year, month, day) * 24 + hours) * 3600 + minutes * 60)?;
    Some(Instant::from_secs(whole + seconds) + Duration::from_nanos(nanos))
}

/// Seconds and nanoseconds: what has more digits is no time of a bus.
fn seconds(text: &str) -> Option<(u64, u64)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9)?;
    let is_plain = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = fraction.parse::<u64>().ok().filter(|_| is_plain)? * 10_u64.pow(9 - digits);
    Some((whole.parse().ok()?, nanos))
}

/// The days from 1970 to a date of the Gregorian calendar. Years begin in March
/// here, so that the leap day is the last of its year.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let of_year = (153 * month + 2) / 5 + day - 1;
    // The first of January 1970 is this day, counted from March of year 0.
    year * 365 + leap_days + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_bus_are_read() {
        let millis = |text| since_1970(text).map(|at| at.as_nanos() / 1_000_000);
        assert_eq!(millis("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(millis("1970-01-01T00:00:07Z"), Some(7000));
        assert_eq!(millis("2000-02-29T12:00:00.5Z"), Some(951_825_600_500));
        assert_eq!(millis("2026-11-24T09:45:27.017Z"), Some(1_795_513_527_017));
        for text in [
            "",
            "yesterday",
            "2026-13-01T00:00:00Z",
            "2026-11-24T09:45:27.017",
            "-1-1-1T::Z",
            "2026-11-24T09:45:27.+17Z",
            "2026-11-24T09:45:27.0000000017Z",
            "9999-11-24T09:45:27.017Z",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
