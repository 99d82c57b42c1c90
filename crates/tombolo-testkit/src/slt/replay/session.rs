//! The connection of a replayed file: to the loader for what sets up, to Tombolo for what asks.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use sqllogictest::{AsyncDB, DBOutput};
use tokio::sync::Mutex;
use tombolo_connector::ErrorCode;

use super::loader::Loader;
use super::placement::{Placed, Placement};
use crate::slt::cell::{Kind, kinds, rows};

/// The name by which a file's conditions know the engine that it is written for.
pub(super) const ENGINE: &str = "DataFusion";

/// Who is asked next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    Loader,
    /// Tombolo with nothing pushed, over the placement of this number.
    Unpushed(usize),
    /// Tombolo over the placement of this number.
    Tombolo(usize),
}

/// What all connections of a file share.
pub(super) struct Desk {
    pub(super) loader: Loader,
    placed: Vec<Placed>,
    pub(super) turn: Turn,
}

impl Desk {
    pub(super) fn new(loader: Loader, placements: &[Placement]) -> Self {
        Self {
            loader,
            placed: placements.iter().map(|placement| Placed::new(*placement)).collect(),
            turn: Turn::Loader,
        }
    }

    /// Places the tables of a query, and has Tombolo asked next.
    pub(super) async fn prepare(&mut self, way: usize, tables: &[TableReference]) {
        self.turn = Turn::Tombolo(way);
        let placed = &mut self.placed[way];
        placed.forget_changed(&self.loader).await;
        for table in tables {
            if let Some(snapshot) = self.loader.snapshot(table).await {
                placed.place(snapshot);
            }
        }
    }
}

pub(super) struct Session(pub(super) Arc<Mutex<Desk>>);

/// An error of either.
#[derive(Debug)]
pub(super) enum Failure {
    Loader(DataFusionError),
    Tombolo(tombolo_connector::Error),
}

impl Failure {
    pub(super) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Loader(_) => None,
            Self::Tombolo(error) => Some(error.code()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loader(error) => write!(f, "{}", error.strip_backtrace()),
            Self::Tombolo(error) => write!(f, "{}: {}", error.code().name(), error.message()),
        }
    }
}

impl std::error::Error for Failure {}

#[async_trait]
impl AsyncDB for Session {
    type Error = Failure;
    type ColumnType = Kind;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Kind>, Failure> {
        let mut desk = self.0.lock().await;
        match desk.turn {
            Turn::Loader => {
                desk.loader.run(sql).await.map(|()| DBOutput::StatementComplete(0)).map_err(Failure::Loader)
            }
            Turn::Tombolo(way) | Turn::Unpushed(way) => {
                let (turn, time_zone) = (desk.turn, desk.loader.time_zone());
                let placed = &mut desk.placed[way];
                let answer = match turn {
                    Turn::Unpushed(_) => placed.ask_unpushed(sql, time_zone).await,
                    _ => placed.ask(sql, time_zone).await,
                }
                .map_err(Failure::Tombolo)?;
                Ok(DBOutput::Rows { types: kinds(&answer.schema), rows: rows(&answer.batches) })
            }
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &str {
        ENGINE
    }
}
