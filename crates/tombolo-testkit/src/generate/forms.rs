//! The expressions that queries are made of, each a line: what it makes, how it is written, what goes into it, and how SQLite
//! writes the same where it means the same there.

use super::tree::Type;
use Alone::{As, No, Same};
use Of::{Is, T};
use Slot::{Any, Count, Each, Lit, LitOf, NonZero, Pattern};
use Type::{Bool, Bytes, Date, Decimal, Float, Int, Text, Timestamp};

/// A kind of values, or the one that all places of a form share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Is(Type),
    T,
}

/// What goes into a place of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Any expression of this kind.
    Each(Type),
    /// Any expression of the shared kind.
    Any,
    /// A literal of the shared kind, at times NULL.
    Lit,
    /// A literal of this kind, never NULL.
    LitOf(Type),
    /// A pattern for LIKE.
    Pattern,
    /// A small number from 1.
    Count,
    /// A small integer that is not zero.
    NonZero,
}

/// How SQLite, as an engine of its own, writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alone {
    Same,
    As(&'static str),
    No,
}

/// A way to make a value of other values.
#[derive(Debug)]
pub struct Form {
    pub result: Of,
    /// The text, with `{0}` where the first argument goes.
    pub text: &'static str,
    pub slots: &'static [Slot],
    pub alone: Alone,
    pub weight: usize,
}

/// An aggregate or a window function.
#[derive(Debug)]
pub struct Function {
    pub result: Of,
    pub name: &'static str,
    pub slots: &'static [Slot],
    pub alone: Alone,
    pub weight: usize,
    /// Whether DISTINCT may stand in it.
    pub distinct: bool,
    /// Whether its value follows from its rows whatever their order: a sum of squares does not, to the last digit.
    pub exact: bool,
}

const fn form(weight: usize, result: Of, text: &'static str, slots: &'static [Slot], alone: Alone) -> Form {
    Form { result, text, slots, alone, weight }
}

const fn call(weight: usize, result: Of, name: &'static str, slots: &'static [Slot], alone: Alone) -> Function {
    Function { result, name, slots, alone, weight, distinct: true, exact: true }
}

const fn inexact(result: Of, name: &'static str, slots: &'static [Slot]) -> Function {
    Function { result, name, slots, alone: No, weight: 1, distinct: false, exact: false }
}

/// Comparisons, which are used by themselves too.
pub(super) static EQUAL: Form = form(8, Is(Bool), "({0} = {1})", &[Any, Any], Same);
pub(super) static NOT_DISTINCT: Form = form(2, Is(Bool), "({0} IS NOT DISTINCT FROM {1})", &[Any, Any], Same);
pub(super) static LESS: Form = form(4, Is(Bool), "({0} < {1})", &[Any, Any], Same);

/// A column beside a literal: what most conditions are.
pub(super) static SIMPLE: [Form; 17] = [
    form(5, Is(Bool), "({0} = {1})", &[Any, Lit], Same),
    form(7, Is(Bool), "({0} <> {1})", &[Any, Lit], Same),
    form(6, Is(Bool), "({0} < {1})", &[Any, Lit], Same),
    form(6, Is(Bool), "({0} <= {1})", &[Any, Lit], Same),
    form(6, Is(Bool), "({0} > {1})", &[Any, Lit], Same),
    form(6, Is(Bool), "({1} <= {0})", &[Any, Lit], Same),
    form(6, Is(Bool), "({0} IS NOT NULL)", &[Any], Same),
    form(3, Is(Bool), "({0} IS NULL)", &[Any], Same),
    form(3, Is(Bool), "({0} IS DISTINCT FROM {1})", &[Any, Lit], Same),
    form(2, Is(Bool), "({0} IS NOT DISTINCT FROM {1})", &[Any, Lit], Same),
    form(3, Is(Bool), "({0} IN ({1}, {2}, {3}))", &[Any, Lit, Lit, Lit], Same),
    form(2, Is(Bool), "({0} NOT IN ({1}, {2}))", &[Any, Lit, Lit], Same),
    form(1, Is(Bool), "({0} IN ({1}, NULL))", &[Any, Lit], Same),
    form(1, Is(Bool), "({0} NOT IN ({1}, NULL))", &[Any, Lit], Same),
    form(3, Is(Bool), "({0} BETWEEN {1} AND {2})", &[Any, Lit, Lit], Same),
    form(2, Is(Bool), "({0} NOT BETWEEN {1} AND {2})", &[Any, Lit, Lit], Same),
    form(1, Is(Bool), "({0} = NULL)", &[Any], Same),
];

