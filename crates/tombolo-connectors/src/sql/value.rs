use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

/// A value that the source may compute, or the reason why it may not.
pub type Shipped<T = Value> = Result<T, String>;

/// How a source stores a value of an Arrow type, where there is more than one way. Values of different forms do not compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Form(pub &'static str);

impl Form {
    /// The only or the usual way.
    pub const NATURAL: Self = Self("");
}

/// What is known of a value in the source, beyond its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The Arrow type that the engine gives it.
    pub data_type: DataType,
    /// How the source stores it.
    pub form: Form,
    /// Why comparing, sorting or computing with it in the source may differ from doing so here.
    pub doubt: Option<String>,
    /// The collation that the source would compare it with, where that is not byte by byte.
    pub collation: Option<String>,
    /// Whether the source would convert the other side of a comparison to suit this one.
    pub converts: bool,
    /// Whether text is known to hold no NUL character.
    pub nul_free: bool,
    /// Whether it is made of a sum of floats, whose last digits depend on the order of the rows.
    pub is_float_sum: bool,
    /// A bound that the absolute value of a number does not exceed (for a float it also means finite), or that the bytes of
    /// text do not.
    pub magnitude: Option<f64>,
    /// The stored column that the value comes from, as errors name it.
    pub origin: Option<Arc<str>>,
}

/// Why values of [`Facts::is_float_sum`] are compared here.
pub(super) const OF_FLOAT_SUMS: &str = "the last digits of a sum of floats depend on the order of the rows";

impl Facts {
    /// Facts of a value about which nothing is in doubt.
    pub fn new(data_type: DataType) -> Self {
        let nul_free = !is_text(&data_type);
        Self {
            data_type,
            form: Form::NATURAL,
            doubt: None,
            collation: None,
            converts: false,
            nul_free,
            is_float_sum: false,
            magnitude: None,
            origin: None,
        }
    }

    /// The facts of a value that may be either of two.
    pub(super) fn either(&self, other: &Self) -> Shipped<Self> {
        if self.form != other.form {
            return Err(format!("the source stores the {} values of both sides differently", self.data_type));
        }
        Ok(Self {
            data_type: self.data_type.clone(),
            form: self.form,
            doubt: self.doubt.clone().or_else(|| other.doubt.clone()),
            collation: self.collation.clone().or_else(|| other.collation.clone()),
            converts: self.converts || other.converts,
            nul_free: self.nul_free && other.nul_free,
            is_float_sum: self.is_float_sum || other.is_float_sum,
            origin: self.origin.clone().or_else(|| other.origin.clone()),
            magnitude: self.magnitude.zip(other.magnitude).map(|(a, b)| a.max(b)),
        })
    }
}

/// How tightly the outermost operator of a text binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `NOT`
    Not,
    /// `=`, `<`, `IS`, `IN`, `LIKE`, `BETWEEN`
    Compare,
    /// `+`, `-`
    Add,
    /// `*`, `/`, `%`
    Multiply,
    /// `||`
    Concat,
    /// A column, a literal, a call, or anything in parentheses.
    Atom,
}

/// The text of a value in the source's language, and what is known of it.
#[derive(Debug, Clone)]
pub struct Value {
    /// The text.
    pub sql: String,
    /// How tightly its outermost operator binds.
    pub level: Level,
    /// What is known of it.
    pub facts: Facts,
    /// The literal that it is, so that it can be printed again in another form.
    pub literal: Option<ScalarValue>,
    /// The name of the column that it is, if it is one and nothing else.
    pub column: Option<String>,
}

impl Value {
    /// A computed value.
    pub fn new(sql: impl Into<String>, level: Level, facts: Facts) -> Self {
        Self { sql: sql.into(), level, facts, literal: None, column: None }
    }

    /// A call or anything else that needs no parentheses.
    pub fn atom(sql: impl Into<String>, facts: Facts) -> Self {
        Self::new(sql, Level::Atom, facts)
    }

    /// A truth value.
    pub fn predicate(sql: impl Into<String>, level: Level) -> Self {
        Self::new(sql, level, Facts::new(DataType::Boolean))
    }

    /// The text where operators of at least this level may stand; in parentheses where its own is looser.
    pub fn at(&self, level: Level) -> String {
        if self.level >= level { self.sql.clone() } else { format!("({})", self.sql) }
    }

    /// The text as an operand of a comparison, which never stands bare beside another comparison.
    pub fn operand(&self) -> String {
        self.at(Level::Add)
    }

    /// Whether this is the literal NULL.
    pub fn is_null_literal(&self) -> bool {
        self.literal.as_ref().is_some_and(ScalarValue::is_null)
    }

    /// Refuses a value whose stored form is in doubt.
    ///
    /// # Errors
    /// The doubt.
    pub fn trusted(&self) -> Shipped<()> {
        self.facts.doubt.clone().map_or(Ok(()), Err)
    }
}

/// Whether a type is text.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether two types hold the same values in the source: the same type, or text in different layouts.
pub(crate) fn same_values(a: &DataType, b: &DataType) -> bool {
    a == b
        || (is_text(a) && is_text(b))
        || (a.is_signed_integer() && b.is_signed_integer())
        || matches!((a, b), (DataType::Timestamp(_, a), DataType::Timestamp(_, b)) if a == b)
}
