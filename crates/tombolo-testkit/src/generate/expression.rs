//! Expressions of a wanted kind over what is in scope.

use super::Generator;
use super::catalog::{Column, float, timestamp};
use super::forms::{AGGREGATES, FORMS, Form, Function, KINDS, Of, SIMPLE, Slot};
use super::tree::{Expr, Literal, Node, Type};

/// A relation whose columns an expression can name.
#[derive(Debug, Clone)]
pub(super) struct Visible {
    pub(super) alias: String,
    pub(super) columns: Vec<Column>,
    /// The columns that tell its rows apart, or all of them: rows that are equal in them are equal.
    pub(super) identity: Vec<usize>,
    pub(super) rows: f64,
}

/// Where an expression stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'s> {
    pub(super) scope: &'s [Visible],
    /// In a grouped SELECT outside of its aggregates: what it groups by.
    pub(super) groups: Option<&'s [Expr]>,
    /// Whether fragile columns stay out.
    pub(super) computed: bool,
    pub(super) subqueries: bool,
    /// Whether aggregates may be taken that differ in their last digits from one order of the rows to another.
    pub(super) inexact: bool,
}

impl<'s> Place<'s> {
    pub(super) fn rows(scope: &'s [Visible]) -> Self {
        Self { scope, groups: None, computed: false, subqueries: false, inexact: false }
    }

    fn columns(&self) -> impl Iterator<Item = (&'s str, &'s Column)> + use<'s> {
        let computed = self.computed;
        let all = self
            .scope
            .iter()
            .flat_map(|visible| visible.columns.iter().map(move |column| (visible.alias.as_str(), column)));
        all.filter(move |(_, column)| !(computed && column.fragile))
    }

    /// The column that an expression is, if it is one.
    pub(super) fn column_of(&self, expr: &Expr) -> Option<&'s Column> {
        let Node::Column { table, column: name } = &expr.node else { return None };
        let visible = self.scope.iter().find(|visible| visible.alias == *table)?;
        visible.columns.iter().find(|column| column.name == *name)
    }
}

