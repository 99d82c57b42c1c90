//! What the server has seen of the values of columns. It serves estimates alone: no row depends on it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;
use tombolo_connector::{ColumnDescription, ColumnStatistics, ErrorCode, Result, TableDescription, TableRef};

use super::super::client::{Client, Row};
use super::{Server, named, text};

/// The most common values that are kept, and the most parts that the others are cut into: as many as PostgreSQL keeps.
const MOST: usize = 100;

/// Letters of a text that are kept.
const LETTERS: usize = 64;

/// Whole numbers below are exact as floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The query for what there is of a table's columns, to be sent with those for all else of it. MySQL keeps histograms since
/// version 8. MariaDB keeps them in a table that not every user may read: what is asked here is whether this one may.
pub(super) fn query(table: &TableRef, server: &Server) -> Result<Option<String>> {
    if server.product == "MariaDB" {
        let seen = "SELECT 'statistics' FROM information_schema.tables t \
                    WHERE t.table_schema = 'mysql' AND t.table_name = 'column_stats'";
        return Ok(Some(seen.to_owned()));
    }
    if server.version() < (8, 0) {
        return Ok(None);
    }
    Ok(Some(format!(
        "SELECT 'statistics', s.column_name, s.histogram FROM information_schema.column_statistics s WHERE {} AND {}",
        named("s.schema_name", &table.schema)?,
        named("s.table_name", &table.table)?,
    )))
}

/// Adds to a description what the rows of [`query`] say, or lead to.
pub(super) async fn add(
    client: &Arc<Client>,
    server: &Server,
    found: &[&Row],
    description: &mut TableDescription,
) -> Result<()> {
    if server.product != "MariaDB" {
        for row in found {
            let name = text(row, 1);
            let known = description.column(&name).and_then(|column| mysql_histogram(&text(row, 2), column));
            add_column(description, &name, known);
        }
        return Ok(());
    }
    if found.is_empty() {
        return Ok(());
    }
    let rows = client
        .query(&format!(
            "SELECT c.column_name, c.nulls_ratio, c.avg_length, c.avg_frequency, CONVERT(c.min_value USING utf8mb4), \
             CONVERT(c.max_value USING utf8mb4), c.hist_type, \
             IF(c.hist_type = 'JSON_HB', CONVERT(c.histogram USING utf8mb4), hex(c.histogram)) \
             FROM mysql.column_stats c WHERE {} AND {}",
            named("c.db_name", &description.table.schema)?,
            named("c.table_name", &description.table.table)?,
        ))
        .await;
    let rows = match rows {
        Ok(rows) => rows,
        // Who sees the table may still not read it, and it may be of another version or broken: then nothing is known.
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::PermissionDenied
                    | ErrorCode::SchemaChanged
                    | ErrorCode::SourceFailed
                    | ErrorCode::CorruptData
            ) =>
        {
            tracing::debug!(source = client.name(), %error, "the statistics of columns cannot be read");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let rows_of_table = description.statistics.rows.value();
    for row in &rows {
        let name = text(row, 0);
        let known = description.column(&name).map(|column| mariadb_statistics(row, column, rows_of_table));
        add_column(description, &name, known);
    }
    Ok(())
}

/// The number of values that an index has seen is newer than what a histogram has.
fn add_column(description: &mut TableDescription, name: &str, known: Option<ColumnStatistics>) {
    let Some(known) = known else { return };
    let column = description.statistics.columns.entry(name.to_owned()).or_default();
    *column = ColumnStatistics { distinct: column.distinct.or(known.distinct), ..known };
}

/// Rows with values from one to another.
#[derive(Debug, Clone, PartialEq)]
struct Bucket {
    lower: String,
    upper: String,
    /// Their share of all rows.
    share: f64,
    /// Whether they have one value.
    is_single: bool,
}

/// The common values, most first, and bounds with as many rows between each two of them, of buckets in order.
fn spread(buckets: &[Bucket]) -> (Vec<(String, f64)>, Vec<String>) {
    let mut singles: Vec<(usize, &Bucket)> =
        buckets.iter().enumerate().filter(|(_, bucket)| bucket.is_single).collect();
    singles.sort_by(|(_, a), (_, b)| b.share.total_cmp(&a.share));
    singles.truncate(MOST);
    let is_common: BTreeSet<usize> = singles.iter().map(|(at, _)| *at).collect();
    let common = singles.into_iter().map(|(_, bucket)| (bucket.lower.clone(), bucket.share)).collect();
    let others: Vec<&Bucket> = (0..).zip(buckets).filter(|(at, _)| !is_common.contains(at)).map(|(_, b)| b).collect();
    let Some(first) = others.first() else { return (common, Vec::new()) };
    let total: f64 = others.iter().map(|bucket| bucket.share).sum();
    let parts = others.len().min(MOST);
    let mut bounds = vec![first.lower.clone()];
    let (mut passed, mut rest) = (0.0, others.iter().peekable());
    for part in 1..=parts {
        // Shares add up to a little more or less than they should.
        let wanted = total * part as f64 / parts as f64 - total * 1e-6;
        while let Some(bucket) = rest.next_if(|bucket| passed + bucket.share < wanted) {
            passed += bucket.share;
        }
        bounds.extend(rest.peek().or(others.last().as_ref()).map(|bucket| bucket.upper.clone()));
    }
    (common, bounds)
}

/// Whether values of a column are told as texts that are read as the engine's values of it.
fn is_told(column: &ColumnDescription) -> bool {
    *column.field.data_type() != DataType::Binary && !column.remote_type.starts_with("set(")
}

/// A histogram as `ANALYZE TABLE … UPDATE HISTOGRAM` makes it; see "Histogram Statistics" in MySQL's manual.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Histogram {
    null_values: f64,
    /// A value and the share of rows up to it, or two values, the share of rows up to the second, and how many values there are
    /// between them.
    buckets: Vec<Vec<Value>>,
}

