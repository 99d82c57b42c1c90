//! Runs another engine's `.slt` files through Tombolo, with their tables placed in one source after the other.
//!
//! Tombolo only reads, so what changes something (CREATE, INSERT, SET, COPY …) is run by plain DataFusion, the *loader*. Before
//! a query the tables that it names are read from the loader and placed in the source under test; the query itself goes through
//! Tombolo, which finds tables without a source in their names by its search path. A file's own answers are what counts; the
//! loader is never asked for one.

pub mod datafusion;
mod fixtures;
mod loader;
mod placement;
mod session;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ::datafusion::sql::parser::{DFParser, Statement as DfStatement};
use ::datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement};
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
    Answered,
    /// A failure in place of an error.
    Internal(String),
    /// Other kinds of column.
    Kinds(String),
    /// Other rows.
    Rows(String),
    /// The same rows in another order, though the query names one.
    Order,
    /// Other rows, as many, of a LIMIT without ORDER BY, for which any rows will do.
    AnyRows,
    /// The table could not be set up, for this reason.
    Missing(String),
    /// It passes in memory, and gives here what it gives with nothing pushed: it follows from the column types of the source.
    Types(String),
    /// It passes in memory, and with nothing pushed it gives another answer than as it is.
    Pushed(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line =
            |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(150).collect::<String>();
        match self {
            Self::Refused(error) => write!(f, "refused: {}", one_line(error)),
            Self::Answered => f.write_str("answered where the file wants an error"),
            Self::Internal(error) => write!(f, "failed where the file wants an error: {}", one_line(error)),
            Self::Kinds(kinds) => write!(f, "other kinds of column: {kinds}"),
            Self::Rows(_) => f.write_str("other rows"),
            Self::Order => f.write_str("the same rows in another order"),
            Self::AnyRows => f.write_str("other rows, of a LIMIT without ORDER BY"),
            Self::Missing(reason) => write!(f, "no data: {reason}"),
            Self::Types(what) => {
                write!(f, "from the source's column types, the same with nothing pushed: {}", one_line(what))
            }
            Self::Pushed(what) => write!(f, "WRONG, other than with nothing pushed: {}", one_line(what)),
        }
    }
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
                    let _ = runner.run_async(record).await;
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
                    let mut verdict = judge(runner.run_async(record.clone()).await, &record);
                    if let Verdict::Failed(Difference::Refused(error)) = &verdict
                        && let Some(reason) = desk.lock().await.loader.missing(error)
                    {
                        verdict = Verdict::Failed(Difference::Missing(reason));
                    }
                    if way > 0
                        && verdicts[0] == Verdict::Passed
                        && let Verdict::Failed(difference) = &verdict
                        && !matches!(difference, Difference::Order | Difference::AnyRows)
                    {
                        desk.lock().await.turn = Turn::Unpushed(way);
                        let unpushed = judge(runner.run_async(record.clone()).await, &record);
                        let what = difference.to_string();
                        let as_unpushed = unpushed == verdict;
                        verdict = Verdict::Failed(if as_unpushed {
                            Difference::Types(what)
                        } else {
                            Difference::Pushed(what)
                        });
                    }
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
    match parsed(sql) {
        Some(DfStatement::Explain(_)) => true,
        // `SELECT … INTO` makes a table.
        Some(DfStatement::Statement(statement)) => {
            matches!(*statement, Statement::Query(_)) && !makes_table(&statement)
        }
        _ => false,
    }
}

fn makes_table(statement: &Statement) -> bool {
    let Statement::Query(query) = statement else { return false };
    matches!(query.body.as_ref(), SetExpr::Select(select) if select.into.is_some())
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
                None | Some(ErrorCode::Internal | ErrorCode::Timeout) if wants_error => {
                    Difference::Internal(err.to_string())
                }
                _ if wants_error => return Verdict::Passed,
                _ => Difference::Refused(err.to_string()),
            }
        }
        TestErrorKind::Ok { .. } => Difference::Answered,
        TestErrorKind::QueryResultColumnsMismatch { expected, actual, .. } => {
            Difference::Kinds(format!("{actual} in place of {expected}"))
        }
        TestErrorKind::QueryResultMismatch { expected, actual, sql } if sorted(&expected) == sorted(&actual) => {
            if !is_ordered(&sql) {
                return Verdict::Passed;
            }
            Difference::Order
        }
        TestErrorKind::QueryResultMismatch { expected, actual, sql }
            if takes_any_rows(&sql) && as_many(&expected, &actual) =>
        {
            Difference::AnyRows
        }
        TestErrorKind::QueryResultMismatch { expected, actual, .. } => {
            Difference::Rows(format!("{actual}\n-- in place of --\n{expected}"))
        }
        other => Difference::Refused(other.to_string()),
    })
}

fn sorted(rows: &str) -> Vec<&str> {
    let mut rows: Vec<&str> = rows.lines().map(str::trim_end).collect();
    rows.sort_unstable();
    rows
}

fn as_many(expected: &str, actual: &str) -> bool {
    expected.lines().count() == actual.lines().count()
}

/// Whether a query takes some of its rows and leaves open which.
fn takes_any_rows(sql: &str) -> bool {
    query(sql).is_some_and(|query| query.limit_clause.is_some() && query.order_by.is_none())
}

/// Whether a query says in which order its rows come; that of others is open, whatever a file writes.
fn is_ordered(sql: &str) -> bool {
    query(sql).is_none_or(|query| query.order_by.is_some())
}

fn query(sql: &str) -> Option<Box<Query>> {
    let Some(DfStatement::Statement(statement)) = parsed(sql) else { return None };
    let Statement::Query(query) = *statement else { return None };
    Some(query)
}
