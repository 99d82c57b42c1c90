//! Whether two engines have answered alike.

/// How far two numbers may be apart, of the larger one: sums of floating-point numbers depend on the order of the rows.
const RELATIVE: f64 = 1e-6;

/// Returns the first difference in words; none where the answers are the same.
pub(super) fn difference(rows: &[Vec<String>], right: &[Vec<String>]) -> Option<String> {
    if rows.len() != right.len() {
        return Some(format!("{} rows instead of {}", rows.len(), right.len()));
    }
    let is_wrong = |(row, right): &(&Vec<String>, &Vec<String>)| {
        row.len() != right.len() || !row.iter().zip(right.iter()).all(|(cell, right)| is_same(cell, right))
    };
    let (index, (row, right)) = rows.iter().zip(right).enumerate().find(|(_, pair)| is_wrong(pair))?;
    Some(format!("row {} is {} instead of {}", index + 1, row.join("|"), right.join("|")))
}

/// Numbers are the same when they are almost equal, or one is the other with fewer decimal places: a quotient of decimals has
/// as many places as the engine gives it.
fn is_same(one: &str, other: &str) -> bool {
    let (Ok(a), Ok(b)) = (one.parse::<f64>(), other.parse::<f64>()) else { return one == other };
    if (a - b).abs() <= RELATIVE * a.abs().max(b.abs()) {
        return true;
    }
    match (places(one), places(other)) {
        // Whole numbers are counts and keys.
        (Some(p), Some(q)) if p != q && p.min(q) > 0 => (a - b).abs() <= 10_f64.powi(-p.min(q)),
        _ => false,
    }
}

/// Returns how many digits a decimal number has after its point; none where it is written with an exponent.
fn places(number: &str) -> Option<i32> {
    let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-');
    is_plain.then(|| number.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i32))
}

#[cfg(test)]
mod tests {
    use super::{difference, is_same};

    #[test]
    fn numbers_are_compared_by_what_they_say() {
        for (one, other) in [
            ("4628.40", "4628.4"),
            ("4628", "4628.00"),
            ("1234567.1234", "1234567.1235"),
            ("0.049985", "0.04998529583"),
            ("0.0344", "0.03443589"),
            ("5e-05", "0.00005"),
            ("1995-03-15", "1995-03-15"),
            ("", ""),
        ] {
            assert!(is_same(one, other) && is_same(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("4628.40", "4628.41"),
            ("10", "11"),
            ("10", "10.4"),
            ("0.04", "0.0623"),
            ("1995-03-15", "1995-03-16"),
            ("0", ""),
            ("FRANCE", "FRANCE "),
        ] {
            assert!(!is_same(one, other) && !is_same(other, one), "{one} {other}");
        }
    }

    #[test]
    fn the_first_difference_is_told() {
        let rows = |text: &str| -> Vec<Vec<String>> {
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
        };
        assert_eq!(difference(&rows("a,1\nb,2"), &rows("a,1.0\nb,2")), None);
        assert_eq!(difference(&rows("a,1\nb,2"), &rows("a,1")).as_deref(), Some("2 rows instead of 1"));
        assert_eq!(difference(&rows("a,1\nb,2"), &rows("a,1\nb,3")).as_deref(), Some("row 2 is b|2 instead of b|3"));
    }
}
