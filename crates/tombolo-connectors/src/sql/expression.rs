use arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{Case, InList, Like, ScalarFunction};
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::dialect::{Comparison, Dialect, literal_value, parse_like, scalar_text};
use super::value::{Facts, Form, Level, OF_FLOAT_SUMS, Shipped, Value, same_values};

/// The columns that an expression may name: the values of each input, by position in its schema.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    inputs: Vec<(&'a DFSchema, &'a [Value])>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(schema: &'a DFSchema, values: &'a [Value]) -> Self {
        Self { inputs: vec![(schema, values)] }
    }

    pub(super) fn and(mut self, schema: &'a DFSchema, values: &'a [Value]) -> Self {
        self.inputs.push((schema, values));
        self
    }

    /// Finds a column by qualifier and name; without a qualifier the name must be the only one.
    fn resolve(&self, column: &Column) -> Shipped<&'a Value> {
        let mut found = None;
        for (schema, values) in &self.inputs {
            for ((qualifier, field), value) in schema.iter().zip(values.iter()) {
                let same_qualifier = match (&column.relation, qualifier) {
                    (Some(wanted), Some(qualifier)) => wanted.resolved_eq(qualifier),
                    (Some(_), None) => false,
                    (None, _) => true,
                };
                if !same_qualifier || field.name() != &column.name {
                    continue;
                }
                // An unqualified field is nearer to an unqualified column than a qualified one of the same name.
                let exact = column.relation.is_some() == qualifier.is_some();
                match found {
                    Some((_, true)) if exact => return Err(format!("column `{column}` is ambiguous")),
                    Some((_, false)) if !exact => return Err(format!("column `{column}` is ambiguous")),
                    Some((_, true)) => {}
                    _ => found = Some((value, exact)),
                }
            }
        }
        found.map(|(value, _)| value).ok_or_else(|| format!("column `{column}` is not in this scope"))
    }
}

/// Prints expressions in one dialect, or refuses them with the reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer<'d> {
    pub(super) dialect: &'d dyn Dialect,
}

