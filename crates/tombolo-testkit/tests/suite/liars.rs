//! A connector that lies in one way at a time, and the trials that find it out: the test of the suite itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Field;
use async_trait::async_trait;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, SortExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use tombolo_connector::{Answer, Capabilities, Options, PlannedScan, Registry, Scan, ScanOffer, StreamWrapper};
use tombolo_connectors::sqlite::SqliteFactory;
use tombolo_testkit::conformance::{self, Outcome};
use tombolo_testkit::fixtures::Fixture;
use tombolo_testkit::harness::{Carriage, Evidence, Harness, Outage, RemoteEvent, Site, SqliteHarness};
use tombolo_testkit::tampered::{Tamper, TamperedFactory, with_inputs};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// None: the wrapper alone must change nothing.
    None,
    /// `=` on text takes no notice of case.
    TextEqualsWhateverItsCase,
    /// `=` on text takes no notice of blanks at the end.
    TextEqualsWhateverItsBlanks,
    /// A limit is done to the left side of the join below it.
    LimitBelowJoin,
    /// `a <> b` is true where `a` is null.
    UnequalToNull,
    /// Unions are declared and never done.
    UnionNeverDone,
    /// Unions are done and not declared.
    UnionUndeclared,
    /// The first of several filters is taken and not done.
    FilterDropped,
    /// Nulls are sorted at the other end.
    NullsAtTheOtherEnd,
    /// Windows have their nulls at the other end.
    WindowNullsAtTheOtherEnd,
    /// The last batch does not come.
    LastBatchLost,
    /// Left joins are done as inner ones.
    LeftJoinIsInner,
}

#[derive(Debug)]
struct LyingHarness(Lie);

#[async_trait]
impl Harness for LyingHarness {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn connector(&self) -> &'static str {
        "sqlite"
    }

    fn title(&self) -> &'static str {
        "Liar"
    }

    fn refuses_table(&self, fixture: &Fixture) -> Option<&'static str> {
        SqliteHarness.refuses_table(fixture)
    }

    fn carriage(&self, fixture: &Fixture, field: &Field, values: &ArrayRef) -> Carriage {
        SqliteHarness.carriage(fixture, field, values)
    }

    async fn open(&self, source: &str, fixtures: &[&Fixture]) -> std::result::Result<Box<dyn Site>, String> {
        Ok(Box::new(LyingSite { lie: self.0, inner: SqliteHarness.open(source, fixtures).await? }))
    }

    async fn outages(&self, folder: &Path) -> Vec<Outage> {
        SqliteHarness.outages(folder).await
    }
}

#[derive(Debug)]
struct LyingSite {
    lie: Lie,
    inner: Box<dyn Site>,
}

#[async_trait]
impl Site for LyingSite {
    fn registry(&self) -> Registry {
        Registry::default().with(Arc::new(TamperedFactory::new(SqliteFactory, self.lie)))
    }

    fn options(&self) -> Options {
        self.inner.options()
    }

    fn shows(&self, log: &[RemoteEvent], evidence: &Evidence<'_>) -> std::result::Result<(), String> {
        self.inner.shows(log, evidence)
    }

    async fn drop_table(&mut self, table: &str) -> std::result::Result<(), String> {
        self.inner.drop_table(table).await
    }

    async fn add_column(&mut self, table: &str) -> std::result::Result<(), String> {
        self.inner.add_column(table).await
    }
}

impl Tamper for Lie {
    fn capabilities(&self, mut declared: Capabilities) -> Capabilities {
        declared.union &= *self != Self::UnionUndeclared;
        declared
    }

    fn offer(&self, scan: &Scan) -> Option<ScanOffer> {
        let is_refused = *self == Self::UnionNeverDone && matches!(scan, Scan::Union { .. });
        is_refused.then(|| ScanOffer::all(Answer::refused("unions are left for another day"), scan.part_count()))
    }

