mod functions;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use tombolo_connector::{Collation, ScanTable, TableRef};

use super::catalog::profile::{AS_TEXT, TableProfile};
use super::types::{Affinity, MAX_DECIMAL_DIGITS, print_date, print_timestamp, timestamp_form};
use crate::sql::{
    AggregateCall, Comparison, Dialect, Facts, Form, Level, LikePart, Shipped, Value, is_text, scalar_text,
    string_literal,
};

/// Numbers up to here are whole numbers of 64 bits with room for the rounding of the bound itself.
const MAX_WHOLE: f64 = 4_611_686_018_427_387_904.0;

/// The form of a decimal that is an integer, ten to its scale times as large: so its sums are exact.
pub(super) const SCALED: Form = Form("scaled");

/// SQLite's language, as far as it is proved to mean what the engine means.
#[derive(Debug, Clone, Copy)]
pub(super) struct SqliteDialect;

impl Dialect for SqliteDialect {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn table(&self, table: &TableRef) -> String {
        self.identifier(&table.table)
    }

    fn column(&self, table: &ScanTable, index: usize) -> Facts {
        let Some(column) = table.description.columns.get(index) else { return Facts::new(DataType::Null) };
        let name = column.field.name();
        let profile = TableProfile::of(&table.description).and_then(|profile| profile.columns.get(index).cloned());
        let unknown = || Some(format!("nothing is known of the values of column `{name}`"));
        let profile = profile.unwrap_or_default();
        let doubt = if column.uniform { None } else { profile.doubt.clone().or_else(unknown) };
        let form = match profile.form.as_deref() {
            Some(name) if name == AS_TEXT.0 => AS_TEXT,
            Some(name) => timestamp_form(name).unwrap_or(Form::NATURAL),
            None => Form::NATURAL,
        };
        Facts {
            form,
            doubt,
            collation: match &column.collation {
                Collation::Binary => None,
                Collation::Other(name) => Some(name.clone()),
            },
            // A float may be stored as an integer in a column of any affinity but REAL; see `as_real`.
            converts: profile.converts
                || (column.field.data_type() == &DataType::Float64
                    && Affinity::of(&column.remote_type) != Affinity::Real),
            nul_free: profile.nul_free || !is_text(column.field.data_type()),
            magnitude: if profile.verified { profile.magnitude } else { None },
            origin: Some(format!("`{name}` of `{}`", table.table().table).into()),
            ..Facts::new(column.field.data_type().clone())
        }
    }

    fn reads(&self, data_type: &DataType) -> Shipped<()> {
        if super::scan::ColumnReader::can_read(data_type) {
            return Ok(());
        }
        Err(format!("values of type {data_type} are made here"))
    }

