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
use tombolo_connector::{
    Answer, Capabilities, Connector, ConnectorFactory, ConnectorSpec, NativeQuery, Options, PlannedScan, QueryContext,
    Registry, RemoteInfo, Result, Scan, ScanOffer, StreamWrapper, TableDescription, TableRef,
};
use tombolo_connectors::sqlite::SqliteFactory;
use tombolo_testkit::conformance::{self, Outcome};
use tombolo_testkit::fixtures::Fixture;
use tombolo_testkit::harness::{Carriage, Evidence, Harness, Outage, RemoteEvent, Site, SqliteHarness};

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
        Registry::default().with(Arc::new(LyingFactory(self.lie)))
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

#[derive(Debug)]
struct LyingFactory(Lie);

#[async_trait]
impl ConnectorFactory for LyingFactory {
    fn spec(&self) -> &'static ConnectorSpec {
        SqliteFactory.spec()
    }

    fn parse_url(&self, url: &str) -> Option<Result<Options>> {
        SqliteFactory.parse_url(url)
    }

    async fn connect(&self, name: &str, options: &Options) -> Result<Arc<dyn Connector>> {
        let inner = SqliteFactory.connect(name, options).await?;
        let mut capabilities = inner.capabilities().clone();
        capabilities.union = self.0 != Lie::UnionUndeclared;
        Ok(Arc::new(Liar { lie: self.0, inner, capabilities }))
    }
}

#[derive(Debug)]
struct Liar {
    lie: Lie,
    inner: Arc<dyn Connector>,
    capabilities: Capabilities,
}

#[async_trait]
impl Connector for Liar {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        self.inner.ping().await
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.inner.list_schemas().await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        self.inner.list_tables(schema).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        self.inner.describe_table(table).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.inner.is_current(description).await
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        if self.lie == Lie::UnionNeverDone && matches!(scan, Scan::Union { .. }) {
            return ScanOffer::all(Answer::refused("unions are left for another day"), scan.part_count());
        }
        self.inner.offer(scan)
    }

    fn offer_keys(&self, scan: &Scan, columns: &[usize]) -> Answer {
        self.inner.offer_keys(scan, columns)
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        self.inner.native_query(&distorted(scan, self.lie))
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let planned = self.inner.plan_scan(&distorted(scan, self.lie), context).await?;
        Ok(if self.lie == Lie::LastBatchLost { planned.wrapped(Arc::new(Short)) } else { planned })
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

/// The tree that the liar asks for in place of the one it was given.
fn distorted(scan: &Scan, lie: Lie) -> Scan {
    let below = |input: &Arc<Scan>| Arc::new(distorted(input, lie));
    match scan {
        Scan::Table(_) => scan.clone(),
        Scan::Filter { input, predicates } => {
            let mut predicates: Vec<Expr> = predicates.iter().map(|predicate| bent(predicate, lie)).collect();
            if lie == Lie::FilterDropped && predicates.len() > 1 {
                predicates.remove(0);
            }
            Scan::Filter { input: below(input), predicates }
        }
        Scan::Project { input, exprs, schema } => {
            Scan::Project { input: below(input), exprs: exprs.clone(), schema: Arc::clone(schema) }
        }
        Scan::Alias { input, schema } => Scan::Alias { input: below(input), schema: Arc::clone(schema) },
        Scan::Join(join) => {
            let mut join = join.clone();
            (join.left, join.right) = (below(&join.left), below(&join.right));
            if lie == Lie::LeftJoinIsInner && join.join_type == JoinType::Left {
                join.join_type = JoinType::Inner;
            }
            Scan::Join(join)
        }
        Scan::Aggregate(aggregate) => {
            let mut aggregate = aggregate.clone();
            aggregate.input = below(&aggregate.input);
            Scan::Aggregate(aggregate)
        }
        Scan::Sort { input, keys, fetch } => {
            let turned = |key: &SortExpr| SortExpr::new(key.expr.clone(), key.asc, !key.nulls_first);
            let keys = if lie == Lie::NullsAtTheOtherEnd { keys.iter().map(turned).collect() } else { keys.clone() };
            Scan::Sort { input: below(input), keys, fetch: *fetch }
        }
        Scan::Limit { input, skip, fetch } => {
            let input = below(input);
            let input = if lie == Lie::LimitBelowJoin { limited(&input, *skip, *fetch) } else { input };
            Scan::Limit { input, skip: *skip, fetch: *fetch }
        }
        Scan::Union { inputs, schema } => {
            Scan::Union { inputs: inputs.iter().map(below).collect(), schema: Arc::clone(schema) }
        }
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
    a_last_batch_that_is_lost: LastBatchLost is found out by [
        "faults/a source that falls silent", "faults/an error at any row", "faults/an error of any call",
        "faults/batches of any size", "limits/more rows than a batch", "pushdown/aggregate/of many rows",
        "pushdown/sort/many rows", "types/big",
    ];
    a_left_join_that_is_inner: LeftJoinIsInner is found out by [
        "pushdown/join/keys that are null and come several times", "pushdown/join/left",
        "pushdown/join/left with a condition on one side", "pushdown/join/of three tables",
        "pushdown/join/with an empty table", "pushdown/join/with itself",
    ];
}
