//! One source over several servers of a kind: each table in parts on all of them, or whole on each of them.
//!
//! What works row by row runs on each server, and the rows are put one after another. What must see all rows of a table (groups,
//! orders, limits, joins of two tables in parts) runs in the engine, unless the filters leave a single server.

mod layout;
mod reader;

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use tombolo_connector::{
    Answer, Capabilities, Connector, Error, ErrorCode, NativeQuery, PlannedScan, QueryContext, RemoteInfo, Result,
    Scan, ScanInput, ScanJoin, ScanOffer, ScanStatistics, ScanTable, SnapshotKind, TableDescription, TableRef,
};

pub(crate) use self::layout::Layout;
use self::layout::Spread;
use self::reader::ShardReader;
pub(crate) use self::reader::on_shard;

/// One of the servers.
#[derive(Debug)]
pub(crate) struct Shard {
    /// How it is called in errors and in `explain`, such as `db1:5432/shop`.
    pub(crate) place: String,
    pub(crate) connector: Arc<dyn Connector>,
}

/// All of them as one source.
#[derive(Debug)]
pub(crate) struct Sharded {
    shards: Vec<Shard>,
    layout: Layout,
    capabilities: Capabilities,
    /// The most servers that one sub-query may read.
    max_fan_out: usize,
}

/// Which servers a tree reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Any one of them: its tables are whole on each.
    Any,
    /// Those whose bit is set.
    Of(u64),
}

impl Reach {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, reach) | (reach, Self::Any) => reach,
            (Self::Of(left), Self::Of(right)) => Self::Of(left | right),
        }
    }

    fn is_one(self) -> bool {
        match self {
            Self::Any => true,
            Self::Of(mask) => mask.count_ones() <= 1,
        }
    }

    /// The servers' numbers; where none can have a row, one that says so.
    fn shards(self) -> Vec<usize> {
        match self {
            Self::Any | Self::Of(0) => vec![0],
            Self::Of(mask) => (0..64).filter(|shard| mask >> shard & 1 == 1).collect(),
        }
    }
}

impl Sharded {
    /// # Errors
    /// [`ErrorCode::ConfigInvalid`] where there are more servers than can be told apart.
    pub(crate) fn try_new(shards: Vec<Shard>, layout: Layout, max_fan_out: usize) -> Result<Self> {
        let Some(first) = shards.first().filter(|_| shards.len() <= layout::MAX_SHARDS) else {
            return Err(Error::new(ErrorCode::ConfigInvalid, format!("`shards` names {} servers", shards.len()))
                .with_hint(format!("Name 1 to {} of them.", layout::MAX_SHARDS)));
        };
        let declared = first.connector.capabilities();
        let capabilities = Capabilities {
            snapshot: SnapshotKind::None,
            native_queries: false,
            max_concurrency: declared.max_concurrency.map(|most| most * shards.len()),
            ..declared.clone()
        };
        Ok(Self { shards, layout, capabilities, max_fan_out })
    }

    fn shard(&self, at: usize) -> Result<&Shard> {
        self.shards.get(at).ok_or_else(|| Error::internal("a shard that there is not"))
    }

    fn all(&self) -> u64 {
        u64::MAX >> (64 - self.shards.len().min(64))
    }

    fn reach(&self, scan: &Scan) -> Reach {
        match scan {
            Scan::Table(table) => match self.layout.spread(table.table()) {
                Some(Spread::Whole) => Reach::Any,
                _ => Reach::Of(self.all()),
            },
            Scan::Filter { input, predicates } => match (self.reach(input), stored(input)) {
                (Reach::Of(mask), Some(table)) => {
                    let spread = self.layout.spread(table.table());
                    let possible =
                        |predicate| spread.map_or(mask, |spread| spread.possible(predicate, self.shards.len()));
                    Reach::Of(predicates.iter().fold(mask, |mask, predicate| mask & possible(predicate)))
                }
                (reach, _) => reach,
            },
            _ => scan.inputs().into_iter().map(|input| self.reach(input)).reduce(Reach::and).unwrap_or(Reach::Any),
        }
    }

    /// Why an operator over a tree of several servers is not theirs.
    fn refusal(&self, scan: &Scan) -> Option<String> {
        if self.reach(scan).is_one() {
            return None;
        }
        let refused = match scan {
            Scan::Table(_) | Scan::Filter { .. } | Scan::Project { .. } | Scan::Alias { .. } => false,
            Scan::Join(join) => !self.joins_in_parts(join),
            Scan::Union { inputs, .. } => {
                inputs.iter().any(|input| !is_row_wise(input) || self.reach(input) == Reach::Any)
            }
            Scan::Aggregate(_) | Scan::Window { .. } | Scan::Sort { .. } | Scan::Limit { .. } => true,
        };
        refused
            .then(|| format!("a {} over {} servers needs the rows of all of them", scan.operator(), self.shards.len()))
    }

