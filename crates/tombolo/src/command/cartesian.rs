use clap::Args;
use tombolo_engine::{QueryOptions, StatementChange};

use super::App;
use crate::output;
use crate::render;

/// What is done with a Cartesian product; the same for all commands that plan a query.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct CartesianArgs {
    /// Run a Cartesian product, whatever its size [default: refuse more rows than federation.max_cartesian_rows]
    #[arg(long)]
    allow_cartesian: bool,
    /// Give a join without a condition the one that foreign keys, names or values say, and show the change on stderr
    #[arg(long, conflicts_with = "allow_cartesian")]
    auto_fix: bool,
}

impl CartesianArgs {
    /// The options of a query with what was asked for.
    pub(crate) fn apply(self, options: QueryOptions) -> QueryOptions {
        QueryOptions { allow_cartesian: self.allow_cartesian, auto_fix: self.auto_fix, ..options }
    }
}

/// Shows what was changed in a statement, where it was.
pub(crate) fn tell_change(app: &App, change: Option<&StatementChange>) {
    if let Some(change) = change {
        output::with_stderr(|out| render::write_change(change, app.stderr, out));
    }
}
