use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, Statistics, internal_datafusion_err, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use tokio::sync::OnceCell;
use tombolo_connector::{
    NativeQuery, PlannedScan, QueryContext, ReadSnapshot, RowCount, Scan, ScanInput, ScanReader, ScanStatistics,
};

use super::budget::Budget;
use super::counted_stream::Dress;
use super::counters::ScanCounters;
use super::key_filter::{self, KeyFilter};
use super::keys::{KeySupply, KeyedRead, RangePlan};
use super::promise::RowPromise;
use crate::cost::distinct;
use crate::pushdown::SourceScan;

/// Reads one sub-query: a leaf over the connector's own reader, or a shell around the DataFusion operator that the connector
/// gave, through which DataFusion's own optimisations pass.
#[derive(Debug, Clone)]
pub struct SourceScanExec {
    scan: SourceScan,
    native: NativeQuery,
    input: Input,
    statistics: ScanStatistics,
    /// Rows that are expected without keys.
    whole_rows: Option<u64>,
    context: QueryContext,
    dress: Dress,
    /// What gives keys when the query runs, to any form that the plan's rewriting gives this scan.
    supplies: Arc<Mutex<Vec<Arc<dyn KeySupply>>>>,
    keyed: Option<Arc<KeyedRead>>,
    /// What read a range of its rows, in any form of this scan.
    ranged: Arc<OnceLock<Arc<dyn ScanReader>>>,
    /// The same rows in an order in which they may be wanted.
    sorted: Option<Arc<SourceScanExec>>,
    /// The keys that its rows are compared with here, and whether they are there.
    filters: Vec<KeyFilter>,
    filled: Arc<OnceCell<()>>,
    /// Whether DataFusion is told which values the columns have.
    tells_values: bool,
    properties: Arc<PlanProperties>,
}

#[derive(Debug, Clone)]
enum Input {
    Reader(Arc<dyn ScanReader>),
    Plan(Arc<dyn ExecutionPlan>),
}

impl SourceScanExec {
    /// Makes the operator of a planned scan, which draws on these budgets.
    ///
    /// # Errors
    /// An internal error where the connector's rows would not have the scan's types.
    pub fn try_new(
        scan: SourceScan,
        planned: PlannedScan,
        context: QueryContext,
        budgets: Vec<Arc<Budget>>,
    ) -> Result<Self> {
        let PlannedScan { native, input, statistics, wrappers } = planned;
        let schema: SchemaRef = Arc::clone(scan.scan.schema().inner());
        let (input, given) = match input {
            ScanInput::Reader(reader) => {
                let given = reader.schema();
                (Input::Reader(reader), given)
            }
            ScanInput::Plan(plan) => {
                let given = plan.schema();
                (Input::Plan(plan), given)
            }
        };
        if !same_types(&schema, &given) {
            return internal_err!(
                "source `{}` would give {given} for #{}, which asks for {schema}",
                scan.source.name(),
                scan.id
            );
        }
        let properties = properties(&scan, &schema, &input, 1)?;
        let promise = promise(&statistics, &input, &properties);
        let (source, counters) = (scan.source.name().to_owned(), ScanCounters::new());
        let dress = Dress { source, schema, wrappers, counters, promise, budgets };
        Ok(Self {
            scan,
            native,
            input,
            whole_rows: statistics.rows.value(),
            statistics,
            context,
            dress,
            supplies: Arc::default(),
            keyed: None,
            ranged: Arc::default(),
            sorted: None,
            filters: Vec::new(),
            filled: Arc::default(),
            tells_values: true,
            properties,
        })
    }

    /// The same, which tells DataFusion of the number of rows alone.
    pub fn without_values(self) -> Self {
        Self { tells_values: false, ..self }
    }

    /// The same operator with another that reads the same rows in an order in which they may be wanted. One of them is read, and
    /// both count what comes.
    ///
    /// # Errors
    /// As [`Self::try_new`].
    pub fn with_sorted(self, scan: SourceScan, planned: PlannedScan) -> Result<Self> {
        let mut sorted = Self::try_new(scan, planned, self.context.clone(), self.dress.budgets.clone())?;
        sorted.dress.counters = Arc::clone(&self.dress.counters);
        (sorted.supplies, sorted.ranged) = (Arc::clone(&self.supplies), Arc::clone(&self.ranged));
        Ok(Self { sorted: Some(Arc::new(sorted)), ..self })
    }

