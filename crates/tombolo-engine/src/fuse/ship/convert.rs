//! The way back from a key to the value of a source's column that it is made of, so that a source is asked for values of its own
//! column, which its index finds.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::compute::can_cast_types;
use arrow::compute::kernels::boolean::and;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::PhysicalExpr;

use crate::plan::{KeyConversion, safely, widens};

/// What is done with a value on its way from a source to the join.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// It is cast.
    Cast(DataType),
    /// It is brought to what it is compared as.
    Convert(KeyConversion),
}

/// The column that an expression is made of alone, and how; the last step first.
pub(super) fn made_of(expr: &Arc<dyn PhysicalExpr>) -> Option<(usize, Vec<Step>)> {
    let (mut expr, mut steps) = (expr, Vec::new());
    loop {
        if let Some(column) = expr.downcast_ref::<Column>() {
            return Some((column.index(), steps));
        } else if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            steps.push(Step::Cast(cast.cast_type().clone()));
            expr = cast.expr();
        } else {
            let function = expr.downcast_ref::<ScalarFunctionExpr>()?;
            let conversion = function.fun().inner().downcast_ref::<KeyConversion>()?;
            steps.push(Step::Convert(conversion.clone()));
            expr = function.args().first()?;
        }
    }
}

/// How a key becomes the value of a column that it is made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WayBack {
    /// The steps to undo, the last first, each with the type of what it was done with.
    steps: Vec<(Step, DataType)>,
}

impl WayBack {
    /// The way from keys of a type to a column of a type, from which they were made by these steps, the last first. There is none
    /// where several values of the column may become one key: all but one of them would be missed.
    pub(super) fn find(column: &DataType, steps: &[Step], key: &DataType) -> Option<Self> {
        let mut way = Vec::new();
        let mut from = column.clone();
        let last = Step::Cast(key.clone());
        for step in steps.iter().rev().chain([&last]) {
            let to = step.output(&from);
            if to != from || matches!(step, Step::Convert(_)) {
                if !step.is_injective(&from) {
                    return None;
                }
                way.push((step.clone(), from));
            }
            from = to;
        }
        way.reverse();
        Some(Self { steps: way })
    }

    /// Whether the column's values are in the order of the keys that are made of them.
    pub(super) fn keeps_order(&self) -> bool {
        let is_monotone = |(step, from): &(Step, DataType)| match step {
            Step::Cast(to) => from.is_integer() && to.is_integer(),
            Step::Convert(_) => false,
        };
        self.steps.iter().all(is_monotone)
    }

    /// The values of the column that become these keys, and which of the keys there is one for; `None` where there is for all. A key
    /// without matches no row.
    pub(super) fn follow(&self, keys: &ArrayRef) -> Result<(ArrayRef, Option<BooleanArray>)> {
        let (mut keys, mut held) = (Arc::clone(keys), None);
        for (step, from) in &self.steps {
            let below = step.undone(&keys, from)?;
            let is_same = not_distinct(&step.done(&below)?, &keys)?;
            held = Some(match held {
                Some(held) => and(&held, &is_same)?,
                None => is_same,
            });
            keys = below;
        }
        Ok((keys, held))
    }
}

impl Step {
    fn output(&self, from: &DataType) -> DataType {
        match self {
            Self::Cast(to) => to.clone(),
            Self::Convert(conversion) => conversion.output(from),
        }
    }

    fn is_injective(&self, from: &DataType) -> bool {
        match self {
            Self::Cast(to) => widens(from, to),
            Self::Convert(conversion) => conversion.is_injective(from) && can_cast_types(&conversion.bare(from), from),
        }
    }

    fn done(&self, values: &ArrayRef) -> Result<ArrayRef> {
        match self {
            Self::Cast(to) => safely(values, to),
            Self::Convert(conversion) => conversion.converted(values),
        }
    }

    fn undone(&self, keys: &ArrayRef, from: &DataType) -> Result<ArrayRef> {
        match self {
            Self::Cast(_) => safely(keys, from),
            Self::Convert(conversion) => conversion.undone(keys, from),
        }
    }
}

#[cfg(test)]
mod tests;
