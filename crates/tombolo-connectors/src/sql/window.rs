//! Window functions. Where a function's value follows from an order that has ties, any of several answers is right; so what is
//! proved of it is that the source sorts, and tells peers, as the engine does.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};

use super::aggregate::Arguments;
use super::block::Block;
use super::compile::{Compiler, retype};
use super::dialect::{Comparison, literal_value};
use super::expression::Scope;
use super::value::{Facts, Form, Shipped, Value};

/// The most rows that an offset or a frame's bound is away, which all sources can say.
const MAX_DISTANCE: i64 = i32::MAX as i64;

/// Aggregates that may be asked for over windows.
const AGGREGATES: &[&str] = &["count", "sum", "min", "max", "avg", "bool_and", "bool_or"];

impl Compiler<'_> {
    pub(super) fn window(
        &mut self,
        block: Block,
        schema: &DFSchema,
        windows: &[Expr],
        output: &DFSchema,
    ) -> Shipped<Block> {
        let mut block = block;
        let mixes = self.dialect.mixes_windows();
        if !mixes && !are_alike(windows) {
            return Err(format!("windows of several orders are computed here: {} mixes them up", self.dialect.name()));
        }
        // Of several windows in one select none may be computed of another.
        let is_free = block.is_plain() || (block.is_windowed() && mixes && !block.is_limited());
        if !is_free || names_any(windows, schema, &block) {
            block = self.wrap(block, false);
        }
        block.order.clear();
        let types = output.fields().iter().skip(block.items.len()).map(|field| field.data_type().clone());
        let calls = {
            let scope = Scope::new(schema, &block.items);
            windows
                .iter()
                .zip(types)
                .map(|(call, data_type)| self.window_call(call, &data_type, &scope))
                .collect::<Shipped<Vec<_>>>()?
        };
        block.windows.extend(calls.iter().map(|call| call.sql.clone()));
        block.items.extend(calls);
        retype(&mut block.items, output);
        block.items.iter().try_for_each(|item| self.dialect.reads(&item.facts.data_type))?;
        Ok(block)
    }

    /// Prints a call of a window function.
    pub(super) fn window_call(&self, expr: &Expr, data_type: &DataType, scope: &Scope<'_>) -> Shipped {
        let WindowFunction { fun, params } = match expr {
            Expr::Alias(alias) => return self.window_call(&alias.expr, data_type, scope),
            Expr::WindowFunction(call) => call.as_ref(),
            other => return Err(format!("`{other}` is not a window function")),
        };
        let name = fun.name();
        self.dialect.has_window(name)?;
        if params.distinct {
            return Err(format!("DISTINCT within `{name}` over a window is computed here"));
        }
        if params.null_treatment == Some(NullTreatment::IgnoreNulls) {
            return Err(format!("`{name}` that passes over nulls is computed here"));
        }
        match fun {
            WindowFunctionDefinition::AggregateUDF(_) => self.aggregate_window(name, params, data_type, scope),
            WindowFunctionDefinition::WindowUDF(_) => {
                if params.filter.is_some() {
                    return Err(format!("`{name}` with a FILTER is computed here"));
                }
                self.window_function(name, params, data_type, scope)
            }
        }
    }

    fn aggregate_window(
        &self,
        name: &str,
        params: &WindowFunctionParams,
        data_type: &DataType,
        scope: &Scope<'_>,
    ) -> Shipped {
        if !AGGREGATES.contains(&name) {
            return Err(format!("aggregate `{name}` over a window is computed here"));
        }
        // A float that was added is taken out again with what was rounded away meanwhile.
        let frame = &params.window_frame;
        if data_type.is_floating() && matches!(name, "sum" | "avg") && !frame.start_bound.is_unbounded() {
            return Err(format!("`{name}` of floats over a frame that moves on is rounded in its own order here"));
        }
        let window = self.over(params, Some(frame), scope)?;
        let given = Arguments { args: &params.args, distinct: false, filter: params.filter.as_deref() };
        self.aggregate_over(name, &given, data_type.clone(), Some(window), scope)
    }

    fn window_function(
        &self,
        name: &str,
        params: &WindowFunctionParams,
        data_type: &DataType,
        scope: &Scope<'_>,
    ) -> Shipped {
        let args = params.args.as_slice();
        match (name, args) {
            ("row_number" | "rank" | "dense_rank" | "percent_rank" | "cume_dist", []) => {
                if name != "row_number" && params.order_by.is_empty() {
                    return Err(format!("`{name}` without an order is computed here"));
                }
                let call = format!("{name}() OVER ({})", self.over(params, None, scope)?);
                let call = if data_type.is_integer() { self.dialect.rank(call) } else { call };
                Ok(Value::atom(call, Facts::new(data_type.clone())))
            }
            ("ntile", [parts]) => {
                let parts = distance(parts, 1).ok_or("`ntile` of a number that is no literal is computed here")?;
                let call = format!("ntile({parts}) OVER ({})", self.over(params, None, scope)?);
                Ok(Value::atom(self.dialect.rank(call), Facts::new(data_type.clone())))
            }
            ("lag" | "lead", [value, rest @ ..]) if rest.len() <= 2 => {
                let value = self.passed_on(name, value, scope)?;
                let distance = match rest.first() {
                    Some(offset) => distance(offset, 0)
                        .ok_or_else(|| format!("`{name}` by an offset that is no positive literal is computed here"))?,
                    None => 1,
                };
                let otherwise = match rest.get(1) {
                    Some(otherwise) => self.otherwise(name, otherwise, &value)?,
                    None => String::new(),
                };
                let window = self.over(params, None, scope)?;
                Ok(of_rows(value, |sql| format!("{name}({sql}, {distance}{otherwise}) OVER ({window})")))
            }
            ("first_value" | "last_value", [value]) => {
                let value = self.passed_on(name, value, scope)?;
                let window = self.over(params, Some(&params.window_frame), scope)?;
                Ok(of_rows(value, |sql| format!("{name}({sql}) OVER ({window})")))
            }
            ("nth_value", [value, nth]) => {
                let value = self.passed_on(name, value, scope)?;
                let nth =
                    distance(nth, 1).ok_or("`nth_value` of a number that is no positive literal is computed here")?;
                let window = self.over(params, Some(&params.window_frame), scope)?;
                Ok(of_rows(value, |sql| format!("nth_value({sql}, {nth}) OVER ({window})")))
            }
            _ => Err(format!("`{name}` with such arguments is computed here")),
        }
    }

    /// The value of another row, which comes out as it is stored.
    fn passed_on(&self, name: &str, value: &Expr, scope: &Scope<'_>) -> Shipped {
        let value = self.printer().expression(value, scope)?;
        if value.literal.is_some() {
            return Err(format!("`{name}` of a constant is computed here"));
        }
        Ok(value)
    }

    /// What stands in `lag` and `lead` for a row that there is not; nothing where that is null.
    fn otherwise(&self, name: &str, otherwise: &Expr, value: &Value) -> Shipped<String> {
        let refused = |why: &str| Err(format!("`{name}` with a default {why} is computed here"));
        let Expr::Literal(scalar, _) = otherwise else { return refused("that is no literal") };
        if scalar.is_null() {
            return Ok(String::new());
        }
        // The engine makes the value's type of it too.
        let scalar = scalar.cast_to(&value.facts.data_type).ok().filter(|scalar| !scalar.is_null());
        let Some(scalar) = scalar.filter(|_| value.facts.form == Form::NATURAL) else {
            return refused("of another type");
        };
        let literal = literal_value(self.dialect, &scalar, Form::NATURAL)?;
        self.dialect.unites(&[value, &literal])?;
        Ok(format!(", {}", self.dialect.window_default(&literal)?))
    }

    /// Prints a window: its partitions, its order, and the frame where the function looks at one.
    fn over(&self, params: &WindowFunctionParams, frame: Option<&WindowFrame>, scope: &Scope<'_>) -> Shipped<String> {
        let mut clauses = Vec::new();
        let partitions = params.partition_by.iter().map(|key| self.window_key(key, Comparison::Equality, scope));
        let partitions = partitions.collect::<Shipped<Vec<_>>>()?;
        if !partitions.is_empty() {
            clauses.push(format!("PARTITION BY {}", partitions.join(", ")));
        }
        let keys = params.order_by.iter().map(|key| {
            let text = self.window_key(&key.expr, Comparison::Order, scope)?;
            Ok(self.dialect.order_key(&text, key.asc, key.nulls_first))
        });
        let keys = keys.collect::<Shipped<Vec<_>>>()?;
        if !keys.is_empty() {
            clauses.push(format!("ORDER BY {}", keys.join(", ")));
        }
        if let Some(frame) = frame {
            clauses.extend(frame_clause(frame, !keys.is_empty())?);
        }
        Ok(clauses.join(" "))
    }

    fn window_key(&self, key: &Expr, comparison: Comparison, scope: &Scope<'_>) -> Shipped<String> {
        let value = self.printer().expression(key, scope)?;
        // In some sources a number would mean the position of a column.
        if value.literal.is_some() {
            return Err("a window by a constant is computed here".to_owned());
        }
        self.sorting_text(&value, comparison)
    }
}

