use std::fmt;

use datafusion::common::TableReference;

use super::names::{Comparison, Reference, comparison, is_generic, is_key_like, refers, same};
use super::relation::{Relation, RelationColumn};

/// A condition that two relations may have been meant to be joined on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) left: TableReference,
    pub(crate) right: TableReference,
    /// The columns that are equal, the left one first.
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) evidence: Evidence,
}

/// What a condition rests on, the surest first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Evidence {
    /// A foreign key of this table.
    ForeignKey { of: String },
    /// A column named after the other table. The greater, the weaker.
    NamedAfter { weakness: u8 },
    /// One name on both sides. The greater, the weaker.
    SameName { weakness: u8 },
    /// Values of one column that are in the other.
    Values { found: usize, of: usize },
}

impl Evidence {
    /// Whether one is as good as another of its kind.
    pub(super) fn rank(&self) -> (u8, usize, usize) {
        match self {
            Self::ForeignKey { .. } => (0, 0, 0),
            Self::NamedAfter { weakness } => (1, usize::from(*weakness), 0),
            Self::SameName { weakness } => (2, usize::from(*weakness), 0),
            // The greatest share in steps of a twentieth; of equal ones that of more values.
            Self::Values { found, of } => (3, 20 - (found * 20 / (*of).max(1)).min(20), usize::MAX - found),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignKey { of } => write!(f, "a foreign key of {of}"),
            Self::NamedAfter { weakness } | Self::SameName { weakness } if *weakness >= 4 => f.write_str("by names"),
            Self::NamedAfter { .. } | Self::SameName { .. } => f.write_str("by names and types"),
            Self::Values { found, of } => write!(f, "{found} of {of} sampled values are on both sides"),
        }
    }
}

/// What foreign keys and names say of two relations.
pub(super) fn candidates(left: &Relation, right: &Relation) -> Vec<Candidate> {
    let mut found = foreign_keys(left, right, false);
    found.extend(foreign_keys(right, left, true));
    // A table's columns are named like themselves.
    if !reads_the_same(left, right) {
        found.extend(named_after(left, right, false));
        found.extend(named_after(right, left, true));
        found.extend(same_names(left, right));
    }
    found
}

pub(super) fn reads_the_same(left: &Relation, right: &Relation) -> bool {
    left.tables().iter().any(|table| right.tables().iter().any(|other| table.is(other)))
}

fn candidate(
    from: &Relation,
    to: &Relation,
    pairs: Vec<(String, String)>,
    evidence: Evidence,
    turned: bool,
) -> Candidate {
    let (from, to) = (from.reference.clone(), to.reference.clone());
    if turned {
        let pairs = pairs.into_iter().map(|(from, to)| (to, from)).collect();
        return Candidate { left: to, right: from, pairs, evidence };
    }
    Candidate { left: from, right: to, pairs, evidence }
}

fn foreign_keys(from: &Relation, to: &Relation, turned: bool) -> Vec<Candidate> {
    let mut found = Vec::new();
    for table in from.tables() {
        for key in &table.description().foreign_keys {
            let meant = to
                .tables()
                .into_iter()
                .find(|other| other.source() == table.source() && other.description().table == key.references);
            let Some(other) = meant else { continue };
            let pair = |(column, referenced): (&String, &String)| {
                let (column, referenced) = (from.columns_of(table, column)?, to.columns_of(other, referenced)?);
                Some((column.name.clone(), referenced.name.clone()))
            };
            let pairs: Option<Vec<_>> = key.columns.iter().zip(&key.referenced_columns).map(pair).collect();
            if let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) {
                let evidence = Evidence::ForeignKey { of: table.description().table.table.clone() };
                found.push(candidate(from, to, pairs, evidence, turned));
            }
        }
    }
    found
}

/// Columns of `from` that are named after `to`: `orders.user_id` and `users.id`.
fn named_after(from: &Relation, to: &Relation, turned: bool) -> Vec<Candidate> {
    // The name of a table, whatever it is called in the statement; else that.
    let mut names: Vec<String> = to.tables().iter().map(|table| table.description().table.table.clone()).collect();
    names.truncate(1);
    if to.reference.table().len() > 2 {
        names.push(to.reference.table().to_owned());
    }
    let mut found: Vec<Candidate> = Vec::new();
    for key in &to.columns {
        let is_primary =
            key.base.as_ref().is_some_and(|base| base.table.description().primary_key == [base.name.clone()]);
        for column in &from.columns {
            let Some(comparison) = comparison(&column.data_type, &key.data_type) else { continue };
            let says = names.iter().filter_map(|name| refers(&column.name, name, &key.name, is_primary)).min();
            let Some(says) = says else { continue };
            let weakness = match says {
                Reference::Whole if key.is_unique() => 0,
                Reference::Whole => 1,
                Reference::LastWord => 2,
            } + converted(comparison);
            let pairs = vec![(column.name.clone(), key.name.clone())];
            found.push(candidate(from, to, pairs, Evidence::NamedAfter { weakness }, turned));
        }
    }
    found
}

/// What a conversion takes from what names say.
fn converted(comparison: Comparison) -> u8 {
    match comparison {
        Comparison::AsTheyAre => 0,
        Comparison::Converted => 4,
    }
}

fn same_names(left: &Relation, right: &Relation) -> Vec<Candidate> {
    let weakness = |left: &RelationColumn, right: &RelationColumn| {
        let key_like = is_key_like(&left.name);
        match left.is_unique() || right.is_unique() {
            true if key_like => 0,
            true => 1,
            false if key_like => 2,
            false => 3,
        }
    };
    let mut found = Vec::new();
    for column in left.columns.iter().filter(|column| !is_generic(&column.name)) {
        for other in &right.columns {
            if let Some(comparison) = comparison(&column.data_type, &other.data_type)
                && same(&column.name, &other.name)
            {
                let pairs = vec![(column.name.clone(), other.name.clone())];
                let evidence = Evidence::SameName { weakness: weakness(column, other) + converted(comparison) };
                found.push(candidate(left, right, pairs, evidence, false));
            }
        }
    }
    found
}