pub(super) static FORMS: &[Form] = &[
    // Three-valued logic
    form(8, Is(Bool), "({0} AND {1})", &[Each(Bool), Each(Bool)], Same),
    form(8, Is(Bool), "({0} OR {1})", &[Each(Bool), Each(Bool)], Same),
    form(6, Is(Bool), "(NOT {0})", &[Each(Bool)], Same),
    form(1, Is(Bool), "({0} IS TRUE)", &[Each(Bool)], Same),
    form(1, Is(Bool), "({0} IS NOT TRUE)", &[Each(Bool)], Same),
    form(1, Is(Bool), "({0} IS FALSE)", &[Each(Bool)], Same),
    form(1, Is(Bool), "({0} IS UNKNOWN)", &[Each(Bool)], As("({0} IS NULL)")),
    form(1, Is(Bool), "({0} IS NOT UNKNOWN)", &[Each(Bool)], As("({0} IS NOT NULL)")),
    // Comparison
    form(8, Is(Bool), "({0} = {1})", &[Any, Any], Same),
    form(4, Is(Bool), "({0} <> {1})", &[Any, Any], Same),
    form(4, Is(Bool), "({0} < {1})", &[Any, Any], Same),
    form(4, Is(Bool), "({0} >= {1})", &[Any, Any], Same),
    form(2, Is(Bool), "({0} IS DISTINCT FROM {1})", &[Any, Any], Same),
    form(2, Is(Bool), "({0} IS NOT DISTINCT FROM {1})", &[Any, Any], Same),
    form(2, Is(Bool), "({0} BETWEEN {1} AND {2})", &[Any, Any, Any], Same),
    form(2, Is(Bool), "({0} IN ({1}, {2}))", &[Any, Any, Lit], Same),
    form(3, Is(Bool), "({0} IS NULL)", &[Any], Same),
    form(3, Is(Bool), "({0} IS NOT NULL)", &[Any], Same),
    // Text
    form(4, Is(Bool), "({0} LIKE {1})", &[Each(Text), Pattern], As("({0} LIKE {1} ESCAPE '\\')")),
    form(3, Is(Bool), "({0} NOT LIKE {1})", &[Each(Text), Pattern], As("({0} NOT LIKE {1} ESCAPE '\\')")),
    form(1, Is(Bool), "({0} ILIKE {1})", &[Each(Text), Pattern], No),
    form(1, Is(Bool), "starts_with({0}, {1})", &[Each(Text), LitOf(Text)], No),
    form(1, Is(Bool), "contains({0}, {1})", &[Each(Text), LitOf(Text)], No),
    form(1, Is(Bool), "({0} ~ '^[aAZ]')", &[Each(Text)], No),
    form(2, Is(Text), "({0} || {1})", &[Each(Text), Each(Text)], Same),
    form(1, Is(Text), "concat({0}, '-', {1})", &[Each(Text), Each(Text)], No),
    form(1, Is(Text), "upper({0})", &[Each(Text)], No),
    form(1, Is(Text), "lower({0})", &[Each(Text)], No),
    form(2, Is(Text), "substr({0}, {1}, 2)", &[Each(Text), Count], Same),
    form(1, Is(Text), "left({0}, {1})", &[Each(Text), Count], As("substr({0}, 1, {1})")),
    form(1, Is(Text), "right({0}, {1})", &[Each(Text), Count], No),
    form(1, Is(Text), "btrim({0})", &[Each(Text)], As("trim({0})")),
    form(1, Is(Text), "rtrim({0})", &[Each(Text)], Same),
    form(1, Is(Text), "replace({0}, 'a', {1})", &[Each(Text), Each(Text)], Same),
    form(1, Is(Text), "reverse({0})", &[Each(Text)], No),
    form(1, Is(Text), "lpad({0}, 4, 'x')", &[Each(Text)], No),
    form(1, Is(Text), "split_part({0}, 'a', {1})", &[Each(Text), Count], No),
    form(1, Is(Text), "initcap({0})", &[Each(Text)], No),
    form(2, Is(Text), "CAST({0} AS VARCHAR)", &[Each(Int)], As("CAST({0} AS TEXT)")),
    form(1, Is(Text), "CAST({0} AS VARCHAR)", &[Each(Date)], As("{0}")),
    form(1, Is(Text), "CAST({0} AS VARCHAR)", &[Each(Bool)], No),
    form(1, Is(Text), "CAST({0} AS VARCHAR)", &[Each(Decimal)], No),
    form(1, Is(Text), "CAST({0} AS VARCHAR)", &[Each(Timestamp)], No),
    form(1, Is(Text), "to_char({0}, '%Y-%m')", &[Each(Date)], As("strftime('%Y-%m', {0})")),
    form(1, Is(Text), "md5({0})", &[Each(Text)], No),
    // Integers: never so large that they overflow, since the generator keeps large values out of them
    form(4, Is(Int), "({0} + {1})", &[Each(Int), Each(Int)], Same),
    form(3, Is(Int), "({0} - {1})", &[Each(Int), Each(Int)], Same),
    form(2, Is(Int), "({0} * {1})", &[Each(Int), Count], Same),
    // The ranks that window functions give have no sign in DataFusion, and divide as decimals.
    form(2, Is(Int), "({0} / {1})", &[Each(Int), NonZero], No),
    form(2, Is(Int), "({0} % {1})", &[Each(Int), NonZero], Same),
    form(1, Is(Int), "({0} / nullif({1}, 0))", &[Each(Int), Each(Int)], No),
    form(1, Is(Int), "abs({0})", &[Each(Int)], Same),
    form(1, Is(Int), "(- {0})", &[Each(Int)], Same),
    form(1, Is(Int), "({0} & {1})", &[Each(Int), Count], Same),
    form(2, Is(Int), "character_length({0})", &[Each(Text)], As("length({0})")),
    form(1, Is(Int), "octet_length({0})", &[Each(Text)], No),
    form(1, Is(Int), "strpos({0}, {1})", &[Each(Text), LitOf(Text)], No),
    form(2, Is(Int), "extract(year FROM {0})", &[Each(Date)], As("CAST(strftime('%Y', {0}) AS INTEGER)")),
    form(2, Is(Int), "extract(month FROM {0})", &[Each(Timestamp)], As("CAST(strftime('%m', {0}) AS INTEGER)")),
    form(1, Is(Int), "extract(dow FROM {0})", &[Each(Date)], As("CAST(strftime('%w', {0}) AS INTEGER)")),
    form(1, Is(Int), "date_part('day', {0})", &[Each(Date)], As("CAST(strftime('%d', {0}) AS INTEGER)")),
    form(1, Is(Int), "extract(hour FROM {0})", &[Each(Timestamp)], As("CAST(strftime('%H', {0}) AS INTEGER)")),
    form(1, Is(Int), "CAST({0} AS BIGINT)", &[Each(Bool)], As("CAST({0} AS INTEGER)")),
    form(1, Is(Int), "CAST({0} AS BIGINT)", &[Each(Float)], As("CAST({0} AS INTEGER)")),
    form(1, Is(Int), "CAST({0} AS BIGINT)", &[Each(Decimal)], No),
    form(1, Is(Int), "greatest({0}, {1})", &[Each(Int), Each(Int)], No),
    // Floats
    form(3, Is(Float), "({0} + {1})", &[Each(Float), Each(Float)], Same),
    form(3, Is(Float), "({0} - {1})", &[Each(Float), Each(Float)], Same),
    form(2, Is(Float), "({0} * {1})", &[Each(Float), LitOf(Float)], Same),
    form(1, Is(Float), "({0} / 4.0)", &[Each(Float)], Same),
    form(1, Is(Float), "abs({0})", &[Each(Float)], Same),
    form(1, Is(Float), "floor({0})", &[Each(Float)], No),
    form(1, Is(Float), "ceil({0})", &[Each(Float)], No),
    form(1, Is(Float), "round({0})", &[Each(Float)], No),
    form(2, Is(Float), "CAST({0} AS DOUBLE)", &[Each(Int)], As("CAST({0} AS REAL)")),
    form(1, Is(Float), "CAST({0} AS DOUBLE)", &[Each(Decimal)], As("CAST({0} AS REAL)")),
    form(1, Is(Float), "({0} + {1})", &[Each(Float), Each(Int)], Same),
    // Decimals
    form(3, Is(Decimal), "({0} + {1})", &[Each(Decimal), Each(Decimal)], No),
    form(3, Is(Decimal), "({0} - {1})", &[Each(Decimal), Each(Decimal)], No),
    form(2, Is(Decimal), "({0} * {1})", &[Each(Decimal), LitOf(Decimal)], No),
    form(1, Is(Decimal), "({0} * (1 - {1}))", &[Each(Decimal), LitOf(Decimal)], No),
    form(1, Is(Decimal), "abs({0})", &[Each(Decimal)], No),
    form(1, Is(Decimal), "CAST({0} AS DECIMAL(20, 2))", &[Each(Int)], No),
    form(1, Is(Decimal), "CAST({0} AS DECIMAL(22, 4))", &[Each(Decimal)], No),
    // Dates and times
    form(2, Is(Date), "({0} + INTERVAL '3' DAY)", &[Each(Date)], As("date({0}, '+3 days')")),
    form(2, Is(Date), "({0} - INTERVAL '1' MONTH)", &[Each(Date)], No),
    form(1, Is(Date), "({0} + INTERVAL '1' YEAR)", &[Each(Date)], No),
    form(2, Is(Date), "CAST({0} AS DATE)", &[Each(Timestamp)], As("substr({0}, 1, 10)")),
    form(2, Is(Date), "CAST(date_trunc('month', {0}) AS DATE)", &[Each(Date)], As("date({0}, 'start of month')")),
    form(
        2,
        Is(Timestamp),
        "date_trunc('day', {0})",
        &[Each(Timestamp)],
        As("(substr({0}, 1, 10) || ' 00:00:00.000000')"),
    ),
    form(
        1,
        Is(Timestamp),
        "date_trunc('hour', {0})",
        &[Each(Timestamp)],
        As("(substr({0}, 1, 13) || ':00:00.000000')"),
    ),
    form(1, Is(Timestamp), "date_trunc('week', {0})", &[Each(Timestamp)], No),
    form(2, Is(Timestamp), "({0} + INTERVAL '90 minutes')", &[Each(Timestamp)], No),
    form(1, Is(Timestamp), "({0} - INTERVAL '1 month 2 days')", &[Each(Timestamp)], No),
    form(1, Is(Timestamp), "CAST({0} AS TIMESTAMP)", &[Each(Date)], As("({0} || ' 00:00:00.000000')")),
    // Of any kind
    form(3, T, "coalesce({0}, {1})", &[Any, Any], Same),
    form(1, T, "coalesce({0}, {1}, {2})", &[Any, Any, Lit], Same),
    form(2, T, "nullif({0}, {1})", &[Any, Any], Same),
    form(1, T, "nullif({0}, {1})", &[Any, Lit], Same),
];

