//! What the values of columns say of each other. The queries are made here and run by the engine.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{Candidate, Evidence, reads_the_same};
use super::names::{Family, comparison, family, is_generic, is_key_like, refers};
use super::relation::{Relation, RelationColumn};
use crate::plan::origin::BaseColumn;

/// The most distinct values of a column that are read.
const SAMPLED_VALUES: usize = 1000;
/// The most rows that are read for them.
const SAMPLED_ROWS: usize = 5000;
/// The most columns of a relation that are read.
const SAMPLED_COLUMNS: usize = 4;
/// The most values that are looked for in a column.
const LOOKED_UP: usize = 100;
/// The least share of values that must be found on the other side.
const LEAST_SHARE: f64 = 0.8;
/// Fewer distinct values say nothing.
const LEAST_VALUES: usize = 3;
/// So many values are hardly found on both sides by chance.
const TELLING_VALUES: usize = 20;

type Key = (String, String, String);

fn key(column: &BaseColumn) -> Key {
    (column.table.source().to_owned(), column.table.description().table.to_string(), column.name.clone())
}

/// A column whose values are to be read.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    column: BaseColumn,
}

/// Values that are to be looked for in a column.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    from: Key,
    into: BaseColumn,
    family: Family,
    values: Vec<String>,
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples {
    columns: BTreeMap<Key, Sampled>,
    /// How many of the values that were looked for were found.
    found: BTreeMap<(Key, Key), (usize, usize)>,
}

#[derive(Debug, Clone)]
struct Sampled {
    values: BTreeSet<String>,
    /// Whether these are all that the column has.
    whole: bool,
}

impl Sample {
    /// The statement that reads it.
    pub(crate) fn sql(&self) -> String {
        let (column, table) = (quoted(&self.column.name), table(&self.column));
        format!(
            "SELECT DISTINCT {column} FROM (SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT {SAMPLED_ROWS}) \
             AS sampled LIMIT {SAMPLED_VALUES}"
        )
    }
}

impl Lookup {
    /// The statement that gives those of the values that are there.
    pub(crate) fn sql(&self) -> String {
        let literal = |value: &String| match self.family {
            Family::Integer => value.clone(),
            _ => format!("'{}'", value.replace('\'', "''")),
        };
        let values: Vec<String> = self.values.iter().map(literal).collect();
        let (column, table) = (quoted(&self.into.name), table(&self.into));
        format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IN ({}) LIMIT {LOOKED_UP}", values.join(", "))
    }
}

fn table(column: &BaseColumn) -> String {
    let name = &column.table.description().table;
    [column.table.source(), &name.schema, &name.table].map(quoted).join(".")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The columns whose values may tell, the likeliest of each relation.
pub(super) fn wanted<'a>(relations: impl Iterator<Item = &'a Relation>) -> Vec<Sample> {
    let mut samples: BTreeMap<Key, Sample> = BTreeMap::new();
    for relation in relations {
        let mut columns: Vec<(&RelationColumn, &BaseColumn)> = relation
            .columns
            .iter()
            .filter(|column| may_tell(column))
            .filter_map(|c| Some((c, c.base.as_ref()?)))
            .collect();
        columns.sort_by_key(|(column, _)| (!column.is_unique(), !is_key_like(&column.name)));
        for (_, column) in columns.into_iter().take(SAMPLED_COLUMNS) {
            samples.insert(key(column), Sample { column: column.clone() });
        }
    }
    samples.into_values().collect()
}

fn may_tell(column: &RelationColumn) -> bool {
    matches!(family(&column.data_type), Some(Family::Integer | Family::Text))
        && (column.is_unique() || is_key_like(&column.name) || !is_generic(&column.name))
}

impl Samples {
    /// Whether nothing was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Takes down what a sample's statement gave.
    pub(crate) fn add(&mut self, sample: &Sample, values: BTreeSet<String>) {
        let rows = sample.column.table.description().statistics.rows.value();
        let all_rows = rows.is_some_and(|rows| rows <= SAMPLED_ROWS as u64);
        let whole = values.len() < SAMPLED_VALUES && all_rows;
        self.columns.insert(key(&sample.column), Sampled { values, whole });
    }

    /// Takes down what a lookup's statement gave.
    pub(crate) fn add_found(&mut self, lookup: &Lookup, values: &BTreeSet<String>) {
        let found = lookup.values.iter().filter(|value| values.contains(*value)).count();
        self.found.insert((lookup.from.clone(), key(&lookup.into)), (found, lookup.values.len()));
    }

