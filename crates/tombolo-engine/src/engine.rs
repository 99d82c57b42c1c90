use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{Schema, SchemaRef};
use chrono::Utc;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use datafusion::sql::sqlparser::ast::Statement;
use futures::FutureExt;
use tombolo_connector::{
    Error, ErrorCode, QueryContext, QueryState, Registry, RemoteInfo, Result, TableDescription, TableRef,
};

use crate::catalog::{Catalog, NamePart, SearchPlace, Source, SourceConfig, TableChecks};
use crate::check::{self, Explanation, Receipt};
use crate::deliver::{Prepared, Replan, RunningQuery, Started};
use crate::error::from_datafusion;
use crate::execute::{self, PeakPool, SharedPlanner, SourceScanExec, SourceScanPlanner};
use crate::fuse::{
    CountedJoin, EitherPlanner, JoinCountPlanner, ShipKeysRule, count_joins, has_lookup, reading_ms, windows_ms,
};
use crate::guardrails::{self, SortLimit};
use crate::products::Checked;
use crate::pushdown::{CutPlan, SourceScan, shared_parts};
use crate::settings::{PushdownRule, Settings, Strategy};
use crate::{parse, plan, policy, pushdown};

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineConfig {
    /// The kinds of source that there are.
    pub registry: Registry,
    /// The configured sources.
    pub sources: Vec<SourceConfig>,
    /// Limits and wishes.
    pub settings: Settings,
    /// Where facts are kept between runs; `None` keeps none.
    pub state_dir: Option<PathBuf>,
}

/// One query's own wishes.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// The most rows to deliver. The receipt says whether there were more.
    pub limit: Option<u64>,
    /// The longest the query may take, in place of the engine's setting.
    pub timeout: Option<Duration>,
    /// The user who asks.
    pub user: String,
    /// Where a table is looked for that is named without a source: sources, or schemas as `source.schema`. The first that has
    /// it is meant. Empty, every table must be named with its source.
    pub search_path: Vec<String>,
    /// Whether Cartesian products run, whatever their size.
    pub allow_cartesian: bool,
    /// Whether a join that has no condition is given the one that foreign keys, names or values say.
    pub auto_fix: bool,
}

/// A federated query engine over configured sources. Cheap to clone; all clones share sources, limits and cache.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    settings: Settings,
    runtime: Arc<RuntimeEnv>,
}

