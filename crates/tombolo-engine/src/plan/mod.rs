//! Statement → logical plan, by DataFusion's planner, analyzer and optimizer over the catalog's tables. Knows capabilities,
//! not connectors.

pub(crate) mod cartesian;
mod case;
mod checked;
mod conditions;
mod context;
pub mod guards;
mod keys;
mod names;
mod native;
mod not_in;
mod origin;
mod read_once;
mod relations;
mod scales;
mod scope;
mod session;
mod size;
mod sort_merge;
mod text;
mod using;

use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::ContextProvider;
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement;
use futures::future::try_join_all;
use tombolo_connector::{Error, ErrorCode, Result, nearest_name};

use crate::catalog::{Catalog, SearchPlace, SourceTable, TableChecks};
use crate::error::from_datafusion;
use context::PlanContext;

pub(crate) use checked::{checked_sum, plain, plain_physical};
pub(crate) use conditions::FilterAtOnceExec;
pub(crate) use guards::UnorderedExec;
#[cfg(test)]
pub(crate) use keys::conversion_to;
pub(crate) use keys::{KeyConversion, compare_keys, is_across, is_text, safely, widens};
pub(crate) use names::named_output;
pub(crate) use origin::{BaseColumn, Origin, base_column, origin};
pub(crate) use read_once::read_once;
pub(crate) use scales::equal_scales;
pub(crate) use session::new_session;
pub(crate) use size::{estimated_rows, is_of_one_table};
pub(crate) use text::{expr_text, join_texts, type_text};

/// Resolves the names of a statement and plans it, without any optimisation yet.
///
/// # Errors
/// What the catalog says of a name, and DataFusion's planner of the rest, in Tombolo's codes.
pub(crate) async fn logical_plan(
    mut statement: Statement,
    catalog: &Catalog,
    path: &[SearchPlace],
    session: &SessionState,
    checks: &TableChecks,
) -> Result<LogicalPlan> {
    native::name_queries(&mut statement)?;
    relations::shorten_long_names(&mut statement);
    let tables = described(&statement, catalog, path).await?;
    checks.begin(tables.iter().map(|(_, table)| (table.source(), table.description())));
    match planned(statement.clone(), tables.clone(), session) {
        // A column that is not known may have come after its table was described.
        Err(error) if error.code() == ErrorCode::ColumnNotFound && forget_changed(&tables).await => {
            planned(statement.clone(), described(&statement, catalog, path).await?, session)
        }
        other => other,
    }
}

type Described = Vec<(TableReference, Arc<SourceTable>)>;

/// Describes the tables that a statement names.
async fn described(statement: &Statement, catalog: &Catalog, path: &[SearchPlace]) -> Result<Described> {
    let named = relations::relations(statement)?;
    try_join_all(named.into_iter().map(|relation| async move {
        let resolved = catalog.resolve_table(&relation.parts, path).await?;
        let description = resolved.source.description(&resolved.table).await?;
        // Offers are made to the connector itself; it is opened here, where waiting is possible.
        resolved.source.connector().await?;
        Ok((relation.reference, Arc::new(SourceTable::new(resolved.source, description))))
    }))
    .await
}

/// Forgets the descriptions that no longer hold, and says whether there were any.
async fn forget_changed(tables: &Described) -> bool {
    let mut changed = false;
    for (_, table) in tables {
        let Ok(connector) = table.source().connector().await else { continue };
        if !connector.is_current(table.description()).await {
            table.source().forget(&table.description().table).await;
            changed = true;
        }
    }
    changed
}

fn planned(mut statement: Statement, tables: Described, session: &SessionState) -> Result<LogicalPlan> {
    case::match_column_case(&mut statement, &tables);
    let context = PlanContext::new(session, tables);
    let options = ParserOptions::from(&session.config_options().sql_parser);
    let plan = SqlToRel::new_with_options(&context, options)
        .sql_statement_to_plan(statement)
        .map_err(|error| near_function(from_datafusion(error), &context))?;
    not_in::refuse_lost_unknowns(&plan)?;
    Ok(plan)
}

/// Names the function that was meant, where one is near.
fn near_function(error: Error, context: &PlanContext<'_>) -> Error {
    let wanted = error.message().split('`').nth(1).filter(|_| error.code() == ErrorCode::FunctionNotFound);
    let known = [context.udf_names(), context.udaf_names(), context.udwf_names()].concat();
    let near = wanted.and_then(|name| nearest_name(name, known.iter().map(String::as_str)).map(str::to_owned));
    match near {
        Some(near) => error.with_hint(format!("Did you mean `{near}`?")),
        None => error,
    }
}

/// Types, simplifies and rewrites a plan into the form that is cut into sub-queries.
///
/// # Errors
/// What DataFusion's analyzer says of types, in Tombolo's codes.
pub(crate) fn optimize(plan: &LogicalPlan, session: &SessionState) -> Result<LogicalPlan> {
    session.optimize(plan).map_err(from_datafusion)
}
