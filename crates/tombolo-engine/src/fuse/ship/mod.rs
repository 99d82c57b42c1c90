//! Key shipping: the distinct keys of one side of a join go to the source of the other side, which then sends the rows that
//! match and hardly any others.
//!
//! [`ShipKeysRule`] finds the joins where it may pay, and puts a [`CollectKeysExec`] on the side that gives the keys. That
//! operator reads its side to the end, keeps the rows (in files where memory is short) and the distinct keys, and hands the rows
//! on. The scans of the other side wait for it; when the keys are known, `Shipment` decides with their number what is asked of
//! the source. The join itself stays as it is, so every row is checked again here.
//!
//! Below a limit, [`LookupJoinExec`] does the same part by part: it reads some rows of the one side, has the partners fetched that
//! were not fetched before, joins them, and reads more only if more are wanted. Where the limit is one of an order, the rows of the
//! one side come from their source in it.

mod collect;
mod convert;
mod cost;
mod demand;
mod exec;
mod lookup;
mod route;
mod rule;
mod shipment;

pub(super) use cost::read_all_ms;
pub use cost::{reading_ms, windows_ms};
pub use exec::CollectKeysExec;
pub use lookup::{LookupJoinExec, has_lookup};
pub use rule::ShipKeysRule;
