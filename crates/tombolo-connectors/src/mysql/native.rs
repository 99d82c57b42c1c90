mod functions;
mod key_range;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use tombolo_connector::{ScanJoin, ScanTable, TableRef};

pub(super) use self::key_range::KeyRange;
use super::catalog::TableProfile;
use super::client::GUARD;
use super::types::{
    AS_BIT, AS_CONVERTED, AS_DATE_OR_NULL, AS_FLAG, AS_SHAPE, AS_TEXT, AS_UNSIGNED, AS_VECTOR, AS_YEAR, FORMS,
    can_read, print_date, print_time, print_timestamp,
};
use crate::sql::{
    AggregateCall, Comparison, Dialect, Facts, Form, Level, LikePart, Shipped, Value, is_text, scalar_text,
    string_literal,
};

/// The most bytes of a text that sorting looks at: `max_sort_length`, which each connection sets.
pub(super) const MAX_SORTED_BYTES: f64 = 8192.0;

/// What text that was converted to utf8mb4 is compared by: the character set's own collation.
const CONVERTED: &str = "utf8mb4 by default";

/// What text that was made of something else is compared by: the connection's collation.
const CAST: &str = "utf8mb4_bin of the connection";

/// Digits of MySQL's decimals, and those of them that may be after the point.
const MAX_DIGITS: usize = 65;
const MAX_SCALE: i8 = 30;

/// The language of MySQL and MariaDB, as far as it is proved to mean what the engine means.
///
/// [`Facts::collation`] is that of a text of characters. Without one a text that is no literal may be a string of bytes, as
/// texts are made where they are compared: MySQL's collations hold unlike texts to be equal, and most of them pass over
/// blanks at the end, while strings of bytes are compared as they are.
#[derive(Debug, Clone, Default)]
pub(super) struct MysqlDialect {
    /// Whether the server has window functions.
    pub(super) has_windows: bool,
    pub(super) is_mariadb: bool,
    /// The part that is read of the one table.
    pub(super) part: Option<KeyRange>,
}

