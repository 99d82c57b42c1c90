use std::fmt::Debug;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use tombolo_connector::{ScanJoin, ScanTable, TableRef};

use super::value::{Facts, Form, Level, Shipped, Value, is_text};

/// What one SQL source's language can say, and of which operators it is proved that they mean the same there as here.
///
/// The defaults are standard SQL for what is the same everywhere, and a refusal for the rest.
pub trait Dialect: Debug + Send + Sync {
    /// The product's name, for reasons.
    fn name(&self) -> &'static str;

    /// Quotes a name.
    fn identifier(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// A table as a FROM clause names it.
    fn table(&self, table: &TableRef) -> String;

    /// A table under an alias.
    fn relation(&self, table: &TableRef, alias: &str) -> String {
        let text = self.table(table);
        if alias == table.table { text } else { format!("{text} AS {}", self.identifier(alias)) }
    }

    /// The condition for a row of a table to be in the part that is read, where several streams share a table.
    fn part(&self, _table: &TableRef, _alias: &str) -> Option<String> {
        None
    }

    /// What is known of a column; `index` is its position in the description.
    fn column(&self, table: &ScanTable, index: usize) -> Facts;

    /// A stored column as expressions are to use it, where that is not the column itself.
    fn stored(&self, column: Value) -> Value {
        column
    }

    /// Refuses a type that the source's answers cannot be read as.
    ///
    /// # Errors
    /// With the type.
    fn reads(&self, data_type: &DataType) -> Shipped<()>;

    /// Prints a literal that is not null in the form of the values that it meets.
    ///
    /// # Errors
    /// Where the source has no literal for it.
    fn literal(&self, value: &ScalarValue, form: Form) -> Shipped<String>;

    /// Prints a null of a type.
    fn null(&self, _data_type: &DataType) -> String {
        "NULL".to_owned()
    }

    /// Prints a value where it is compared, sorted or grouped by, so that the source does this as the engine does.
    ///
    /// # Errors
    /// Where the source's comparison differs.
    fn comparable(&self, value: &Value, comparison: Comparison) -> Shipped<String>;

    /// Refuses to sort or group by a value of which the source would look at a part alone, or at how it is stored. Values that are grouped
    /// are compared for equality.
    ///
    /// # Errors
    /// With the reason.
    fn sortable(&self, _value: &Value, _comparison: Comparison) -> Shipped<()> {
        Ok(())
    }

    /// Refuses values that the source cannot put into one column or one result as they are.
    ///
    /// # Errors
    /// With the reason.
    fn unites(&self, _values: &[&Value]) -> Shipped<()> {
        Ok(())
    }

    /// Prints null where two values are equal, else the first of them, which is of this type.
    fn null_if(&self, value: &str, other: &str, _data_type: &DataType) -> String {
        format!("nullif({value}, {other})")
    }

    /// Prints a condition that is true wherever `value` equals one of `others`, is null where it is null, and can be served
    /// by an index where the equality itself cannot.
    fn index_condition(&self, _value: &Value, _others: &[&Value]) -> Option<String> {
        None
    }

    /// Prints a value as the reader of the answer takes it.
    fn output(&self, value: &Value) -> String {
        value.sql.clone()
    }

    /// Equality that holds between two nulls.
    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} IS NOT DISTINCT FROM {right}")
    }

    /// The negation of [`Dialect::null_safe_equal`].
    fn null_safe_unequal(&self, left: &str, right: &str) -> String {
        format!("{left} IS DISTINCT FROM {right}")
    }

    /// Prints whether a value is null; `test` is `IS NULL` or `IS NOT NULL`.
    fn null_test(&self, value: &Value, test: &str) -> String {
        format!("{} {test}", value.operand())
    }

    /// Prints whether a condition is true, or is false; or, `negated`, is anything else.
    fn truth_test(&self, condition: &Value, truth: bool, negated: bool) -> Value {
        let (not, word) = (if negated { "NOT " } else { "" }, if truth { "TRUE" } else { "FALSE" });
        Value::predicate(format!("{} IS {not}{word}", condition.operand()), Level::Compare)
    }

    /// Computes `left operator right`; `result` is the engine's type.
    ///
    /// # Errors
    /// Where overflow, division by zero or rounding may differ.
    fn arithmetic(&self, _left: &Value, operator: Operator, _right: &Value, _result: &DataType) -> Shipped {
        Err(format!("operator `{operator}` is not known to compute the same in {}", self.name()))
    }

    /// Converts to another type.
    ///
    /// # Errors
    /// Where the conversion is not proved equal.
    fn cast(&self, value: &Value, to: &DataType) -> Shipped {
        Err(format!("the cast from {} to {to} is not known to be the same in {}", value.facts.data_type, self.name()))
    }

    /// Calls a scalar function.
    ///
    /// # Errors
    /// Where the function is not proved equal.
    fn function(&self, name: &str, _arguments: &[Value]) -> Shipped {
        Err(format!("function `{name}` is not known to be the same in {}", self.name()))
    }

    /// Matches text against a pattern, case-sensitively.
    ///
    /// # Errors
    /// Where the source matches differently.
    fn like(&self, _value: &Value, _pattern: &[LikePart], _negated: bool) -> Shipped {
        Err(format!("`LIKE` is not known to match the same in {}", self.name()))
    }

    /// Computes an aggregate.
    ///
    /// # Errors
    /// Where the aggregate is not proved equal.
    fn aggregate(&self, call: &AggregateCall<'_>) -> Shipped;

    /// Computes `min` or `max` of a value that is printed for comparing; gives the result's facts too.
    ///
    /// # Errors
    /// Where the source has none for the type.
    fn extreme(&self, call: &AggregateCall<'_>, argument: &Value, text: &str) -> Shipped<(String, Facts)> {
        Ok((call.standard(text), argument.facts.clone()))
    }

    /// Refuses a window function, an aggregate over a window among them, that is not proved equal.
    ///
    /// # Errors
    /// With the reason.
    fn has_window(&self, function: &str) -> Shipped<()> {
        Err(format!("`{function}` over a window is not known to be the same in {}", self.name()))
    }

    /// Whether windows of several partitions and orders may stand in one select.
    fn mixes_windows(&self) -> bool {
        true
    }

    /// Prints a number that ranks rows, which has no sign in the engine.
    fn rank(&self, call: String) -> String {
        call
    }

    /// Prints what `lag` and `lead` give where there is no row, so that it does not change the type of the result.
    ///
    /// # Errors
    /// Where they cannot be told it.
    fn window_default(&self, literal: &Value) -> Shipped<String> {
        Ok(literal.sql.clone())
    }

    /// Whether a sub-select has any row. One that is not correlated names nothing of what is around it.
    fn exists(&self, select: &str, _is_correlated: bool) -> String {
        format!("EXISTS ({select})")
    }

    /// One key of an ORDER BY clause.
    fn order_key(&self, key: &str, ascending: bool, nulls_first: bool) -> String {
        let direction = if ascending { "" } else { " DESC" };
        let nulls = if nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
        format!("{key}{direction} {nulls}")
    }

    /// The clause that limits rows, with its leading space; empty where there is nothing to limit.
    fn limit_clause(&self, skip: usize, fetch: Option<usize>) -> String {
        match (fetch, skip) {
            (Some(fetch), 0) => format!(" LIMIT {fetch}"),
            (Some(fetch), skip) => format!(" LIMIT {fetch} OFFSET {skip}"),
            (None, 0) => String::new(),
            (None, skip) => format!(" OFFSET {skip}"),
        }
    }

    /// Whether the source does this full join.
    ///
    /// # Errors
    /// Where it does not do it at all, or not under such conditions.
    fn full_join(&self, _join: &ScanJoin) -> Shipped<()> {
        Ok(())
    }

    /// Whether aggregates take a FILTER clause. Where not, the rows that do not count are made null, which no aggregate that
    /// is printed takes notice of.
    fn has_aggregate_filter(&self) -> bool {
        true
    }

    /// Whether HAVING may name any expression that is grouped by.
    fn has_having(&self) -> bool {
        true
    }

    /// The words that join without a condition.
    fn cross_join(&self) -> &'static str {
        "CROSS JOIN"
    }

    /// Whether a stored value of this form could be equal to `value`.
    fn may_hold(&self, _value: &ScalarValue, _form: Form) -> bool {
        true
    }

    /// Prints rows of keys as a condition on several columns.
    fn key_rows(&self, columns: &[String], rows: &[Vec<String>]) -> String {
        let rows: Vec<String> = rows.iter().map(|row| format!("({})", row.join(", "))).collect();
        format!("({}) IN (VALUES {})", columns.join(", "), rows.join(", "))
    }
}