    fn literal(&self, value: &ScalarValue, form: Form) -> Shipped<String> {
        let no_literal = || format!("SQLite has no literal for {} {value}", value.data_type());
        if let Some(text) = scalar_text(value) {
            return string_literal(text);
        }
        match value {
            ScalarValue::Boolean(Some(true)) => Ok("TRUE".to_owned()),
            ScalarValue::Boolean(Some(false)) => Ok("FALSE".to_owned()),
            ScalarValue::Int8(_) | ScalarValue::Int16(_) | ScalarValue::Int32(_) | ScalarValue::Int64(_) => {
                Ok(value.to_string())
            }
            ScalarValue::UInt64(Some(number)) if i64::try_from(*number).is_ok() => Ok(number.to_string()),
            // The shortest digits that name the double; SQLite reads them back as the same one (there is a test).
            ScalarValue::Float64(Some(number)) if number.is_finite() && !is_negative_zero(*number) => {
                Ok(format!("{number:?}"))
            }
            ScalarValue::Float64(Some(number)) => Err(format!("SQLite has no literal for {number:?}")),
            ScalarValue::Decimal128(Some(unscaled), ..) if form == SCALED => {
                i64::try_from(*unscaled).map(|unscaled| unscaled.to_string()).map_err(|_| no_literal())
            }
            ScalarValue::Decimal128(Some(unscaled), _, scale) => decimal(*unscaled, *scale).ok_or_else(no_literal),
            ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
                Ok(format!("X'{digits}'"))
            }
            ScalarValue::Date32(Some(days)) => print_date(*days).map(|text| format!("'{text}'")).ok_or_else(no_literal),
            ScalarValue::TimestampSecond(Some(_), zone)
            | ScalarValue::TimestampMillisecond(Some(_), zone)
            | ScalarValue::TimestampMicrosecond(Some(_), zone)
            | ScalarValue::TimestampNanosecond(Some(_), zone) => {
                let micros = micros(value).ok_or_else(no_literal)?;
                let form = match (form, zone) {
                    (Form::NATURAL, Some(_)) => return Err(no_literal()),
                    (form, _) => form,
                };
                print_timestamp(micros, form).map(|text| format!("'{text}'")).ok_or_else(no_literal)
            }
            _ => Err(no_literal()),
        }
    }

    fn comparable(&self, value: &Value, _: Comparison) -> Shipped<String> {
        value.trusted()?;
        let facts = &value.facts;
        match &facts.data_type {
            DataType::Null
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt64
            | DataType::Float64
            | DataType::Date32
            | DataType::Binary => Ok(value.operand()),
            // Whatever its type allows, a decimal without doubt has no more digits than a double carries: columns were
            // looked at, longer literals are not printed, and nothing else is computed in decimals but scaled sums.
            DataType::Decimal128(_, scale) if *scale >= 0 => Ok(value.operand()),
            DataType::Timestamp(..) => Ok(value.operand()),
            text if is_text(text) => {
                let mut sql = value.operand();
                if facts.converts && value.literal.is_none() {
                    // A unary plus takes the affinity of a column away, by which SQLite would turn digits into numbers.
                    sql = format!("+{}", value.at(Level::Atom));
                }
                match facts.collation {
                    Some(_) => {
                        Ok(format!("{} COLLATE BINARY", if sql.starts_with('+') { sql } else { value.at(Level::Atom) }))
                    }
                    None => Ok(sql),
                }
            }
            other => Err(format!("values of type {other} are compared here")),
        }
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} IS {right}")
    }

    fn null_safe_unequal(&self, left: &str, right: &str) -> String {
        format!("{left} IS NOT {right}")
    }

    fn arithmetic(&self, left: &Value, operator: Operator, right: &Value, result: &DataType) -> Shipped {
        if operator == Operator::StringConcat && is_text(&left.facts.data_type) && is_text(&right.facts.data_type) {
            let facts = Facts { nul_free: left.facts.nul_free && right.facts.nul_free, ..Facts::new(DataType::Utf8) };
            let text = format!("{} || {}", left.at(Level::Concat), right.at(Level::Atom));
            return Ok(Value::new(text, Level::Concat, facts));
        }
        let magnitudes = left.facts.magnitude.zip(right.facts.magnitude);
        let (word, level, magnitude) = match operator {
            Operator::Plus => ("+", Level::Add, magnitudes.map(|(a, b)| a + b)),
            Operator::Minus => ("-", Level::Add, magnitudes.map(|(a, b)| a + b)),
            Operator::Multiply => ("*", Level::Multiply, magnitudes.map(|(a, b)| a * b)),
            Operator::Divide => ("/", Level::Multiply, magnitudes.map(|(a, _)| a)),
            Operator::Modulo => ("%", Level::Multiply, magnitudes.map(|(a, _)| a)),
            other => return Err(format!("operator `{other}` is computed here")),
        };
        let mut facts = Facts::new(result.clone());
        match result {
            DataType::Int64 => {
                let divides = matches!(operator, Operator::Divide | Operator::Modulo);
                if divides && !matches!(right.literal, Some(ScalarValue::Int64(Some(by))) if by != 0 && by != -1) {
                    return Err(format!("`{operator}` by zero is NULL in SQLite and an error here"));
                }
                // The remainder and the quotient by such a number fit whatever is divided.
                let magnitude = if divides { Some(magnitude.unwrap_or(MAX_WHOLE)) } else { magnitude };
                facts.magnitude = magnitude.filter(|bound| *bound <= MAX_WHOLE);
                if facts.magnitude.is_none() {
                    return Err(format!("`{operator}` on integers becomes a float in SQLite where it overflows"));
                }
            }
            DataType::Float64 => {
                if operator == Operator::Modulo {
                    return Err("`%` on floats drops their fractions in SQLite".to_owned());
                }
                if operator == Operator::Divide && !is_finite_divisor(right) {
                    return Err("`/` by zero is NULL in SQLite and infinite here".to_owned());
                }
                facts.magnitude = match (operator, &right.literal) {
                    (Operator::Divide, Some(ScalarValue::Float64(Some(by)))) => magnitude.map(|bound| bound / by.abs()),
                    _ => magnitude,
                };
                // Only where an infinity may arise can the next operation on it give a NaN, which SQLite turns into NULL.
                facts.magnitude = facts.magnitude.filter(|bound| bound.is_finite());
                if facts.magnitude.is_none() {
                    return Err(format!("`{operator}` on floats gives NULL in SQLite where it is not a number"));
                }
            }
            other => return Err(format!("arithmetic on {other} is done here")),
        }
        // The right side of an operator binds tighter than the operator itself, so that the order of evaluation is kept.
        let next = if level == Level::Add { Level::Multiply } else { Level::Atom };
        Ok(Value::new(format!("{} {word} {}", as_real(left, level), as_real(right, next)), level, facts))
    }

    fn cast(&self, value: &Value, to: &DataType) -> Shipped {
        let from = &value.facts.data_type;
        let call = |to: &str| format!("CAST({} AS {to})", value.sql);
        let same = |data_type: &DataType| {
            let facts = Facts { data_type: data_type.clone(), ..value.facts.clone() };
            Ok(Value { facts, literal: None, ..value.clone() })
        };
        match (from, to) {
            (from, to) if from.is_signed_integer() && to.is_signed_integer() && width(from) <= width(to) => same(to),
            (DataType::Boolean, to) if to.is_signed_integer() => {
                let mut cast = same(to)?;
                cast.facts.magnitude = Some(1.0);
                Ok(cast)
            }
            // Ranks, which are numbers of rows.
            (DataType::UInt64, DataType::Int64) => same(to),
            (from, DataType::Float64) if from.is_signed_integer() => {
                let magnitude = value.facts.magnitude.or(Some(9.3e18));
                Ok(Value::atom(call("REAL"), Facts { magnitude, ..Facts::new(DataType::Float64) }))
            }
            (DataType::Decimal128(..), DataType::Float64) if exact_decimal(&value.facts) => {
                let magnitude = value.facts.magnitude;
                Ok(Value::atom(call("REAL"), Facts { magnitude, ..Facts::new(DataType::Float64) }))
            }
            (from, to) if from.is_signed_integer() && is_text(to) => {
                Ok(Value::atom(call("TEXT"), Facts { nul_free: true, ..Facts::new(to.clone()) }))
            }
            (DataType::Decimal128(from_digits, from_scale), DataType::Decimal128(to_digits, to_scale))
                if *from_scale >= 0
                    && whole_digits(*from_digits, *from_scale) <= whole_digits(*to_digits, *to_scale)
                    && (from_scale == to_scale || (from_scale < to_scale && value.facts.form == Form::NATURAL)) =>
            {
                same(to)
            }
            (from, DataType::Decimal128(precision, scale)) if from.is_signed_integer() => {
                let limit = 10_f64.powi(i32::from(*precision) - i32::from(*scale));
                let fits = value.facts.magnitude.is_some_and(|bound| bound < limit);
                if fits { same(to) } else { Err(format!("the cast from {from} to {to} fails here where it overflows")) }
            }
            (DataType::Date32, to) if is_text(to) => Ok(Value {
                facts: Facts { nul_free: true, data_type: to.clone(), converts: true, ..value.facts.clone() },
                literal: None,
                ..value.clone()
            }),
            // A coarser unit would drop digits that the text keeps.
            (DataType::Timestamp(from_unit, a), DataType::Timestamp(to_unit, b)) if a == b && from_unit <= to_unit => {
                same(to)
            }
            (DataType::Timestamp(_, None), DataType::Date32) if value.facts.form != Form::NATURAL => {
                let text = format!("substr({}, 1, 10)", value.sql);
                Ok(Value::atom(text, Facts::new(DataType::Date32)))
            }
            (DataType::Date32, DataType::Timestamp(_, None)) => {
                let facts = Facts { form: Form("YYYY-MM-DD HH:MM:SS"), ..Facts::new(to.clone()) };
                Ok(Value::new(format!("{} || ' 00:00:00'", value.at(Level::Concat)), Level::Concat, facts))
            }
            _ => Err(format!("the cast from {from} to {to} is not known to be the same in SQLite")),
        }
    }

    fn function(&self, name: &str, arguments: &[Value]) -> Shipped {
        functions::function(self, name, arguments)
    }

    fn like(&self, value: &Value, pattern: &[LikePart], negated: bool) -> Shipped {
        if !is_text(&value.facts.data_type) {
            return Err(format!("`LIKE` on {} is decided here", value.facts.data_type));
        }
        if !value.facts.nul_free {
            return Err(
                "`LIKE` in SQLite stops at a NUL character, and the text was not verified to have none".to_owned()
            );
        }
        let (mut text, mut escaped) = (String::new(), false);
        for part in pattern {
            match part {
                LikePart::One => text.push('_'),
                LikePart::Any => text.push('%'),
                LikePart::Text(plain) => {
                    for c in plain.chars() {
                        if matches!(c, '%' | '_' | '\\') {
                            text.push('\\');
                            escaped = true;
                        }
                        text.push(c);
                    }
                }
            }
        }
        let escape = if escaped { " ESCAPE '\\'" } else { "" };
        let not = if negated { "NOT " } else { "" };
        // LIKE takes no notice of a column's collation; case matters by `PRAGMA case_sensitive_like` on every connection.
        let text = format!("{} {not}LIKE {}{escape}", value.operand(), string_literal(&text)?);
        Ok(Value::predicate(text, Level::Compare))
    }

    fn aggregate(&self, call: &AggregateCall<'_>) -> Shipped {
        functions::aggregate(self, call)
    }

    fn has_window(&self, function: &str) -> Shipped<()> {
        functions::has_window(function)
    }

    fn order_key(&self, key: &str, ascending: bool, nulls_first: bool) -> String {
        // SQLite holds NULL to be the least value, so only the other wish has to be said.
        match (ascending, nulls_first) {
            (true, true) => key.to_owned(),
            (true, false) => format!("{key} NULLS LAST"),
            (false, true) => format!("{key} DESC NULLS FIRST"),
            (false, false) => format!("{key} DESC"),
        }
    }

    fn limit_clause(&self, skip: usize, fetch: Option<usize>) -> String {
        match (fetch, skip) {
            (None, 0) => String::new(),
            (None, skip) => format!(" LIMIT -1 OFFSET {skip}"),
            (Some(fetch), 0) => format!(" LIMIT {fetch}"),
            (Some(fetch), skip) => format!(" LIMIT {fetch} OFFSET {skip}"),
        }
    }

    fn cross_join(&self) -> &'static str {
        // CROSS JOIN would forbid SQLite to choose the order of the join.
        "JOIN"
    }
}

