use tombolo_connector::{Answer, Capabilities, Parallelism, Scan, ScanOffer, SnapshotKind};

pub(super) fn capabilities() -> Capabilities {
    Capabilities {
        projection: true,
        parallelism: Parallelism::Partitioned,
        snapshot: SnapshotKind::PerQuery,
        cancel: true,
        statistics: true,
        ..Capabilities::default()
    }
}

pub(super) fn offer(scan: &Scan) -> ScanOffer {
    let answer = match scan {
        Scan::Table(_) => Answer::Exact,
        _ => Answer::refused(format!("memory tables have no query engine: the {} runs in Tombolo", scan.operator())),
    };
    ScanOffer::all(answer, scan.part_count())
}
