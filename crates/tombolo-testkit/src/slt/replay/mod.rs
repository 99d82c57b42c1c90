//! Runs another engine's `.slt` files through Tombolo, with their tables placed in one source after the other.
//!
//! Tombolo only reads, so what changes something (CREATE, INSERT, SET, COPY …) is run by plain DataFusion, the *loader*. Before
//! a query the tables that it names are read from the loader and placed in the source under test; the query itself goes through
//! Tombolo, which finds tables without a source in their names by its search path. A file's own answers are what counts; the
//! loader is never asked for one.

mod fixtures;
mod loader;
mod placement;
mod session;

use std::path::Path;
use std::sync::Arc;

use datafusion::sql::parser::{DFParser, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::Statement;
use sqllogictest::{Condition, Location, QueryExpect, Record, Runner, StatementExpect, TestErrorKind};
use tombolo_connector::ErrorCode;

use super::cell::Kind;
use loader::Loader;
pub use loader::Roots;
pub use placement::Placement;
use session::{Desk, Failure, Session, Turn};

/// What DataFusion's files call the program that runs them.
const LABEL: &str = "Datafusion";

/// What became of one `query` record.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The line of the record in the file; for one that the file includes, `part:line@line` with the line of the inclusion.
    pub place: String,
    /// Whether the query names a table that there is. One that does not is the same in all placements.
    pub has_tables: bool,
    /// What became of it, by placement in their order; a single one where the query has no tables.
    pub verdicts: Vec<Verdict>,
}

/// What became of a query in one placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The answer, or a refusal, is as the file has it.
    Passed,
    /// It was not asked, by a rule that holds for all its kind.
    ByRule(Rule),
    /// It was asked and the answer is another one.
    Failed(Difference),
}

/// Kinds of query that are not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The file's own conditions leave it out.
    Condition,
    /// EXPLAIN prints DataFusion's plan, which is not an answer.
    Explain,
    /// It changes something or shows a setting: Tombolo only reads.
    Statement,
    /// It asks DataFusion's catalog about itself.
    InformationSchema,
}

/// How an answer differs from the one in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// An error in place of an answer.
    Refused(String),
    /// An answer in place of an error.
    Answered(String),
    /// A failure in place of an error.
    Internal(String),
    /// Other kinds of column.
    Kinds(String),
    /// Other rows.
    Rows(String),
    /// The same rows in another order, which the query leaves open.
    Order,
    /// The rows that follow from the column types that the source gives.
    Types,
}

/// Runs a file, its queries in each of the placements.
pub async fn replay(roots: &Roots, file: &str, placements: &[Placement]) -> Result<Vec<Replayed>, String> {
    let path = roots.test_files.join(file);
    let records = sqllogictest::parse_file::<Kind>(&path).map_err(|error| format!("{file}: {error}"))?;
    let loader = Loader::new(roots.clone(), file).await;
    let desk = Arc::new(tokio::sync::Mutex::new(Desk::new(loader, placements)));
    let mut runner = Runner::new(|| {
        let session = Session(Arc::clone(&desk));
        async { Ok(session) }
    });
    runner.add_label(LABEL);
    runner.with_normalizer(|line| line.trim_end().to_owned());
    runner.with_validator(super::answer_is);
    runner.with_column_validator(sqllogictest::strict_column_validator);

    let mut replayed = Vec::new();
    for record in records {
        match record {
            Record::Halt { .. } => break,
            Record::Statement { ref sql, expected: StatementExpect::Ok | StatementExpect::Count(_), .. } => {
                if !is_query(sql) {
                    desk.lock().await.turn = Turn::Loader;
                    // What a statement fails to set up is missed by the queries that need it.
                    if let Err(error) = runner.run_async(record).await {
                        if std::env::var_os("SHOW").is_some() { eprintln!("SETUP {file}: {:.400}", error.to_string().replace('\n', " ")); }
                    }
                }
            }
            Record::Query { ref loc, ref conditions, ref sql, .. } => {
                let place = place(loc, &path);
                let rule = rule(sql, conditions);
                if rule == Some(Rule::Statement) {
                    desk.lock().await.turn = Turn::Loader;
                    let _ = runner.run_async(record.clone()).await;
                }
                if let Some(rule) = rule {
                    replayed.push(Replayed { place, has_tables: false, verdicts: vec![Verdict::ByRule(rule)] });
                    continue;
                }
                let tables = desk.lock().await.loader.tables(sql);
                if tables.iter().any(|table| table.schema() == Some("information_schema")) {
                    let verdicts = vec![Verdict::ByRule(Rule::InformationSchema)];
                    replayed.push(Replayed { place, has_tables: false, verdicts });
                    continue;
                }
                let ways = if tables.is_empty() { 1 } else { placements.len() };
                let mut verdicts = Vec::with_capacity(ways);
                for way in 0..ways {
                    desk.lock().await.prepare(way, &tables).await;
                    let verdict = judge(runner.run_async(record.clone()).await, &record);
                    verdicts.push(verdict);
                }
                replayed.push(Replayed { place, has_tables: !tables.is_empty(), verdicts });
            }
            // System commands are of another engine's making, and nothing that a query needs.
            Record::Statement { .. } | Record::System { .. } | Record::Sleep { .. } => {}
            other => {
                let _ = runner.run_async(other).await;
            }
        }
    }
    Ok(replayed)
}

