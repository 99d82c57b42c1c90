use std::sync::Arc;

use arrow::datatypes::DataType;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use tombolo_connector::TableDescription;

use crate::sql::Form;
use crate::sqlite::types::{Affinity, MAX_DECIMAL_DIGITS, parse_date, parse_decimal, parse_timestamp};

/// What the connector keeps of a table beside its description: when it was read, and how the values are stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::sqlite) struct TableProfile {
    /// The state of the file; see [`crate::sqlite::client::Client::mark`].
    pub(in crate::sqlite) mark: String,
    /// In the order of the description's columns.
    pub(in crate::sqlite) columns: Vec<ColumnProfile>,
}

/// The form of a column that is carried as text whatever it holds.
pub(in crate::sqlite) const AS_TEXT: Form = Form("as text");

/// What is known of one column's stored values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::sqlite) struct ColumnProfile {
    /// Whether this was learnt by reading every value, and not from the schema alone.
    pub(in crate::sqlite) verified: bool,
    /// Why the stored values must not be compared in SQLite.
    pub(in crate::sqlite) doubt: Option<String>,
    /// The form of timestamps, or [`AS_TEXT`].
    pub(in crate::sqlite) form: Option<String>,
    pub(in crate::sqlite) nul_free: bool,
    /// A bound on the absolute values of numbers; absent where one is infinite or none was read. See [`roomy`].
    pub(in crate::sqlite) magnitude: Option<f64>,
    /// Whether SQLite would convert the other side of a comparison with this text.
    pub(in crate::sqlite) converts: bool,
}

impl TableProfile {
    /// Reads the profile that a description carries.
    pub(in crate::sqlite) fn of(description: &TableDescription) -> Option<Arc<Self>> {
        description.fingerprint.as_ref()?.read()
    }
}

/// Looks at the stored values of one column, to learn which type they all have.
#[derive(Debug)]
pub(in crate::sqlite) struct Inspector {
    candidates: Vec<Candidate>,
    nulls: u64,
    bytes: u64,
    magnitude: f64,
    nul: bool,
}

#[derive(Debug)]
struct Candidate {
    data_type: DataType,
    /// Whether every value can be carried as this type.
    fits: bool,
    /// Whether every value is stored so that comparing the stored values compares the carried ones.
    uniform: bool,
    form: Option<Option<Form>>,
}

/// What an [`Inspector`] found.
#[derive(Debug)]
pub(in crate::sqlite) struct Inspected {
    pub(in crate::sqlite) data_type: DataType,
    pub(in crate::sqlite) uniform: bool,
    pub(in crate::sqlite) profile: ColumnProfile,
    pub(in crate::sqlite) nulls: u64,
    pub(in crate::sqlite) bytes: u64,
}

impl Inspector {
    pub(in crate::sqlite) fn new(candidates: Vec<DataType>) -> Self {
        let candidates = candidates
            .into_iter()
            .map(|data_type| Candidate { data_type, fits: true, uniform: true, form: None })
            .collect();
        Self { candidates, nulls: 0, bytes: 0, magnitude: 0.0, nul: false }
    }

    pub(in crate::sqlite) fn inspect(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => {
                self.nulls += 1;
                return;
            }
            ValueRef::Integer(number) => {
                self.magnitude = self.magnitude.max((number as f64).abs());
                self.bytes += 8;
            }
            ValueRef::Real(number) => {
                self.magnitude = self.magnitude.max(number.abs());
                self.bytes += 8;
            }
            ValueRef::Text(text) | ValueRef::Blob(text) => {
                self.nul |= text.contains(&0);
                self.bytes += text.len() as u64;
            }
        }
        for candidate in &mut self.candidates {
            candidate.inspect(value);
        }
    }

    /// The first type that fits all values; where none does, the first of all, whose values are not uniform.
    pub(in crate::sqlite) fn finish(mut self, affinity: Affinity) -> Inspected {
        let at = self.candidates.iter().position(|candidate| candidate.fits).unwrap_or(0);
        let candidate = self.candidates.swap_remove(at);
        let text = matches!(candidate.data_type, DataType::Utf8);
        Inspected {
            uniform: candidate.fits && candidate.uniform,
            profile: ColumnProfile {
                verified: true,
                doubt: None,
                form: candidate.form.flatten().map(|form| form.0.to_owned()),
                nul_free: !self.nul,
                magnitude: self.magnitude.is_finite().then(|| roomy(self.magnitude)),
                converts: text && !matches!(affinity, Affinity::Text | Affinity::Blob),
            },
            data_type: candidate.data_type,
            nulls: self.nulls,
            bytes: self.bytes,
        }
    }
}

/// A bound with room for larger values, so that a column whose numbers grow, as ids do, seldom outgrows what was concluded:
/// the next power of 16, from 256.
fn roomy(magnitude: f64) -> f64 {
    // Far beyond any bound that is asked for, the next power may be infinite.
    if magnitude > 1e300 {
        return magnitude;
    }
    let mut bound = 256.0;
    while bound < magnitude {
        bound *= 16.0;
    }
    bound
}

impl Candidate {
    fn inspect(&mut self, value: ValueRef<'_>) {
        if !self.fits {
            return;
        }
        match (&self.data_type, value) {
            (DataType::Int64, ValueRef::Integer(_)) | (DataType::Binary, ValueRef::Blob(_)) => {}
            (DataType::Float64, ValueRef::Real(_)) => {}
            // An integer beyond 2^53 is another number as a double.
            (DataType::Float64, ValueRef::Integer(number)) => self.fits = number.unsigned_abs() <= 1 << 53,
            (DataType::Utf8, ValueRef::Text(text)) => self.fits = std::str::from_utf8(text).is_ok(),
            (DataType::Boolean, ValueRef::Integer(0 | 1)) => {}
            (DataType::Date32, ValueRef::Text(text)) => {
                self.fits = std::str::from_utf8(text).ok().and_then(parse_date).is_some();
            }
            (DataType::Timestamp(_, zone), ValueRef::Text(text)) => {
                let zoned = zone.is_some();
                match std::str::from_utf8(text).ok().and_then(|text| parse_timestamp(text, zoned)) {
                    Some((_, form)) => {
                        let first = *self.form.get_or_insert(form);
                        self.uniform &= form.is_some() && first == form;
                    }
                    None => self.fits = false,
                }
            }
            (DataType::Decimal128(precision, scale), value) => {
                let read = parse_decimal(value, *precision, *scale);
                self.fits = read.is_some();
                let limit = 10_u128.pow(MAX_DECIMAL_DIGITS.into());
                self.uniform &= read.is_some_and(|unscaled| unscaled.unsigned_abs() < limit);
            }
            _ => self.fits = false,
        }
    }
}
