mod functions;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{NullEquality, ScalarValue};
use datafusion::logical_expr::{Expr, Operator};
use tombolo_connector::{ScanJoin, ScanTable, TableRef};

use super::catalog::TableProfile;
use super::types::{
    AS_CHAR, AS_JSON, AS_MONEY, AS_NUMBER, AS_SHAPE, AS_TEXT, AS_UUID, can_read, print_date, print_time,
    print_timestamp,
};
use crate::sql::{
    AggregateCall, Comparison, Dialect, Facts, Form, Level, LikePart, Shipped, Value, is_text, scalar_text,
    string_literal,
};

/// The collation that compares byte by byte.
const BYTES: &str = "C";

/// What a database's own collation is called in [`Facts::collation`] where it does not compare byte by byte.
const DEFAULT: &str = "default";

/// PostgreSQL's language, as far as it is proved to mean what the engine means.
#[derive(Debug, Clone, Copy)]
pub(super) struct PostgresDialect {
    /// Whether the database's own collation compares byte by byte.
    pub(super) default_is_bytes: bool,
    /// The part that is read of the one table.
    pub(super) pages: Option<Pages>,
}

/// Some of the pages of a table: from the first on, and up to the last and without it; where that is not said, to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) from: u64,
    pub(super) to: Option<u64>,
}

impl Dialect for PostgresDialect {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn table(&self, table: &TableRef) -> String {
        format!("{}.{}", self.identifier(&table.schema), self.identifier(&table.table))
    }

    fn relation(&self, table: &TableRef, alias: &str) -> String {
        let (text, alias_text) = (self.table(table), self.identifier(alias));
        match self.pages {
            Some(Pages { from, to }) => {
                let to = to.map(|to| format!(" AND ctid < '({to},0)'")).unwrap_or_default();
                format!("(SELECT * FROM {text} WHERE ctid >= '({from},0)'{to}) AS {alias_text}")
            }
            None if alias == table.table => text,
            None => format!("{text} AS {alias_text}"),
        }
    }

    fn column(&self, table: &ScanTable, index: usize) -> Facts {
        let Some(column) = table.description.columns.get(index) else { return Facts::new(DataType::Null) };
        let data_type = column.field.data_type();
        let profile = TableProfile::of(&table.description).and_then(|profile| profile.columns.get(index).cloned());
        let unknown = profile.is_none().then(|| format!("nothing is known of column `{}`", column.field.name()));
        let profile = profile.unwrap_or_default();
        Facts {
            form: form_of(&profile.form),
            doubt: profile.doubt.or(unknown),
            collation: profile.collation,
            // No text of PostgreSQL has a NUL character.
            nul_free: true,
            origin: Some(format!("`{}` of `{}`", column.field.name(), table.table()).into()),
            ..Facts::new(data_type.clone())
        }
    }

    fn reads(&self, data_type: &DataType) -> Shipped<()> {
        if can_read(data_type) { Ok(()) } else { Err(format!("values of type {data_type} are made here")) }
    }

