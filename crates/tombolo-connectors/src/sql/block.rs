use std::collections::HashSet;

use arrow::datatypes::DataType;

use super::dialect::Dialect;
use super::value::{Level, Value};

/// One `SELECT` that is being built: the values that its output columns stand for, and its clauses.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The text of each output column in this block's scope, by position.
    pub(super) items: Vec<Value>,
    /// What the rows come from.
    pub(super) source: RowSource,
    /// The conjuncts of WHERE.
    pub(super) filters: Vec<Value>,
    /// The keys of GROUP BY; empty for one group of all rows; `None` where rows are not grouped.
    pub(super) group: Option<Vec<String>>,
    /// The conjuncts of HAVING.
    pub(super) having: Vec<Value>,
    /// The texts of the window calls among its columns. What is above them in a tree must not come before them in the select.
    pub(super) windows: Vec<String>,
    /// The keys of ORDER BY, first the most significant.
    pub(super) order: Vec<OrderKey>,
    /// Rows passed over.
    pub(super) skip: usize,
    /// The most rows that follow.
    pub(super) fetch: Option<usize>,
}

/// What a block's rows come from.
#[derive(Debug, Clone)]
pub(super) enum RowSource {
    /// A FROM clause.
    From(From),
    /// Several selects, one after another. Every further clause but a limit needs a block around it.
    Union(Vec<String>),
}

/// A FROM clause: a relation and what is joined to it, from left to right.
#[derive(Debug, Clone)]
pub(super) struct From {
    pub(super) first: Relation,
    pub(super) steps: Vec<JoinStep>,
}

/// A table or a derived table under its alias.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) text: String,
}

/// A relation joined to those before it.
#[derive(Debug, Clone)]
pub(super) struct JoinStep {
    pub(super) kind: StepKind,
    pub(super) relation: Relation,
    pub(super) on: Vec<Value>,
}

/// How a step joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepKind {
    Inner,
    Left,
    Full,
}

/// A key of ORDER BY.
#[derive(Debug, Clone)]
pub(super) struct OrderKey {
    /// The value as it is sorted by.
    pub(super) value: Value,
    pub(super) ascending: bool,
    pub(super) nulls_first: bool,
}