/// Whether these decimals, times ten to their scale, are whole numbers that a double carries with room for its rounding.
pub(super) fn exact_decimal(facts: &Facts) -> bool {
    let DataType::Decimal128(precision, scale) = facts.data_type else { return false };
    if facts.form != Form::NATURAL {
        return false;
    }
    let small = facts
        .magnitude
        .is_some_and(|bound| bound * 10_f64.powi(i32::from(scale)) < 10_f64.powi(i32::from(MAX_DECIMAL_DIGITS)));
    scale >= 0 && (precision <= MAX_DECIMAL_DIGITS || small)
}

/// The digits of a decimal before its point.
fn whole_digits(precision: u8, scale: i8) -> i16 {
    i16::from(precision) - i16::from(scale)
}

/// The text of a float for arithmetic. What a column that is not REAL holds as an integer would be added as one, which
/// overflows and rounds otherwise.
pub(super) fn as_real(value: &Value, level: Level) -> String {
    if value.facts.converts && value.facts.data_type == DataType::Float64 {
        return format!("CAST({} AS REAL)", value.sql);
    }
    value.at(level)
}

fn is_negative_zero(number: f64) -> bool {
    number == 0.0 && number.is_sign_negative()
}

fn is_finite_divisor(value: &Value) -> bool {
    matches!(value.literal, Some(ScalarValue::Float64(Some(by))) if by != 0.0 && by.is_finite())
}

fn width(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or(usize::MAX)
}

/// A decimal as digits that SQLite reads as the number it would store for them; none where a double cannot carry them.
fn decimal(unscaled: i128, scale: i8) -> Option<String> {
    let (mut unscaled, mut scale) = (unscaled, usize::try_from(scale).ok()?);
    while scale > 0 && unscaled % 10 == 0 {
        (unscaled, scale) = (unscaled / 10, scale - 1);
    }
    let digits = unscaled.unsigned_abs().to_string();
    if digits.len() > usize::from(MAX_DECIMAL_DIGITS) {
        return None;
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn micros(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampSecond(Some(seconds), _) => seconds.checked_mul(1_000_000),
        ScalarValue::TimestampMillisecond(Some(millis), _) => millis.checked_mul(1_000),
        ScalarValue::TimestampMicrosecond(Some(micros), _) => Some(*micros),
        ScalarValue::TimestampNanosecond(Some(nanos), _) => (nanos % 1_000 == 0).then(|| nanos.div_euclid(1_000)),
        _ => None,
    }
}