    fn literal(&self, value: &ScalarValue, form: Form) -> Shipped<String> {
        let no_literal = || format!("PostgreSQL has no literal for {} {value}", value.data_type());
        if let Some(text) = scalar_text(value) {
            return text_literal(text, form);
        }
        match value {
            ScalarValue::Boolean(Some(true)) => Ok("TRUE".to_owned()),
            ScalarValue::Boolean(Some(false)) => Ok("FALSE".to_owned()),
            ScalarValue::Int8(_) | ScalarValue::Int16(_) | ScalarValue::Int32(_) => Ok(value.to_string()),
            // Its digits without the sign are out of range, since the sign is an operator.
            ScalarValue::Int64(Some(i64::MIN)) => Ok("'-9223372036854775808'::int8".to_owned()),
            ScalarValue::Int64(_) => Ok(value.to_string()),
            ScalarValue::UInt64(Some(number)) if i64::try_from(*number).is_ok() => Ok(number.to_string()),
            ScalarValue::Float32(Some(number)) => Ok(format!("'{}'::float4", float(f64::from(*number), number))),
            ScalarValue::Float64(Some(number)) => Ok(format!("'{}'::float8", float(*number, number))),
            ScalarValue::Decimal128(Some(unscaled), _, scale) if *scale >= 0 => {
                Ok(decimal(&unscaled.to_string(), scale.unsigned_abs()))
            }
            ScalarValue::Decimal256(Some(unscaled), _, scale) if *scale >= 0 => {
                Ok(decimal(&unscaled.to_string(), scale.unsigned_abs()))
            }
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(format!("'\\x{digits}'::bytea"))
            }
            ScalarValue::Date32(Some(days)) => {
                print_date(*days).map(|text| format!("DATE '{text}'")).ok_or_else(no_literal)
            }
            ScalarValue::Time64Microsecond(Some(micros)) => {
                print_time(*micros).map(|text| format!("TIME '{text}'")).ok_or_else(no_literal)
            }
            ScalarValue::TimestampSecond(Some(_), zone)
            | ScalarValue::TimestampMillisecond(Some(_), zone)
            | ScalarValue::TimestampMicrosecond(Some(_), zone)
            | ScalarValue::TimestampNanosecond(Some(_), zone) => {
                let text = micros(value).and_then(print_timestamp).ok_or_else(no_literal)?;
                Ok(match zone {
                    None => format!("TIMESTAMP '{text}'"),
                    Some(_) => format!("TIMESTAMPTZ '{text}+00'"),
                })
            }
            _ => Err(no_literal()),
        }
    }

    fn may_hold(&self, value: &ScalarValue, form: Form) -> bool {
        // A text that is no literal of the form is not how the server writes any value of it.
        scalar_text(value).is_none_or(|text| text_literal(text, form).is_ok())
    }

    fn null(&self, data_type: &DataType) -> String {
        // Without a type a null is text, which the other branches of a union or a CASE may not be.
        type_name(data_type).map_or_else(|| "NULL".to_owned(), |name| format!("NULL::{name}"))
    }

    fn comparable(&self, value: &Value, comparison: Comparison) -> Shipped<String> {
        value.trusted()?;
        let facts = &value.facts;
        if facts.form == AS_SHAPE {
            return Err("shapes are compared here, by their bytes".to_owned());
        }
        match &facts.data_type {
            DataType::Null
            | DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt64
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
            | DataType::Date32
            | DataType::Timestamp(..)
            | DataType::Time64(_)
            | DataType::Binary => Ok(value.operand()),
            text if is_text(text) => self.comparable_text(value, comparison),
            other => Err(format!("values of type {other} are compared here")),
        }
    }

    fn output(&self, value: &Value) -> String {
        let cast = match value.facts.form {
            _ if value.literal.is_some() && is_text(&value.facts.data_type) => "text",
            AS_UUID | AS_CHAR | AS_TEXT | AS_JSON => "text",
            AS_NUMBER => "int8",
            AS_MONEY => "numeric",
            _ => return value.sql.clone(),
        };
        format!("{}::{cast}", value.at(Level::Atom))
    }

    fn arithmetic(&self, left: &Value, operator: Operator, right: &Value, result: &DataType) -> Shipped {
        if operator == Operator::StringConcat && is_text(&left.facts.data_type) && is_text(&right.facts.data_type) {
            let facts = Facts { collation: joint([left, right]), ..text_facts() };
            let text = format!("{} || {}", as_text(left, Level::Concat), as_text(right, Level::Atom));
            return Ok(Value::new(text, Level::Concat, facts));
        }
        natural(left)?;
        natural(right)?;
        let (word, level) = match operator {
            Operator::Plus => ("+", Level::Add),
            Operator::Minus => ("-", Level::Add),
            Operator::Multiply => ("*", Level::Multiply),
            Operator::Divide => ("/", Level::Multiply),
            Operator::Modulo => ("%", Level::Multiply),
            other => return Err(format!("operator `{other}` is computed here")),
        };
        let types = (&left.facts.data_type, &right.facts.data_type);
        match result {
            integer if integer.is_signed_integer() => {
                if types.0 != integer || types.1 != integer {
                    return Err(format!("`{operator}` of {} and {} is computed here", types.0, types.1));
                }
                let divides = matches!(operator, Operator::Divide | Operator::Modulo);
                if divides && !is_safe_divisor(right) {
                    return Err(format!("`{operator}` may be by zero, which is told of here"));
                }
            }
            // PostgreSQL computes without loss; where the engine's type has not the room, it rounds or fails.
            DataType::Decimal128(precision, scale) => {
                let exact = match (types.0, types.1, operator) {
                    (DataType::Decimal128(_, a), DataType::Decimal128(_, b), Operator::Plus | Operator::Minus) => {
                        scale == a.max(b)
                    }
                    (DataType::Decimal128(_, a), DataType::Decimal128(_, b), Operator::Multiply) => {
                        i16::from(*scale) == i16::from(*a) + i16::from(*b)
                    }
                    _ => false,
                };
                if !exact || *precision >= 38 {
                    return Err(format!("`{operator}` giving {result} is rounded by the engine's own rules"));
                }
            }
            DataType::Float32 | DataType::Float64 => {
                return Err(format!("`{operator}` on floats is an error in PostgreSQL where it is infinite here"));
            }
            other => return Err(format!("arithmetic giving {other} is done here")),
        }
        let next = if level == Level::Add { Level::Multiply } else { Level::Atom };
        // A literal has the narrowest type that holds it, by which PostgreSQL would compute.
        let operand = |value: &Value, level| match (&value.literal, type_name(result)) {
            (Some(_), Some(name)) if result.is_integer() => format!("{}::{name}", value.at(Level::Atom)),
            _ => value.at(level),
        };
        let text = format!("{} {word} {}", operand(left, level), operand(right, next));
        Ok(Value::new(text, level, Facts::new(result.clone())))
    }

    fn cast(&self, value: &Value, to: &DataType) -> Shipped {
        natural(value)?;
        let from = &value.facts.data_type;
        let unlike = || Err(format!("the cast from {from} to {to} is not known to be the same in PostgreSQL"));
        let Some(name) = type_name(to) else { return unlike() };
        let widens = |from: &DataType, to: &DataType| from.primitive_width() <= to.primitive_width();
        let is_same = match (from, to) {
            (from, to) if from.is_signed_integer() && to.is_signed_integer() => widens(from, to),
            // Ranks, which are numbers of rows.
            (DataType::UInt64, DataType::Int64) => true,
            (from, DataType::Float64) if from.is_signed_integer() => true,
            (DataType::Float32, DataType::Float64) => true,
            (from, to) if from.is_signed_integer() && is_text(to) => true,
            (DataType::Boolean, to) if to.is_signed_integer() => {
                let text = format!("{}::int4::{name}", value.at(Level::Atom));
                return Ok(Value::atom(text, Facts::new(to.clone())));
            }
            (DataType::Boolean, to) if is_text(to) => true,
            // Both a number of 15 digits and its power of ten are exact doubles, so that one division rounds once.
            (DataType::Decimal128(precision, scale), DataType::Float64) => *precision <= 15 && *scale >= 0,
            (DataType::Decimal128(a_digits, a), DataType::Decimal128(b_digits, b)) => {
                a <= b && i16::from(*a_digits) - i16::from(*a) <= i16::from(*b_digits) - i16::from(*b)
            }
            (from, DataType::Decimal128(precision, scale)) if from.is_signed_integer() => {
                i16::from(*precision) - i16::from(*scale) >= digits(from)
            }
            (DataType::Timestamp(_, None), DataType::Date32) | (DataType::Date32, DataType::Timestamp(_, None)) => true,
            // A coarser unit would drop digits.
            (DataType::Timestamp(from, a), DataType::Timestamp(to, b)) => {
                return if a == b && from <= to && *to <= TimeUnit::Microsecond {
                    Ok(Value {
                        facts: Facts { data_type: value.facts.data_type.clone(), ..value.facts.clone() },
                        ..value.clone()
                    })
                } else {
                    unlike()
                };
            }
            _ => false,
        };
        if !is_same {
            return unlike();
        }
        let facts = Facts { nul_free: true, collation: self.default_collation(), ..Facts::new(to.clone()) };
        Ok(Value::atom(format!("{}::{name}", value.at(Level::Atom)), facts))
    }

    fn function(&self, name: &str, arguments: &[Value]) -> Shipped {
        functions::function(name, arguments)
    }

    fn like(&self, value: &Value, pattern: &[LikePart], negated: bool) -> Shipped {
        if !is_text(&value.facts.data_type) {
            return Err(format!("`LIKE` on {} is decided here", value.facts.data_type));
        }
        let mut text = String::new();
        for part in pattern {
            match part {
                LikePart::One => text.push('_'),
                LikePart::Any => text.push('%'),
                LikePart::Text(plain) => {
                    for c in plain.chars() {
                        if matches!(c, '%' | '_' | '\\') {
                            text.push('\\');
                        }
                        text.push(c);
                    }
                }
            }
        }
        let subject = collated(as_text(value, Level::Add), value.facts.collation.as_deref(), Comparison::Equality);
        let not = if negated { "NOT " } else { "" };
        Ok(Value::predicate(format!("{subject} {not}LIKE {}", string_literal(&text)?), Level::Compare))
    }

    fn aggregate(&self, call: &AggregateCall<'_>) -> Shipped {
        functions::aggregate(call)
    }

    fn extreme(&self, call: &AggregateCall<'_>, argument: &Value, text: &str) -> Shipped<(String, Facts)> {
        let facts = argument.facts.clone();
        let text = match (&facts.data_type, facts.form) {
            (DataType::Boolean, _) if call.name == "min" => call.call("bool_and", text),
            (DataType::Boolean, _) => call.call("bool_or", text),
            (DataType::Binary, _) => {
                return Err(format!("`{}` of bytes is not in all versions of PostgreSQL", call.name));
            }
            (_, AS_UUID) => return Err(format!("`{}` of uuid is not in all versions of PostgreSQL", call.name)),
            _ => call.standard(text),
        };
        Ok((text, facts))
    }

    fn has_window(&self, function: &str) -> Shipped<()> {
        functions::has_window(function)
    }

    fn window_default(&self, literal: &Value) -> Shipped<String> {
        // A literal has the narrowest type that holds it, and the result the wider one of both.
        let data_type = &literal.facts.data_type;
        let name = type_name(data_type).ok_or_else(|| format!("PostgreSQL has no type for {data_type}"))?;
        Ok(format!("{}::{name}", literal.at(Level::Atom)))
    }

    fn full_join(&self, join: &ScanJoin) -> Shipped<()> {
        let is_keyed = |(left, right): &(Expr, Expr)| left.any_column_refs() && right.any_column_refs();
        if join.condition.is_none()
            && join.null_equality == NullEquality::NullEqualsNothing
            && !join.on.is_empty()
            && join.on.iter().all(is_keyed)
        {
            return Ok(());
        }
        Err("PostgreSQL does a full join under equalities of both sides alone".to_owned())
    }

    fn order_key(&self, key: &str, ascending: bool, nulls_first: bool) -> String {
        // PostgreSQL holds NULL to be the greatest value, so only the other wish has to be said.
        match (ascending, nulls_first) {
            (true, false) => key.to_owned(),
            (true, true) => format!("{key} NULLS FIRST"),
            (false, true) => format!("{key} DESC"),
            (false, false) => format!("{key} DESC NULLS LAST"),
        }
    }
}