fn mysql_histogram(json: &str, column: &ColumnDescription) -> Option<ColumnStatistics> {
    let Histogram { null_values, buckets } = serde_json::from_str(json).ok()?;
    let mut distinct = 0_u64;
    let mut known = Some(Vec::new());
    let mut before = 0.0;
    for bucket in &buckets {
        let (lower, upper, upto, values) = match bucket.as_slice() {
            [value, upto] => (value, value, upto.as_f64()?, 1),
            [lower, upper, upto, values] => (lower, upper, upto.as_f64()?, values.as_u64()?),
            _ => return None,
        };
        distinct = distinct.saturating_add(values);
        let share = upto - before;
        before = upto;
        known = known.and_then(|mut known| {
            let (lower, upper) = (told(lower, column)?, told(upper, column)?);
            known.push(Bucket { lower, upper, share, is_single: values == 1 });
            Some(known)
        });
    }
    let (common, bounds) = known.filter(|_| is_told(column)).map(|known| spread(&known)).unwrap_or_default();
    Some(ColumnStatistics { distinct: Some(distinct), null_fraction: Some(null_values), width: None, common, bounds })
}

/// A value of a histogram as text. Strings are in base 64 behind a word for their type, moments and days are not; of an ENUM it is
/// the number of the label.
fn told(value: &Value, column: &ColumnDescription) -> Option<String> {
    let is_enum = column.remote_type.starts_with("enum(");
    match value {
        Value::String(text) => match text.strip_prefix("base64:").and_then(|typed| typed.split_once(':')) {
            Some((_, encoded)) => String::from_utf8(BASE64.decode(encoded).ok()?).ok().map(|text| cut(&text)),
            None => Some(text.clone()),
        },
        Value::Number(number) if is_enum => {
            let at = usize::try_from(number.as_u64()?.checked_sub(1)?).ok()?;
            labels(&column.remote_type).into_iter().nth(at)
        }
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Some(whole.to_string()),
            (None, Some(whole)) => Some(whole.to_string()),
            // Without an exponent, which not every type is read with.
            (None, None) => number.as_f64().map(|number| number.to_string()),
        },
        _ => None,
    }
}

/// The labels of an ENUM. One that has `','` within is taken for two, which makes estimates worse and nothing else.
fn labels(remote_type: &str) -> Vec<String> {
    let inside = remote_type.strip_prefix("enum('").and_then(|rest| rest.strip_suffix("')")).unwrap_or_default();
    inside.split("','").map(|label| label.replace("''", "'")).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(LETTERS).collect()
}

/// A histogram of MariaDB 10.8 and later; shares are of the rows that are not null.
#[derive(Deserialize)]
struct JsonHistogram {
    histogram_hb: Vec<JsonBucket>,
}

#[derive(Deserialize)]
struct JsonBucket {
    /// It is missing where the value is no text, and is then told in another form.
    start: Option<String>,
    /// Of the last bucket alone: the others end where the next begins.
    end: Option<String>,
    size: f64,
    ndv: u64,
}