impl Engine {
    /// Makes an engine. Reaches no source.
    ///
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] for a source or a setting that cannot be.
    pub fn try_new(config: EngineConfig) -> Result<Self> {
        let EngineConfig { registry, sources, settings, state_dir } = config;
        let catalog = Catalog::try_new(&registry, sources, state_dir, &settings)?;
        let runtime = execute::runtime(&settings)?;
        Ok(Self(Arc::new(Inner { catalog, settings, runtime })))
    }

    /// The configured sources, in the order of the config.
    pub fn sources(&self) -> &[Arc<Source>] {
        self.0.catalog.sources()
    }

    /// The names of the configured sources, in the order of the config.
    pub fn source_names(&self) -> Vec<String> {
        self.sources().iter().map(|source| source.name().to_owned()).collect()
    }

    /// The source of this name, whatever its case.
    ///
    /// # Errors
    /// [`ErrorCode::SourceNotFound`] with the nearest name.
    pub fn source(&self, name: &str) -> Result<&Arc<Source>> {
        self.0.catalog.source(&NamePart::unquoted(name))
    }

    /// A source's kind.
    ///
    /// # Errors
    /// [`ErrorCode::SourceNotFound`].
    pub fn source_kind(&self, name: &str) -> Result<String> {
        Ok(self.source(name)?.kind().to_owned())
    }

    /// Asks a source whether it answers.
    ///
    /// # Errors
    /// What the source says; [`ErrorCode::Timeout`] when it says nothing.
    pub async fn ping(&self, source: &str) -> Result<RemoteInfo> {
        self.source(source)?.ping().await
    }

    /// A source's schemas, the default one first.
    ///
    /// # Errors
    /// What the source says.
    pub async fn list_schemas(&self, source: &str) -> Result<Vec<String>> {
        self.source(source)?.schemas().await
    }

    /// All tables of a source.
    ///
    /// # Errors
    /// What the source says.
    pub async fn list_tables(&self, source: &str) -> Result<Vec<TableRef>> {
        let source = self.source(source)?;
        let mut tables = Vec::new();
        for schema in source.schemas().await? {
            tables.extend(source.tables(&schema, false).await?);
        }
        Ok(tables)
    }

    /// A table's description, by a name as a statement would write it: `source.table`, `source.schema.table`, with quotes
    /// or brackets where needed. Gives the source's name too.
    ///
    /// # Errors
    /// As for a name in a statement.
    pub async fn describe_table(&self, name: &str) -> Result<(String, Arc<TableDescription>)> {
        let resolved = self.0.catalog.resolve_table(&self.name_parts(name)?, &[]).await?;
        let description = resolved.source.description(&resolved.table).await?;
        Ok((resolved.source.name().to_owned(), description))
    }

    fn name_parts(&self, name: &str) -> Result<Vec<NamePart>> {
        let parts = parse::parse_name(name, &self.source_names())?;
        Ok(parts.into_iter().map(|(text, quoted)| NamePart { text, quoted }).collect())
    }

    fn search_path(&self, places: &[String]) -> Result<Vec<SearchPlace>> {
        places.iter().map(|place| self.0.catalog.search_place(&self.name_parts(place)?)).collect()
    }

    /// Forgets what is remembered of a source, so that it is read anew when it is next needed.
    ///
    /// # Errors
    /// [`ErrorCode::SourceNotFound`].
    pub async fn refresh(&self, source: &str) -> Result<()> {
        self.source(source)?.refresh().await;
        Ok(())
    }

    /// The bytes that the operators of all running queries have reserved.
    pub fn reserved_memory_bytes(&self) -> usize {
        self.0.runtime.memory_pool.reserved()
    }

    /// Cuts a script into statements.
    ///
    /// # Errors
    /// [`ErrorCode::SyntaxError`] where it ends inside a quote or a comment.
    pub fn split_statements(&self, text: &str) -> Result<Vec<String>> {
        parse::split_statements(text)
    }

    /// Plans a query and starts it. Its rows are read from what is given back; dropping that cancels it.
    ///
    /// # Errors
    /// Whatever planning finds, in Tombolo's codes.
    pub async fn query(&self, sql: &str, options: QueryOptions) -> Result<RunningQuery> {
        let prepared = self.prepare(sql, &options).await?;
        let replan = self.replan(&prepared, options);
        RunningQuery::start(prepared, replan)
    }

    /// A hash join cannot spill the side that it keeps; a sort-merge join can. And what spills needs memory to read it back,
    /// for each stream. So a plan that could do with less has a second one.
    fn replan(&self, prepared: &Prepared, options: QueryOptions) -> Option<Replan> {
        let plan = &prepared.plan;
        if !execute::has_hash_join(plan) && !has_lookup(plan) && self.0.settings.parallel <= 1 {
            return None;
        }
        let changed = prepared.change.as_ref().map(|change| change.after.clone());
        let (engine, sql) = (self.clone(), changed.unwrap_or_else(|| prepared.statement.clone()));
        let (statement, change, notices) =
            (prepared.statement.clone(), prepared.change.clone(), prepared.notices.clone());
        let again =
            Attempt { id: prepared.id.clone(), started: prepared.started, deadline: prepared.deadline, frugal: true };
        Some(Box::new(move || {
            Box::pin(async move {
                let mut prepared = engine.plan(&sql, &options, &again).await?;
                (prepared.statement, prepared.change, prepared.notices) = (statement, change, notices);
                prepared.notices.push(
                    "the query did not fit into max_memory: it ran again on one stream with sort-merge joins, which use \
                     temporary files"
                        .to_owned(),
                );
                Ok(prepared)
            })
        }))
    }

    /// Plans a query and tells the plan; with `analyze` runs it too, drops its rows, and gives the receipt.
    ///
    /// # Errors
    /// As [`Engine::query`], and what the run says.
    pub async fn explain(
        &self,
        sql: &str,
        analyze: bool,
        options: QueryOptions,
    ) -> Result<(Explanation, Option<Receipt>)> {
        let prepared = self.prepare(sql, &options).await?;
        let replan = self.replan(&prepared, options);
        let explanation = Explanation {
            statement: sql.to_owned(),
            analyzed: analyze,
            root: check::steps(&prepared.plan, false),
            planning_ms: prepared.planning_ms,
            elapsed_ms: None,
            notices: prepared.notices.clone(),
            change: prepared.change.clone(),
        };
        if !analyze {
            return Ok((explanation, None));
        }
        let mut running = RunningQuery::start(prepared, replan)?;
        while running.next_batch().await?.is_some() {}
        let receipt = running.receipt();
        let root = running.steps();
        let notices = receipt.notices.clone();
        let elapsed_ms = Some(receipt.elapsed_ms);
        Ok((Explanation { root, elapsed_ms, notices, ..explanation }, Some(receipt)))
    }

    async fn prepare(&self, sql: &str, options: &QueryOptions) -> Result<Prepared> {
        let started = Started { at: Utc::now(), instant: Instant::now() };
        let time_limit = options.timeout.or(self.0.settings.max_query_time);
        let deadline = time_limit.and_then(|limit| started.instant.checked_add(limit));
        let attempt = Attempt { id: uuid::Uuid::now_v7().to_string(), started, deadline, frugal: false };
        let planning = async {
            // A table changed since it was described: what is remembered of its source is dropped, and the plan made once
            // more. That may happen to each source once.
            let mut refreshed: Vec<String> = Vec::new();
            loop {
                match self.plan(sql, options, &attempt).await {
                    Err(error) if error.code() == ErrorCode::SchemaChanged => match error.source_name() {
                        Some(source) if !refreshed.iter().any(|known| known == source) => {
                            self.refresh(source).await?;
                            refreshed.push(source.to_owned());
                        }
                        _ => return Err(error),
                    },
                    other => return other,
                }
            }
        };
        let planning = AssertUnwindSafe(planning).catch_unwind().map(|planned| {
            planned.unwrap_or_else(|payload| Err(execute::panicked("planning the query", payload.as_ref())))
        });
        match deadline {
            None => planning.await,
            Some(deadline) => tokio::time::timeout_at(deadline.into(), planning).await.unwrap_or_else(|_| {
                Err(Error::new(ErrorCode::Timeout, "the time limit was reached while the query was planned")
                    .with_hint("Raise the limit with --timeout, or see with `tombolo doctor` which source is slow."))
            }),
        }
    }

    /// A statement's plan before and after it was optimised.
    pub(crate) async fn logical(&self, statement: Statement, planning: &Planning<'_>) -> Result<Planned> {
        let Planning { path, options, session, checks } = planning;
        let logical = plan::logical_plan(statement, &self.0.catalog, path, session, checks).await?;
        let logical = policy::apply(logical, &options.user)?;
        let named = plan::named_output(&logical);
        let (compared, notices) = plan::compare_keys(logical.clone(), &self.0.settings.type_mappings)?;
        let optimized = plan::optimize(&limited(compared, options.limit)?, session)?;
        Ok(Planned { logical, named, optimized, notices })
    }

    /// Limits and wishes.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Makes operators of a plan that is cut into sub-queries.
    async fn physical(
        &self,
        logical: LogicalPlan,
        context: &QueryContext,
        session: &SessionState,
    ) -> Result<PhysicalPlan> {
        let comes_in_order = |plan: &_| SourceScan::of(plan).is_some_and(|scan| !scan.order.is_empty());
        let finish =
            &mut |node| plan::equal_scales(node)?.transform_data(|node| plan::guards::floats(node, comes_in_order));
        let logical = pushdown::transform_up_with_shared(logical, finish).map_err(from_datafusion)?;
        let scans = SourceScanPlanner::new(context.clone());
        let made = match self.physical_over(scans, logical.clone(), session).await {
            // Only estimates are worse without what is known of the values.
            Err(error) if plan::guards::is_misjudged(&error) => {
                let scans = SourceScanPlanner::new(context.clone()).without_values();
                self.physical_over(scans, logical, session).await
            }
            Err(error) if plan::guards::is_out_of_order(&error) => {
                let session = plan::guards::careful_order(session);
                self.physical_over(SourceScanPlanner::new(context.clone()), logical, &session).await
            }
            other => other,
        };
        made.map_err(from_datafusion)
    }

    async fn physical_over(
        &self,
        scans: SourceScanPlanner,
        logical: LogicalPlan,
        session: &SessionState,
    ) -> datafusion::common::Result<PhysicalPlan> {
        let (logical, joins) = if self.0.settings.join_counts { count_joins(logical)? } else { (logical, Vec::new()) };
        let scans = Arc::new(scans);
        let shared = Arc::new(SharedPlanner::default());
        let planners: Vec<Arc<dyn ExtensionPlanner + Send + Sync>> = vec![
            Arc::clone(&scans) as _,
            Arc::clone(&shared) as _,
            Arc::new(EitherPlanner),
            Arc::new(JoinCountPlanner),
        ];
        let planner = DefaultPhysicalPlanner::with_extension_planners(planners);
        for part in shared_parts(&logical)? {
            let plan = planner.create_physical_plan(&part.plan, session).await?;
            shared.add(part.id, plan);
        }
        let plan = planner.create_physical_plan(&logical, session).await?;
        Ok(PhysicalPlan { scans: scans.planned(&plan), plan, joins })
    }

    async fn plan(&self, sql: &str, options: &QueryOptions, attempt: &Attempt) -> Result<Prepared> {
        let Inner { settings, runtime, .. } = self.0.as_ref();
        let pool = PeakPool::new(Arc::clone(&runtime.memory_pool));
        let runtime = Arc::new(RuntimeEnv { memory_pool: Arc::clone(&pool) as _, ..runtime.as_ref().clone() });
        let mut shipping = settings.key_shipping;
        if !settings.pushdown.allows(PushdownRule::Keys) {
            shipping.strategy = Strategy::Never;
        }
        let fusion = Arc::new(ShipKeysRule::new(shipping));
        let session =
            plan::new_session(settings, Arc::clone(&runtime), attempt.frugal, fusion).map_err(from_datafusion)?;

        let statement = parse::parse_query(sql, &self.source_names())?;
        let checks = TableChecks::default();
        let path = self.search_path(&options.search_path)?;
        let planning = Planning { path, options, session: &session, checks: &checks };
        let logical = self.logical(statement.clone(), &planning).await?;
        let Checked { planned: Planned { named, optimized: logical, notices: keys, .. }, notices, change } =
            Box::pin(self.without_products(statement, logical, &planning)).await?;
        guardrails::check_names(&logical).await?;
        let sort_limit = SortLimit::of(&logical)?;
        let columns = check::column_origins(&logical, &named);
        let notices = [notices, keys, check::notices(&logical)].concat();
        let logical = Box::pin(self.with_sizes(logical, &options.user)).await?;
        let once = match settings.shared_rows {
            Strategy::Never => None,
            _ => plan::read_once(&logical).map_err(from_datafusion)?,
        };
        let cut = |logical| pushdown::push_down(pushdown::order_joins(logical, settings, &session)?, settings);
        let CutPlan { apart, shared } = cut(logical)?;
        pushdown::check_guardrails(&apart)?;
        let once = once.map(cut).transpose()?;

        let Attempt { id, started, deadline, .. } = attempt.clone();
        let context = QueryContext {
            query_id: id.clone(),
            user: options.user.clone(),
            deadline,
            batch_size: session.config().batch_size(),
            target_partitions: session.config().target_partitions(),
            reads_first_rows: false,
            runtime,
            session: session.config().clone(),
            state: QueryState::default(),
        };
        let mut chosen = self.physical(apart, &context, &session).await?;
        let always = settings.shared_rows == Strategy::Always;
        if let Some(shared) = shared {
            // Made apart, each place may be sent the keys of what it is joined with.
            let shared = self.physical(shared, &context, &session).await?;
            if always || reading_ms(&shared.plan) <= reading_ms(&chosen.plan) {
                chosen = shared;
            }
        }
        if let Some(CutPlan { apart, shared }) = once {
            let once = self.physical(shared.unwrap_or(apart), &context, &session).await?;
            // What a window takes is known of those that are computed here.
            let windows = windows_ms(&once.plan) - windows_ms(&chosen.plan);
            if always || (windows > 0.0 && reading_ms(&once.plan) + windows < reading_ms(&chosen.plan)) {
                chosen = once;
            }
        }
        let PhysicalPlan { plan: physical, scans, joins } = chosen;
        check::check_budgets(&physical)?;
        checks.end().await?;
        let physical = match sort_limit {
            Some(limit) => limit.guard(physical)?,
            None => physical,
        };
        Ok(Prepared {
            id,
            statement: sql.to_owned(),
            planning_ms: started.instant.elapsed().as_secs_f64() * 1e3,
            started,
            schema: answer_schema(&named, &physical.schema()),
            scans,
            state: context.state,
            plan: physical,
            task: session.task_ctx(),
            joins,
            columns,
            notices,
            change,
            pool,
            limit: options.limit,
            deadline,
        })
    }
}

