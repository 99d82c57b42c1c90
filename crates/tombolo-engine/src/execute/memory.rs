use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use tokio::sync::Notify;
use tombolo_connector::{Error, ErrorCode, Result, ResultExt};

use super::shared::inputs;
use crate::error::from_datafusion;
use crate::settings::Settings;

/// How many of the largest consumers an out-of-memory error names.
const NAMED_CONSUMERS: usize = 3;

/// How exchanges between streams call themselves to the memory pool.
///
/// They are never refused, for an exchange that spills can wait for itself for ever: with two files open its reader waits for the
/// older one while what it needs is in the newer (<https://github.com/apache/datafusion/issues/24883>, in DataFusion 55.2). What
/// they hold is what waits in their channels: as much as comes while one of their streams is not read. Where that alone is more than the
/// limit, the query ends.
const EXCHANGE: &str = "RepartitionExec";

/// How a nested-loop join calls itself to the memory pool for the side that it keeps.
///
/// Refused memory, it would spill that side and read it from its input a second time, and gives wrong rows then where the input
/// is a join, and for joins that keep unmatched rows over several streams (`NestedLoopJoinExec::execute` says so of itself, in
/// DataFusion 55.2). It does so where it sees the pool's own error, so it is given another.
const NESTED_LOOP: &str = "NestedLoopJoinLoad";

/// Makes the runtime that all queries of an engine share: one memory limit, one folder for temporary files.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] where the folder for temporary files cannot be used.
pub fn runtime(settings: &Settings) -> Result<Arc<RuntimeEnv>> {
    let limit = usize::try_from(settings.max_memory).unwrap_or(usize::MAX);
    let Some(consumers) = std::num::NonZeroUsize::new(NAMED_CONSUMERS) else {
        return Err(Error::internal("no consumer would be named"));
    };
    let pool = TrackConsumersPool::new(FairSpillPool::new(limit), consumers);
    let mut disk = DiskManagerBuilder::default().with_max_temp_directory_size(settings.max_temp_bytes);
    if let Some(folder) = &settings.temp_dir {
        std::fs::create_dir_all(folder).or_error(ErrorCode::ConfigInvalid, || {
            format!("the folder for temporary files, {}, cannot be made", folder.display())
        })?;
        disk = disk.with_mode(DiskManagerMode::Directories(vec![folder.clone()]));
    }
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(from_datafusion)
}

/// Whether a plan has a join that cannot spill but could be done by one that can.
pub fn has_hash_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    (plan.as_ref() as &dyn std::any::Any).is::<HashJoinExec>() || inputs(plan).into_iter().any(has_hash_join)
}

/// One query's view of the shared memory pool, which remembers the most that the query had reserved at once.
#[derive(Debug)]
pub struct PeakPool {
    shared: Arc<dyn MemoryPool>,
    reserved: AtomicUsize,
    peak: AtomicUsize,
    /// What exchanges hold of it.
    waiting: AtomicUsize,
    overflow: Notify,
}

impl PeakPool {
    /// Makes a view of `shared`.
    pub fn new(shared: Arc<dyn MemoryPool>) -> Arc<Self> {
        let (reserved, peak, waiting) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { shared, reserved, peak, waiting, overflow: Notify::new() })
    }

    /// Waits until the rows that wait in exchanges take more than all memory that there may be, which may be never, and says so.
    pub async fn overflowed(&self) -> DataFusionError {
        self.overflow.notified().await;
        DataFusionError::ResourcesExhausted(format!(
            "{EXCHANGE}: the rows that wait to be read take more than the limit"
        ))
    }

    /// The most bytes that were reserved at once.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Waits until the query holds nothing any more, as it does not at once when its stream is dropped: its tasks end at
    /// their next pause. Waits no longer than `patience`.
    pub async fn emptied(&self, patience: Duration) {
        let begun = Instant::now();
        while self.reserved.load(Ordering::Relaxed) > 0 && begun.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn add(&self, bytes: usize) {
        let now = self.reserved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }
}

fn is_exchange(reservation: &MemoryReservation) -> bool {
    reservation.consumer().name().starts_with(EXCHANGE)
}

impl fmt::Display for PeakPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeakPool({})", self.shared)
    }
}

impl MemoryPool for PeakPool {
    fn name(&self) -> &str {
        "PeakPool"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.shared.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.shared.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shared.grow(reservation, additional);
        self.add(additional);
        if is_exchange(reservation) {
            let waiting = self.waiting.fetch_add(additional, Ordering::Relaxed) + additional;
            if matches!(self.shared.memory_limit(), MemoryLimit::Finite(limit) if waiting > limit) {
                self.overflow.notify_one();
            }
        }
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.shared.shrink(reservation, shrink);
        self.reserved.fetch_sub(shrink, Ordering::Relaxed);
        if is_exchange(reservation) {
            self.waiting.fetch_sub(shrink, Ordering::Relaxed);
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> DfResult<()> {
        if is_exchange(reservation) {
            self.grow(reservation, additional);
            return Ok(());
        }
        self.shared.try_grow(reservation, additional).map_err(|error| {
            let keeps_a_side = reservation.consumer().name().starts_with(NESTED_LOOP);
            if keeps_a_side { from_datafusion(error).into() } else { error }
        })?;
        self.add(additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.shared.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.shared.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use futures::FutureExt;

    use super::*;

    #[test]
    fn exchanges_alone_may_not_hold_more_than_there_is() {
        let pool = PeakPool::new(Arc::new(GreedyMemoryPool::new(100)));
        let shared: Arc<dyn MemoryPool> = Arc::clone(&pool) as _;
        let exchange = MemoryConsumer::new(format!("{EXCHANGE}[1]")).register(&shared);
        let other = MemoryConsumer::new("ExternalSorter").register(&shared);
        other.try_grow(90).unwrap();
        exchange.try_grow(90).unwrap();
        exchange.shrink(40);
        exchange.try_grow(50).unwrap();
        assert!(pool.overflowed().now_or_never().is_none());
        assert!(other.try_grow(10).is_err());
        exchange.try_grow(1).unwrap();
        let error = from_datafusion(pool.overflowed().now_or_never().unwrap());
        assert_eq!(error.code(), ErrorCode::OutOfMemory);
        assert_eq!(error.message(), "an exchange between threads needs more memory than is left of `max_memory`");
    }
}