impl Printer<'_> {
    /// Prints an expression over the columns of a scope.
    pub(super) fn expression(self, expr: &Expr, scope: &Scope<'_>) -> Shipped {
        match expr {
            Expr::Alias(alias) => self.expression(&alias.expr, scope),
            Expr::Column(column) => scope.resolve(column).cloned(),
            Expr::Literal(scalar, _) => literal_value(self.dialect, scalar, Form::NATURAL),
            Expr::BinaryExpr(binary) => self.binary(binary, scope),
            Expr::Not(inner) => {
                let inner = self.truth(inner, scope)?;
                Ok(Value::predicate(format!("NOT {}", inner.at(Level::Compare)), Level::Not))
            }
            Expr::IsNull(inner) => self.null_test(inner, "IS NULL", scope),
            Expr::IsNotNull(inner) => self.null_test(inner, "IS NOT NULL", scope),
            Expr::IsTrue(inner) => self.truth_test(inner, true, false, scope),
            Expr::IsFalse(inner) => self.truth_test(inner, false, false, scope),
            Expr::IsNotTrue(inner) => self.truth_test(inner, true, true, scope),
            Expr::IsNotFalse(inner) => self.truth_test(inner, false, true, scope),
            Expr::IsUnknown(inner) => self.null_test(inner, "IS NULL", scope),
            Expr::IsNotUnknown(inner) => self.null_test(inner, "IS NOT NULL", scope),
            Expr::Negative(inner) => {
                let inner = self.expression(inner, scope)?;
                inner.trusted()?;
                let zero = ScalarValue::new_zero(&inner.facts.data_type).map_err(|error| error.to_string())?;
                if inner.facts.data_type.is_floating() {
                    return Err("the negative of a zero is another zero here, by which a division is infinite with another sign".to_owned());
                }
                let data_type = inner.facts.data_type.clone();
                let zero = literal_value(self.dialect, &zero, Form::NATURAL)?;
                self.dialect.arithmetic(&zero, Operator::Minus, &inner, &data_type)
            }
            Expr::Between(between) => {
                let value = self.expression(&between.expr, scope)?;
                let (value_low, low) = self.pair(&value, &self.expression(&between.low, scope)?, Operator::GtEq)?;
                let (value_high, high) = self.pair(&value, &self.expression(&between.high, scope)?, Operator::LtEq)?;
                if value_low != value_high {
                    return Err("both bounds of BETWEEN are stored differently".to_owned());
                }
                let not = if between.negated { "NOT " } else { "" };
                Ok(Value::predicate(format!("{value_low} {not}BETWEEN {low} AND {high}"), Level::Compare))
            }
            Expr::InList(list) => self.in_list(list, scope),
            Expr::Like(like) => self.like(like, scope),
            Expr::Case(case) => self.case(case, scope),
            Expr::Cast(cast) => self.cast(&cast.expr, cast.field.data_type(), scope),
            Expr::TryCast(cast) => {
                let value = self.expression(&cast.expr, scope)?;
                if same_layout(&value.facts.data_type, cast.field.data_type()) {
                    return Ok(retyped(value, cast.field.data_type()));
                }
                Err(format!("`TRY_CAST` has no equal in {}", self.dialect.name()))
            }
            Expr::ScalarFunction(function) => self.function(function, scope),
            Expr::SimilarTo(_) => Err(format!("`SIMILAR TO` has no equal in {}", self.dialect.name())),
            Expr::ScalarVariable(..) => Err("a variable belongs to this session".to_owned()),
            Expr::AggregateFunction(_) => Err("an aggregate stands outside a grouping".to_owned()),
            Expr::WindowFunction(_) => Err("window functions are computed here".to_owned()),
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_) => {
                Err("a sub-query inside an expression is computed here".to_owned())
            }
            Expr::OuterReferenceColumn(..) => Err("a correlated column is computed here".to_owned()),
            Expr::Unnest(_) => Err("`UNNEST` is computed here".to_owned()),
            other => Err(format!("`{other}` is not something that {} is asked", self.dialect.name())),
        }
    }

    /// Prints an expression that must be a truth value.
    pub(super) fn truth(self, expr: &Expr, scope: &Scope<'_>) -> Shipped {
        let value = self.expression(expr, scope)?;
        if !matches!(value.facts.data_type, DataType::Boolean | DataType::Null) {
            return Err(format!("`{expr}` is not a truth value"));
        }
        value.trusted()?;
        Ok(value)
    }

    fn binary(self, binary: &BinaryExpr, scope: &Scope<'_>) -> Shipped {
        match binary.op {
            Operator::And | Operator::Or => {
                let (word, level) = if binary.op == Operator::And { ("AND", Level::And) } else { ("OR", Level::Or) };
                let (left, right) = (self.truth(&binary.left, scope)?, self.truth(&binary.right, scope)?);
                Ok(Value::predicate(format!("{} {word} {}", left.at(level), right.at(level)), level))
            }
            _ => {
                let (left, right) = (self.expression(&binary.left, scope)?, self.expression(&binary.right, scope)?);
                if is_comparison(binary.op) {
                    return self.compare(&left, binary.op, &right);
                }
                left.trusted()?;
                right.trusted()?;
                let types = (&left.facts.data_type, &right.facts.data_type);
                let result = BinaryTypeCoercer::new(types.0, &binary.op, types.1)
                    .get_result_type()
                    .map_err(|error| error.strip_backtrace())?;
                let value = self.dialect.arithmetic(&left, binary.op, &right, &result)?;
                Ok(made_of(value, &[left, right]))
            }
        }
    }

    /// Prints a comparison of two values.
    pub(super) fn compare(self, left: &Value, operator: Operator, right: &Value) -> Shipped {
        let served = match operator {
            Operator::Eq => {
                let served = self.dialect.index_condition(left, &[right]);
                served.or_else(|| self.dialect.index_condition(right, &[left]))
            }
            _ => None,
        };
        let (left, right) = self.pair(left, right, operator)?;
        if let Some(served) = served {
            return Ok(Value::predicate(format!("{served} AND {left} = {right}"), Level::And));
        }
        let text = match operator {
            Operator::Eq => format!("{left} = {right}"),
            Operator::NotEq => format!("{left} <> {right}"),
            Operator::Lt => format!("{left} < {right}"),
            Operator::LtEq => format!("{left} <= {right}"),
            Operator::Gt => format!("{left} > {right}"),
            Operator::GtEq => format!("{left} >= {right}"),
            Operator::IsNotDistinctFrom => self.dialect.null_safe_equal(&left, &right),
            Operator::IsDistinctFrom => self.dialect.null_safe_unequal(&left, &right),
            other => return Err(format!("operator `{other}` is not a comparison")),
        };
        Ok(Value::predicate(text, Level::Compare))
    }

    /// Prints both sides of a comparison, brought to one stored form.
    fn pair(self, left: &Value, right: &Value, operator: Operator) -> Shipped<(String, String)> {
        let (left, right) = self.aligned(left, right)?;
        if !left.is_null_literal() && !right.is_null_literal() {
            if !same_values(&left.facts.data_type, &right.facts.data_type) {
                return Err(format!(
                    "`{operator}` between {} and {} needs a conversion",
                    left.facts.data_type, right.facts.data_type
                ));
            }
            for (value, other) in [(&left, &right), (&right, &left)] {
                if value.facts.is_float_sum && other.literal.is_none() {
                    return Err(OF_FLOAT_SUMS.to_owned());
                }
            }
        }
        let comparison = match operator {
            Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {
                Comparison::Equality
            }
            _ => Comparison::Order,
        };
        Ok((self.dialect.comparable(&left, comparison)?, self.dialect.comparable(&right, comparison)?))
    }

    /// Brings two values to one stored form: a literal takes that of the other side.
    fn aligned(self, left: &Value, right: &Value) -> Shipped<(Value, Value)> {
        if left.facts.form == right.facts.form {
            return Ok((left.clone(), right.clone()));
        }
        match (&left.literal, &right.literal) {
            (_, Some(literal)) => Ok((left.clone(), literal_value(self.dialect, literal, left.facts.form)?)),
            (Some(literal), _) => Ok((literal_value(self.dialect, literal, right.facts.form)?, right.clone())),
            _ => Err(format!("both sides store their {} values in different forms", left.facts.data_type)),
        }
    }

    fn null_test(self, inner: &Expr, test: &str, scope: &Scope<'_>) -> Shipped {
        let inner = self.expression(inner, scope)?;
        Ok(Value::predicate(self.dialect.null_test(&inner, test), Level::Compare))
    }

    fn truth_test(self, inner: &Expr, truth: bool, negated: bool, scope: &Scope<'_>) -> Shipped {
        let inner = self.truth(inner, scope)?;
        Ok(self.dialect.truth_test(&inner, truth, negated))
    }

    fn in_list(self, list: &InList, scope: &Scope<'_>) -> Shipped {
        if list.list.is_empty() {
            return Err("an empty list is decided here".to_owned());
        }
        let value = self.expression(&list.expr, scope)?;
        let mut subject = None;
        let mut items = Vec::with_capacity(list.list.len());
        for item in &list.list {
            let item = self.expression(item, scope)?;
            let (left, right) = self.pair(&value, &item, Operator::Eq)?;
            if subject.get_or_insert_with(|| left.clone()) != &left {
                return Err("the values of the list are stored differently".to_owned());
            }
            items.push((right, item));
        }
        let others: Vec<&Value> = items.iter().map(|(_, item)| item).collect();
        let served = if list.negated { None } else { self.dialect.index_condition(&value, &others) };
        let items: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
        let not = if list.negated { "NOT " } else { "" };
        let subject = subject.unwrap_or_default();
        let text = format!("{subject} {not}IN ({})", items.join(", "));
        Ok(match served {
            Some(served) => Value::predicate(format!("{served} AND {text}"), Level::And),
            None => Value::predicate(text, Level::Compare),
        })
    }

    fn like(self, like: &Like, scope: &Scope<'_>) -> Shipped {
        if like.case_insensitive {
            return Err(format!("`ILIKE` folds the case of other letters in {}", self.dialect.name()));
        }
        if like.escape_char.is_some_and(|escape| escape != '\\') {
            return Err("`LIKE` with an escape character other than the backslash is decided here".to_owned());
        }
        let Expr::Literal(pattern, _) = without_text_cast(&like.pattern) else {
            return Err("`LIKE` with a pattern that is not a literal is decided here".to_owned());
        };
        let pattern = scalar_text(pattern).ok_or("`LIKE` with a null pattern is decided here")?;
        let value = self.expression(&like.expr, scope)?;
        value.trusted()?;
        self.dialect.like(&value, &parse_like(pattern), like.negated)
    }

    fn case(self, case: &Case, scope: &Scope<'_>) -> Shipped {
        let subject = case.expr.as_ref().map(|expr| self.expression(expr, scope)).transpose()?;
        let mut branches = Vec::with_capacity(case.when_then_expr.len());
        for (when, then) in &case.when_then_expr {
            let when = match &subject {
                Some(subject) => self.compare(subject, Operator::Eq, &self.expression(when, scope)?)?,
                None => self.truth(when, scope)?,
            };
            branches.push((when.sql, self.expression(then, scope)?));
        }
        let otherwise = case.else_expr.as_ref().map(|expr| self.expression(expr, scope)).transpose()?;
        let mut results: Vec<Value> = branches.iter().map(|(_, then)| then.clone()).chain(otherwise.clone()).collect();
        let facts = self.unified(&mut results)?;
        let mut text = "CASE".to_owned();
        for ((when, _), then) in branches.iter().zip(&results) {
            text.push_str(&format!(" WHEN {when} THEN {}", then.sql));
        }
        if let (Some(_), Some(result)) = (&otherwise, results.last()) {
            text.push_str(&format!(" ELSE {}", result.sql));
        }
        text.push_str(" END");
        Ok(Value::atom(text, facts))
    }

    /// Brings the values that one expression may take to one stored form, and says what is known of any of them.
    fn unified(self, values: &mut [Value]) -> Shipped<Facts> {
        let model = values.iter().find(|value| value.literal.is_none()).or(values.first());
        let form = model.map_or(Form::NATURAL, |value| value.facts.form);
        self.dialect.unites(&values.iter().collect::<Vec<_>>())?;
        let mut facts: Option<Facts> = None;
        for value in values.iter_mut() {
            if let Some(literal) = value.literal.clone().filter(|_| value.facts.form != form) {
                *value = literal_value(self.dialect, &literal, form)?;
            }
            // NULL has every type and every form.
            if value.is_null_literal() {
                continue;
            }
            facts = Some(match facts {
                Some(facts) if !same_values(&facts.data_type, &value.facts.data_type) => {
                    return Err("the branches have different types".to_owned());
                }
                Some(facts) => facts.either(&value.facts)?,
                None => value.facts.clone(),
            });
        }
        let facts = facts.or_else(|| values.first().map(|value| value.facts.clone()));
        facts.ok_or_else(|| "there are no branches".to_owned())
    }

    fn cast(self, inner: &Expr, to: &DataType, scope: &Scope<'_>) -> Shipped {
        let value = self.expression(inner, scope)?;
        if same_layout(&value.facts.data_type, to) {
            return Ok(retyped(value, to));
        }
        if value.is_null_literal() {
            let null = ScalarValue::try_from(to).map_err(|error| error.strip_backtrace())?;
            return literal_value(self.dialect, &null, Form::NATURAL);
        }
        if let Some(literal) = &value.literal {
            let literal = literal.cast_to(to).map_err(|error| error.strip_backtrace())?;
            return literal_value(self.dialect, &literal, Form::NATURAL);
        }
        value.trusted()?;
        Ok(made_of(self.dialect.cast(&value, to)?, &[value]))
    }

    fn function(self, function: &ScalarFunction, scope: &Scope<'_>) -> Shipped {
        let mut arguments =
            function.args.iter().map(|argument| self.expression(argument, scope)).collect::<Shipped<Vec<_>>>()?;
        match (function.name(), arguments.as_mut_slice()) {
            ("coalesce" | "nvl", [_, _, ..]) => {
                let facts = self.unified(&mut arguments)?;
                let list: Vec<&str> = arguments.iter().map(|argument| argument.sql.as_str()).collect();
                Ok(Value::atom(format!("coalesce({})", list.join(", ")), facts))
            }
            ("nullif", [value, other]) => {
                // A literal takes the form of the other side, and it is the literal in that form which is given back.
                let (value, other) = self.aligned(value, other)?;
                let (left, right) = self.pair(&value, &other, Operator::Eq)?;
                // What is printed for comparing alone is no longer as it is stored.
                let is_changed = left != value.sql && left != value.operand();
                let facts = value.facts;
                let facts = if is_changed { Facts { collation: None, converts: false, ..facts } } else { facts };
                let text = self.dialect.null_if(&left, &right, &facts.data_type);
                Ok(Value::atom(text, facts))
            }
            (name, arguments) => {
                for argument in arguments.iter() {
                    argument.trusted()?;
                }
                Ok(made_of(self.dialect.function(name, arguments)?, arguments))
            }
        }
    }
}

/// A value with what its facts have of those that it is computed of.
fn made_of(mut value: Value, of: &[Value]) -> Value {
    value.facts.is_float_sum |= of.iter().any(|value| value.facts.is_float_sum);
    value
}

fn is_comparison(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Whether two types differ at most in their layout in memory, so that the source is asked for the same.
fn same_layout(a: &DataType, b: &DataType) -> bool {
    a == b || (super::value::is_text(a) && super::value::is_text(b))
}

fn retyped(mut value: Value, to: &DataType) -> Value {
    value.facts.data_type = to.clone();
    value
}

fn without_text_cast(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) if super::value::is_text(cast.field.data_type()) => &cast.expr,
        other => other,
    }
}