    /// Whether a join may be done on each server by itself: a table in parts with one that is whole on each, of which no row may
    /// come out for itself.
    fn joins_in_parts(&self, join: &ScanJoin) -> bool {
        use datafusion::common::JoinType::{
            Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi,
        };
        let whole = |side: &Scan| self.reach(side) == Reach::Any && is_row_wise(side);
        if !is_row_wise(&join.left) || !is_row_wise(&join.right) {
            return false;
        }
        match join.join_type {
            Inner => whole(&join.left) || whole(&join.right),
            Left | LeftSemi | LeftAnti | LeftMark => whole(&join.right),
            Right | RightSemi | RightAnti | RightMark => whole(&join.left),
            _ => false,
        }
    }

    /// The tree as one server knows it.
    fn on(&self, shard: usize, scan: &Scan) -> Result<Scan> {
        let on = |input: &Arc<Scan>| self.on(shard, input).map(Arc::new);
        Ok(match scan {
            Scan::Table(table) => {
                let description = layout::description_of(shard, &table.description)?;
                Scan::Table(ScanTable { description: Arc::new(description), ..table.clone() })
            }
            Scan::Filter { input, predicates } => Scan::Filter { input: on(input)?, predicates: predicates.clone() },
            Scan::Project { input, exprs, schema } => {
                Scan::Project { input: on(input)?, exprs: exprs.clone(), schema: Arc::clone(schema) }
            }
            Scan::Alias { input, schema } => Scan::Alias { input: on(input)?, schema: Arc::clone(schema) },
            Scan::Join(join) => Scan::Join(ScanJoin { left: on(&join.left)?, right: on(&join.right)?, ..join.clone() }),
            Scan::Aggregate(aggregate) => {
                let mut aggregate = aggregate.clone();
                aggregate.input = on(&aggregate.input)?;
                Scan::Aggregate(aggregate)
            }
            Scan::Window { input, windows, schema } => {
                Scan::Window { input: on(input)?, windows: windows.clone(), schema: Arc::clone(schema) }
            }
            Scan::Sort { input, keys, fetch } => Scan::Sort { input: on(input)?, keys: keys.clone(), fetch: *fetch },
            Scan::Limit { input, skip, fetch } => Scan::Limit { input: on(input)?, skip: *skip, fetch: *fetch },
            Scan::Union { inputs, schema } => {
                let inputs = inputs.iter().map(on).collect::<Result<_>>()?;
                Scan::Union { inputs, schema: Arc::clone(schema) }
            }
        })
    }

    /// What all the servers that may be read answer together: the most careful answer of each part.
    fn answers(&self, scan: &Scan) -> Result<ScanOffer> {
        // What narrows it is not accepted yet.
        let reach = scan.inputs().into_iter().map(|input| self.reach(input)).reduce(Reach::and);
        let mut together = ScanOffer::all(Answer::Exact, scan.part_count());
        for at in reach.unwrap_or_else(|| self.reach(scan)).shards() {
            let offer = self.shard(at)?.connector.offer(&self.on(at, scan)?);
            for (all, one) in together.parts.iter_mut().zip(offer.parts) {
                if *all == Answer::Exact || matches!(one, Answer::Refused(_)) {
                    *all = one;
                }
            }
        }
        Ok(together)
    }
}

/// The stored table of a tree that only filters it.
fn stored(scan: &Scan) -> Option<&ScanTable> {
    match scan {
        Scan::Table(table) => Some(table),
        Scan::Filter { input, .. } | Scan::Alias { input, .. } => stored(input),
        _ => None,
    }
}

/// Whether each row that comes out is of single rows that go in, so that parts may be done by themselves.
fn is_row_wise(scan: &Scan) -> bool {
    let here = !matches!(scan, Scan::Aggregate(_) | Scan::Window { .. } | Scan::Sort { .. } | Scan::Limit { .. });
    here && scan.inputs().into_iter().all(is_row_wise)
}

