//! Making a query smaller, one step at a time.
//!
//! Every step keeps the answer determined if it was: an order goes only with its limit, and never key by key below one. Steps
//! may leave a name without its column; such a query fails everywhere alike, and the step is not taken.

use super::tree::{Body, Expr, Grouping, JoinKind, JoinOn, Literal, Node, Query, Relation, Select, Type};

/// Counts down to the step that is wanted.
struct Steps(usize);

impl Steps {
    /// Whether the next step is the one.
    fn here(&mut self) -> bool {
        if self.0 == 0 {
            return true;
        }
        self.0 -= 1;
        false
    }
}

impl Query {
    /// The query after one step, the `nth` of those that there are; `None` where there are fewer.
    pub fn reduced(&self, nth: usize) -> Option<Self> {
        let mut query = self.clone();
        reduce_query(&mut query, &mut Steps(nth)).then(|| {
            prune_order(&mut query);
            query
        })
    }
}

/// Each function takes the wanted step where it is in its part, and says whether it has.
fn reduce_query(query: &mut Query, steps: &mut Steps) -> bool {
    for index in 0..query.with.len() {
        if steps.here() {
            query.with.remove(index);
            return true;
        }
    }
    if let Body::Select(select) = &query.body
        && query.with.is_empty()
        && let Some(Relation::Derived { query: inner, .. }) = &select.from
        && steps.here()
    {
        *query = inner.as_ref().clone();
        return true;
    }
    if (query.limit.is_some() || query.offset.is_some()) && steps.here() {
        (query.limit, query.offset) = (None, None);
        return true;
    }
    if query.limit.is_some() && query.offset.is_some() && steps.here() {
        query.offset = None;
        return true;
    }
    if query.limit.is_none() && query.offset.is_none() {
        for index in 0..query.order.len() {
            if steps.here() {
                query.order.remove(index);
                return true;
            }
        }
    }
    for key in &mut query.order {
        if key.descending && steps.here() {
            key.descending = false;
            return true;
        }
        if key.nulls_first.is_some() && steps.here() {
            key.nulls_first = None;
            return true;
        }
    }
    if let Body::Set(_, selects) = &mut query.body {
        for index in 0..selects.len() {
            if steps.here() {
                query.body = Body::Select(Box::new(selects.swap_remove(index)));
                return true;
            }
        }
        for index in 0..selects.len() {
            if selects.len() > 2 && steps.here() {
                selects.remove(index);
                return true;
            }
        }
    }
    reduce_body(&mut query.body, steps) || query.with.iter_mut().any(|(_, query)| reduce_query(query, steps))
}

fn reduce_body(body: &mut Body, steps: &mut Steps) -> bool {
    let selects: &mut [Select] = match body {
        Body::Select(select) => std::slice::from_mut(select.as_mut()),
        Body::Set(_, selects) => selects,
    };
    let width = selects[0].items.len();
    for index in 0..width {
        if width > 1 && steps.here() {
            for select in selects {
                select.items.remove(index);
            }
            return true;
        }
    }
    selects.iter_mut().any(|select| reduce_select(select, steps))
}

fn reduce_select(select: &mut Select, steps: &mut Steps) -> bool {
    if let Some(mut from) = select.from.take() {
        let dropped = drop_side(&mut from, steps);
        let done = dropped.is_some();
        select.from = Some(from);
        if let Some(gone) = dropped {
            let mut exprs: Vec<&mut Expr> = select.items.iter_mut().map(|item| &mut item.expr).collect();
            exprs.extend(select.filter.iter_mut().chain(&mut select.group).chain(&mut select.having));
            exprs.into_iter().for_each(|expr| forget(expr, &gone));
            if let Some(from) = &mut select.from {
                forget_in_joins(from, &gone);
            }
            select.group.retain(Expr::has_column);
        }
        if done {
            return true;
        }
    }
    if select.distinct && steps.here() {
        select.distinct = false;
        return true;
    }
    if select.grouping != Grouping::Plain && steps.here() {
        select.grouping = Grouping::Plain;
        return true;
    }
    for list in [&mut select.filter, &mut select.having, &mut select.group] {
        for index in 0..list.len() {
            if steps.here() {
                list.remove(index);
                return true;
            }
        }
    }
    select.from.as_mut().is_some_and(|from| reduce_relation(from, steps))
        || select.filter.iter_mut().any(|expr| reduce_expr(expr, steps))
        || select.having.iter_mut().any(|expr| reduce_expr(expr, steps))
        || select.items.iter_mut().any(|item| reduce_expr(&mut item.expr, steps))
        || reduce_groups(select, steps)
}

