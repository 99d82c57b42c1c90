//! Numbers as people read them, in one place so that they look alike everywhere.

use std::time::Duration;

/// The number with a comma between thousands: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count of things, with the noun in the number that fits: `1 row`, `1,200 rows`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// `1 row`, `1,200 rows`.
pub(crate) fn rows(number: u64) -> String {
    counted(number, "row", "rows")
}

/// A size in units of 1,000, as disks and networks count: `812 B`, `96.0 kB`, `1.2 GB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would print as `1000.0`.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A span of time in milliseconds, with as many digits as tell something: `0.4 ms`, `12 ms`, `3.2 s`, `2 min 5 s`.
pub(crate) fn milliseconds(ms: f64) -> String {
    if !ms.is_finite() || ms < 0.0 {
        return "?".to_owned();
    }
    if ms < 9.95 {
        return format!("{ms:.1} ms");
    }
    if ms < 999.5 {
        return format!("{ms:.0} ms");
    }
    let seconds = ms / 1000.0;
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else {
        format!("{} h {} min", whole / 3600, whole % 3600 / 60)
    }
}

/// A span of time, as [`milliseconds`] writes it.
pub(crate) fn duration(duration: Duration) -> String {
    milliseconds(duration.as_secs_f64() * 1000.0)
}

/// A part of a whole in percent. Never `0%` or `100%` unless it is: a share that only rounds to it says `<0.1%` or
/// `>99.9%`.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    if part == 0 {
        return "0%".to_owned();
    }
    if part >= whole {
        return "100%".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    if share < 0.05 {
        "<0.1%".to_owned()
    } else if share > 99.95 {
        ">99.9%".to_owned()
    } else {
        format!("{share:.1}%")
    }
}

/// A factor with as many digits as tell something: `1`, `2.4`, `31`.
pub(crate) fn factor(value: f64) -> String {
    if (value - value.round()).abs() < 0.05 || value >= 99.5 {
        count(value.round().max(0.0) as u64)
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let seen: Vec<String> = [0, 7, 999, 1000, 12_345, 1_000_000, u64::MAX].into_iter().map(count).collect();
        assert_eq!(seen, ["0", "7", "999", "1,000", "12,345", "1,000,000", "18,446,744,073,709,551,615"]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!([rows(0), rows(1), rows(2)], ["0 rows", "1 row", "2 rows"]);
    }

    #[test]
    fn sizes_never_print_a_thousand_of_a_unit() {
        let seen: Vec<String> =
            [0, 999, 1000, 96_000, 999_949, 999_999, 1_234_567_890, u64::MAX].into_iter().map(bytes).collect();
        assert_eq!(seen, ["0 B", "999 B", "1.0 kB", "96.0 kB", "999.9 kB", "1.0 MB", "1.2 GB", "18.4 EB"]);
    }

    #[test]
    fn times_keep_the_digits_that_tell() {
        let seen: Vec<String> = [0.0, 0.44, 9.94, 12.4, 999.4, 999.6, 3_210.0, 59_960.0, 125_000.0, 3_700_000.0]
            .into_iter()
            .map(milliseconds)
            .collect();
        assert_eq!(
            seen,
            ["0.0 ms", "0.4 ms", "9.9 ms", "12 ms", "999 ms", "1.0 s", "3.2 s", "1 min 0 s", "2 min 5 s", "1 h 1 min"]
        );
        assert_eq!(milliseconds(f64::NAN), "?");
    }

    #[test]
    fn a_share_is_all_or_nothing_only_if_it_is() {
        let seen: Vec<String> = [(0, 9), (1, 100_000), (188, 5000), (99_999, 100_000), (9, 9), (0, 0)]
            .into_iter()
            .map(|(part, whole)| percent(part, whole))
            .collect();
        assert_eq!(seen, ["0%", "<0.1%", "3.8%", ">99.9%", "100%", "–"]);
    }
}