/// What values are compared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Which of them are equal.
    Equality,
    /// Which of them comes first.
    Order,
}

/// An aggregate to print.
#[derive(Debug)]
pub struct AggregateCall<'a> {
    /// DataFusion's name of the function.
    pub name: &'a str,
    /// The arguments; none for `count(*)`.
    pub arguments: Vec<Value>,
    /// Whether each distinct value counts once.
    pub distinct: bool,
    /// The text of the condition that rows must meet to count.
    pub filter: Option<String>,
    /// Whether the condition is printed as a FILTER clause, and not within the argument.
    pub has_filter_clause: bool,
    /// The text of the window that it is computed over, in place of a group.
    pub over: Option<String>,
    /// The engine's type of the result.
    pub data_type: DataType,
}

impl AggregateCall<'_> {
    /// Prints the call in standard SQL, with `argument` in place of its own.
    pub fn standard(&self, argument: &str) -> String {
        self.call(self.name, argument)
    }

    /// Prints a call of another function with the same modifiers.
    pub fn call(&self, function: &str, argument: &str) -> String {
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        if let Some(filter) = self.filter.as_ref().filter(|_| !self.has_filter_clause) {
            let argument = if argument == "*" { "1" } else { argument };
            return format!("{function}({distinct}CASE WHEN {filter} THEN {argument} END){}", self.over());
        }
        let filter = self.filter.as_ref().map(|filter| format!(" FILTER (WHERE {filter})")).unwrap_or_default();
        format!("{function}({distinct}{argument}){filter}{}", self.over())
    }

    fn over(&self) -> String {
        self.over.as_ref().map(|window| format!(" OVER ({window})")).unwrap_or_default()
    }
}