    fn asked(&self, scan: &Scan) -> Scan {
        let is_cut = *self == Self::FilterDropped;
        match with_inputs(scan, |input| self.asked(input)) {
            Scan::Filter { input, predicates } => {
                let first = usize::from(is_cut && predicates.len() > 1);
                Scan::Filter { input, predicates: predicates[first..].iter().map(|one| bent(one, *self)).collect() }
            }
            Scan::Join(mut join) if *self == Self::LeftJoinIsInner && join.join_type == JoinType::Left => {
                join.join_type = JoinType::Inner;
                Scan::Join(join)
            }
            Scan::Sort { input, keys, fetch } if *self == Self::NullsAtTheOtherEnd => {
                let turned = |key: &SortExpr| SortExpr::new(key.expr.clone(), key.asc, !key.nulls_first);
                Scan::Sort { input, keys: keys.iter().map(turned).collect(), fetch }
            }
            Scan::Window { input, windows, schema } if *self == Self::WindowNullsAtTheOtherEnd => {
                Scan::Window { input, windows: windows.iter().map(turned).collect(), schema }
            }
            Scan::Limit { input, skip, fetch } if *self == Self::LimitBelowJoin => {
                Scan::Limit { input: limited(&input, skip, fetch), skip, fetch }
            }
            other => other,
        }
    }

    fn planned(&self, _source: &str, planned: PlannedScan) -> PlannedScan {
        if *self == Self::LastBatchLost { planned.wrapped(Arc::new(Short)) } else { planned }
    }
}

/// Keeps back the last of several batches.
#[derive(Debug)]
struct Short;

impl StreamWrapper for Short {
    fn wrap(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        type Waiting = Option<datafusion::error::Result<RecordBatch>>;
        let schema = stream.schema();
        let state: (SendableRecordBatchStream, Waiting, bool) = (stream, None, true);
        let rows = stream::unfold(state, |(mut stream, mut waiting, mut first)| async move {
            loop {
                let next = stream.next().await;
                match (waiting.take(), next) {
                    (None, None) => return None,
                    (None, next) => waiting = next,
                    // A single batch comes; of several the last does not.
                    (last, None) => return if first { last.map(|last| (last, (stream, None, false))) } else { None },
                    (Some(ready), next) => {
                        first = false;
                        return Some((ready, (stream, next, first)));
                    }
                }
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

/// Puts the limit below the join that is under plain columns.
fn limited(scan: &Arc<Scan>, skip: usize, fetch: Option<usize>) -> Arc<Scan> {
    Arc::new(match scan.as_ref() {
        Scan::Project { input, exprs, schema } => {
            Scan::Project { input: limited(input, skip, fetch), exprs: exprs.clone(), schema: Arc::clone(schema) }
        }
        Scan::Join(join) => {
            let mut join = join.clone();
            join.left = Arc::new(Scan::Limit { input: join.left, skip: 0, fetch: fetch.map(|fetch| fetch + skip) });
            Scan::Join(join)
        }
        _ => return Arc::clone(scan),
    })
}

/// The window call with the nulls of its order at the other end.
fn turned(call: &Expr) -> Expr {
    let turn = |expr: Expr| {
        let Expr::WindowFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
        call.params.order_by.iter_mut().for_each(|key| key.nulls_first = !key.nulls_first);
        Ok(Transformed::yes(Expr::WindowFunction(call)))
    };
    call.clone().transform_up(turn).unwrap().data
}

/// The predicate with its comparisons bent.
fn bent(predicate: &Expr, lie: Lie) -> Expr {
    let bend = |expr: Expr| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &expr else { return Ok(Transformed::no(expr)) };
        let Expr::Literal(scalar, _) = right.as_ref() else { return Ok(Transformed::no(expr)) };
        let text = match scalar {
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => Some(text.clone()),
            _ => None,
        };
        let others: Vec<String> = match (lie, *op, text) {
            (Lie::TextEqualsWhateverItsCase, Operator::Eq, Some(text)) => {
                vec![text.to_lowercase(), text.to_uppercase()]
            }
            (Lie::TextEqualsWhateverItsBlanks, Operator::Eq, Some(text)) => {
                vec![text.trim_end().to_owned(), format!("{} ", text.trim_end())]
            }
            (Lie::UnequalToNull, Operator::NotEq, _) => {
                let null = Expr::IsNull(left.clone());
                return Ok(Transformed::yes(expr.or(null)));
            }
            _ => return Ok(Transformed::no(expr)),
        };
        let list = others.into_iter().map(|text| Expr::Literal(ScalarValue::Utf8(Some(text)), None));
        let list = list.chain([right.as_ref().clone()]).collect();
        Ok(Transformed::yes(left.as_ref().clone().in_list(list, false)))
    };
    predicate.clone().transform_up(bend).unwrap().data
}

/// Runs the whole suite over a liar, and gives the names of the trials that failed.
async fn caught(lie: Lie) -> BTreeSet<String> {
    let report = conformance::run(Arc::new(LyingHarness(lie))).await.unwrap();
    let failed = report.outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)));
    failed.map(|(trial, _)| trial.name.clone()).collect()
}

/// Asserts that exactly these trials failed; a name may end in `*`, and then stands for at least one trial.
fn assert_exactly(failed: &BTreeSet<String>, wanted: &[&str]) {
    let is = |name: &str, wanted: &str| match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == wanted,
    };
    let others: Vec<&String> = failed.iter().filter(|name| !wanted.iter().any(|wanted| is(name, wanted))).collect();
    assert!(others.is_empty(), "these failed too: {others:#?}");
    let missed: Vec<&&str> = wanted.iter().filter(|wanted| !failed.iter().any(|name| is(name, wanted))).collect();
    assert!(missed.is_empty(), "these did not fail: {missed:#?}");
}

