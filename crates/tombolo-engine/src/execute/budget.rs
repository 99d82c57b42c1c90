use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tombolo_connector::{Error, Result, TableRef};

use crate::catalog::ScanLimits;
use crate::catalog::guardrails::{self, grouped, refused};
use crate::pushdown::SourceScan;

/// What one query may still read from a source, or by sub-queries that have one of its tables. All sub-queries of the query that
/// are about it share it.
#[derive(Debug)]
pub struct Budget {
    source: String,
    /// The table, and the key in the config of a rule about it.
    table: Option<TableRef>,
    rows: Option<Allowed>,
    bytes: Option<Allowed>,
}

/// The most of something, and what came of it.
#[derive(Debug)]
struct Allowed {
    most: u64,
    came: AtomicU64,
    /// The rule's key in the config.
    key: String,
}

/// The budgets of one query, by the source and the table.
#[derive(Debug, Default)]
pub(super) struct Budgets(Mutex<BTreeMap<Place, Arc<Budget>>>);

type Place = (String, Option<TableRef>);

impl Budgets {
    /// The budgets that a sub-query draws on.
    pub(super) fn of(&self, scan: &SourceScan) -> Vec<Arc<Budget>> {
        let guardrails = scan.source.guardrails();
        if guardrails.is_empty() {
            return Vec::new();
        }
        let source = scan.source.name();
        let mut budgets: Vec<Arc<Budget>> = Vec::new();
        let mut add = |table: Option<&TableRef>, limits: ScanLimits, key: &dyn Fn(&str) -> String| {
            if limits.is_set() {
                let budget = self.shared(source, table, limits, key);
                if !budgets.iter().any(|known| Arc::ptr_eq(known, &budget)) {
                    budgets.push(budget);
                }
            }
        };
        add(None, guardrails.max_scanned, &|rule| guardrails::key(source, None, rule));
        for table in scan.scan.tables() {
            let rules = guardrails.of(table.table());
            add(Some(table.table()), rules.max_scanned(), &|rule| rules.key(source, rule, |_| true));
        }
        budgets
    }

    fn shared(
        &self,
        source: &str,
        table: Option<&TableRef>,
        limits: ScanLimits,
        key: &dyn Fn(&str) -> String,
    ) -> Arc<Budget> {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = budgets.entry((source.to_owned(), table.cloned())).or_insert_with(|| {
            let allowed = |most: Option<u64>, rule: &str| {
                most.map(|most| Allowed { most, came: AtomicU64::new(0), key: key(rule) })
            };
            Arc::new(Budget {
                source: source.to_owned(),
                table: table.cloned(),
                rows: allowed(limits.rows, "max_scanned_rows"),
                bytes: allowed(limits.bytes, "max_scanned_bytes"),
            })
        });
        Arc::clone(budget)
    }
}

impl Budget {
    /// Takes what has come.
    ///
    /// # Errors
    /// [`GuardrailRefused`](tombolo_connector::ErrorCode::GuardrailRefused) where that is more than there may be.
    pub(super) fn take(&self, rows: u64, bytes: u64) -> Result<()> {
        for (allowed, more, unit) in [(&self.rows, rows, "rows"), (&self.bytes, bytes, "bytes")] {
            let Some(allowed) = allowed else { continue };
            let came = allowed.came.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            if came > allowed.most {
                let detail = format!(
                    "{} {unit} had come when the query was stopped; no part of them is an answer",
                    grouped(came)
                );
                let message = format!("{} sent more than {} {unit}", self.of(), grouped(allowed.most));
                return Err(self.error(allowed, message).with_detail(detail));
            }
        }
        Ok(())
    }

    /// Looks at what is sure to come.
    ///
    /// # Errors
    /// [`GuardrailRefused`](tombolo_connector::ErrorCode::GuardrailRefused) where that is more than there may be.
    pub(crate) fn expect(&self, rows: Expected, bytes: Expected) -> Result<()> {
        for (allowed, expected, unit) in [(&self.rows, rows, "rows"), (&self.bytes, bytes, "bytes")] {
            let Some(allowed) = allowed.as_ref().filter(|allowed| expected.least > allowed.most) else { continue };
            let (about, most) = (grouped(expected.about), grouped(allowed.most));
            let message = format!("{} would send about {about} {unit}, and may send {most}", self.of());
            return Err(self.error(allowed, message).with_detail("nothing was read: the source's statistics say so"));
        }
        Ok(())
    }

    fn of(&self) -> String {
        match &self.table {
            None => format!("source `{}`", self.source),
            Some(table) => format!("source `{}`, of table `{table}`,", self.source),
        }
    }

    fn error(&self, allowed: &Allowed, message: String) -> Error {
        refused(&self.source, message).with_hint(format!(
            "Filter or aggregate so that fewer rows have to come, or add a LIMIT; whoever keeps the config can raise `{}`.",
            allowed.key
        ))
    }
}

/// How much is expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// As much as there is no doubt about.
    pub least: u64,
    /// What the statistics say.
    pub about: u64,
}

impl Expected {
    /// What was counted.
    pub(crate) fn counted(number: u64) -> Self {
        Self { least: number, about: number }
    }

    /// What was estimated. An estimate may be off: half of it is beyond doubt.
    pub(crate) fn estimated(number: u64) -> Self {
        Self { least: number / 2, about: number }
    }

    /// Both together.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self { least: self.least.saturating_add(other.least), about: self.about.saturating_add(other.about) }
    }

    /// The same of each part.
    #[must_use]
    pub(crate) fn each(self, change: impl Fn(u64) -> u64) -> Self {
        Self { least: change(self.least), about: change(self.about) }
    }
}