/// What is grouped by stands in the items too, where it is made smaller in the same way.
fn reduce_groups(select: &mut Select, steps: &mut Steps) -> bool {
    for index in 0..select.group.len() {
        let before = select.group[index].clone();
        if reduce_expr(&mut select.group[index], steps) {
            let (old, new) = (format!("{before:?}"), select.group[index].clone());
            let items = select.items.iter_mut().map(|item| &mut item.expr).chain(&mut select.having);
            items.for_each(|expr| replace(expr, &old, &new));
            return true;
        }
    }
    false
}

fn replace(expr: &mut Expr, old: &str, new: &Expr) {
    if format!("{expr:?}") == old {
        *expr = new.clone();
        return;
    }
    for child in children(expr) {
        replace(child, old, new);
    }
}

/// Leaves out one side of a join, and gives the names of what is gone.
fn drop_side(relation: &mut Relation, steps: &mut Steps) -> Option<Vec<String>> {
    let Relation::Join(join) = relation else { return None };
    if steps.here() {
        let gone = aliases(&join.right);
        *relation = join.left.clone();
        return Some(gone);
    }
    if steps.here() {
        let gone = aliases(&join.left);
        *relation = join.right.clone();
        return Some(gone);
    }
    drop_side(&mut join.left, steps).or_else(|| drop_side(&mut join.right, steps))
}

fn aliases(relation: &Relation) -> Vec<String> {
    match relation {
        Relation::Table { alias, .. } | Relation::Derived { alias, .. } | Relation::Common { alias, .. } => {
            vec![alias.clone()]
        }
        Relation::Join(join) => [aliases(&join.left), aliases(&join.right)].concat(),
    }
}

fn forget_in_joins(relation: &mut Relation, gone: &[String]) {
    let Relation::Join(join) = relation else { return };
    if let JoinOn::Conditions(conditions) = &mut join.on {
        conditions.iter_mut().for_each(|condition| forget(condition, gone));
    }
    forget_in_joins(&mut join.left, gone);
    forget_in_joins(&mut join.right, gone);
}

/// Puts nulls in place of columns of relations that are gone.
fn forget(expr: &mut Expr, gone: &[String]) {
    if let Node::Column { table, .. } = &expr.node
        && gone.contains(table)
    {
        *expr = Expr::null(expr.kind);
        return;
    }
    for query in queries(expr) {
        for select in selects(query) {
            let items = select.items.iter_mut().map(|item| &mut item.expr);
            items.chain(&mut select.filter).for_each(|expr| forget(expr, gone));
        }
    }
    children(expr).into_iter().for_each(|child| forget(child, gone));
}

fn selects(query: &mut Query) -> &mut [Select] {
    match &mut query.body {
        Body::Select(select) => std::slice::from_mut(select.as_mut()),
        Body::Set(_, selects) => selects,
    }
}

fn reduce_relation(relation: &mut Relation, steps: &mut Steps) -> bool {
    match relation {
        Relation::Table { .. } | Relation::Common { .. } => false,
        Relation::Derived { query, .. } => reduce_query(query, steps),
        Relation::Join(join) => {
            if !matches!(join.kind, JoinKind::Inner | JoinKind::Cross) && steps.here() {
                join.kind = JoinKind::Inner;
                return true;
            }
            if let JoinOn::Conditions(conditions) = &mut join.on {
                for index in 0..conditions.len() {
                    if conditions.len() > 1 && steps.here() {
                        conditions.remove(index);
                        return true;
                    }
                }
                if conditions.iter_mut().any(|condition| reduce_expr(condition, steps)) {
                    return true;
                }
            }
            reduce_relation(&mut join.left, steps) || reduce_relation(&mut join.right, steps)
        }
    }
}