#[async_trait]
impl Connector for Sharded {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        let answers = self
            .shards
            .iter()
            .map(|shard| async move { shard.connector.ping().await.map_err(|error| on_shard(error, &shard.place)) });
        let mut infos = try_join_all(answers).await?;
        let mut info = infos.swap_remove(0);
        let places: Vec<&str> = self.shards.iter().map(|shard| shard.place.as_str()).collect();
        info.detail = Some(format!("{} servers: {}", places.len(), places.join(", ")));
        Ok(info)
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        self.shard(0)?.connector.list_schemas().await
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        let mut tables = self.shard(0)?.connector.list_tables(schema).await?;
        tables.retain(|table| self.layout.spread(table).is_some());
        Ok(tables)
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        let Some(spread) = self.layout.spread(table) else {
            return Err(Error::new(ErrorCode::TableNotFound, format!("nothing says where the rows of `{table}` are"))
                .with_hint("Name it in `shard_tables` where each server has a part of it, in `replicated_tables` where each has all."));
        };
        let described = self.shards.iter().map(|shard| async move {
            shard.connector.describe_table(table).await.map_err(|error| on_shard(error, &shard.place))
        });
        let descriptions = try_join_all(described).await?;
        let places: Vec<&str> = self.shards.iter().map(|shard| shard.place.as_str()).collect();
        layout::together(descriptions, spread, &places)
    }

    async fn is_current(&self, description: &TableDescription) -> bool {
        for (at, shard) in self.shards.iter().enumerate() {
            let Ok(own) = layout::description_of(at, description) else { return false };
            if !shard.connector.is_current(&own).await {
                return false;
            }
        }
        true
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        let refused = |reason: String| ScanOffer::all(Answer::refused(reason), scan.part_count());
        match self.refusal(scan) {
            Some(reason) => refused(reason),
            None => self.answers(scan).unwrap_or_else(|error| refused(error.message().to_owned())),
        }
    }

    fn offer_keys(&self, scan: &Scan, columns: &[usize]) -> Answer {
        for at in self.reach(scan).shards() {
            let answer = match (self.shard(at), self.on(at, scan)) {
                (Ok(shard), Ok(own)) => shard.connector.offer_keys(&own, columns),
                (Err(error), _) | (_, Err(error)) => Answer::refused(error.message()),
            };
            if answer != Answer::Exact {
                return answer;
            }
        }
        Answer::Exact
    }

    fn estimate(&self, scan: &Scan) -> ScanStatistics {
        crate::sql::estimate(scan)
    }

    fn index_advice(&self, table: &TableRef, columns: &[&str]) -> Option<String> {
        let advice = self.shard(0).ok()?.connector.index_advice(table, columns)?;
        Some(format!("{advice} -- on each server"))
    }

    fn native_query(&self, scan: &Scan) -> Result<NativeQuery> {
        let shards = self.reach(scan).shards();
        let first = shards.first().copied().unwrap_or(0);
        let mut native = self.shard(first)?.connector.native_query(&self.on(first, scan)?)?;
        let places = shards.iter().map(|at| self.shard(*at).map(|shard| shard.place.as_str()));
        let places = places.collect::<Result<Vec<_>>>()?.join(", ");
        native.text = format!("{} /* on {places} */", native.text);
        Ok(native)
    }

    async fn plan_scan(&self, scan: &Scan, context: &QueryContext) -> Result<PlannedScan> {
        let shards = self.reach(scan).shards();
        if shards.len() > self.max_fan_out {
            let message =
                format!("a sub-query would read {} servers, of {} that it may", shards.len(), self.max_fan_out);
            return Err(Error::new(ErrorCode::PolicyRefused, message)
                .with_hint("Filter by the column that the rows are spread by, or raise `max_fan_out` of the source."));
        }
        let planned = shards.into_iter().map(|at| async move {
            let (shard, own) = (self.shard(at)?, self.on(at, scan)?);
            // Here, and not for the whole query, since a server that is not read need not be there.
            let tables: Vec<_> = own.tables().iter().map(|table| Arc::clone(&table.description)).collect();
            let planned = async {
                shard.connector.check_tables(&tables).await?;
                shard.connector.plan_scan(&own, context).await
            };
            Ok((shard.place.clone(), planned.await.map_err(|error| on_shard(error, &shard.place))?))
        });
        let planned: Vec<(String, PlannedScan)> = try_join_all(planned).await?;
        let sizes: Vec<ScanStatistics> = planned.iter().map(|(_, planned)| planned.statistics).collect();
        let mut readers = Vec::with_capacity(planned.len());
        for (place, planned) in planned {
            match planned.input {
                ScanInput::Reader(reader) => readers.push((place, reader)),
                ScanInput::Plan(_) => return Err(Error::internal("a shard has no reader of its own")),
            }
        }
        Ok(PlannedScan {
            native: self.native_query(scan)?,
            input: ScanInput::Reader(Arc::new(ShardReader::try_new(readers)?)),
            statistics: ScanStatistics {
                rows: layout::sum(sizes.iter().map(|size| size.rows)),
                bytes: sizes.iter().map(|size| size.bytes).sum(),
            },
            wrappers: Vec::new(),
        })
    }
}
