//! Timestamps in text: whole numbers, numbers, or dates and times of ISO 8601.

use crate::base::Result;
use crate::base::memory::{collected, reserve};

const TIMES: &str = "times of a column";

/// Times of a column, all of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Times {
    /// Whole numbers.
    Whole(Vec<i64>),
    /// Numbers.
    Real(Vec<f64>),
    /// Microseconds since 1970-01-01 00:00 UTC (or of local time, where the text names no zone).
    Moments(Vec<i64>),
}

/// Collects the times of a column.
#[derive(Debug, Default)]
pub(super) struct TimeColumn {
    times: Option<Times>,
    zoned: Option<bool>,
    /// Whether a whole number was not exact as floating point.
    beyond_exact: bool,
}

/// Whole numbers beyond this are not exact as floating point.
const EXACT: u64 = 1 << 53;

impl TimeColumn {
    /// Append a time; false if it is none, or of another kind than those before.
    pub(super) fn push(&mut self, text: &str) -> Result<bool> {
        let text = text.trim_matches([' ', '\t']);
        if let Ok(whole) = text.parse::<i64>() {
            self.beyond_exact |= whole.unsigned_abs() > EXACT;
            return match self.times.get_or_insert_with(|| Times::Whole(Vec::new())) {
                Times::Whole(all) => appended(all, whole),
                Times::Real(all) if whole.unsigned_abs() <= EXACT => appended(all, whole as f64),
                _ => Ok(false),
            };
        }
        if let Some((moment, zoned)) = moment(text) {
            let known = *self.zoned.get_or_insert(zoned);
            return match self.times.get_or_insert_with(|| Times::Moments(Vec::new())) {
                Times::Moments(all) if known == zoned => appended(all, moment),
                _ => Ok(false),
            };
        }
        match text.parse::<f64>() {
            // As floating point, whole numbers of so many digits would be equal to others.
            Ok(real) if real.is_finite() && !is_beyond_64_bits(text) => self.push_real(real),
            _ => Ok(false),
        }
    }

    fn push_real(&mut self, real: f64) -> Result<bool> {
        if let Some(Times::Whole(all)) = &self.times {
            if self.beyond_exact {
                return Ok(false);
            }
            let real = collected(all.iter().map(|&whole| whole as f64), TIMES)?;
            self.times = Some(Times::Real(real));
        }
        match self.times.get_or_insert_with(|| Times::Real(Vec::new())) {
            Times::Real(all) => appended(all, real),
            _ => Ok(false),
        }
    }

    /// Whether dates so far name their zones; None if there are none.
    pub(super) fn zoned(&self) -> Option<bool> {
        self.zoned
    }

    /// What was collected since the last call.
    pub(super) fn take(&mut self) -> Times {
        match &mut self.times {
            None => Times::Whole(Vec::new()),
            Some(Times::Whole(all)) => Times::Whole(std::mem::take(all)),
            Some(Times::Real(all)) => Times::Real(std::mem::take(all)),
            Some(Times::Moments(all)) => Times::Moments(std::mem::take(all)),
        }
    }
}

/// Whether text is a whole number that 64 bits cannot hold.
pub(super) fn is_beyond_64_bits(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<i64>().is_err()
}

fn appended<T>(all: &mut Vec<T>, time: T) -> Result<bool> {
    reserve(all, 1, TIMES)?;
    all.push(time);
    Ok(true)
}

/// Microseconds of a date, or of a date and time after "T" or a space; whether it names its zone.
///
/// `YYYY-MM-DD[(T| )HH:MM[:SS[.ffffff]]][Z|+HH[:]MM]`; digits beyond the sixth of a second are cut.
fn moment(text: &str) -> Option<(i64, bool)> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let midnight = days_since_1970(year, month, day) * 86_400_000_000;
    if rest.is_empty() {
        return Some((midnight, false));
    }
    let time = rest.strip_prefix(['T', ' '])?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = match whole.len() {
        5 if fraction.is_empty() => {
            let [hour, minute] = numbers(whole, ':', [2, 2])?;
            [hour, minute, 0]
        }
        _ => numbers(whole, ':', [2, 2, 2])?,
    };
    if hour > 23 || minute > 59 || second > 59 || clock.ends_with('.') {
        return None;
    }
    let micros = if fraction.is_empty() {
        0
    } else {
        if !fraction.bytes().all(|b| b.is_ascii_digit()) || fraction.len() > 9 {
            return None;
        }
        let six = &fraction[..fraction.len().min(6)];
        six.parse::<i64>().ok()? * 10_i64.pow(6 - six.len() as u32)
    };
    let seconds = (hour * 60 + minute) * 60 + second;
    let offset = offset_minutes(zone)?;
    let moment = midnight + seconds * 1_000_000 + micros - offset * 60_000_000;
    Some((moment, !zone.is_empty()))
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let [hours, minutes] = match digits.len() {
        2 => [numbers(digits, ':', [2])?[0], 0],
        4 => {
            let (hours, minutes) = digits.split_at_checked(2)?;
            [numbers(hours, ':', [2])?[0], numbers(minutes, ':', [2])?[0]]
        }
        _ => numbers(digits, ':', [2, 2])?,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// Numbers of the given widths with `between` them.
fn numbers<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (value, width) in found.iter_mut().zip(widths) {
        let part = parts.next()?;
        if part.len() != width || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *value = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::{TimeColumn, Times, moment};

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment("1970-01-01"), Some((0, false)));
        assert_eq!(
            moment("2000-02-29T00:00:00Z"),
            Some((951_782_400_000_000, true))
        );
        assert_eq!(
            moment("2026-11-28 11:22:33.5"),
            Some((1_795_864_953_500_000, false))
        );
        assert_eq!(
            moment("2026-11-28T11:22+02:00"),
            Some((1_795_857_720_000_000, true))
        );
        for bad in [
            "2025-02-29",
            "2026-13-01",
            "2026-1-01",
            "2026-11-28T24:00",
            "2026-11-28 1:2",
        ] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_become_real_when_a_fraction_comes() {
        let mut column = TimeColumn::default();
        let mut taken = |text| column.push(text).expect("small");
        assert!(taken("3") && taken("4.5") && taken("-1"));
        assert!(!taken("2026-01-01") && !taken("soon"));
        assert_eq!(column.take(), Times::Real(vec![3.0, 4.5, -1.0]));
    }

    #[test]
    fn whole_numbers_beyond_64_bits_are_no_floating_point() {
        let mut column = TimeColumn::default();
        let mut taken = |text| column.push(text).expect("small");
        assert!(taken("9223372036854775807") && !taken("9223372036854775808"));
        assert!(!taken("-99999999999999999999") && !taken("+99999999999999999999"));
    }
}