/// Whether a call names a column that is itself what a window call gives.
fn names_any(windows: &[Expr], schema: &DFSchema, block: &Block) -> bool {
    let is_made = |at: usize| block.items.get(at).is_none_or(|item| block.windows.contains(&item.sql));
    block.is_windowed()
        && windows
            .iter()
            .flat_map(Expr::column_refs)
            .any(|column| schema.maybe_index_of_column(column).is_none_or(is_made))
}

/// What is made of the values of other rows: a value of the same kind, and null where there is no such row.
fn of_rows(value: Value, call: impl FnOnce(&str) -> String) -> Value {
    Value::atom(call(&value.sql), value.facts)
}

/// Whether calls are over windows of one partition and order.
fn are_alike(windows: &[Expr]) -> bool {
    let window = |expr: &Expr| match expr.clone().unalias() {
        Expr::WindowFunction(call) => Some((call.params.partition_by.clone(), call.params.order_by.clone())),
        _ => None,
    };
    let mut all = windows.iter().map(window);
    let first = all.next();
    all.all(|other| first.as_ref() == Some(&other))
}

/// A literal number of rows, at least so many.
fn distance(expr: &Expr, least: i64) -> Option<i64> {
    let number = match expr {
        Expr::Literal(ScalarValue::Int64(number), _) => *number,
        Expr::Literal(ScalarValue::UInt64(number), _) => number.and_then(|number| i64::try_from(number).ok()),
        Expr::Literal(ScalarValue::Int32(number), _) => number.map(i64::from),
        _ => None,
    };
    number.filter(|number| (least..=MAX_DISTANCE).contains(number))
}