    /// The values of `left` that are to be looked for in `right`.
    pub(super) fn lookups(&self, left: &Relation, right: &Relation) -> Vec<Lookup> {
        let mut lookups = Vec::new();
        for (column, other) in pairs(left, right) {
            let (from, into) = (key(column.1), key(other.1));
            let (Some(values), Some(sampled)) = (self.columns.get(&from), self.columns.get(&into)) else { continue };
            let (found, of) = self.found(&from, &into);
            if sampled.whole || found * 10 >= of * 9 || self.found.contains_key(&(from.clone(), into)) {
                continue;
            }
            let Some(family) = family(&other.0.data_type) else { continue };
            let step = values.values.len().div_ceil(LOOKED_UP).max(1);
            let fits = |value: &&String| family != Family::Integer || value.parse::<i64>().is_ok();
            let values: Vec<String> = values.values.iter().step_by(step).filter(fits).cloned().collect();
            if values.len() < LEAST_VALUES {
                continue;
            }
            lookups.push(Lookup { from, into: other.1.clone(), family, values });
        }
        lookups
    }

    /// Whether so many values are at least half of all that a column has. A few small numbers are in every table's numbers.
    fn are_most_of(&self, column: &Key, found: usize) -> bool {
        self.columns.get(column).is_some_and(|sampled| sampled.whole && found * 2 >= sampled.values.len())
    }

    /// How many of how many values of one column are in another.
    fn found(&self, from: &Key, into: &Key) -> (usize, usize) {
        if let Some(found) = self.found.get(&(from.clone(), into.clone())) {
            return *found;
        }
        match (self.columns.get(from), self.columns.get(into)) {
            (Some(from), Some(into)) => (from.values.intersection(&into.values).count(), from.values.len()),
            _ => (0, 0),
        }
    }
}

/// Whether a column is its own table's key, by what is declared or by its name.
fn numbers_rows(relation: &Relation, column: &RelationColumn) -> bool {
    let by_name = |table: &str| refers(&column.name, table, "id", true).is_some();
    column.is_unique()
        || (is_generic(&column.name) && is_key_like(&column.name))
        || by_name(relation.reference.table())
        || relation.tables().iter().any(|table| by_name(&table.description().table.table))
}

type Both<'a> = ((&'a RelationColumn, &'a BaseColumn), (&'a RelationColumn, &'a BaseColumn));

/// The pairs of columns that can be compared.
fn pairs<'a>(left: &'a Relation, right: &'a Relation) -> impl Iterator<Item = Both<'a>> {
    let right = move |left: &'a RelationColumn| {
        right
            .columns
            .iter()
            .filter(move |right| comparison(&left.data_type, &right.data_type).is_some())
            .map(move |right| (left, right))
    };
    left.columns
        .iter()
        .flat_map(right)
        .filter_map(|(left, right)| Some(((left, left.base.as_ref()?), (right, right.base.as_ref()?))))
}

/// What the sampled values say of two relations.
pub(super) fn by_values(left: &Relation, right: &Relation, samples: &Samples) -> Vec<Candidate> {
    if samples.is_empty() || reads_the_same(left, right) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for ((column, base), (other, other_base)) in pairs(left, right) {
        let (from, into) = (key(base), key(other_base));
        let sides = [(column, &from, left), (other, &into, right)];
        let is_text = sides.iter().all(|(side, ..)| family(&side.data_type) == Some(Family::Text));
        // Two tables that number their rows have the same numbers.
        if !is_text && sides.iter().all(|(side, _, relation)| numbers_rows(relation, side)) {
            continue;
        }
        let [one, two] = sides;
        let best = [(one, two), (two, one)]
            .into_iter()
            .filter_map(|((inner, inner_key, _), (outer, outer_key, relation))| {
                let (found, of) = samples.found(inner_key, outer_key);
                let is_parent = numbers_rows(relation, outer);
                let are_many = found >= TELLING_VALUES && (is_text || (is_parent && is_key_like(&inner.name)));
                let tells = are_many || (is_parent && samples.are_most_of(outer_key, found));
                let is_share = found >= LEAST_VALUES && found as f64 >= of as f64 * LEAST_SHARE;
                (tells && is_share).then_some((found, of))
            })
            .max_by(|(a, of_a), (b, of_b)| (a * of_b).cmp(&(b * of_a)));
        if let Some((values, of)) = best {
            found.push(Candidate {
                left: left.reference.clone(),
                right: right.reference.clone(),
                pairs: vec![(column.name.clone(), other.name.clone())],
                evidence: Evidence::Values { found: values, of },
            });
        }
    }
    found
}
