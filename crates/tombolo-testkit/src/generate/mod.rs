//! Queries made at random, so that what is sure of any query can be tried on many.
//!
//! A [`Generator`] has a seed and a list of [`Table`]s, each with its source, the kinds of its columns, values that are in
//! them, and which columns hold the same keys. It makes a [`tree::Query`] whose answer is determined: where a limit cuts,
//! or a window counts rows, the order is total, except at the top of a query, where the differential runner knows what a tie
//! leaves open. Values are kept from overflowing, and sums from depending on the order of their rows.

mod catalog;
mod expression;
mod forms;
mod from;
mod predicate;
mod print;
mod query;
mod random;
mod select;
mod shrink;
pub mod tables;
pub mod tree;

pub use catalog::{Column, Table, TableData};
pub use print::Reader;
pub use random::Random;

/// Makes queries over tables.
#[derive(Debug)]
pub struct Generator<'a> {
    random: Random,
    tables: &'a [Table],
    /// How many names were given in the query that is being made.
    names: usize,
    /// The common table expressions that can be named at this place, with their columns and rows.
    common: Vec<(String, Vec<Column>, f64)>,
}

impl<'a> Generator<'a> {
    /// Begins the queries of a seed.
    pub fn new(seed: u64, tables: &'a [Table]) -> Self {
        Self { random: Random::new(seed), tables, names: 0, common: Vec::new() }
    }

    /// Makes the next query.
    pub fn next_query(&mut self) -> tree::Query {
        self.names = 0;
        self.common.clear();
        self.whole()
    }

    /// A name that the query does not have yet.
    fn name(&mut self, stem: &str) -> String {
        self.names += 1;
        format!("{stem}{}", self.names)
    }
}