impl PostgresDialect {
    fn default_collation(&self) -> Option<String> {
        (!self.default_is_bytes).then(|| DEFAULT.to_owned())
    }

    fn comparable_text(&self, value: &Value, comparison: Comparison) -> Shipped<String> {
        match value.facts.form {
            AS_JSON => Err("json is compared here, as text".to_owned()),
            // A literal was printed for this form.
            _ if value.literal.is_some() => Ok(value.operand()),
            AS_UUID => Ok(value.operand()),
            AS_TEXT => Ok(collated(as_text(value, Level::Atom), None, Comparison::Order)),
            _ => {
                let collation = value.facts.collation.as_deref();
                // What is computed has the collation of what it is computed from.
                let is_bytes = collation.is_none() && (value.column.is_some() || self.default_is_bytes);
                if is_bytes && comparison == Comparison::Order {
                    return Ok(value.operand());
                }
                // Without a collation to be said it is the value's own text, by which it is known to be unchanged.
                let level = if says_collation(collation, comparison) { Level::Atom } else { Level::Add };
                Ok(collated(value.at(level), collation.or(Some(DEFAULT)), comparison))
            }
        }
    }
}

/// Text with the collation that makes it compare byte by byte, where its own does not. Equal text is equal bytes in the
/// database's own collation; two columns of other collations could not be compared without saying by which.
fn collated(sql: String, collation: Option<&str>, comparison: Comparison) -> String {
    if says_collation(collation, comparison) { format!("{sql} COLLATE \"{BYTES}\"") } else { sql }
}

