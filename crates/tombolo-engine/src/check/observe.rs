use std::collections::BTreeMap;
use std::sync::Arc;

use tombolo_connector::{Connector, Scan};

use super::build::sub_query;
use super::receipt::SubQueryOutcome;
use crate::catalog::{HereCost, Source, WholeRead, has_work};
use crate::cost::{ROW_WORKED_ON, looks};
use crate::execute::SourceScanExec;

/// Takes note of what was seen of sub-queries that were read whole, for those who estimate the next ones.
pub(crate) fn observe(scans: &[Arc<SourceScanExec>]) {
    let mut news = BTreeMap::new();
    for scan in scans.iter().filter(|scan| is_whole(scan)) {
        let source = &scan.scan().source;
        let (Some(observed), Some(connector)) = (source.observed(), source.connector_if_connected()) else { continue };
        let snapshot = scan.counters().snapshot();
        let reading_ms = reading_ms(scan);
        let mut is_news = observed.note(&WholeRead {
            scan: &scan.scan().scan,
            estimate: connector.estimate(&scan.scan().scan),
            rows: snapshot.rows,
            bytes: snapshot.bytes,
            is_direct: scan.takes_keys(),
            first_row_ms: snapshot.first_row_ms,
            reading_ms,
        });
        if let Some(here) = expected_here(source, connector.as_ref(), &scan.scan().scan)
            && has_work(&scan.scan().scan)
        {
            is_news |= observed.note_work(&scan.scan().scan, reading_ms, here);
        }
        if is_news {
            news.insert(source.name(), observed);
        }
    }
    for (source, work, seen) in done_here(scans) {
        if let Some(observed) = source.observed()
            && observed.note_work_here(work, seen)
        {
            news.insert(source.name(), observed);
        }
    }
    news.values().for_each(|observed| observed.save());
}

/// The time in which a source was waited for or its rows were decoded.
fn reading_ms(scan: &SourceScanExec) -> f64 {
    let snapshot = scan.counters().snapshot();
    snapshot.reading_ms / snapshot.opened.max(1) as f64
}

/// What it is expected to take to read the tables of a sub-query, with their conditions, and to do its work here; `None` where a
/// table's size is not known.
fn expected_here(source: &Source, connector: &dyn Connector, scan: &Scan) -> Option<HereCost> {
    if has_work(scan) {
        let mut cost = HereCost { ms: 0.0, bytes: 0 };
        for input in scan.inputs() {
            let HereCost { ms, bytes } = expected_here(source, connector, input)?;
            cost = HereCost { ms: cost.ms + ms, bytes: cost.bytes.saturating_add(bytes) };
        }
        return Some(cost);
    }
    let estimate = source.estimate(connector, scan);
    let (rows, bytes) = (estimate.rows.value()?, estimate.bytes?);
    let (count, speed) = (rows as f64, source.speed());
    let looked_at = looks(source, scan).ms;
    let moved = speed.moved(count, (rows > 0).then(|| bytes as f64 / count));
    Some(HereCost { ms: speed.request_ms + looked_at + moved + count * ROW_WORKED_ON, bytes })
}

/// The work that was done here in the place of a source that was seen to be slow at it, as far as its tables were read as far as it takes.
fn done_here(scans: &[Arc<SourceScanExec>]) -> Vec<(&Arc<Source>, &str, HereCost)> {
    let mut works: BTreeMap<(&str, &str), Vec<&Arc<SourceScanExec>>> = BTreeMap::new();
    for scan in scans {
        if let Some(work) = &scan.scan().instead_of {
            works.entry((scan.scan().source.name(), work)).or_default().push(scan);
        }
    }
    works.retain(|_, scans| scans.iter().all(|scan| is_over(scan)));
    let seen = works.into_iter().filter_map(|((_, work), scans)| {
        let mut seen = HereCost { ms: 0.0, bytes: 0 };
        for scan in &scans {
            let snapshot = scan.counters().snapshot();
            // As if they were read one after another, which they may be.
            let read = if is_by_keys(scan) { snapshot.elapsed_ms.unwrap_or_default() } else { reading_ms(scan) };
            seen.ms += read + snapshot.rows as f64 * ROW_WORKED_ON;
            seen.bytes = seen.bytes.saturating_add(snapshot.bytes);
        }
        Some((&scans.first()?.scan().source, work, seen))
    });
    seen.collect()
}

/// Whether all rows of a sub-query came, whatever the rest of the query was.
fn is_whole(scan: &SourceScanExec) -> bool {
    // A limit above may have had enough before the last stream was opened.
    let is_open = scan.counters().snapshot().opened >= scan.partitions();
    is_open && !is_by_keys(scan) && is_over(scan)
}

fn is_by_keys(scan: &SourceScanExec) -> bool {
    scan.supplies().iter().map(|supply| supply.report()).any(|report| report.batches.is_some() || report.is_range)
}

/// Whether all rows that it was asked for came.
fn is_over(scan: &SourceScanExec) -> bool {
    !scan.stops_early() && matches!(sub_query(scan).outcome, SubQueryOutcome::Finished)
}
