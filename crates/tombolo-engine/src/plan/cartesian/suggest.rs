use datafusion::common::TableReference;
use datafusion::logical_expr::LogicalPlan;

use super::Product;
use super::evidence::{Candidate, candidates};
use super::relation::Relation;
use super::values::{Lookup, Sample, Samples, by_values, wanted};

/// The relations of a product, with all their columns; one list for each factor.
#[derive(Debug, Clone)]
pub(crate) struct Relations(Vec<Vec<Relation>>);

/// The conditions that join the factors of a product.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suggestion {
    /// A condition for each factor but one, or fewer where nothing was found.
    pub(crate) conditions: Vec<Candidate>,
    /// Two conditions of which neither is better.
    pub(crate) either: Option<(Candidate, Candidate)>,
    /// Whether the conditions join all factors.
    pub(crate) complete: bool,
}

impl Relations {
    /// Finds what a product's factors are made of in the plan before it was optimised.
    pub(crate) fn of(product: &Product, plan: &LogicalPlan) -> Self {
        let relations = |(reference, reads): &(TableReference, _)| Relation::find(plan, reference, reads);
        Self(product.factors.iter().map(|factor| factor.relations.iter().filter_map(relations).collect()).collect())
    }

    /// The columns whose values may tell what nothing else does.
    pub(crate) fn wanted(&self) -> Vec<Sample> {
        wanted(self.0.iter().flatten())
    }

    /// The sampled values that are to be looked for in a column of which only a part was sampled.
    pub(crate) fn lookups(&self, samples: &Samples) -> Vec<Lookup> {
        let mut lookups = Vec::new();
        for (first, left) in self.0.iter().enumerate() {
            for right in self.0.iter().skip(first + 1).flatten() {
                for left in left {
                    lookups.extend(samples.lookups(left, right));
                    lookups.extend(samples.lookups(right, left));
                }
            }
        }
        lookups
    }

    /// The conditions that foreign keys, names and the sampled values say.
    pub(crate) fn suggest(&self, samples: &Samples) -> Suggestion {
        let mut edges: Vec<(usize, usize, Candidate)> = Vec::new();
        for (first, left) in self.0.iter().enumerate() {
            for (second, right) in self.0.iter().enumerate().skip(first + 1) {
                for (left, right) in left.iter().flat_map(|left| right.iter().map(move |right| (left, right))) {
                    let mut found = candidates(left, right);
                    found.extend(by_values(left, right, samples));
                    edges.extend(found.into_iter().map(|candidate| (first, second, candidate)));
                }
            }
        }
        // Stable, so that of two alike the one that stands first in the statement is meant.
        edges.sort_by_key(|(_, _, candidate)| candidate.evidence.rank());
        self.tree(&edges)
    }

    /// The best conditions that join all factors, and no more of them than it takes.
    fn tree(&self, edges: &[(usize, usize, Candidate)]) -> Suggestion {
        let mut joined: Vec<usize> = (0..self.0.len()).collect();
        let mut suggestion = Suggestion::default();
        for (left, right, candidate) in edges {
            let (one, other) = (joined[*left], joined[*right]);
            if one == other {
                continue;
            }
            let rival = edges.iter().find(|(left, right, rival)| {
                let ends = [joined[*left], joined[*right]];
                ends.contains(&one)
                    && ends.contains(&other)
                    && rival.evidence.rank() == candidate.evidence.rank()
                    && rival != candidate
                    && (candidate.names().is_none() || rival.names() != candidate.names())
            });
            if let Some((_, _, rival)) = rival {
                suggestion.either = Some((candidate.clone(), rival.clone()));
                return suggestion;
            }
            suggestion.conditions.push(candidate.clone());
            joined.iter_mut().filter(|factor| **factor == other).for_each(|factor| *factor = one);
        }
        suggestion.complete = joined.windows(2).all(|pair| pair[0] == pair[1]);
        suggestion
    }
}

impl Candidate {
    /// The names of the columns, where they are the same on both sides: which two of three tables are joined on them is all one.
    fn names(&self) -> Option<Vec<&str>> {
        self.pairs.iter().map(|(left, right)| (left == right).then_some(left.as_str())).collect::<Option<Vec<_>>>()
    }
}
