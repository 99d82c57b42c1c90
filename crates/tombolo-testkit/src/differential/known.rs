//! Defects of DataFusion that stop a query with an error of its own, by the words of that error. A query that plain DataFusion
//! fails with so is counted, and asked no further. Each is told with a small query in `docs/dev/datafusion.md`. Queries that are too
//! large to be compared end so too.

use crate::reference::TOO_LARGE;

/// A defect, by what an error has that comes of it.
struct Defect {
    parts: &'static [&'static str],
    what: &'static str,
}

const DEFECTS: &[Defect] = &[
    Defect {
        parts: &["field nullability at index"],
        what: "DataFusion plans a physical column as nullable that its logical plan holds not to be",
    },
    Defect { parts: &["annot run range queries on datatype"], what: "DataFusion has no window over an order of bytes" },
    Defect {
        parts: &["UnionExec", "does not satisfy order requirements"],
        what: "DataFusion loses the order of a union one of whose branches has constants or one column twice",
    },
    Defect {
        parts: &["No field named __correlated_sq"],
        what: "DataFusion loses a column of a sub-select that it made a join of",
    },
    Defect { parts: &["it takes too long"], what: "plain DataFusion takes longer than is waited for" },
    Defect { parts: &[TOO_LARGE], what: "the answer is larger than is kept to be compared" },
    Defect { parts: &["Resources exhausted"], what: "plain DataFusion takes more memory than it is given" },
    Defect {
        parts: &["`retract_batch` is not implemented"],
        what: "DataFusion cannot take rows out of some aggregates over a window that ends before the last row",
    },
    Defect {
        parts: &["panicked", "attempt to subtract with overflow"],
        what: "DataFusion's date_trunc computes with what stands in place of a null, and panics in a build with checks",
    },
];

/// What a failure is known to come of.
pub(super) fn defect(message: &str) -> Option<&'static str> {
    DEFECTS.iter().find(|known| known.parts.iter().all(|part| message.contains(part))).map(|known| known.what)
}
