//! The lookup join: one side of a join, the outer, is read part by part; the keys of each part that were not asked for before go
//! to the source of the other side, and what comes is joined with the part before the next is read.
//!
//! `choose` finds the joins for which that is expected to cost less: below a limit, where the rest of both sides need not be read,
//! and below the first rows of an order, where the outer side can come in it. [`LookupJoinExec`] stands for the join in the plan,
//! `parts` runs it, and `answers` keeps what was asked for before. All that is asked of the looked-up source is rows of single keys,
//! unless its costs say that to read it whole is less; a source that could be read in no other way would say that of none.

mod answers;
mod choose;
mod exec;
mod parts;
mod told;

pub use exec::{LookupJoinExec, has_lookup};