fn reduce_expr(expr: &mut Expr, steps: &mut Steps) -> bool {
    if matches!(expr.node, Node::Column { .. } | Node::Literal(_) | Node::Output(_)) {
        return false;
    }
    if steps.here() {
        *expr = plain(expr.kind);
        return true;
    }
    let kind = expr.kind;
    let fitting = children(expr).into_iter().filter(|child| child.kind == kind).count();
    for index in 0..fitting {
        if steps.here() {
            let chosen = children(expr).into_iter().filter(|child| child.kind == kind).nth(index).cloned();
            *expr = chosen.expect("it was counted");
            return true;
        }
    }
    match &mut expr.node {
        Node::Case { whens, otherwise, .. } => {
            for index in 0..whens.len() {
                if whens.len() > 1 && steps.here() {
                    whens.remove(index);
                    return true;
                }
            }
            if otherwise.is_some() && steps.here() {
                *otherwise = None;
                return true;
            }
        }
        Node::Aggregate { distinct, filter, .. } => {
            if *distinct && steps.here() {
                *distinct = false;
                return true;
            }
            if filter.is_some() && steps.here() {
                *filter = None;
                return true;
            }
        }
        Node::Window { partition, frame, .. } => {
            if frame.is_some() && steps.here() {
                *frame = None;
                return true;
            }
            for index in 0..partition.len() {
                if steps.here() {
                    partition.remove(index);
                    return true;
                }
            }
        }
        _ => {}
    }
    queries(expr).into_iter().any(|query| reduce_query(query, steps))
        || children(expr).into_iter().any(|child| reduce_expr(child, steps))
}

/// A short literal of a kind.
fn plain(kind: Type) -> Expr {
    let literal = match kind {
        Type::Bool => Literal::new("TRUE"),
        Type::Int => Literal::new("1"),
        Type::Float => Literal::new("1.5"),
        Type::Text => Literal::new("'a'"),
        _ => return Expr::null(kind),
    };
    Expr::literal(kind, literal)
}

fn children(expr: &mut Expr) -> Vec<&mut Expr> {
    match &mut expr.node {
        Node::Column { .. } | Node::Output(_) | Node::Literal(_) | Node::Exists { .. } | Node::Scalar(_) => Vec::new(),
        Node::Form { args, .. } => args.iter_mut().collect(),
        Node::Case { operand, whens, otherwise } => {
            let pairs = whens.iter_mut().flat_map(|(when, then)| [when, then]);
            operand.as_deref_mut().into_iter().chain(pairs).chain(otherwise.as_deref_mut()).collect()
        }
        Node::Aggregate { args, filter, .. } => args.iter_mut().chain(filter.as_deref_mut()).collect(),
        Node::Window { args, partition, order, .. } => {
            args.iter_mut().chain(partition).chain(order.iter_mut().map(|key| &mut key.expr)).collect()
        }
        Node::In { value, .. } => vec![value],
    }
}

fn queries(expr: &mut Expr) -> Vec<&mut Query> {
    match &mut expr.node {
        Node::Exists { query, .. } | Node::In { query, .. } => vec![query],
        Node::Scalar(query) => vec![query],
        _ => Vec::new(),
    }
}

/// Takes the keys out of an order whose columns are no longer put out.
fn prune_order(query: &mut Query) {
    let outputs: Vec<String> = query.outputs().into_iter().map(str::to_owned).collect();
    query.order.retain(|key| match &key.expr.node {
        Node::Output(name) => outputs.contains(name),
        _ => true,
    });
    for (_, query) in &mut query.with {
        prune_order(query);
    }
    for select in selects(query) {
        if let Some(from) = &mut select.from {
            prune_relation(from);
        }
        let items = select.items.iter_mut().map(|item| &mut item.expr);
        items.chain(&mut select.filter).chain(&mut select.having).for_each(prune_expr);
    }
}

fn prune_relation(relation: &mut Relation) {
    match relation {
        Relation::Derived { query, .. } => prune_order(query),
        Relation::Join(join) => {
            prune_relation(&mut join.left);
            prune_relation(&mut join.right);
        }
        Relation::Table { .. } | Relation::Common { .. } => {}
    }
}

fn prune_expr(expr: &mut Expr) {
    queries(expr).into_iter().for_each(prune_order);
    children(expr).into_iter().for_each(prune_expr);
}