impl Dialect for MysqlDialect {
    fn name(&self) -> &'static str {
        "MySQL"
    }

    fn table(&self, table: &TableRef) -> String {
        format!("{}.{}", self.identifier(&table.schema), self.identifier(&table.table))
    }

    fn part(&self, _: &TableRef, alias: &str) -> Option<String> {
        let part = self.part.as_ref()?;
        part.condition(&format!("{}.{}", self.identifier(alias), self.identifier(&part.column)))
    }

    fn column(&self, table: &ScanTable, index: usize) -> Facts {
        let Some(column) = table.description.columns.get(index) else { return Facts::new(DataType::Null) };
        let data_type = column.field.data_type();
        let profile = TableProfile::of(&table.description).and_then(|profile| profile.columns.get(index).cloned());
        let unknown = profile.is_none().then(|| format!("nothing is known of column `{}`", column.field.name()));
        let profile = profile.unwrap_or_default();
        Facts {
            form: FORMS.into_iter().find(|form| form.0 == profile.form).unwrap_or(Form::NATURAL),
            doubt: unknown,
            collation: profile.collation,
            converts: profile.is_label,
            magnitude: profile.max_bytes.map(|bytes| bytes as f64),
            origin: Some(format!("`{}` of `{}`", column.field.name(), table.table()).into()),
            ..Facts::new(data_type.clone())
        }
    }

    fn stored(&self, column: Value) -> Value {
        let sql = &column.sql;
        let (text, collation) = match column.facts.form {
            // Fails in the server for what is neither true nor false.
            AS_FLAG => (format!("CASE WHEN {sql} IN (0, 1) THEN {sql} ELSE {GUARD}{sql})) END"), None),
            // Otherwise they are without a sign, and so is what is computed with them.
            AS_BIT | AS_YEAR if column.facts.data_type.is_decimal() => (format!("CAST({sql} AS UNSIGNED)"), None),
            AS_BIT | AS_YEAR => (format!("CAST({sql} AS SIGNED)"), None),
            AS_DATE_OR_NULL => (format!("CASE WHEN month({sql}) = 0 OR day({sql}) = 0 THEN NULL ELSE {sql} END"), None),
            AS_TEXT => (format!("CAST({sql} AS CHAR)"), Some(CAST)),
            AS_CONVERTED => (format!("CONVERT({sql} USING utf8mb4)"), Some(CONVERTED)),
            AS_SHAPE => (format!("ST_AsWKB({sql})"), None),
            AS_VECTOR => (format!("CAST({sql} AS BINARY)"), None),
            _ => return column,
        };
        let facts = Facts {
            form: Form::NATURAL,
            collation: collation.map(str::to_owned),
            converts: false,
            ..column.facts.clone()
        };
        Value { facts, ..Value::atom(text, column.facts) }
    }

    fn reads(&self, data_type: &DataType) -> Shipped<()> {
        if can_read(data_type) { Ok(()) } else { Err(format!("values of type {data_type} are made here")) }
    }

    fn literal(&self, value: &ScalarValue, _form: Form) -> Shipped<String> {
        let no_literal = || format!("MySQL has no literal for {} {value}", value.data_type());
        if let Some(text) = scalar_text(value) {
            return string_literal(text);
        }
        match value {
            ScalarValue::Boolean(Some(true)) => Ok("TRUE".to_owned()),
            ScalarValue::Boolean(Some(false)) => Ok("FALSE".to_owned()),
            // Its digits without the sign are a number without a sign.
            ScalarValue::Int64(Some(i64::MIN)) => Ok("(-9223372036854775807 - 1)".to_owned()),
            ScalarValue::Int8(_) | ScalarValue::Int16(_) | ScalarValue::Int32(_) | ScalarValue::Int64(_) => {
                Ok(value.to_string())
            }
            ScalarValue::UInt64(Some(number)) if i64::try_from(*number).is_ok() => Ok(number.to_string()),
            ScalarValue::Float32(Some(number)) => float(f64::from(*number)).ok_or_else(no_literal),
            ScalarValue::Float64(Some(number)) => float(*number).ok_or_else(no_literal),
            ScalarValue::Decimal128(Some(unscaled), _, scale) => {
                decimal(&unscaled.to_string(), *scale).ok_or_else(no_literal)
            }
            ScalarValue::Decimal256(Some(unscaled), _, scale) => {
                decimal(&unscaled.to_string(), *scale).ok_or_else(no_literal)
            }
            ScalarValue::Binary(Some(bytes))
            | ScalarValue::LargeBinary(Some(bytes))
            | ScalarValue::BinaryView(Some(bytes)) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Ok(format!("X'{digits}'"))
            }
            ScalarValue::Date32(Some(days)) => {
                print_date(*days).map(|text| format!("DATE '{text}'")).ok_or_else(no_literal)
            }
            ScalarValue::Time64Microsecond(Some(micros)) => {
                print_time(*micros).map(|text| format!("TIME '{text}'")).ok_or_else(no_literal)
            }
            // The connection's time zone is UTC.
            ScalarValue::TimestampSecond(Some(_), _)
            | ScalarValue::TimestampMillisecond(Some(_), _)
            | ScalarValue::TimestampMicrosecond(Some(_), _)
            | ScalarValue::TimestampNanosecond(Some(_), _) => {
                let text = micros(value).and_then(print_timestamp).ok_or_else(no_literal)?;
                Ok(format!("TIMESTAMP '{text}'"))
            }
            _ => Err(no_literal()),
        }
    }

    fn comparable(&self, value: &Value, _: Comparison) -> Shipped<String> {
        value.trusted()?;
        match &value.facts.data_type {
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
            text if is_text(text) => Ok(match &value.literal {
                Some(literal) if literal.is_null() => value.operand(),
                Some(_) => format!("_binary{}", value.sql),
                None => format!("CAST({} AS BINARY)", value.sql),
            }),
            other => Err(format!("values of type {other} are compared here")),
        }
    }

    fn sortable(&self, value: &Value, comparison: Comparison) -> Shipped<()> {
        if comparison == Comparison::Equality && value.facts.data_type.is_floating() && !self.is_mariadb {
            return Err("MySQL may put a negative zero into another group than zero".to_owned());
        }
        let is_string = is_text(&value.facts.data_type) || value.facts.data_type == DataType::Binary;
        let fits = value.facts.magnitude.is_some_and(|bytes| bytes <= MAX_SORTED_BYTES);
        if !is_string || fits || value.literal.is_some() {
            return Ok(());
        }
        Err(format!("MySQL sorts and groups by the first {MAX_SORTED_BYTES} bytes alone, and this may be longer"))
    }

    fn unites(&self, values: &[&Value]) -> Shipped<()> {
        let texts = values.iter().filter(|value| is_text(&value.facts.data_type));
        let (literals, others): (Vec<&&Value>, Vec<&&Value>) = texts.partition(|value| value.literal.is_some());
        let mut collations = others.iter().map(|value| &value.facts.collation);
        let Some(first) = collations.next() else { return Ok(()) };
        if collations.any(|other| other != first) {
            return Err("MySQL does not put texts of different collations together".to_owned());
        }
        let is_plain = |value: &&&Value| value.literal.as_ref().and_then(scalar_text).is_none_or(str::is_ascii);
        if first.as_deref().is_some_and(|name| !is_utf8mb4(name)) && !literals.iter().all(is_plain) {
            return Err("the column's character set may not have these letters".to_owned());
        }
        Ok(())
    }

    fn null(&self, data_type: &DataType) -> String {
        // What an aggregate makes of a null without a type is text, and so is a CASE that has it in a branch.
        match data_type {
            DataType::Boolean => "CAST(NULL AS SIGNED)".to_owned(),
            integer if integer.is_signed_integer() => "CAST(NULL AS SIGNED)".to_owned(),
            integer if integer.is_unsigned_integer() => "CAST(NULL AS UNSIGNED)".to_owned(),
            float if float.is_floating() => "(NULL + 0e0)".to_owned(),
            DataType::Decimal128(precision, scale @ 0..=30) => format!("CAST(NULL AS DECIMAL({precision}, {scale}))"),
            other => match kind_of_time(other) {
                Some(kind) => format!("CAST(NULL AS {kind})"),
                None => "NULL".to_owned(),
            },
        }
    }

    fn null_if(&self, value: &str, other: &str, data_type: &DataType) -> String {
        if kind_of_time(data_type).is_none() {
            return format!("nullif({value}, {other})");
        }
        // MySQL 5.7 drops the fraction of a second in `nullif`, or gives NULL.
        restored(format!("IF({value} = {other}, NULL, {value})"), data_type)
    }

    fn index_condition(&self, value: &Value, others: &[&Value]) -> Option<String> {
        let facts = &value.facts;
        // Equal bytes are equal by any collation; labels of ENUM are compared in more ways than one.
        let collation = facts.collation.as_deref().filter(|_| is_text(&facts.data_type) && !facts.converts)?;
        value.column.as_ref()?;
        if let [other] = others
            && other.column.is_some()
            && !other.facts.converts
            && other.facts.collation.as_deref() == Some(collation)
        {
            return Some(format!("{} = {}", value.operand(), other.operand()));
        }
        let is_served = |other: &&Value| {
            let text = other.literal.as_ref().and_then(scalar_text);
            text.is_some_and(|text| is_utf8mb4(collation) || text.is_ascii())
        };
        if others.is_empty() || !others.iter().all(is_served) {
            return None;
        }
        let list: Vec<&str> = others.iter().map(|other| other.sql.as_str()).collect();
        Some(match list.as_slice() {
            [only] => format!("{} = {only}", value.operand()),
            list => format!("{} IN ({})", value.operand(), list.join(", ")),
        })
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} <=> {right}")
    }

    fn null_safe_unequal(&self, left: &str, right: &str) -> String {
        format!("NOT ({left} <=> {right})")
    }

    fn null_test(&self, value: &Value, test: &str) -> String {
        // MySQL 5.7 holds what is made of `<=>` to be null where a side of it is, if it is asked directly.
        if value.sql.contains(" <=> ") {
            return format!("coalesce({}, NULL) {test}", value.sql);
        }
        format!("{} {test}", value.operand())
    }

    fn truth_test(&self, condition: &Value, truth: bool, negated: bool) -> Value {
        // MySQL 5.7 drops the rows without a partner of an outer join where `IS NOT TRUE` and its like are of the side without.
        let known = format!("coalesce({}, {})", condition.sql, if truth { "FALSE" } else { "TRUE" });
        if truth == negated {
            return Value::predicate(format!("NOT {known}"), Level::Not);
        }
        Value::predicate(known, Level::Atom)
    }

    fn arithmetic(&self, left: &Value, operator: Operator, right: &Value, result: &DataType) -> Shipped {
        if operator == Operator::StringConcat && is_text(&left.facts.data_type) && is_text(&right.facts.data_type) {
            return functions::concatenated(&[left, right]);
        }
        natural(left)?;
        natural(right)?;
        let (word, level) = match operator {
            Operator::Plus => ("+", Level::Add),
            Operator::Minus => ("-", Level::Add),
            Operator::Multiply => ("*", Level::Multiply),
            Operator::Divide => ("DIV", Level::Multiply),
            Operator::Modulo => ("%", Level::Multiply),
            other => return Err(format!("operator `{other}` is computed here")),
        };
        let types = (&left.facts.data_type, &right.facts.data_type);
        match result {
            DataType::Int64 if types == (&DataType::Int64, &DataType::Int64) => {
                let divides = matches!(operator, Operator::Divide | Operator::Modulo);
                if divides && !is_safe_divisor(right) {
                    return Err(format!("`{operator}` may be by zero, which is told of here"));
                }
            }
            integer if integer.is_integer() => {
                return Err(format!("`{operator}` of {} and {} has 64 bits in MySQL", types.0, types.1));
            }
            // MySQL computes without loss; where the engine's type has not the room, it rounds or fails.
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
                if !exact || *precision >= 38 || *scale > MAX_SCALE {
                    return Err(format!("`{operator}` giving {result} is rounded by the engine's own rules"));
                }
            }
            DataType::Float32 | DataType::Float64 => {
                return Err(format!("`{operator}` on floats is an error in MySQL where it is infinite here"));
            }
            other => return Err(format!("arithmetic giving {other} is done here")),
        }
        let next = if level == Level::Add { Level::Multiply } else { Level::Atom };
        let text = format!("{} {word} {}", left.at(level), right.at(next));
        Ok(Value::new(text, level, Facts::new(result.clone())))
    }

    fn cast(&self, value: &Value, to: &DataType) -> Shipped {
        let from = &value.facts.data_type;
        if value.facts.form == AS_UNSIGNED && from.is_integer() && to.is_signed_integer() && widens(from, to) {
            return Ok(Value::atom(format!("CAST({} AS SIGNED)", value.sql), Facts::new(to.clone())));
        }
        natural(value)?;
        let retyped = || Value {
            literal: None,
            column: None,
            facts: Facts { data_type: to.clone(), ..value.facts.clone() },
            ..value.clone()
        };
        let decimal = |precision: u8, scale: i8| {
            let text = format!("CAST({} AS DECIMAL({precision}, {scale}))", value.sql);
            Ok(Value::atom(text, Facts::new(to.clone())))
        };
        match (from, to) {
            (from, to) if from.is_signed_integer() && to.is_signed_integer() && widens(from, to) => Ok(retyped()),
            // Ranks, which are numbers of rows.
            (DataType::UInt64, DataType::Int64) => Ok(retyped()),
            // Truth values are the numbers 0 and 1.
            (DataType::Boolean, to) if to.is_signed_integer() => Ok(retyped()),
            (from, DataType::Float64) if from.is_signed_integer() => Ok(double(value)),
            (DataType::Float32, DataType::Float64) => Ok(double(value)),
            // Both a number of 15 digits and its power of ten are exact doubles, so that one division rounds once.
            (DataType::Decimal128(precision, scale), DataType::Float64) if *precision <= 15 && *scale >= 0 => {
                Ok(double(value))
            }
            (from, to) if from.is_signed_integer() && is_text(to) => {
                Ok(Value::atom(format!("CAST({} AS CHAR)", value.sql), made_text(to, 20.0)))
            }
            (DataType::Boolean, to) if is_text(to) => {
                let condition = value.at(Level::Compare);
                let text = format!("CASE WHEN {condition} THEN 'true' WHEN NOT {condition} THEN 'false' END");
                Ok(Value::atom(text, made_text(to, 5.0)))
            }
            (DataType::Decimal128(a_digits, a), DataType::Decimal128(b_digits, b))
                if a <= b
                    && i16::from(*a_digits) - i16::from(*a) <= i16::from(*b_digits) - i16::from(*b)
                    && *b <= MAX_SCALE =>
            {
                decimal(*b_digits, *b)
            }
            (from, DataType::Decimal128(precision, scale))
                if from.is_signed_integer()
                    && (0..=MAX_SCALE).contains(scale)
                    && i16::from(*precision) - i16::from(*scale) >= digits(from) =>
            {
                decimal(*precision, *scale)
            }
            // CAST would round to the nearest day in some versions.
            (DataType::Timestamp(_, None), DataType::Date32) => {
                Ok(Value::atom(format!("date({})", value.sql), Facts::new(to.clone())))
            }
            (DataType::Date32, DataType::Timestamp(_, None)) => {
                Ok(Value::atom(format!("CAST({} AS DATETIME(6))", value.sql), Facts::new(to.clone())))
            }
            // A coarser unit would drop digits.
            (DataType::Timestamp(from, a), DataType::Timestamp(to, b))
                if a == b && from <= to && *to <= TimeUnit::Microsecond =>
            {
                Ok(value.clone())
            }
            _ => Err(format!("the cast from {from} to {to} is not known to be the same in MySQL")),
        }
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
                        if matches!(c, '%' | '_' | '|') {
                            text.push('|');
                        }
                        text.push(c);
                    }
                }
            }
        }
        let not = if negated { "NOT " } else { "" };
        // By code points, of which no two are alike; LIKE passes over no blanks.
        let text = format!("{} COLLATE utf8mb4_bin {not}LIKE {} ESCAPE '|'", characters(value), string_literal(&text)?);
        Ok(Value::predicate(text, Level::Compare))
    }

    fn aggregate(&self, call: &AggregateCall<'_>) -> Shipped {
        functions::aggregate(call)
    }

    fn extreme(&self, call: &AggregateCall<'_>, argument: &Value, text: &str) -> Shipped<(String, Facts)> {
        let (text, facts) = (call.standard(text), argument.facts.clone());
        if !is_text(&facts.data_type) {
            return Ok((restored(text, &facts.data_type), facts));
        }
        // What was a string of bytes is a text again, but no longer with the collation of its column.
        let facts = Facts { collation: Some(CONVERTED.to_owned()), ..facts };
        Ok((format!("CONVERT({text} USING utf8mb4)"), facts))
    }

    fn has_window(&self, function: &str) -> Shipped<()> {
        if !self.has_windows {
            return Err("this version of MySQL has no window functions".to_owned());
        }
        functions::has_window(function)
    }

    fn mixes_windows(&self) -> bool {
        // MariaDB 10.11 gives wrong rows where one select has windows of several orders.
        !self.is_mariadb
    }

    fn rank(&self, call: String) -> String {
        // It has no sign in some versions, and neither has what is computed with it.
        format!("CAST({call} AS SIGNED)")
    }

    fn window_default(&self, _: &Value) -> Shipped<String> {
        Err("MariaDB knows no default in `lag` and `lead`".to_owned())
    }

    fn exists(&self, select: &str, is_correlated: bool) -> String {
        if is_correlated {
            return format!("EXISTS ({select})");
        }
        // MySQL 9.7 makes a join of it, and where that stands in the condition of a left join, rows match though the sub-select
        // has none. As a sub-select it is asked once. To MariaDB this is a comment.
        format!("EXISTS ({})", select.replacen("SELECT ", "SELECT /*+ NO_SEMIJOIN() */ ", 1))
    }

    fn order_key(&self, key: &str, ascending: bool, nulls_first: bool) -> String {
        // MySQL holds NULL to be the least value, so only the other wish has to be said.
        match (ascending, nulls_first) {
            (true, true) => key.to_owned(),
            (true, false) => format!("{key} IS NULL, {key}"),
            (false, false) => format!("{key} DESC"),
            (false, true) => format!("{key} IS NULL DESC, {key} DESC"),
        }
    }

    fn limit_clause(&self, skip: usize, fetch: Option<usize>) -> String {
        match (fetch, skip) {
            (None, 0) => String::new(),
            // An offset takes a limit, for which the manual gives this number.
            (None, skip) => format!(" LIMIT 18446744073709551615 OFFSET {skip}"),
            (Some(fetch), 0) => format!(" LIMIT {fetch}"),
            (Some(fetch), skip) => format!(" LIMIT {fetch} OFFSET {skip}"),
        }
    }

    fn full_join(&self, _: &ScanJoin) -> Shipped<()> {
        Err("MySQL has no full join".to_owned())
    }

    fn has_aggregate_filter(&self) -> bool {
        false
    }

    fn has_having(&self) -> bool {
        false
    }

    fn key_rows(&self, columns: &[String], rows: &[Vec<String>]) -> String {
        let rows: Vec<String> = rows.iter().map(|row| format!("({})", row.join(", "))).collect();
        format!("({}) IN ({})", columns.join(", "), rows.join(", "))
    }
}

