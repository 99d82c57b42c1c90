use std::fmt;

use arrow::array::RecordBatch;

use super::alone::Unanswered;
use super::known;
use super::refusals;
use super::statement::Statement;
use super::world::{Failure, Rows, World};
use crate::compare::{Rules, same, same_up_to_ties};
use tombolo_engine::ErrorCode;

/// What became of a query that was asked in several ways.
#[derive(Debug)]
pub enum Verdict {
    /// All ways gave the same answer, of so many rows. `alone` says whether SQLite was among them.
    Same { rows: usize, alone: AloneVerdict },
    /// Tombolo refuses it in all ways, which is meant.
    Refused(&'static str),
    /// It fails in all ways alike: with this code, and what plain DataFusion says.
    Fails(String),
    /// Not all ways agree.
    Different(Difference),
}

/// Whether SQLite answered the query by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AloneVerdict {
    /// It did, and the same.
    Same,
    /// It did, and all ways of Tombolo the same; it is plain DataFusion that stands alone.
    AgainstReference,
    /// The query has something that SQLite does not do alike.
    Untranslated,
    /// It took too long.
    GivenUp,
}

/// What two ways do not agree on.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The way that stands alone.
    pub way: String,
    pub kind: Kind,
    /// The first difference.
    pub what: String,
    /// What the way gave, and what plain DataFusion gave.
    pub given: String,
    pub wanted: String,
}

/// How two ways differ. A query that is made smaller must go on differing in the same manner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Both answer, but not the same.
    Answers,
    /// The way fails with this code, and plain DataFusion answers.
    Fails(&'static str),
    /// Plain DataFusion fails, and the way answers.
    OnlyAnswer,
    /// A defect by its own word, or a panic.
    Internal,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}\n{} gave:\n{}\nplain DataFusion gave:\n{}",
            self.way, self.what, self.way, self.given, self.wanted
        )
    }
}

/// Floats of the data are multiples of a quarter, so that their sums are exact; what is rounded at all is so by an average or a
/// deviation, whose steps may come in any order.
const RULES: Rules = Rules { float_bound: 1e-9, any_width: false };

impl World {
    /// Asks a query in some ways, named by their position, and compares. `alone` is the query in SQLite's words.
    pub async fn judge(&self, statement: &Statement, ways: &[usize], alone: Option<&str>) -> Verdict {
        let wanted = self.ask_reference(&statement.sql).await;
        if let Some(defect) = wanted.as_ref().err().and_then(|error| known::defect(error)) {
            return Verdict::Fails(defect.to_owned());
        }
        let verdict = self.judge_by(statement, ways, alone, wanted.clone()).await;
        // DataFusion has defects that Tombolo keeps itself from. Two engines against it that have nothing in common are right.
        let (Verdict::Different(Difference { kind: Kind::Answers, .. }), Ok(wanted), Some(sql)) =
            (&verdict, wanted, alone)
        else {
            return verdict;
        };
        let Ok(batch) = self.alone.ask(sql, &wanted.0) else { return verdict };
        if statement.is_tied(&wanted.0) {
            return verdict;
        }
        match self.judge_by(statement, ways, None, Ok((batch.schema(), vec![batch]))).await {
            Verdict::Same { rows, .. } => Verdict::Same { rows, alone: AloneVerdict::AgainstReference },
            _ => verdict,
        }
    }