impl Generator<'_> {
    /// The kind of some column in scope.
    pub(super) fn kind_in(&mut self, place: &Place<'_>) -> Type {
        let kinds: Vec<Type> = match place.groups {
            Some(groups) => groups.iter().map(|expr| expr.kind).chain([Type::Int, Type::Float]).collect(),
            None => place.columns().map(|(_, column)| column.kind).collect(),
        };
        if kinds.is_empty() { *self.random.pick(&KINDS) } else { *self.random.pick(&kinds) }
    }

    pub(super) fn expr(&mut self, kind: Type, place: &Place<'_>, depth: usize) -> Expr {
        if depth == 0 || self.random.chance(35) {
            return self.leaf(kind, place);
        }
        match self.random.below(100) {
            0..12 => self.case(kind, place, depth),
            12..18 if place.subqueries => self.scalar(kind, place, depth),
            _ => {
                let forms: Vec<(usize, &'static Form)> = FORMS
                    .iter()
                    .filter(|form| form.result == Of::Is(kind) || form.result == Of::T)
                    .filter(|form| !(place.computed && is_fragile_form(form)))
                    // Of an aggregate it stumbles over what stands in place of nulls (docs/dev/datafusion.md).
                    .filter(|form| !(place.groups.is_some() && form.text.contains("date_trunc")))
                    .map(|form| (form.weight, form))
                    .collect();
                let form = self.random.weighted(&forms);
                self.fill(kind, form, place, depth - 1)
            }
        }
    }

    /// A form with its places filled.
    pub(super) fn fill(&mut self, kind: Type, form: &'static Form, place: &Place<'_>, depth: usize) -> Expr {
        let shared = if form.result == Of::T { kind } else { self.kind_in(place) };
        let args = self.args(form.slots, shared, place, depth);
        Expr::form(kind, form, args)
    }

    fn args(&mut self, slots: &[Slot], shared: Type, place: &Place<'_>, depth: usize) -> Vec<Expr> {
        let mut args: Vec<Expr> = Vec::with_capacity(slots.len());
        for slot in slots {
            let arg = match *slot {
                Slot::Each(kind) => {
                    let computes = !matches!(kind, Type::Bool | Type::Text);
                    self.expr(kind, &Place { computed: place.computed || computes, ..*place }, depth)
                }
                Slot::Any => self.expr(shared, place, depth),
                Slot::Lit => {
                    let near = args.first().and_then(|first| place.column_of(first));
                    if self.random.chance(4) { Expr::null(shared) } else { self.literal(shared, near, place) }
                }
                Slot::LitOf(kind) => self.literal(kind, None, place),
                Slot::Pattern => {
                    let near = args.first().and_then(|first| place.column_of(first));
                    self.pattern(near, place)
                }
                Slot::Count => Expr::literal(Type::Int, Literal::new(self.random.between(1, 3).to_string())),
                Slot::NonZero => Expr::literal(Type::Int, Literal::new(*self.random.pick(&["2", "3", "7", "(-2)"]))),
            };
            args.push(arg);
        }
        args
    }

    /// A condition of one column and literals.
    pub(super) fn simple(&mut self, place: &Place<'_>) -> Expr {
        let columns: Vec<_> = place.columns().collect();
        if columns.is_empty() {
            return self.expr(Type::Bool, place, 1);
        }
        let (table, column) = *self.random.pick(&columns);
        let forms: Vec<(usize, &'static Form)> = SIMPLE.iter().map(|form| (form.weight, form)).collect();
        let form = self.random.weighted(&forms);
        let mut args = vec![Expr::column(column.kind, table, &column.name)];
        for _ in 1..form.slots.len() {
            args.push(self.literal(column.kind, Some(column), place));
        }
        Expr::form(Type::Bool, form, args)
    }

    /// A column, a group or an aggregate, or a literal.
    fn leaf(&mut self, kind: Type, place: &Place<'_>) -> Expr {
        if let Some(groups) = place.groups {
            let groups: Vec<&Expr> = groups.iter().filter(|group| group.kind == kind).collect();
            if !groups.is_empty() && self.random.chance(60) {
                return (*self.random.pick(&groups)).clone();
            }
            return match self.random.chance(80) {
                true => self.aggregate(kind, place),
                false => self.literal(kind, None, place),
            };
        }
        let columns: Vec<_> = place.columns().filter(|(_, column)| column.kind == kind).collect();
        // A literal truth decides more than it tests.
        if kind == Type::Bool && (columns.is_empty() || self.random.chance(40)) && self.random.chance(90) {
            return self.simple(place);
        }
        if columns.is_empty() || self.random.chance(15) {
            return self.literal(kind, None, place);
        }
        let (table, column) = *self.random.pick(&columns);
        Expr::column(kind, table, &column.name)
    }

    fn case(&mut self, kind: Type, place: &Place<'_>, depth: usize) -> Expr {
        let place = Place { subqueries: false, ..*place };
        let compared = self.random.chance(35).then(|| self.kind_in(&place));
        let operand = compared.map(|kind| Box::new(self.leaf(kind, &place)));
        let whens = (0..=self.random.below(2))
            .map(|_| {
                let when = match (&operand, compared) {
                    (Some(operand), Some(kind)) => self.literal(kind, place.column_of(operand), &place),
                    _ => self.expr(Type::Bool, &place, depth - 1),
                };
                (when, self.expr(kind, &place, depth - 1))
            })
            .collect();
        let otherwise = self.random.chance(70).then(|| Box::new(self.expr(kind, &place, depth - 1)));
        Expr { kind, node: Node::Case { operand, whens, otherwise } }
    }

    /// An aggregate of a kind. Where none makes it, a literal.
    pub(super) fn aggregate(&mut self, kind: Type, place: &Place<'_>) -> Expr {
        let functions: Vec<(usize, &'static Function)> = AGGREGATES
            .iter()
            .filter(|function| function.result == Of::Is(kind) || function.result == Of::T)
            .filter(|function| function.exact || place.inexact)
            .map(|function| (function.weight, function))
            .collect();
        let function = self.random.weighted(&functions);
        // Nothing that is summed may be rounded before.
        let rows = Place { groups: None, computed: true, subqueries: false, ..*place };
        let rows = if function.result == Of::T { Place { computed: place.computed, ..rows } } else { rows };
        let shared = if function.result == Of::T { kind } else { self.kind_in(&rows) };
        let depth = usize::from(self.random.chance(30));
        let args = self.args(function.slots, shared, &rows, depth);
        let distinct = function.distinct && !args.is_empty() && self.random.chance(15);
        let filter = self.random.chance(15).then(|| Box::new(self.simple(&rows)));
        Expr { kind, node: Node::Aggregate { function, distinct, args, filter } }
    }

    /// A value of a column that is near, or of any other of its kind, or one that is likely to be in none.
    pub(super) fn literal(&mut self, kind: Type, near: Option<&Column>, place: &Place<'_>) -> Expr {
        let near = near.filter(|column| column.kind == kind && !column.samples.is_empty());
        let samples: Vec<&Literal> = match near {
            Some(column) => column.samples.iter().collect(),
            None => {
                let columns = place.columns().filter(|(_, column)| column.kind == kind && !column.fragile);
                columns.flat_map(|(_, column)| &column.samples).collect()
            }
        };
        let literal = match self.random.below(100) {
            0..2 => return Expr::null(kind),
            2..88 if !samples.is_empty() => (*self.random.pick(&samples)).clone(),
            _ => self.other_literal(kind),
        };
        Expr::literal(kind, literal)
    }

    fn other_literal(&mut self, kind: Type) -> Literal {
        match kind {
            Type::Bool => Literal::new(*self.random.pick(&["TRUE", "FALSE"])),
            Type::Int => Literal::new(*self.random.pick(&["0", "1", "2", "5", "(-1)", "100", "42"])),
            Type::Float => float(*self.random.pick(&[0.0, 0.5, 1.0, -1.5, 2.25, 100.0])),
            Type::Decimal => {
                let text = *self.random.pick(&["0", "1.5", "0.05", "10.25", "1000"]);
                Literal::with_alone(format!("CAST('{text}' AS DECIMAL(15, 2))"), text)
            }
            Type::Text => Literal::new(*self.random.pick(&["''", "'a'", "'b'", "'%'", "'O''Hara'", "'é'", "' '"])),
            Type::Date => {
                let text = *self.random.pick(&["2024-02-29", "1995-06-17", "1970-01-01", "2030-12-31"]);
                Literal::with_alone(format!("DATE '{text}'"), format!("'{text}'"))
            }
            Type::Timestamp => {
                let texts =
                    ["2024-01-01 00:00:00", "2024-02-29 23:59:59.999999", "1969-12-31 23:00:00", "2030-01-01 12:30:00"];
                timestamp(self.random.pick::<&str>(&texts)).expect("these are timestamps")
            }
            Type::Bytes => Literal::new(*self.random.pick(&["X''", "X'00'", "X'61'"])),
        }
    }

    /// A pattern of pieces of a text that is there, its own wildcards plain more often than not.
    fn pattern(&mut self, near: Option<&Column>, place: &Place<'_>) -> Expr {
        let text = self.literal(Type::Text, near, place);
        let text = match &text.node {
            Node::Literal(literal) if literal.text.starts_with('\'') => {
                literal.text[1..literal.text.len() - 1].replace("''", "'")
            }
            _ => String::new(),
        };
        let plain = self.random.chance(70);
        let mut chars: Vec<String> = text
            .chars()
            .map(|c| match c {
                '\\' => "\\\\".to_owned(),
                '%' | '_' if plain => format!("\\{c}"),
                c => c.to_string(),
            })
            .collect();
        if !chars.is_empty() && self.random.chance(30) {
            let at = self.random.below(chars.len());
            chars[at] = "_".to_owned();
        }
        let (from, to) = match self.random.below(5) {
            0 => (0, chars.len()),
            1 => (0, chars.len().div_ceil(2)),
            2 => (chars.len() / 2, chars.len()),
            3 => (chars.len() / 3, chars.len() - chars.len() / 3),
            _ => (0, 1.min(chars.len())),
        };
        let (before, after) = (from > 0 || self.random.chance(15), to < chars.len() || self.random.chance(15));
        let percent = |there: bool| if there { "%" } else { "" };
        let pattern = format!("{}{}{}", percent(before), chars[from..to].concat(), percent(after));
        Expr::literal(Type::Text, Literal::new(format!("'{}'", pattern.replace('\'', "''"))))
    }
}

/// Whether its floats have digits that a sum would round.
fn is_fragile_form(form: &Form) -> bool {
    form.result == Of::Is(Type::Float) && form.slots == [Slot::Each(Type::Decimal)]
}

/// Whether a column of this expression must not be computed with any more.
pub(super) fn is_fragile(expr: &Expr, place: &Place<'_>) -> bool {
    let own = match &expr.node {
        Node::Column { .. } => place.column_of(expr).is_some_and(|column| column.fragile),
        Node::Form { form, .. } => is_fragile_form(form),
        Node::Aggregate { function, .. } | Node::Window { function, .. } => {
            let is_rounded = expr.kind == Type::Float && function.name != "sum" || !function.exact;
            is_rounded || matches!(expr.kind, Type::Date | Type::Timestamp)
        }
        Node::Scalar(_) => matches!(expr.kind, Type::Float | Type::Date | Type::Timestamp),
        _ => false,
    };
    own || expr.children().into_iter().any(|child| is_fragile(child, place))
}
