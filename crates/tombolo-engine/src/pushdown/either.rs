use std::fmt;

use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

/// Two plans with the same rows, of which one is run: which, is known when the keys that come at run time are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct Either {
    /// Groups that a source has made of its rows.
    pub grouped: LogicalPlan,
    /// The same groups, made here of rows of the source.
    pub plain: LogicalPlan,
}

impl UserDefinedLogicalNodeCore for Either {
    fn name(&self) -> &'static str {
        "Either"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.grouped, &self.plain]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.grouped.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Either")
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        match <[LogicalPlan; 2]>::try_from(inputs) {
            Ok([grouped, plain]) => Ok(Self { grouped, plain }),
            Err(_) => internal_err!("a choice takes two inputs"),
        }
    }
}
