//! The façade's care for Cartesian products: what is found in a plan is refused, allowed, or mended and planned again.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::util::display::array_value_to_string;
use datafusion::sql::sqlparser::ast::Statement;
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tombolo_connector::Result;

use crate::engine::{Engine, Planned, Planning, QueryOptions};
use crate::plan::cartesian::{
    Lookup, Product, Relations, Rewritten, Sample, Samples, StatementChange, Suggestion, allowed_notice, change_notice,
    products, reasons, refusal, rewritten, unmended,
};

/// The longest that values are read for, to suggest a condition.
const SAMPLING_TIME: Duration = Duration::from_secs(3);

/// The distinct values of a column as text.
pub(crate) type Values = BTreeSet<String>;

/// A plan whose products are no danger or are wanted.
pub(crate) struct Checked {
    pub(crate) planned: Planned,
    pub(crate) notices: Vec<String>,
    pub(crate) change: Option<StatementChange>,
}

/// A product with the conditions that would join it.
struct Mended {
    suggestion: Suggestion,
    /// The changed statement with its plan, where the conditions could be put into it and helped.
    changed: Option<(Rewritten, Planned)>,
}

impl Engine {
    /// Refuses the Cartesian products of a plan, or does with them what the query's options say.
    ///
    /// # Errors
    /// [`CartesianProduct`](tombolo_connector::ErrorCode::CartesianProduct).
    pub(crate) async fn without_products(
        &self,
        mut statement: Statement,
        mut planned: Planned,
        planning: &Planning<'_>,
    ) -> Result<Checked> {
        let Some(max_rows) = self.settings().max_cartesian_rows else {
            return Ok(Checked { planned, notices: Vec::new(), change: None });
        };
        let before = statement.clone();
        let (mut notices, mut given) = (Vec::new(), Vec::new());
        loop {
            let found = products(&planned.optimized, max_rows);
            let Some(product) = found.first() else { break };
            if planning.options.allow_cartesian {
                notices.extend(found.iter().map(allowed_notice));
                break;
            }
            let Mended { suggestion, changed } =
                self.mended(&statement, &planned, product, found.len(), planning).await;
            match changed {
                Some((changed, again)) if planning.options.auto_fix => {
                    let reasons = reasons(&suggestion, &changed.conditions);
                    notices.push(change_notice(product, &reasons));
                    given.extend(reasons);
                    (statement, planned) = (changed.statement, again);
                }
                _ if planning.options.auto_fix => return Err(unmended(product, &suggestion)),
                changed => {
                    let conditions = changed.map(|(changed, _)| changed.conditions).unwrap_or_default();
                    return Err(refusal(product, &suggestion, &conditions, max_rows));
                }
            }
        }
        let change = (!given.is_empty()).then(|| StatementChange {
            before: format!("{before:#}"),
            after: format!("{statement:#}"),
            reasons: given,
        });
        Ok(Checked { planned, notices, change })
    }

    /// Looks for the conditions that a product lacks, and tries them: fewer than `count` products must be left.
    async fn mended(
        &self,
        statement: &Statement,
        planned: &Planned,
        product: &Product,
        count: usize,
        planning: &Planning<'_>,
    ) -> Mended {
        let relations = Relations::of(product, &planned.logical);
        let mut suggestion = relations.suggest(&Samples::default());
        if !suggestion.complete && suggestion.either.is_none() {
            let samples = self.sampled(&relations, &planning.options.user).await;
            suggestion = relations.suggest(&samples);
        }
        let mut changed = None;
        if suggestion.complete {
            for candidate in rewritten(statement, &suggestion.conditions) {
                let Ok(again) = self.logical(candidate.statement.clone(), planning).await else { continue };
                let max_rows = self.settings().max_cartesian_rows.unwrap_or(u64::MAX);
                if products(&again.optimized, max_rows).len() < count {
                    changed = Some((candidate, again));
                    break;
                }
            }
        }
        Mended { suggestion, changed }
    }

    /// Reads values of the columns that may tell. What cannot be read in time is left out.
    async fn sampled(&self, relations: &Relations, user: &str) -> Samples {
        let (mut samples, deadline) = (Samples::default(), Instant::now() + SAMPLING_TIME);
        let wanted = relations.wanted();
        let statements = wanted.iter().map(Sample::sql).collect();
        for (index, values) in self.read_values(statements, user, deadline).await {
            samples.add(&wanted[index], values);
        }
        let lookups = relations.lookups(&samples);
        let statements = lookups.iter().map(Lookup::sql).collect();
        for (index, values) in self.read_values(statements, user, deadline).await {
            samples.add_found(&lookups[index], &values);
        }
        samples
    }

    /// Runs statements of one column each, side by side and each as a task of its own: planning is deep, and this is within it
    /// already. The tasks end with this.
    pub(crate) async fn read_values(
        &self,
        statements: Vec<String>,
        user: &str,
        deadline: Instant,
    ) -> Vec<(usize, Values)> {
        let mut reads = JoinSet::new();
        for (index, sql) in statements.into_iter().enumerate() {
            reads.spawn(self.clone().values_in_time(index, sql, user.to_owned(), deadline));
        }
        let mut read = Vec::new();
        while let Some(values) = reads.join_next().await {
            read.extend(values.ok().flatten());
        }
        read
    }

    fn values_in_time(
        self,
        index: usize,
        sql: String,
        user: String,
        deadline: Instant,
    ) -> BoxFuture<'static, Option<(usize, Values)>> {
        Box::pin(async move {
            match tokio::time::timeout_at(deadline, self.values(&sql, user)).await {
                Ok(Ok(values)) => Some((index, values)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "values were not sampled");
                    None
                }
                Err(_) => None,
            }
        })
    }

    async fn values(&self, sql: &str, user: String) -> Result<Values> {
        let options = QueryOptions { user, allow_cartesian: true, ..QueryOptions::default() };
        let mut running = self.query(sql, options).await?;
        let mut values = Values::new();
        while let Some(batch) = running.next_batch().await? {
            for column in batch.columns() {
                values.extend((0..batch.num_rows()).filter_map(|row| array_value_to_string(column, row).ok()));
            }
        }
        Ok(values)
    }
}