fn says_collation(collation: Option<&str>, comparison: Comparison) -> bool {
    comparison == Comparison::Order || !matches!(collation, None | Some(DEFAULT))
}

/// The collation of what is computed from several texts.
fn joint<'a>(values: impl IntoIterator<Item = &'a Value>) -> Option<String> {
    let mut of_columns = values.into_iter().filter(|value| value.literal.is_none()).map(|value| &value.facts.collation);
    let first = of_columns.next()?.clone();
    if of_columns.all(|other| *other == first) { first } else { Some("several".to_owned()) }
}

fn text_facts() -> Facts {
    Facts { nul_free: true, ..Facts::new(DataType::Utf8) }
}

fn form_of(name: &str) -> Form {
    [AS_UUID, AS_CHAR, AS_TEXT, AS_JSON, AS_NUMBER, AS_MONEY, AS_SHAPE]
        .into_iter()
        .find(|form| form.0 == name)
        .unwrap_or(Form::NATURAL)
}

/// Refuses a value that is stored in another way than its type says.
fn natural(value: &Value) -> Shipped<()> {
    value.trusted()?;
    if value.facts.form == Form::NATURAL {
        return Ok(());
    }
    Err(format!("a value that PostgreSQL keeps as {} is computed with here", value.facts.form.0))
}

