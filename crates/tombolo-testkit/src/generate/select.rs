//! One SELECT: plain, grouped, or with windows.

use super::Generator;
use super::catalog::Column;
use super::expression::{Place, Visible, is_fragile};
use super::forms::{AGGREGATES, Function, Of, PEERS, RANKED, Slot};
use super::tree::{Expr, Grouping, Item, Literal, Node, OrderKey, Select, Type};

/// What comes out of a SELECT.
pub(super) struct Made {
    pub(super) columns: Vec<Column>,
    pub(super) scope: Vec<Visible>,
    pub(super) rows: f64,
}

const FRAMES: [&str; 5] = [
    "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
    "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
    "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
];

impl Generator<'_> {
    /// A SELECT, of columns of these kinds where they are wanted. `inexact` allows aggregates that depend on the order of rows
    /// in their last digits.
    pub(super) fn select(&mut self, wanted: Option<&[Type]>, depth: usize, inexact: bool) -> (Select, Made) {
        let (from, scope, rows) = self.from(depth, 4);
        let place = Place { subqueries: true, ..Place::rows(&scope) };
        let filter = self.filter(&place, depth);
        let mut select = Select {
            distinct: false,
            items: Vec::new(),
            from: Some(from),
            filter,
            group: Vec::new(),
            grouping: Grouping::Plain,
            having: Vec::new(),
        };
        match self.random.below(100) {
            0..36 => self.grouped(&mut select, &scope, wanted, inexact),
            36..48 => self.windowed(&mut select, &scope, wanted),
            _ => {
                let kinds = self.kinds(wanted, &place, 5);
                for kind in kinds {
                    let deep = usize::from(self.random.chance(35)) * 2;
                    let expr = self.expr(kind, &Place { subqueries: depth > 0, ..place }, deep);
                    self.item(&mut select, expr);
                }
                select.distinct = self.random.chance(12);
            }
        }
        let columns = select.items.iter().map(|item| made(item, &Place::rows(&scope))).collect();
        let made = Made { columns, rows, scope };
        (select, made)
    }

    fn kinds(&mut self, wanted: Option<&[Type]>, place: &Place<'_>, most: usize) -> Vec<Type> {
        match wanted {
            Some(wanted) => wanted.to_vec(),
            None => (0..=self.random.below(most)).map(|_| self.kind_in(place)).collect(),
        }
    }

    fn item(&mut self, select: &mut Select, expr: Expr) {
        let is_new = |name: &str| !select.items.iter().any(|item| item.name == name);
        let name = match &expr.node {
            // Columns of one name on several levels and sides are where names get mixed up.
            Node::Column { column, .. } if is_new(column) && self.random.chance(70) => column.clone(),
            _ => self.name("c"),
        };
        select.items.push(Item { expr, name });
    }

    fn grouped(&mut self, select: &mut Select, scope: &[Visible], wanted: Option<&[Type]>, inexact: bool) {
        let rows = Place::rows(scope);
        let count = self.random.weighted(&[(18, 0), (46, 1), (28, 2), (8, 3)]);
        for _ in 0..count {
            let kind = self.kind_in(&rows);
            let deep = usize::from(self.random.chance(25));
            let expr = self.expr(kind, &rows, deep);
            // A literal in GROUP BY would be the position of a column.
            if expr.has_column() {
                select.group.push(expr);
            }
        }
        if select.group.len() > 1 && self.random.chance(8) {
            select.grouping = if self.random.chance(50) { Grouping::Rollup } else { Grouping::Cube };
        }
        let group = select.group.clone();
        let place = Place { groups: Some(&group), inexact, ..rows };
        match wanted {
            Some(wanted) => {
                for &kind in wanted {
                    let expr = self.expr(kind, &place, 1);
                    self.item(select, expr);
                }
            }
            None => {
                for expr in &group {
                    if self.random.chance(80) {
                        self.item(select, expr.clone());
                    }
                }
                for _ in 0..=self.random.below(3) {
                    let kind = self.random.weighted(&[
                        (40, Type::Int),
                        (20, Type::Float),
                        (14, Type::Decimal),
                        (10, Type::Text),
                        (6, Type::Bool),
                        (6, Type::Date),
                        (4, Type::Timestamp),
                    ]);
                    let deep = usize::from(self.random.chance(25));
                    let expr = if deep == 0 { self.aggregate(kind, &place) } else { self.expr(kind, &place, deep) };
                    self.item(select, expr);
                }
            }
        }
        if group.is_empty() && !select.items.iter().any(|item| has_aggregate(&item.expr)) {
            // Without an aggregate nothing would be grouped.
            let kind = select.items.first().map_or(Type::Int, |item| item.expr.kind);
            let expr = self.aggregate(kind, &place);
            match select.items.first_mut() {
                Some(item) => item.expr = expr,
                None => self.item(select, expr),
            }
        }
        if self.random.chance(25) {
            let having = self.expr(Type::Bool, &Place { inexact: false, ..place }, 2);
            select.having.push(having);
        }
    }

    fn windowed(&mut self, select: &mut Select, scope: &[Visible], wanted: Option<&[Type]>) {
        let place = Place::rows(scope);
        let kinds = self.kinds(wanted, &place, 3);
        // Rows without a key may be alike, and each of two windows may take another of them first.
        let has_twins = scope.iter().any(|visible| visible.identity.len() == visible.columns.len());
        let mut windows = 0;
        for kind in kinds {
            let window = self.random.chance(60) && !(has_twins && windows > 0);
            windows += usize::from(window);
            let expr = if window { self.window(kind, scope) } else { self.expr(kind, &place, 1) };
            self.item(select, expr);
        }
        if wanted.is_none() && !(has_twins && windows > 0) {
            let kind = self.random.weighted(&[(3, Type::Int), (1, Type::Float), (1, Type::Text)]);
            let expr = self.window(kind, scope);
            self.item(select, expr);
        }
    }

    fn window(&mut self, kind: Type, scope: &[Visible]) -> Expr {
        let rows = Place { computed: true, ..Place::rows(scope) };
        let (list, total): (Vec<&'static Function>, bool) = match self.random.below(100) {
            0..40 => (RANKED.iter().collect(), true),
            40..60 => (PEERS.iter().collect(), false),
            // Averages and sums of what was rounded before depend on the order.
            _ => (
                AGGREGATES.iter().filter(|function| function.exact && function.name != "median").collect(),
                self.random.chance(50),
            ),
        };
        let makes = |function: &&&'static Function| function.result == Of::Is(kind) || function.result == Of::T;
        let functions: Vec<_> = list.iter().filter(makes).map(|function| (function.weight, *function)).collect();
        if functions.is_empty() {
            return self.expr(kind, &rows, 1);
        }
        let function = self.random.weighted(&functions);
        let args = function
            .slots
            .iter()
            .map(|slot| match slot {
                Slot::Count => Expr::literal(Type::Int, Literal::new(self.random.between(1, 3).to_string())),
                Slot::Each(kind) => self.expr(*kind, &rows, 1),
                _ => {
                    let kind = if function.result == Of::T { kind } else { self.kind_in(&rows) };
                    self.expr(kind, &rows, 0)
                }
            })
            .collect();
        let columns: Vec<Expr> = scope
            .iter()
            .flat_map(|visible| {
                visible.columns.iter().map(|column| Expr::column(column.kind, &visible.alias, &column.name))
            })
            .collect();
        let partition =
            (0..self.random.weighted(&[(3, 0), (5, 1), (1, 2)])).map(|_| self.random.pick(&columns).clone()).collect();
        // DataFusion has no frames by range over bytes, and makes one of every order (docs/dev/datafusion.md).
        let is_ordered = |column: &&Expr| column.kind != Type::Bytes;
        let ordered: Vec<Expr> = columns.iter().filter(is_ordered).cloned().collect();
        let ordered = if ordered.is_empty() { columns.clone() } else { ordered };
        let ranks = PEERS.iter().any(|peer| std::ptr::eq(peer, function));
        let keys = if ranks || total { 1 + self.random.below(2) } else { self.random.below(2) };
        let mut order: Vec<OrderKey> = Vec::new();
        for _ in 0..keys {
            let column = self.random.pick(&ordered).clone();
            order.push(self.key(column));
        }
        if total {
            for visible in scope {
                for &index in &visible.identity {
                    let column = &visible.columns[index];
                    let key = self.key(Expr::column(column.kind, &visible.alias, &column.name));
                    order.push(key);
                }
            }
        }
        let framed = total && !RANKED[..4].iter().any(|ranked| std::ptr::eq(ranked, function));
        let frame = (framed && self.random.chance(60)).then(|| *self.random.pick(&FRAMES));
        Expr { kind, node: Node::Window { function, args, partition, order, frame } }
    }

    pub(super) fn key(&mut self, expr: Expr) -> OrderKey {
        let nulls_first = self.random.weighted(&[(2, None), (1, Some(true)), (1, Some(false))]);
        OrderKey { expr, descending: self.random.chance(40), nulls_first }
    }
}

fn has_aggregate(expr: &Expr) -> bool {
    matches!(expr.node, Node::Aggregate { .. }) || expr.children().into_iter().any(has_aggregate)
}

/// What is known of an output column.
fn made(item: &Item, place: &Place<'_>) -> Column {
    let passed_on = match &item.expr.node {
        Node::Aggregate { function, args, .. } if matches!(function.name, "min" | "max") => place.column_of(&args[0]),
        _ => place.column_of(&item.expr),
    };
    match passed_on {
        Some(column) => {
            let fragile = column.fragile || is_fragile(&item.expr, place);
            Column { name: item.name.clone(), fragile, ..column.clone() }
        }
        None => Column {
            name: item.name.clone(),
            kind: item.expr.kind,
            samples: Vec::new(),
            domain: None,
            fragile: is_fragile(&item.expr, place),
            distinct: 5,
        },
    }
}
