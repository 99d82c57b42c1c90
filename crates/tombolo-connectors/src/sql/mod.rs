//! What the SQL sources share: which expressions a source may compute, and the text it is asked in.
//!
//! There is one walk over an expression, not two: [`Compiler::expression`] either prints it or refuses it with a reason.
//! [`offer`] asks that walk for each part of an operator and throws the text away; [`print`] keeps it. So what is accepted
//! is exactly what can be printed.
//!
//! Every printed value carries [`Facts`]: its Arrow type, how the source stores it, and why comparing it in the source might
//! differ from comparing it here. A [`Dialect`] says of each operator, cast and function whether it is proved equal for
//! values with these facts.
//!
//! A tree is printed as blocks, one `SELECT` each. Each column of the tree stands for the text of one value in the current
//! block *by position*; an operator that does not fit the block wraps it as a derived table with generated names. Names of
//! the statement are never looked up again in the text, so they cannot clash.

mod advice;
mod aggregate;
mod block;
mod changed;
mod compile;
mod dialect;
mod estimate;
mod expression;
mod join;
mod keys;
mod offer;
mod selectivity;
mod type_tables;
mod value;
mod window;

pub use advice::index_advice;
pub(crate) use changed::changed;
pub use compile::{Compiler, Printed, print};
pub use dialect::{AggregateCall, Comparison, Dialect, LikePart, parse_like};
pub(crate) use dialect::{scalar_text, string_literal};
pub(crate) use estimate::estimate;
pub use keys::takes_keys;
pub use offer::{offer, offer_keys};
pub(crate) use type_tables::sent_values;
pub use type_tables::{NativeType, SentValue, TypeTables};
pub(crate) use value::is_text;
pub use value::{Facts, Form, Level, Shipped, Value};

#[cfg(test)]
pub(crate) mod tests;