/// A part of a LIKE pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LikePart {
    /// This text.
    Text(String),
    /// `_`: any one character.
    One,
    /// `%`: any text.
    Any,
}

/// Reads a LIKE pattern as the engine does: a backslash makes the next character plain; at the end it is itself.
pub fn parse_like(pattern: &str) -> Vec<LikePart> {
    fn plain(parts: &mut Vec<LikePart>, c: char) {
        match parts.last_mut() {
            Some(LikePart::Text(text)) => text.push(c),
            _ => parts.push(LikePart::Text(c.to_string())),
        }
    }
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => parts.push(LikePart::Any),
            '_' => parts.push(LikePart::One),
            '\\' => plain(&mut parts, chars.next().unwrap_or('\\')),
            c => plain(&mut parts, c),
        }
    }
    parts
}

/// Prints a string literal in standard SQL.
///
/// # Errors
/// For text with a NUL character, which literals cannot carry.
pub(crate) fn string_literal(text: &str) -> Shipped<String> {
    if text.contains('\0') {
        return Err("text with a NUL character has no literal".to_owned());
    }
    Ok(format!("'{}'", text.replace('\'', "''")))
}

/// The text of a scalar, if it is text.
pub(crate) fn scalar_text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(text)
        }
        _ => None,
    }
}

/// Makes the value of a literal.
///
/// # Errors
/// Where the dialect has no literal for it.
pub(super) fn literal_value(dialect: &dyn Dialect, scalar: &ScalarValue, form: Form) -> Shipped {
    let mut facts = Facts { form, ..Facts::new(scalar.data_type()) };
    let sql = if scalar.is_null() { dialect.null(&facts.data_type) } else { dialect.literal(scalar, form)? };
    facts.nul_free = !is_text(&facts.data_type) || scalar_text(scalar).is_none_or(|text| !text.contains('\0'));
    facts.magnitude = magnitude(scalar);
    // A negative literal is an operator and a number in some languages; parentheses are needed nowhere but after a minus.
    let level = if sql.starts_with('-') { Level::Add } else { Level::Atom };
    Ok(Value { literal: Some(scalar.clone()), ..Value::new(sql, level, facts) })
}

fn magnitude(scalar: &ScalarValue) -> Option<f64> {
    match scalar {
        ScalarValue::Int8(Some(value)) => Some(f64::from(*value).abs()),
        ScalarValue::Int16(Some(value)) => Some(f64::from(*value).abs()),
        ScalarValue::Int32(Some(value)) => Some(f64::from(*value).abs()),
        ScalarValue::Int64(Some(value)) => Some((*value as f64).abs()),
        ScalarValue::Float64(Some(value)) if value.is_finite() => Some(value.abs()),
        ScalarValue::Decimal128(Some(value), _, scale) => Some((*value as f64).abs() / 10f64.powi(i32::from(*scale))),
        text => scalar_text(text).map(|text| text.len() as f64),
    }
}