/// What gave a value of this type. MySQL 5.7 makes text of dates and times in `min` and `max` of what is no column.
fn restored(sql: String, data_type: &DataType) -> String {
    match kind_of_time(data_type) {
        Some(kind) => format!("CAST({sql} AS {kind})"),
        None => sql,
    }
}

/// The type of a date or time there.
fn kind_of_time(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Date32 => Some("DATE"),
        DataType::Timestamp(..) => Some("DATETIME(6)"),
        DataType::Time64(_) => Some("TIME(6)"),
        _ => None,
    }
}

fn is_utf8mb4(collation: &str) -> bool {
    collation.starts_with("utf8mb4")
}

/// Facts of a text that the server has made of something else.
fn made_text(data_type: &DataType, max_bytes: f64) -> Facts {
    Facts { collation: Some(CAST.to_owned()), magnitude: Some(max_bytes), ..Facts::new(data_type.clone()) }
}

/// A text as characters of utf8mb4, whatever it is.
fn characters(value: &Value) -> String {
    let is_known = value.facts.collation.as_deref().is_some_and(is_utf8mb4);
    if is_known || value.literal.is_some() {
        return value.at(Level::Atom);
    }
    format!("CONVERT({} USING utf8mb4)", value.sql)
}

/// Refuses a value that is stored in another way than its type says.
fn natural(value: &Value) -> Shipped<()> {
    value.trusted()?;
    if value.facts.form == Form::NATURAL {
        return Ok(());
    }
    Err(format!("a value that MySQL keeps as {} is computed with here", value.facts.form.0))
}

fn double(value: &Value) -> Value {
    Value::new(format!("{} + 0e0", value.at(Level::Add)), Level::Add, Facts::new(DataType::Float64))
}

fn widens(from: &DataType, to: &DataType) -> bool {
    from.primitive_width() <= to.primitive_width()
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
    matches!(value.literal, Some(ScalarValue::Int64(Some(number))) if number != 0 && number != -1)
}

/// The shortest digits that name a double, as a number with an exponent, which MySQL reads as the same double.
fn float(value: f64) -> Option<String> {
    (value.is_finite() && !(value == 0.0 && value.is_sign_negative())).then(|| format!("{value:e}"))
}

/// A decimal with all its digits, so that its scale is the engine's.
fn decimal(unscaled: &str, scale: i8) -> Option<String> {
    let places = usize::try_from(scale).ok().filter(|_| scale <= MAX_SCALE)?;
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let point = if places == 0 { "" } else { "." };
    (digits.len() <= MAX_DIGITS).then(|| format!("{sign}{whole}{point}{fraction}"))
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