    /// What reads the same rows in an order in which they may be wanted.
    pub fn sorted(&self) -> Option<&Arc<Self>> {
        self.sorted.as_ref()
    }

    /// The same, where that order begins with these columns.
    pub fn in_order(&self, order: &[(usize, SortOptions)]) -> Option<&Arc<Self>> {
        let fields = self.dress.schema.fields();
        let key = |(at, options): &(usize, SortOptions)| {
            let column = Column::new(fields.get(*at)?.name(), *at);
            Some(PhysicalSortExpr::new(Arc::new(column), *options))
        };
        let wanted = order.iter().map(key).collect::<Option<Vec<_>>>()?;
        let sorted = self.sorted.as_ref().filter(|_| !wanted.is_empty())?;
        sorted.properties.equivalence_properties().ordering_satisfy(wanted).ok()?.then_some(sorted)
    }

    /// The sub-query in the logical plan.
    pub fn scan(&self) -> &SourceScan {
        &self.scan
    }

    /// What the source is asked.
    pub fn native(&self) -> &NativeQuery {
        &self.native
    }

    /// What it has delivered.
    pub fn counters(&self) -> &Arc<ScanCounters> {
        &self.dress.counters
    }

    /// The rows that are expected, where something is known.
    pub fn estimated_rows(&self) -> Option<u64> {
        self.statistics.rows.value()
    }

    /// How many streams it is read over.
    pub fn partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }

    /// How a large table is read, or why by one stream alone, as its connector tells it.
    pub fn streams(&self) -> Option<String> {
        self.reader()?.streams()
    }

    /// Which snapshot was read, where the query reads more of the source.
    pub fn snapshot(&self) -> Option<ReadSnapshot> {
        self.reader()?.snapshot()
    }

    /// Tells its reader that it will be read so many times more.
    pub fn expect_readings(&self, more: usize) {
        if let Input::Reader(reader) = &self.input {
            reader.expect_readings(more);
        }
    }

    /// What reads it, or has read it.
    fn reader(&self) -> Option<&Arc<dyn ScanReader>> {
        match &self.input {
            Input::Reader(reader) => Some(self.ranged.get().unwrap_or(reader)),
            Input::Plan(_) => None,
        }
    }

    /// What is known of the size of the answer, without keys.
    pub fn scan_statistics(&self) -> &ScanStatistics {
        &self.statistics
    }

    /// What may come, of it and of other sub-queries.
    pub fn budgets(&self) -> &[Arc<Budget>] {
        &self.dress.budgets
    }

    /// Whether it is read only as far as a limit that was pushed into it says.
    pub fn stops_early(&self) -> bool {
        matches!(&self.input, Input::Plan(plan) if stops_early(plan))
    }

    /// What gives it keys when the query runs.
    pub fn supplies(&self) -> Vec<Arc<dyn KeySupply>> {
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it can be asked for rows of single keys. Of rows that a limit has chosen or a window has numbered it cannot: the next
    /// request may choose others, or number them otherwise.
    pub fn takes_keys(&self) -> bool {
        let is_of_all =
            |scan: &Scan| matches!(scan, Scan::Limit { .. } | Scan::Window { .. } | Scan::Sort { fetch: Some(_), .. });
        matches!(self.input, Input::Reader(_)) && self.scan.order.is_empty() && !self.scan.scan.any(&is_of_all)
    }

    /// Whether its rows can be compared with keys here, where they are read.
    pub fn takes_filter(&self) -> bool {
        matches!(self.input, Input::Plan(_)) && self.scan.order.is_empty() && !self.stops_early()
    }

    /// The same scan, which waits for these keys too and leaves out rows whose columns `columns` have none of them; `statistics` are
    /// what is expected of it then.
    ///
    /// # Errors
    /// An internal error where its rows cannot be compared here.
    pub fn with_filter(
        &self,
        supply: Arc<dyn KeySupply>,
        columns: &[usize],
        statistics: ScanStatistics,
        config: &ConfigOptions,
    ) -> Result<Self> {
        let Input::Plan(plan) = &self.input else { return internal_err!("#{} is not filtered here", self.scan.id) };
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&supply));
        let (filter, plan) = KeyFilter::over(Arc::clone(plan), supply, columns, config)?;
        let filters = self.filters.iter().cloned().chain([filter]).collect();
        Self { filters, filled: Arc::default(), statistics, ..self.clone() }.with_plan(plan)
    }

    /// The same scan, which waits for these keys too; it is read over up to `streams` streams, and `statistics` are what is
    /// expected of it then.
    ///
    /// # Errors
    /// An internal error where it takes no keys.
    pub fn with_keys(&self, supply: Arc<dyn KeySupply>, streams: usize, statistics: ScanStatistics) -> Result<Self> {
        let Input::Reader(reader) = &self.input else { return internal_err!("#{} takes no keys", self.scan.id) };
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner).push(supply);
        let properties = properties(&self.scan, &self.dress.schema, &self.input, streams)?;
        let plan = RangePlan {
            node: self.scan.clone(),
            context: self.context.clone(),
            rows: self.whole_rows,
            streams: properties.partitioning.partition_count(),
        };
        let keyed =
            KeyedRead::new(Arc::clone(reader), self.dress.clone(), self.supplies(), plan, Arc::clone(&self.ranged));
        Ok(Self { properties, statistics, keyed: Some(Arc::new(keyed)), ..self.clone() })
    }

    /// The same scan for the keys of one part of a join's rows alone.
    ///
    /// # Errors
    /// As [`Self::with_keys`].
    pub fn with_keys_once(&self, supply: Arc<dyn KeySupply>) -> Result<Self> {
        self.expect_readings(1);
        let supplies = Arc::new(Mutex::new(Vec::new()));
        Self { supplies, ..self.clone() }.with_keys(supply, 1, self.statistics)
    }

    /// Has it tell of keys that other forms of it are given.
    pub fn tell_keys(&self, supply: Arc<dyn KeySupply>) {
        self.supplies.lock().unwrap_or_else(PoisonError::into_inner).push(supply);
    }

    fn with_plan(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let input = Input::Plan(plan);
        let properties = properties(&self.scan, &self.dress.schema, &input, 1)?;
        let promise = promise(&self.statistics, &input, &properties);
        Ok(Self { properties, input, dress: Dress { promise, ..self.dress.clone() }, ..self.clone() })
    }
}