macro_rules! liars {
    ($($name:ident: $lie:ident is found out by [$($trial:literal),* $(,)?];)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                assert_exactly(&caught(Lie::$lie).await, &[$($trial),*]);
            }
        )+
    };
}

liars! {
    a_wrapper_that_does_not_lie_passes: None is found out by [];
    // A LIKE without a wildcard is an equality.
    text_that_is_equal_whatever_its_case: TextEqualsWhateverItsCase is found out by [
        "pushdown/filter/LIKE", "pushdown/filter/equals: texts.t", "pushdown/filter/folders",
    ];
    text_that_is_equal_whatever_its_blanks: TextEqualsWhateverItsBlanks is found out by [
        "pushdown/filter/LIKE", "pushdown/filter/equals: texts.t", "pushdown/filter/equals: texts.lower_t",
    ];
    a_limit_below_a_join: LimitBelowJoin is found out by ["pushdown/join/a limit above it counts the joined rows"];
    a_null_that_differs_from_a_value: UnequalToNull is found out by [
        "pushdown/filter/differs from: *", "pushdown/filter/folders", "pushdown/filter/negation of comparisons",
    ];
    a_union_that_is_declared_and_never_done: UnionNeverDone is found out by [
        "pushdown/union/is used where it is declared",
    ];
    a_union_that_is_done_and_not_declared: UnionUndeclared is found out by ["pushdown/union/*"];
    // A list of values that are not wanted, and both bounds of BETWEEN, are several filters.
    a_filter_that_is_dropped: FilterDropped is found out by [
        "pushdown/filter/differs from: *", "pushdown/filter/is less or more than: *",
        "pushdown/filter/a part that stays beside one that goes", "pushdown/filter/folders",
        "pushdown/filter/lists with null", "pushdown/filter/negation of comparisons",
        "pushdown/filter/odd columns", "pushdown/filter/true, false and unknown",
    ];
    nulls_at_the_other_end: NullsAtTheOtherEnd is found out by [
        "pushdown/sort/*", "pushdown/limit/after a sort", "pushdown/limit/of groups",
    ];
    nulls_at_the_other_end_of_a_window: WindowNullsAtTheOtherEnd is found out by [
        "pushdown/window/an order of*", "pushdown/window/an order where nothing is said of nulls",
        "pushdown/window/below a filter", "pushdown/window/frames of a range", "pushdown/window/of groups",
        "pushdown/window/of many rows", "pushdown/window/of several orders beside each other",
        "pushdown/window/ranks of*", "pushdown/window/several windows",
    ];
    a_last_batch_that_is_lost: LastBatchLost is found out by [
        "faults/a source that falls silent", "faults/an error at any row", "faults/an error of any call",
        "faults/batches of any size", "limits/more rows than a batch", "pushdown/aggregate/of many rows",
        "pushdown/sort/many rows", "pushdown/window/of many rows", "types/big",
    ];
    a_left_join_that_is_inner: LeftJoinIsInner is found out by [
        "pushdown/join/keys that are null and come several times", "pushdown/join/left",
        "pushdown/join/left with a condition on one side", "pushdown/join/of three tables",
        "pushdown/join/with an empty table", "pushdown/join/with itself",
    ];
}