/// What `ANALYZE TABLE … PERSISTENT FOR …` has found; see "mysql.column_stats Table" in MariaDB's documentation.
fn mariadb_statistics(row: &Row, column: &ColumnDescription, rows: Option<u64>) -> ColumnStatistics {
    let number = |at: usize| row.get(at)?.as_ref()?.parse::<f64>().ok();
    let null_fraction = number(1);
    let present = 1.0 - null_fraction.unwrap_or(0.0);
    let frequency = number(3).filter(|rows| *rows > 0.0);
    let distinct = rows.zip(frequency).map(|(rows, each)| (rows as f64 * present / each).round() as u64);
    let histogram = text(row, 7);
    let buckets = match text(row, 6).as_str() {
        "JSON_HB" => json_buckets(&histogram, present),
        "DOUBLE_PREC_HB" => placed_buckets(&histogram, 4, row, column, present),
        "SINGLE_PREC_HB" => placed_buckets(&histogram, 2, row, column, present),
        _ => None,
    };
    let (common, bounds) = buckets.filter(|_| is_told(column)).map(|known| spread(&known)).unwrap_or_default();
    ColumnStatistics { distinct, null_fraction, width: number(2), common, bounds }
}

fn json_buckets(json: &str, present: f64) -> Option<Vec<Bucket>> {
    let JsonHistogram { histogram_hb: buckets } = serde_json::from_str(json).ok()?;
    let ends = buckets.iter().skip(1).map(|next| next.start.as_ref()).chain([None]);
    let bucket = |(bucket, next): (&JsonBucket, Option<&String>)| {
        let (lower, is_single) = (cut(bucket.start.as_ref()?), bucket.ndv == 1);
        let upper = if is_single { lower.clone() } else { cut(bucket.end.as_ref().or(next)?) };
        Some(Bucket { lower, upper, share: bucket.size * present, is_single })
    };
    buckets.iter().zip(ends).map(bucket).collect()
}

