//! Tables that DataFusion's own test program registers for some of its files, since no statement can make them.

use datafusion::prelude::SessionContext;

/// Registers the tables of a file.
pub(super) async fn register(_context: &SessionContext, _file: &str) {}