    /// Compares the ways with the answer that is wanted.
    async fn judge_by(
        &self,
        statement: &Statement,
        ways: &[usize],
        alone: Option<&str>,
        wanted: Result<Rows, String>,
    ) -> Verdict {
        let mut all = None;
        let (mut refused, mut failure) = (None, None::<Failure>);
        let mut outside = None;
        for &way in ways {
            let way = &self.ways[way];
            let given = World::ask(way, &statement.sql).await;
            let difference = |kind, what: String| {
                let (given, wanted) = (shown(&given), shown(&wanted));
                Verdict::Different(Difference { way: way.name.clone(), kind, what, given, wanted })
            };
            match (&given, &wanted) {
                (Err(found), _) if found.code == ErrorCode::Internal => {
                    return difference(Kind::Internal, format!("{found}"));
                }
                // Whether a row that overflows is reached at all depends on what is done before; a way that answers is compared.
                (Err(found), Ok(_)) => {
                    let reason = refusals::outside(found.code, &found.message);
                    outside = reason.or(outside);
                    if reason.is_none() {
                        refused = refusals::reason(found.code, &found.message);
                        if refused.is_none() {
                            return difference(Kind::Fails(found.code.name()), format!("it fails with {found}"));
                        }
                    }
                }
                (Err(found), Err(_)) => failure = Some(found.clone()),
                // The same of a row that the reference came to.
                (Ok(_), Err(error)) if refusals::is_overflow(error) => {}
                (Ok(_), Err(error)) => {
                    return difference(Kind::OnlyAnswer, format!("plain DataFusion fails with {error}"));
                }
                (Ok(given), Ok(wanted)) => {
                    if refused.is_some() {
                        return difference(Kind::OnlyAnswer, "another way refuses it".to_owned());
                    }
                    let tied = statement.is_tied(&wanted.0);
                    if tied && all.is_none() {
                        let sql = statement.unlimited.as_ref().unwrap_or(&statement.sql);
                        all = Some(self.ask_reference(sql).await);
                    }
                    let all = match &all {
                        Some(Ok(all)) => Some(all.1.as_slice()),
                        // A row that the limit leaves out can be one that fails.
                        Some(Err(error)) => return Verdict::Fails(format!("without its limit: {error}")),
                        None => None,
                    };
                    if let Err(what) = compared(statement, given, wanted, all) {
                        return difference(Kind::Answers, what);
                    }
                }
            }
        }
        match (wanted, refused) {
            (Err(error), _) => Verdict::Fails(match failure {
                Some(failure) => format!("{}: {error}", failure.code.name()),
                None => error,
            }),
            (Ok(_), Some(reason)) => Verdict::Refused(reason),
            (Ok(wanted), None) => match outside {
                Some(reason) => Verdict::Refused(reason),
                None => self.judge_alone(statement, alone, &wanted, all.and_then(Result::ok)),
            },
        }
    }

    fn judge_alone(&self, statement: &Statement, alone: Option<&str>, wanted: &Rows, all: Option<Rows>) -> Verdict {
        let rows = wanted.1.iter().map(RecordBatch::num_rows).sum();
        let Some(sql) = alone else { return Verdict::Same { rows, alone: AloneVerdict::Untranslated } };
        let difference = |kind, what, given| {
            let (way, wanted) = ("SQLite alone".to_owned(), table(&wanted.1));
            Verdict::Different(Difference { way, kind, what, given, wanted })
        };
        match self.alone.ask(sql, &wanted.0) {
            Err(Unanswered::TooLong) => Verdict::Same { rows, alone: AloneVerdict::GivenUp },
            Err(Unanswered::Fails(error)) => difference(Kind::Fails("sqlite"), error, String::new()),
            Err(Unanswered::Wrong(error)) => difference(Kind::Answers, error, String::new()),
            Ok(batch) => {
                let given = (batch.schema(), vec![batch]);
                match compared(statement, &given, wanted, all.as_ref().map(|all| all.1.as_slice())) {
                    Ok(()) => Verdict::Same { rows, alone: AloneVerdict::Same },
                    Err(what) => difference(Kind::Answers, what, table(&given.1)),
                }
            }
        }
    }
}

fn compared(statement: &Statement, given: &Rows, wanted: &Rows, all: Option<&[RecordBatch]>) -> Result<(), String> {
    let (given, wanted) = ((given.0.as_ref(), given.1.as_slice()), (wanted.0.as_ref(), wanted.1.as_slice()));
    match all {
        Some(all) => same_up_to_ties(&statement.sql, given, wanted, all, RULES),
        None => same(&statement.sql, given, wanted, RULES),
    }
}

fn shown<E: fmt::Display>(answer: &Result<Rows, E>) -> String {
    match answer {
        Ok(rows) => table(&rows.1),
        Err(error) => error.to_string(),
    }
}

fn table(batches: &[RecordBatch]) -> String {
    /// What is more helps nobody.
    const LINES: usize = 14;
    let text = arrow::util::pretty::pretty_format_batches(batches)
        .map_or_else(|error| error.to_string(), |text| text.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let more = if lines.len() > LINES { format!("\n… {} lines", lines.len()) } else { String::new() };
    lines[..lines.len().min(LINES)].join("\n") + &more
}