pub(super) static AGGREGATES: &[Function] = &[
    call(6, Is(Int), "count", &[], Same),
    call(4, Is(Int), "count", &[Any], Same),
    call(6, Is(Int), "sum", &[Each(Int)], Same),
    call(5, T, "min", &[Any], Same),
    call(5, T, "max", &[Any], Same),
    call(4, Is(Float), "avg", &[Each(Int)], Same),
    call(3, Is(Float), "avg", &[Each(Float)], Same),
    call(4, Is(Float), "sum", &[Each(Float)], Same),
    call(4, Is(Decimal), "sum", &[Each(Decimal)], No),
    call(3, Is(Decimal), "avg", &[Each(Decimal)], No),
    call(3, Is(Bool), "bool_and", &[Each(Bool)], As("min")),
    call(3, Is(Bool), "bool_or", &[Each(Bool)], As("max")),
    Function { distinct: false, ..call(1, Is(Int), "median", &[Each(Int)], No) },
    Function { distinct: false, ..call(1, Is(Int), "bit_or", &[Each(Int)], No) },
    inexact(Is(Float), "stddev", &[Each(Float)]),
    inexact(Is(Float), "stddev_pop", &[Each(Int)]),
    inexact(Is(Float), "var_samp", &[Each(Int)]),
    inexact(Is(Float), "corr", &[Each(Float), Each(Int)]),
];

/// Window functions whose value depends on the order of all rows of a partition: they get a total one.
pub(super) static RANKED: &[Function] = &[
    call(4, Is(Int), "row_number", &[], Same),
    call(1, Is(Int), "ntile", &[Count], Same),
    call(3, T, "lag", &[Any], Same),
    call(2, T, "lead", &[Any, Count], Same),
    call(2, T, "first_value", &[Any], Same),
    call(2, T, "last_value", &[Any], Same),
    call(1, T, "nth_value", &[Any, Count], Same),
];

/// Window functions that give equal rows equal values.
pub(super) static PEERS: &[Function] = &[
    call(3, Is(Int), "rank", &[], Same),
    call(3, Is(Int), "dense_rank", &[], Same),
    call(1, Is(Float), "percent_rank", &[], Same),
    call(1, Is(Float), "cume_dist", &[], Same),
];

/// Kinds that have an order, by which values can be compared and sorted.
pub(super) const KINDS: [Type; 8] = [Bool, Int, Float, Decimal, Text, Date, Timestamp, Bytes];