/// Prints a frame; nothing where it is what sources hold without one.
fn frame_clause(frame: &WindowFrame, is_ordered: bool) -> Shipped<Option<String>> {
    let refused = || Err(format!("the frame `{frame}` is computed here"));
    let is_whole = frame.start_bound.is_unbounded() && frame.end_bound.is_unbounded();
    if is_whole {
        let whole = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING";
        return Ok(is_ordered.then(|| whole.to_owned()));
    }
    match frame.units {
        WindowFrameUnits::Range
            if is_ordered && frame.start_bound.is_unbounded() && frame.end_bound == WindowFrameBound::CurrentRow =>
        {
            Ok(None)
        }
        WindowFrameUnits::Rows => {
            let (Some(start), Some(end)) = (bound(&frame.start_bound), bound(&frame.end_bound)) else {
                return refused();
            };
            // Some sources hold a frame that ends before it begins to be an error.
            if start.0 > end.0 {
                return refused();
            }
            Ok(Some(format!("ROWS BETWEEN {} AND {}", start.1, end.1)))
        }
        WindowFrameUnits::Range | WindowFrameUnits::Groups => refused(),
    }
}

/// How many rows after the current one a bound is, and its text.
fn bound(bound: &WindowFrameBound) -> Option<(i64, String)> {
    let rows = |number: &ScalarValue| distance(&Expr::Literal(number.clone(), None), 0);
    Some(match bound {
        WindowFrameBound::CurrentRow => (0, "CURRENT ROW".to_owned()),
        WindowFrameBound::Preceding(number) if number.is_null() => (i64::MIN, "UNBOUNDED PRECEDING".to_owned()),
        WindowFrameBound::Following(number) if number.is_null() => (i64::MAX, "UNBOUNDED FOLLOWING".to_owned()),
        WindowFrameBound::Preceding(number) => rows(number).map(|rows| (-rows, format!("{rows} PRECEDING")))?,
        WindowFrameBound::Following(number) => rows(number).map(|rows| (rows, format!("{rows} FOLLOWING")))?,
    })
}