fn place(location: &Location, path: &Path) -> String {
    let text = location.to_string();
    let mut levels = text.split("\nat ").map(|level| level.rsplit_once(':').unwrap_or((level, "")));
    let Some((file, line)) = levels.next() else { return text.clone() };
    if Path::new(file) == path {
        return line.to_owned();
    }
    let outer = levels.next().map_or("", |(_, line)| line);
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    format!("{name}:{line}@{outer}")
}

fn is_query(sql: &str) -> bool {
    matches!(parsed(sql), Some(DfStatement::Explain(_))) || matches!(parsed(sql), Some(DfStatement::Statement(statement)) if matches!(*statement, Statement::Query(_)))
}

fn parsed(sql: &str) -> Option<DfStatement> {
    DFParser::parse_sql(sql).ok()?.pop_front()
}

fn rule(sql: &str, conditions: &[Condition]) -> Option<Rule> {
    let is_ours = |label: &str| label == LABEL || label == session::ENGINE;
    let skips = |condition: &Condition| match condition {
        Condition::OnlyIf { label } => !is_ours(label),
        Condition::SkipIf { label } => is_ours(label),
    };
    if conditions.iter().any(skips) {
        return Some(Rule::Condition);
    }
    match parsed(sql)? {
        DfStatement::Explain(_) => Some(Rule::Explain),
        DfStatement::Statement(statement) => match *statement {
            Statement::Query(_) => None,
            Statement::Explain { .. } => Some(Rule::Explain),
            _ => Some(Rule::Statement),
        },
        _ => Some(Rule::Statement),
    }
}

type Outcome = Result<sqllogictest::RecordOutput<Kind>, sqllogictest::TestError>;

fn judge(outcome: Outcome, record: &Record<Kind>) -> Verdict {
    let wants_error = matches!(record, Record::Query { expected: QueryExpect::Error(_), .. });
    let error = match outcome {
        Ok(sqllogictest::RecordOutput::Query { error: Some(error), .. }) => TestErrorKind::ErrorMismatch {
            sql: String::new(),
            err: error,
            expected_err: String::new(),
            kind: sqllogictest::RecordKind::Query,
            actual_sqlstate: None,
        },
        Ok(_) => return Verdict::Passed,
        Err(error) => error.kind(),
    };
    Verdict::Failed(match error {
        TestErrorKind::ErrorMismatch { err, .. } | TestErrorKind::Fail { err, .. } => {
            let code = err.downcast_ref::<Failure>().and_then(Failure::code);
            match code {
                None | Some(ErrorCode::Internal | ErrorCode::Timeout) if wants_error => Difference::Internal(err.to_string()),
                _ if wants_error => return Verdict::Passed,
                _ => Difference::Refused(err.to_string()),
            }
        }
        TestErrorKind::Ok { .. } => Difference::Answered(String::new()),
        TestErrorKind::QueryResultColumnsMismatch { expected, actual, .. } => {
            Difference::Kinds(format!("{actual} in place of {expected}"))
        }
        TestErrorKind::QueryResultMismatch { expected, actual, .. } => {
            Difference::Rows(format!("{actual}\n-- in place of --\n{expected}"))
        }
        other => Difference::Refused(other.to_string()),
    })
}
