//! A query as a tree of its own: made by the generator, printed for several engines, and made smaller when it has shown a
//! difference.

use super::forms::{Form, Function};

/// The kinds of value that the generator tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Type {
    Bool,
    Int,
    Float,
    Decimal,
    Text,
    Date,
    Timestamp,
    Bytes,
}

/// A whole query.
#[derive(Debug, Clone)]
pub struct Query {
    /// Common table expressions, in the order in which they may name each other.
    pub with: Vec<(String, Query)>,
    /// What it selects.
    pub body: Body,
    /// Its ORDER BY.
    pub order: Vec<OrderKey>,
    /// Its LIMIT.
    pub limit: Option<usize>,
    /// Its OFFSET.
    pub offset: Option<usize>,
}

/// What a query selects.
#[derive(Debug, Clone)]
pub enum Body {
    /// One SELECT.
    Select(Box<Select>),
    /// Several, joined by one operator from left to right.
    Set(SetOperator, Vec<Select>),
}

/// How several SELECTs become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperator {
    UnionAll,
    Union,
    Intersect,
    Except,
    ExceptAll,
    IntersectAll,
}

/// One SELECT.
#[derive(Debug, Clone)]
pub struct Select {
    pub distinct: bool,
    pub items: Vec<Item>,
    /// `None` selects from nothing: one row.
    pub from: Option<Relation>,
    /// The conjuncts of WHERE.
    pub filter: Vec<Expr>,
    pub group: Vec<Expr>,
    /// How the group expressions make groups.
    pub grouping: Grouping,
    /// The conjuncts of HAVING.
    pub having: Vec<Expr>,
}

/// How group expressions make groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    Plain,
    Rollup,
    Cube,
}

/// A column of a SELECT, which always has a name.
#[derive(Debug, Clone)]
pub struct Item {
    pub expr: Expr,
    pub name: String,
}

/// Something in FROM.
#[derive(Debug, Clone)]
pub enum Relation {
    Table { source: String, table: String, alias: String },
    Derived { query: Box<Query>, alias: String },
    Common { name: String, alias: String },
    Join(Box<Join>),
}

#[derive(Debug, Clone)]
pub struct Join {
    pub kind: JoinKind,
    pub left: Relation,
    pub right: Relation,
    pub on: JoinOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

#[derive(Debug, Clone)]
pub enum JoinOn {
    Nothing,
    Conditions(Vec<Expr>),
    Using(Vec<String>),
}

/// A key of an ORDER BY.
#[derive(Debug, Clone)]
pub struct OrderKey {
    pub expr: Expr,
    pub descending: bool,
    /// `None` leaves it to the default, which is last for rising and first for falling orders.
    pub nulls_first: Option<bool>,
}

/// An expression and the kind of its values.
#[derive(Debug, Clone)]
pub struct Expr {
    pub kind: Type,
    pub node: Node,
}

#[derive(Debug, Clone)]
pub enum Node {
    Column {
        table: String,
        column: String,
    },
    /// An output column of the same query, in its ORDER BY.
    Output(String),
    Literal(Literal),
    Form {
        form: &'static Form,
        args: Vec<Expr>,
    },
    /// With an operand, each condition is a value that it is compared with.
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Aggregate {
        function: &'static Function,
        distinct: bool,
        args: Vec<Expr>,
        filter: Option<Box<Expr>>,
    },
    Window {
        function: &'static Function,
        args: Vec<Expr>,
        partition: Vec<Expr>,
        order: Vec<OrderKey>,
        frame: Option<&'static str>,
    },
    Exists {
        query: Box<Query>,
        negated: bool,
    },
    In {
        value: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    Scalar(Box<Query>),
}

/// A literal as DataFusion and as SQLite write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    pub text: String,
    /// `None` where SQLite has none that means the same.
    pub alone: Option<String>,
}

impl Literal {
    pub(super) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { alone: Some(text.clone()), text }
    }

    pub(super) fn with_alone(text: impl Into<String>, alone: impl Into<String>) -> Self {
        Self { text: text.into(), alone: Some(alone.into()) }
    }

    /// Whether it is NULL, typed or not.
    pub fn is_null(&self) -> bool {
        self.alone.as_deref() == Some("NULL")
    }
}

impl Expr {
    pub(super) fn column(kind: Type, table: &str, column: &str) -> Self {
        Self { kind, node: Node::Column { table: table.to_owned(), column: column.to_owned() } }
    }

    pub(super) fn literal(kind: Type, literal: Literal) -> Self {
        Self { kind, node: Node::Literal(literal) }
    }

    pub(super) fn form(kind: Type, form: &'static Form, args: Vec<Expr>) -> Self {
        Self { kind, node: Node::Form { form, args } }
    }

    pub(super) fn null(kind: Type) -> Self {
        Self::literal(kind, Literal::with_alone(format!("CAST(NULL AS {})", kind.sql()), "NULL"))
    }

    /// The expressions directly below, without those inside of sub-selects.
    pub(super) fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Column { .. } | Node::Output(_) | Node::Literal(_) | Node::Exists { .. } | Node::Scalar(_) => {
                Vec::new()
            }
            Node::Form { args, .. } => args.iter().collect(),
            Node::Case { operand, whens, otherwise } => {
                let pairs = whens.iter().flat_map(|(when, then)| [when, then]);
                operand.as_deref().into_iter().chain(pairs).chain(otherwise.as_deref()).collect()
            }
            Node::Aggregate { args, filter, .. } => args.iter().chain(filter.as_deref()).collect(),
            Node::Window { args, partition, order, .. } => {
                args.iter().chain(partition).chain(order.iter().map(|key| &key.expr)).collect()
            }
            Node::In { value, .. } => vec![value],
        }
    }

    /// Whether it has a column outside of its sub-selects.
    pub(super) fn has_column(&self) -> bool {
        matches!(self.node, Node::Column { .. }) || self.children().into_iter().any(Expr::has_column)
    }
}

impl Type {
    /// The type's name in a cast.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Bool => "BOOLEAN",
            Self::Int => "BIGINT",
            Self::Float => "DOUBLE",
            Self::Decimal => "DECIMAL(15, 2)",
            Self::Text => "VARCHAR",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Bytes => "BYTEA",
        }
    }
}

impl Query {
    pub(super) fn of(body: Body) -> Self {
        Self { with: Vec::new(), body, order: Vec::new(), limit: None, offset: None }
    }

    /// The names of its output columns.
    pub fn outputs(&self) -> Vec<&str> {
        let select = match &self.body {
            Body::Select(select) => select.as_ref(),
            Body::Set(_, selects) => &selects[0],
        };
        select.items.iter().map(|item| item.name.as_str()).collect()
    }
}