/// The text of a value as text, whatever its form.
fn as_text(value: &Value, level: Level) -> String {
    if value.facts.form == Form::NATURAL && value.literal.is_none() {
        return value.at(level);
    }
    format!("{}::text", value.at(Level::Atom))
}

/// A literal of text for values of a form.
fn text_literal(text: &str, form: Form) -> Shipped<String> {
    match form {
        AS_UUID if is_canonical_uuid(text) => Ok(format!("'{text}'::uuid")),
        AS_UUID => Err("only a whole uuid in small letters is one in PostgreSQL and the same text here".to_owned()),
        AS_CHAR if text.ends_with(' ') => {
            Err("blanks at the end of CHAR do not count in PostgreSQL, and these do here".to_owned())
        }
        AS_CHAR => Ok(format!("{}::bpchar", string_literal(text)?)),
        _ => string_literal(text),
    }
}

fn is_canonical_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// The type of PostgreSQL that values of an Arrow type are computed in.
pub(super) fn type_name(data_type: &DataType) -> Option<String> {
    Some(match data_type {
        DataType::Boolean => "bool".to_owned(),
        DataType::Int8 | DataType::Int16 => "int2".to_owned(),
        DataType::Int32 => "int4".to_owned(),
        DataType::Int64 => "int8".to_owned(),
        DataType::Float32 => "float4".to_owned(),
        DataType::Float64 => "float8".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("numeric({precision}, {scale})")
        }
        text if is_text(text) => "text".to_owned(),
        DataType::Binary => "bytea".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        _ => return None,
    })
}

/// The digits that integers of a type may have.
fn digits(data_type: &DataType) -> i16 {
    match data_type {
        DataType::Int8 => 3,
        DataType::Int16 => 5,
        DataType::Int32 => 10,
        _ => 19,
    }
}

/// Whether a divisor is a literal that is neither zero nor minus one, by which the least integer does not divide.
fn is_safe_divisor(value: &Value) -> bool {
    let number = match value.literal {
        Some(ScalarValue::Int64(number)) => number,
        Some(ScalarValue::Int32(number)) => number.map(i64::from),
        Some(ScalarValue::Int16(number)) => number.map(i64::from),
        _ => None,
    };
    number.is_some_and(|number| number != 0 && number != -1)
}

/// The shortest digits that name a float, which PostgreSQL reads back as the same.
fn float(value: f64, digits: &dyn std::fmt::Debug) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{digits:?}")
    }
}

/// A decimal with all its digits, so that its scale is the engine's.
fn decimal(unscaled: &str, scale: u8) -> String {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let scale = usize::from(scale);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    format!("'{sign}{whole}{point}{fraction}'::numeric")
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
