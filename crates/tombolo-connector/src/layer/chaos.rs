mod stream;

use std::future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use self::stream::ScanChaos;
use super::pass_on;
use crate::{
    Connector, Error, ErrorCode, PlannedScan, QueryContext, RemoteInfo, Result, Retry, Scan, TableDescription, TableRef,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error of this code, with this advice.
    Error(ErrorCode, Retry),
    /// Nothing happens for so long, or for ever.
    Stall(Option<Duration>),
    /// The code of the source panics.
    Panic,
}

/// Where in a scan's rows something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPoint {
    /// After exactly so many rows. Zero is before the first row; the number of all rows is after the last row and before the
    /// end. A larger number is never reached.
    Row(u64),
    /// After a number of rows below this bound, another one in each scan, chosen by the seed.
    Seeded {
        /// Where the choice begins.
        seed: u64,
        /// One more than the largest number.
        below: u64,
    },
    /// In place of the end.
    End,
}

/// Which rows are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counted {
    /// Those of all streams of a scan: a fault happens once in a scan, in one of its streams.
    #[default]
    PerScan,
    /// Those of one stream: a fault happens in each stream.
    PerStream,
}

/// A call to a source, as faults know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The factory's `connect`, where whoever wraps the factory asks [`ChaosSwitch::before`].
    Connect,
    /// [`Connector::ping`].
    Ping,
    /// [`Connector::list_schemas`].
    ListSchemas,
    /// [`Connector::list_tables`].
    ListTables,
    /// [`Connector::describe_table`].
    DescribeTable,
    /// [`Connector::plan_scan`].
    PlanScan,
}

impl Call {
    /// All calls.
    pub const ALL: [Self; 6] =
        [Self::Connect, Self::Ping, Self::ListSchemas, Self::ListTables, Self::DescribeTable, Self::PlanScan];
}

/// What is to go wrong in a source. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct ChaosPlan {
    rows: Vec<(RowPoint, RowAction)>,
    counted: Counted,
    table: Option<String>,
    reslice: Option<u64>,
    batch_delay: Option<Duration>,
    calls: Vec<(Call, u64, Fault)>,
    call_delay: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowAction {
    Fault(Fault),
    Cut,
}

impl ChaosPlan {
    /// A fault in the midst of rows.
    #[must_use]
    pub fn at_row(mut self, point: RowPoint, fault: Fault) -> Self {
        self.rows.push((point, RowAction::Fault(fault)));
        self
    }

    /// The stream ends as if there were no more rows, as a driver's would that takes a lost connection for the end.
    #[must_use]
    pub fn cut_at(mut self, point: RowPoint) -> Self {
        self.rows.push((point, RowAction::Cut));
        self
    }

    /// How rows are counted.
    #[must_use]
    pub fn counted(mut self, counted: Counted) -> Self {
        self.counted = counted;
        self
    }

    /// Leaves scans alone that do not read this table.
    #[must_use]
    pub fn only_table(mut self, table: &str) -> Self {
        self.table = Some(table.to_owned());
        self
    }

    /// Cuts batches into pieces of odd sizes and puts empty ones between them, which is to change nothing.
    #[must_use]
    pub fn resliced(mut self, seed: u64) -> Self {
        self.reslice = Some(seed);
        self
    }

    /// Waits before each batch.
    #[must_use]
    pub fn with_batch_delay(mut self, delay: Duration) -> Self {
        self.batch_delay = Some(delay);
        self
    }

    /// A fault in place of the nth call of a kind since the plan was set; the first is number one.
    #[must_use]
    pub fn on_call(mut self, call: Call, nth: u64, fault: Fault) -> Self {
        self.calls.push((call, nth, fault));
        self
    }

    /// Waits before each call.
    #[must_use]
    pub fn with_call_delay(mut self, delay: Duration) -> Self {
        self.call_delay = Some(delay);
        self
    }
}

/// Sets what goes wrong in one source, while it is in use. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct ChaosSwitch(Arc<Control>);

#[derive(Debug, Default)]
struct Control {
    plan: RwLock<Arc<ChaosPlan>>,
    calls: [AtomicU64; Call::ALL.len()],
    scans: AtomicU64,
    fired: AtomicU64,
}