/// Buckets of as many rows each, of which is known where in the range from the least to the greatest value they end: as a number of
/// so many hexadecimal digits, the low byte first, which is that part of the greatest such number.
fn placed_buckets(
    histogram: &str,
    digits: usize,
    row: &Row,
    column: &ColumnDescription,
    present: f64,
) -> Option<Vec<Bucket>> {
    let scale = match column.field.data_type() {
        integer if integer.is_integer() => 0,
        DataType::Decimal128(_, scale) => usize::try_from(*scale).ok()?,
        DataType::Float32 | DataType::Float64 => 17,
        // Other values are placed by the server's own idea of a number that stands for them.
        _ => return None,
    };
    let (least, greatest): (f64, f64) = (text(row, 4).parse().ok()?, text(row, 5).parse().ok()?);
    let (step, places) = (0.1_f64.powi(i32::try_from(scale).ok()?), 16_f64.powi(i32::try_from(digits).ok()?) - 1.0);
    if !column.field.data_type().is_floating() && least.abs().max(greatest.abs()) / step >= EXACT {
        return None;
    }
    // Otherwise several values have one place.
    let is_exact = (greatest - least) / step < places;
    let mut ends = vec![least];
    for place in histogram.as_bytes().chunks_exact(digits) {
        let bytes = place.chunks_exact(2).rev().flatten().copied().collect();
        let place = u32::from_str_radix(&String::from_utf8(bytes).ok()?, 16).ok()?;
        ends.push(least + (greatest - least) * f64::from(place) / places);
    }
    ends.push(greatest);
    let share = present / (ends.len() - 1) as f64;
    let mut buckets: Vec<Bucket> = Vec::new();
    for pair in ends.windows(2) {
        let [lower, upper] = pair else { continue };
        let shown = |value: &f64| match column.field.data_type().is_floating() {
            true => value.to_string(),
            false => format!("{value:.scale$}"),
        };
        let (lower, upper) = (shown(lower), shown(upper));
        let is_single = is_exact && lower == upper;
        match buckets.last_mut().filter(|last| is_single && last.is_single && last.lower == lower) {
            Some(same) => same.share += share,
            None => buckets.push(Bucket { lower, upper, share, is_single }),
        }
    }
    Some(buckets)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

    use super::*;

    fn column(data_type: DataType, remote_type: &str) -> ColumnDescription {
        ColumnDescription::new(Arc::new(Field::new("c", data_type, true)), remote_type)
    }

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_histogram_of_values_has_all_of_them() {
        let json = r#"{"buckets": [["base64:type254:w7Y=", 0.25], ["base64:type254:Yg==", 0.8]], "null-values": 0.2}"#;
        let known = mysql_histogram(json, &column(DataType::Utf8, "varchar(9)")).unwrap();
        let names: Vec<&str> = known.common.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, known.distinct, known.null_fraction), (vec!["b", "\u{f6}"], Some(2), Some(0.2)));
        assert!((known.common[0].1 - 0.55).abs() < 1e-9 && known.bounds.is_empty(), "{known:?}");
        let json = r#"{"buckets": [[1, 0.25], [2, 1.0]], "null-values": 0.0}"#;
        let known = mysql_histogram(json, &column(DataType::Utf8, "enum('it''s','b')")).unwrap();
        assert_eq!(known.common, [("b".to_owned(), 0.75), ("it's".to_owned(), 0.25)]);
        // What no text stands for is counted and not told.
        for (data_type, remote_type) in [(DataType::Binary, "varbinary(9)"), (DataType::Utf8, "set('a','b')")] {
            let known = mysql_histogram(json, &column(data_type, remote_type)).unwrap();
            assert_eq!((known.distinct, known.common.len()), (Some(2), 0));
        }
        for broken in ["", "{}", r#"{"buckets": [[1]], "null-values": 0.0}"#] {
            assert_eq!(mysql_histogram(broken, &column(DataType::Int32, "int")), None);
        }
    }

    #[test]
    fn a_histogram_of_ranges_has_bounds_of_as_many_rows_each() {
        let json = r#"{"buckets": [[1, 5, 0.01, 3], [7, 7, 0.4, 1], [9, 123.5, 0.5, 58], [125, 239, 0.6, 58], [241, 18446744073709551615, 0.9, 58]],
                       "null-values": 0.1}"#;
        let known = mysql_histogram(json, &column(DataType::Decimal128(20, 0), "bigint unsigned")).unwrap();
        assert_eq!(known.distinct, Some(178));
        assert!(matches!(known.common.as_slice(), [(value, share)] if value == "7" && (share - 0.39).abs() < 1e-9));
        // The last bucket has more rows than two parts of four.
        let last = "18446744073709551615";
        assert_eq!(known.bounds, texts(&["1", "239", last, last, last]));
    }

    #[test]
    fn more_values_than_are_kept_as_common_ones_are_between_bounds() {
        let buckets: Vec<Bucket> = (0..150_u32)
            .map(|at| Bucket {
                lower: at.to_string(),
                upper: at.to_string(),
                share: if at < 100 { 0.009 } else { 0.002 },
                is_single: true,
            })
            .collect();
        let (common, bounds) = spread(&buckets);
        assert_eq!((common.len(), bounds.len()), (100, 51));
        assert_eq!((bounds[0].as_str(), bounds[25].as_str(), bounds[50].as_str()), ("100", "124", "149"));
    }

    #[test]
    fn a_histogram_of_places_is_one_of_values() {
        let told = |text: &str| Some(text.to_owned());
        let row = |least, greatest, kind, histogram| {
            vec![
                told("c"),
                told("0.1"),
                told("4"),
                told("1.8"),
                told(least),
                told(greatest),
                told(kind),
                told(histogram),
            ]
        };
        // From 1 to 999: the first two buckets end at 7.
        let placed = row("1", "999", "DOUBLE_PREC_HB", "89018901D2472AA4");
        let known = mariadb_statistics(&placed, &column(DataType::Int32, "int"), Some(1000));
        assert_eq!((known.distinct, known.width), (Some(500), Some(4.0)));
        assert!(matches!(known.common.as_slice(), [(value, share)] if value == "7" && (share - 0.18).abs() < 1e-9));
        assert_eq!(known.bounds, texts(&["1", "7", "281", "641", "999"]));
        let known = mariadb_statistics(&placed, &column(DataType::Utf8, "varchar(9)"), Some(1000));
        assert!(known.common.is_empty() && known.bounds.is_empty(), "{known:?}");
        let wide = row("0", "10000000", "SINGLE_PREC_HB", "0080FF");
        let known = mariadb_statistics(&wide, &column(DataType::Int64, "bigint"), None);
        assert!(known.common.is_empty(), "{known:?}");
        assert_eq!(known.bounds, texts(&["0", "0", "5019608", "10000000", "10000000"]));
        let json = r#"{"histogram_hb": [{"start": "1", "size": 0.5, "ndv": 3}, {"start": "7", "size": 0.4, "ndv": 1},
                       {"start": "9", "end": "12", "size": 0.1, "ndv": 3}]}"#;
        let known = mariadb_statistics(&row("1", "12", "JSON_HB", json), &column(DataType::Int32, "int"), None);
        assert_eq!((known.bounds.len(), known.common[0].0.as_str()), (3, "7"));
        assert!((known.common[0].1 - 0.36).abs() < 1e-9, "{known:?}");
    }
}