/// Names and nullability come from the logical plan; what must agree is the number of columns and their types.
fn same_types(wanted: &Schema, given: &Schema) -> bool {
    wanted.fields().len() == given.fields().len()
        && wanted.fields().iter().zip(given.fields()).all(|(wanted, given)| wanted.data_type() == given.data_type())
}

fn properties(scan: &SourceScan, schema: &SchemaRef, input: &Input, least: usize) -> Result<Arc<PlanProperties>> {
    let partitions = match input {
        Input::Reader(reader) if reader.partitions() > 0 => reader.partitions().max(least),
        Input::Reader(_) => 0,
        Input::Plan(plan) => plan.properties().partitioning.partition_count(),
    };
    if partitions == 0 || (partitions > 1 && !scan.order.is_empty()) {
        return internal_err!("source `{}` gives #{} in {partitions} streams", scan.source.name(), scan.id);
    }
    let mut equivalences = EquivalenceProperties::new(Arc::clone(schema));
    if let Input::Plan(plan) = input {
        // Columns keep their positions, so what orders the operator below orders this one.
        equivalences.add_orderings(plan.properties().equivalence_properties().oeq_class().iter().cloned());
    }
    let order = scan.order.iter().map(|key| {
        let Expr::Column(column) = &key.expr else {
            return Err(internal_datafusion_err!("the order of #{} is not by columns", scan.id));
        };
        let index = scan.scan.schema().index_of_column(column)?;
        let options = SortOptions { descending: !key.asc, nulls_first: key.nulls_first };
        Ok(PhysicalSortExpr::new(Arc::new(Column::new(&column.name, index)) as Arc<dyn PhysicalExpr>, options))
    });
    let order = order.collect::<Result<Vec<_>>>()?;
    if !order.is_empty() {
        equivalences.add_ordering(order);
    }
    Ok(Arc::new(PlanProperties::new(
        equivalences,
        Partitioning::UnknownPartitioning(partitions),
        EmissionType::Incremental,
        Boundedness::Bounded,
    )))
}