/// A plan that can run, with what its receipt is made from.
struct PhysicalPlan {
    plan: Arc<dyn ExecutionPlan>,
    scans: Vec<Arc<SourceScanExec>>,
    joins: Vec<Arc<CountedJoin>>,
}

/// The names of one schema over the types of another, which are those that come.
fn answer_schema(named: &SchemaRef, given: &SchemaRef) -> SchemaRef {
    let fields = named
        .fields()
        .iter()
        .zip(given.fields())
        .map(|(name, field)| Arc::new(field.as_ref().clone().with_name(name.name())));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), given.metadata().clone()))
}

/// What a statement is planned with.
pub(crate) struct Planning<'a> {
    pub(crate) path: Vec<SearchPlace>,
    pub(crate) options: &'a QueryOptions,
    pub(crate) session: &'a SessionState,
    pub(crate) checks: &'a TableChecks,
}

/// A statement's plan.
pub(crate) struct Planned {
    /// As it was written.
    pub(crate) logical: LogicalPlan,
    /// The columns of the answer under the names that a reader expects.
    pub(crate) named: SchemaRef,
    pub(crate) optimized: LogicalPlan,
    /// What a reader should know of keys of different kinds.
    pub(crate) notices: Vec<String>,
}

/// One try to run a query.
#[derive(Debug, Clone)]
struct Attempt {
    id: String,
    started: Started,
    deadline: Option<Instant>,
    /// Whether it must do with little memory.
    frugal: bool,
}

/// Puts a limit on the answer from outside the statement: one row more than is delivered, so that it is known whether there
/// are more.
fn limited(plan: LogicalPlan, limit: Option<u64>) -> Result<LogicalPlan> {
    let Some(limit) = limit else { return Ok(plan) };
    let fetch = usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX);
    LogicalPlanBuilder::from(plan).limit(0, Some(fetch)).and_then(LogicalPlanBuilder::build).map_err(from_datafusion)
}
