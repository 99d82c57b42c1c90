//! The figures of repeated measurements.

use std::time::Duration;

use anyhow::{Result, bail};

/// The least, the middle and the most of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) min: Duration,
    pub(super) median: Duration,
    pub(super) max: Duration,
}

impl Spread {
    pub(super) fn of(mut times: Vec<Duration>) -> Result<Self> {
        times.sort_unstable();
        let (Some(&min), Some(&max), Some(&median)) = (times.first(), times.last(), times.get(times.len() / 2)) else {
            bail!("nothing was measured");
        };
        // Of an even number, the two in the middle count alike.
        let lower = if times.len().is_multiple_of(2) { times.get(times.len() / 2 - 1).copied() } else { None };
        Ok(Self { min, median: lower.map_or(median, |lower| (lower + median) / 2), max })
    }
}

/// Returns milliseconds with one decimal.
pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Spread, milliseconds};

    fn spread(times: &[u64]) -> (String, String, String) {
        let spread = Spread::of(times.iter().map(|&time| Duration::from_millis(time)).collect()).unwrap();
        (milliseconds(spread.min), milliseconds(spread.median), milliseconds(spread.max))
    }

    #[test]
    fn the_middle_is_a_value_or_between_two() {
        assert_eq!(spread(&[30, 10, 20]), ("10.0".into(), "20.0".into(), "30.0".into()));
        assert_eq!(spread(&[40, 10, 20, 25]), ("10.0".into(), "22.5".into(), "40.0".into()));
    }

    #[test]
    fn no_measurement_is_an_error() {
        assert!(Spread::of(Vec::new()).is_err());
    }
}