/// What a source says of the number of its rows, where it says so exactly and nothing here stops reading before the last.
fn promise(statistics: &ScanStatistics, input: &Input, properties: &PlanProperties) -> Option<Arc<RowPromise>> {
    let RowCount::Exact(rows) = statistics.rows else { return None };
    let is_whole = match input {
        Input::Reader(_) => true,
        Input::Plan(plan) => !stops_early(plan),
    };
    is_whole.then(|| Arc::new(RowPromise::new(rows, properties.partitioning.partition_count())))
}

/// Whether a limit was pushed into the plan.
fn stops_early(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.fetch().is_some() || plan.children().into_iter().any(stops_early)
}

impl DisplayAs for SourceScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceScanExec: #{} {}: {}", self.scan.id, self.scan.source.name(), self.native.text)
    }
}

impl ExecutionPlan for SourceScanExec {
    fn name(&self) -> &'static str {
        "SourceScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        match &self.input {
            Input::Reader(_) => Vec::new(),
            Input::Plan(plan) => vec![plan],
        }
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // The order is kept, but to say so would let sorts sink below: they would then be counted, and timed, as the source's.
        vec![false; self.children().len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // A file reader below splits its own files; an exchange above it would only cost.
        vec![false; self.children().len()]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match (&self.input, children.pop()) {
            (Input::Reader(_), None) => Ok(self),
            (Input::Plan(_), Some(plan)) if children.is_empty() => Ok(Arc::new(self.with_plan(plan)?)),
            _ => internal_err!("a source scan was given a wrong number of inputs"),
        }
    }

    fn repartitioned(&self, target: usize, config: &ConfigOptions) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Input::Plan(plan) = &self.input else { return Ok(None) };
        match plan.repartitioned(target, config)? {
            Some(plan) => Ok(Some(Arc::new(self.with_plan(plan)?))),
            None => Ok(None),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if let Some(keyed) = &self.keyed {
            return Ok(Arc::clone(keyed).open(partition, context));
        }
        let opened = match &self.input {
            Input::Plan(plan) if !self.filters.is_empty() => {
                return Ok(key_filter::read(plan, &self.filters, &self.filled, &self.dress, partition, context));
            }
            Input::Reader(reader) => reader.open(partition, None, &context).map_err(DataFusionError::from),
            Input::Plan(plan) => plan.execute(partition, context),
        };
        let stream = opened.map_err(|error| self.dress.named(error))?;
        Ok(self.dress.around(stream, self.dress.promise.clone(), partition))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition); self.children().len()]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        if let (Input::Plan(_), Some(below), []) = (&self.input, inputs.first(), self.filters.as_slice()) {
            if self.tells_values {
                return Ok(Arc::clone(below));
            }
            let column_statistics = Statistics::unknown_column(&self.dress.schema);
            return Ok(Arc::new(Statistics { column_statistics, ..below.as_ref().clone() }));
        }
        let mut statistics = Statistics::new_unknown(&self.dress.schema);
        let share = |value: u64| {
            let value = usize::try_from(value).unwrap_or(usize::MAX);
            if args.partition().is_some() { value / self.partitions() } else { value }
        };
        statistics.num_rows = match self.statistics.rows {
            RowCount::Exact(rows) if args.partition().is_none() || self.partitions() == 1 => {
                Precision::Exact(share(rows))
            }
            RowCount::Exact(rows) | RowCount::Estimated(rows) => Precision::Inexact(share(rows)),
            RowCount::Unknown => Precision::Absent,
        };
        if let Some(bytes) = self.statistics.bytes {
            statistics.total_byte_size = Precision::Inexact(share(bytes));
        }
        // Without these a join is held to have no more rows than its smaller side.
        for (at, column) in statistics.column_statistics.iter_mut().enumerate() {
            if let Some(distinct) = distinct(&self.scan.scan, at) {
                let rows = statistics.num_rows.get_value().copied().unwrap_or(usize::MAX);
                column.distinct_count = Precision::Inexact((distinct as usize).min(rows));
            }
        }
        Ok(Arc::new(statistics))
    }

    fn supports_limit_pushdown(&self) -> bool {
        matches!(self.input, Input::Plan(_))
    }
}