impl Block {
    pub(super) fn new(source: RowSource, items: Vec<Value>) -> Self {
        Self {
            items,
            source,
            filters: Vec::new(),
            group: None,
            having: Vec::new(),
            windows: Vec::new(),
            order: Vec::new(),
            skip: 0,
            fetch: None,
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        self.skip > 0 || self.fetch.is_some()
    }

    /// Whether a key of its groups is a computed truth value. It may be a chain of `AND` or `OR`, which some sources take apart
    /// where it stands in a longer one, and then do not know the key in it any more.
    pub(super) fn is_grouped_by_a_condition(&self) -> bool {
        let keys = self.group.as_ref().map_or(0, Vec::len);
        self.items.iter().take(keys).any(|key| key.column.is_none() && key.facts.data_type == DataType::Boolean)
    }

    /// Whether it groups rows of several relations.
    pub(super) fn is_grouped_join(&self) -> bool {
        self.group.is_some() && matches!(&self.source, RowSource::From(from) if !from.steps.is_empty())
    }

    /// Whether one of its columns is what a window call gives.
    pub(super) fn is_windowed(&self) -> bool {
        !self.windows.is_empty()
    }

    /// Whether the block is a FROM clause with at most filters (and an order, which a join forgets).
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.source, RowSource::From(_)) && self.group.is_none() && !self.is_windowed() && !self.is_limited()
    }

    /// Whether the block is one relation whose columns come out as they are.
    pub(super) fn is_bare_relation(&self) -> bool {
        self.is_plain()
            && matches!(&self.source, RowSource::From(from) if from.steps.is_empty())
            && self.items.iter().all(|item| item.column.is_some())
    }

    /// The texts of the conditions that all of its rows meet.
    fn equalities(&self) -> HashSet<&str> {
        let steps = match &self.source {
            RowSource::From(from) => from.steps.as_slice(),
            RowSource::Union(_) => &[],
        };
        let inner = steps.iter().filter(|step| step.kind == StepKind::Inner).flat_map(|step| &step.on);
        // A row that a later full join fills up with nulls meets none of those before it.
        let is_full = steps.iter().any(|step| step.kind == StepKind::Full);
        let inner = inner.filter(|_| !is_full);
        inner.chain(&self.filters).map(|condition| condition.sql.as_str()).collect()
    }

    /// The text of the block with these output columns, each under its name where it has one.
    pub(super) fn select(&self, dialect: &dyn Dialect, items: &[(&Value, Option<&str>)]) -> String {
        let equal = self.equalities();
        let mut text = match &self.source {
            RowSource::Union(selects) => selects.join(" UNION ALL "),
            RowSource::From(from) => {
                let list: Vec<String> = items
                    .iter()
                    .map(|(item, name)| match name {
                        Some(name) if item.column.as_deref() != Some(*name) => {
                            format!("{} AS {}", item.sql, dialect.identifier(name))
                        }
                        _ => item.sql.clone(),
                    })
                    .collect();
                let list = if list.is_empty() { "1".to_owned() } else { list.join(", ") };
                format!("SELECT {list} FROM {}", from.text(dialect, &equal))
            }
        };
        text.push_str(&clause(" WHERE ", &needed(&self.filters, &equal)));
        if let Some(keys) = self.group.as_ref().filter(|keys| !keys.is_empty()) {
            text.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        text.push_str(&clause(" HAVING ", &self.having.iter().collect::<Vec<_>>()));
        if !self.order.is_empty() {
            let keys: Vec<String> = self
                .order
                .iter()
                .map(|key| dialect.order_key(&key.value.sql, key.ascending, key.nulls_first))
                .collect();
            text.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        text.push_str(&dialect.limit_clause(self.skip, self.fetch));
        text
    }
}

impl From {
    pub(super) fn new(first: Relation) -> Self {
        Self { first, steps: Vec::new() }
    }

    /// Whether a step keeps unmatched rows of both sides, so that nothing may be joined before it.
    pub(super) fn has_full_join(&self) -> bool {
        self.steps.iter().any(|step| step.kind == StepKind::Full)
    }

    fn text(&self, dialect: &dyn Dialect, equal: &HashSet<&str>) -> String {
        let mut text = self.first.text.clone();
        for step in &self.steps {
            // An outer join's own conditions say which rows match, whatever holds of the rows after it.
            let own = step.on.iter().map(|condition| condition.sql.as_str()).collect();
            let on = needed(&step.on, if step.kind == StepKind::Inner { equal } else { &own });
            let words = match step.kind {
                StepKind::Inner if on.is_empty() => dialect.cross_join(),
                StepKind::Inner => "JOIN",
                StepKind::Left => "LEFT JOIN",
                StepKind::Full => "FULL JOIN",
            };
            text.push_str(&format!(" {words} {}", step.relation.text));
            match (step.kind, on.is_empty()) {
                (StepKind::Inner, true) => {}
                (_, true) => text.push_str(" ON 1 = 1"),
                (_, false) => text.push_str(&clause(" ON ", &on)),
            }
        }
        text
    }
}

/// The conjuncts without a null-safe comparison beside an equality of the same values, which says more. MariaDB looks rows up by an
/// index for both at once, and then finds nulls too.
fn needed<'a>(conjuncts: &'a [Value], equal: &HashSet<&str>) -> Vec<&'a Value> {
    let is_needless = |conjunct: &&Value| {
        conjunct.sql.split_once(" <=> ").is_some_and(|(left, right)| {
            // Not in a string.
            !left.contains('\'')
                && [(left, right), (right, left)].iter().any(|(a, b)| equal.contains(format!("{a} = {b}").as_str()))
        })
    };
    conjuncts.iter().filter(|conjunct| !is_needless(conjunct)).collect()
}

/// A clause of conjuncts, or nothing where there are none.
pub(super) fn clause(word: &str, conjuncts: &[&Value]) -> String {
    if conjuncts.is_empty() {
        return String::new();
    }
    let conjuncts: Vec<String> = match conjuncts {
        [only] => vec![only.sql.clone()],
        several => several.iter().map(|value| value.at(Level::And)).collect(),
    };
    format!("{word}{}", conjuncts.join(" AND "))
}
