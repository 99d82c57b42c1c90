use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::common::Result;

use crate::execute::{KeyChoice, KeyOutcome, KeyReport, KeySupply};
use crate::fuse::ship::shipment::Shipment;

/// What became of the keys of all parts together.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Of the parts that are done.
    report: Mutex<KeyReport>,
    /// The part that is not, or that was the last.
    current: Mutex<Option<Arc<Shipment>>>,
}

impl Told {
    /// Takes note of what is expected.
    pub(super) fn expect(&self, report: KeyReport) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
    }

    /// Takes note of keys of a part whose rows are there already.
    pub(super) fn answered(&self, keys: u64) {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).answered += keys;
    }

    /// Goes on to the keys of the next part.
    pub(super) fn next(&self, shipment: Arc<Shipment>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = current.replace(shipment) {
            add(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner), done.report());
        }
    }
}

fn add(sum: &mut KeyReport, part: KeyReport) {
    if let Some(requests) = part.batches {
        *sum.batches.get_or_insert(0) += requests;
    }
    if let Some(keys) = part.keys {
        *sum.keys.get_or_insert(0) += keys;
    }
    sum.reason = part.reason.or(sum.reason.take());
}

#[async_trait]
impl KeySupply for Told {
    async fn choose(&self) -> Result<KeyChoice> {
        Ok(KeyChoice::ReadAll { reason: String::new() })
    }

    fn settle(&self, _: KeyOutcome) {}

    async fn cost(&self) -> Result<f64> {
        Ok(self.report().read_all_ms)
    }

    fn let_go(&self) {
        if let Some(current) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            current.let_go();
        }
    }

    fn report(&self) -> KeyReport {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(current) = self.current.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            add(&mut report, current.report());
        }
        report
    }
}