impl ChaosSwitch {
    /// Makes a switch that is set to this plan.
    pub fn new(plan: ChaosPlan) -> Self {
        let switch = Self::default();
        switch.set(plan);
        switch
    }

    /// Sets another plan, for calls and scans that begin from now on, and counts calls and faults from zero.
    pub fn set(&self, plan: ChaosPlan) {
        *self.0.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
        let counters = self.0.calls.iter().chain([&self.0.scans, &self.0.fired]);
        counters.for_each(|counter| counter.store(0, Ordering::Release));
    }

    /// Lets everything go well again.
    pub fn clear(&self) {
        self.set(ChaosPlan::default());
    }

    /// How many faults have happened. A test in which none did has proved nothing.
    pub fn fired(&self) -> u64 {
        self.0.fired.load(Ordering::Acquire)
    }

    /// How often a call was made.
    pub fn calls(&self, call: Call) -> u64 {
        self.0.calls[call as usize].load(Ordering::Acquire)
    }

    /// Lets happen what is planned for a call.
    ///
    /// # Errors
    /// The planned one.
    pub async fn before(&self, call: Call) -> Result<()> {
        let plan = self.plan();
        let nth = self.0.calls[call as usize].fetch_add(1, Ordering::AcqRel) + 1;
        if let Some(delay) = plan.call_delay {
            sleep(delay).await;
        }
        for (planned, at, fault) in &plan.calls {
            if *planned == call && *at == nth {
                self.happen(*fault, &format!("call {nth} of {call:?}")).await?;
            }
        }
        Ok(())
    }

    async fn happen(&self, fault: Fault, place: &str) -> Result<()> {
        self.0.fired.fetch_add(1, Ordering::AcqRel);
        match fault {
            Fault::Error(code, retry) => {
                let error = Error::new(code, format!("a fault was injected at {place}"))
                    .with_hint("Only tests do this: take the chaos layer out.");
                Err(if retry == Retry::Safe { error.retryable() } else { error })
            }
            Fault::Stall(Some(duration)) => {
                sleep(duration).await;
                Ok(())
            }
            Fault::Stall(None) => future::pending().await,
            Fault::Panic => injected_panic(place),
        }
    }

    fn plan(&self) -> Arc<ChaosPlan> {
        Arc::clone(&self.0.plan.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[expect(clippy::panic, reason = "a panic is what the test asked for")]
fn injected_panic(place: &str) -> ! {
    panic!("a panic was injected at {place}")
}

/// Makes a source fail on purpose, for tests: faults at rows and at calls, and batches of odd sizes.
///
/// It stands for the source itself, so it goes inside all other layers.
#[derive(Debug)]
pub struct Chaos {
    inner: Arc<dyn Connector>,
    switch: ChaosSwitch,
}

impl Chaos {
    /// Puts the layer around a source.
    pub fn new(inner: Arc<dyn Connector>, switch: ChaosSwitch) -> Self {
        Self { inner, switch }
    }
}

#[async_trait]
impl Connector for Chaos {
    pass_on!(inner);

    async fn ping(&self) -> Result<RemoteInfo> {
        self.switch.before(Call::Ping).await?;
        self.inner.ping().await
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.switch.before(Call::ListSchemas).await?;
        self.inner.list_schemas().await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        self.switch.before(Call::ListTables).await?;
        self.inner.list_tables(schema).await
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        self.switch.before(Call::DescribeTable).await?;
        self.inner.describe_table(table).await
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        self.inner.is_current(description).await
    }

    async fn check_tables(&self, descriptions: &[Arc<TableDescription>]) -> Result<()> {
        self.inner.check_tables(descriptions).await
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        self.switch.before(Call::PlanScan).await?;
        let planned = self.inner.plan_scan(scan, context).await?;
        let plan = self.switch.plan();
        let is_meant =
            plan.table.as_ref().is_none_or(|table| scan.tables().iter().any(|read| read.table().table == *table));
        if !is_meant {
            return Ok(planned);
        }
        let number = self.switch.0.scans.fetch_add(1, Ordering::AcqRel);
        Ok(planned.wrapped(Arc::new(ScanChaos::new(self.switch.clone(), plan, number))))
    }
}

#[cfg(test)]
mod tests;
