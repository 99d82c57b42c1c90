//! A query as text: for Tombolo and plain DataFusion, which read the same, and for SQLite alone.

use super::forms::{Alone, Form, Function};
use super::tree::{
    Body, Expr, Grouping, Join, JoinKind, JoinOn, Literal, Node, OrderKey, Query, Relation, Select, SetOperator,
};

/// Who will read the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Tombolo and plain DataFusion: tables are named `source.table`.
    DataFusion,
    /// A SQLite database that holds all tables by their own names.
    Sqlite,
}

/// The text, or what of the query SQLite does not do alike.
type Printed<T = String> = Result<T, String>;

impl Query {
    /// The text for Tombolo and DataFusion.
    pub fn sql(&self) -> String {
        self.print(Reader::DataFusion).expect("DataFusion's text has everything")
    }

    /// The text for a reader.
    ///
    /// # Errors
    /// What SQLite does not do alike.
    pub fn print(&self, reader: Reader) -> Printed {
        let mut text = String::new();
        for (index, (name, query)) in self.with.iter().enumerate() {
            text.push_str(if index == 0 { "WITH " } else { ", " });
            text.push_str(&format!("{name} AS ({})", query.print(reader)?));
        }
        if !self.with.is_empty() {
            text.push(' ');
        }
        match &self.body {
            Body::Select(select) => text.push_str(&select.print(reader)?),
            Body::Set(operator, selects) => {
                let selects: Vec<String> = selects.iter().map(|select| select.print(reader)).collect::<Printed<_>>()?;
                text.push_str(&selects.join(&format!(" {} ", operator.print(reader)?)));
            }
        }
        if !self.order.is_empty() {
            let mut order = self.order.clone();
            if reader == Reader::Sqlite {
                // A name means a column of a table there, if one has it, and in compounds nothing but a column is taken.
                order.iter_mut().for_each(|key| self.by_position(&mut key.expr));
            }
            text.push_str(&format!(" ORDER BY {}", keys(&order, reader)?));
        }
        match (self.limit, reader) {
            (Some(limit), _) => text.push_str(&format!(" LIMIT {limit}")),
            (None, Reader::Sqlite) if self.offset.is_some() => text.push_str(" LIMIT -1"),
            _ => {}
        }
        if let Some(offset) = self.offset {
            text.push_str(&format!(" OFFSET {offset}"));
        }
        Ok(text)
    }

    /// Puts its position in place of an output column.
    fn by_position(&self, expr: &mut Expr) {
        let Node::Output(name) = &expr.node else { return };
        if let Some(position) = self.outputs().iter().position(|output| output == name) {
            expr.node = Node::Literal(Literal::new((position + 1).to_string()));
        }
    }
}

impl SetOperator {
    fn print(self, reader: Reader) -> Printed<&'static str> {
        Ok(match self {
            Self::UnionAll => "UNION ALL",
            Self::Union => "UNION",
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
            Self::ExceptAll | Self::IntersectAll if reader == Reader::Sqlite => return Err("EXCEPT ALL".to_owned()),
            Self::ExceptAll => "EXCEPT ALL",
            Self::IntersectAll => "INTERSECT ALL",
        })
    }
}

impl Select {
    fn print(&self, reader: Reader) -> Printed {
        let items: Vec<String> = self
            .items
            .iter()
            .map(|item| {
                let name = quoted(&item.name);
                Ok(match &item.expr.node {
                    Node::Column { column, .. } if *column == item.name => item.expr.print(reader)?,
                    _ => format!("{} AS {name}", item.expr.print(reader)?),
                })
            })
            .collect::<Printed<_>>()?;
        let mut text = format!("SELECT {}{}", if self.distinct { "DISTINCT " } else { "" }, items.join(", "));
        if let Some(from) = &self.from {
            text.push_str(&format!(" FROM {}", from.print(reader)?));
        }
        if !self.filter.is_empty() {
            text.push_str(&format!(" WHERE {}", list(&self.filter, " AND ", reader)?));
        }
        if !self.group.is_empty() {
            let group = list(&self.group, ", ", reader)?;
            text.push_str(&match self.grouping {
                Grouping::Plain => format!(" GROUP BY {group}"),
                _ if reader == Reader::Sqlite => return Err("ROLLUP".to_owned()),
                Grouping::Rollup => format!(" GROUP BY ROLLUP ({group})"),
                Grouping::Cube => format!(" GROUP BY CUBE ({group})"),
            });
        }
        if !self.having.is_empty() {
            text.push_str(&format!(" HAVING {}", list(&self.having, " AND ", reader)?));
        }
        Ok(text)
    }
}

impl Relation {
    fn print(&self, reader: Reader) -> Printed {
        Ok(match self {
            Self::Table { source, table, alias } => match reader {
                Reader::DataFusion => format!("{}.{} AS {alias}", quoted(source), quoted(table)),
                Reader::Sqlite => format!("{} AS {alias}", quoted(table)),
            },
            Self::Derived { query, alias } => format!("({}) AS {alias}", query.print(reader)?),
            Self::Common { name, alias } => format!("{name} AS {alias}"),
            Self::Join(join) => join.print(reader)?,
        })
    }
}

impl Join {
    fn print(&self, reader: Reader) -> Printed {
        let kind = match self.kind {
            JoinKind::Inner => "JOIN",
            JoinKind::Left => "LEFT JOIN",
            JoinKind::Right => "RIGHT JOIN",
            JoinKind::Full => "FULL JOIN",
            JoinKind::Cross => "CROSS JOIN",
        };
        let right = self.right.print(reader)?;
        let right = if matches!(self.right, Relation::Join(_)) { format!("({right})") } else { right };
        let on = match &self.on {
            JoinOn::Nothing => String::new(),
            JoinOn::Conditions(conditions) => format!(" ON {}", list(conditions, " AND ", reader)?),
            // Of several relations on the left SQLite wants but one to have the column, whatever the case of its name.
            JoinOn::Using(_) if reader == Reader::Sqlite && matches!(self.left, Relation::Join(_)) => {
                return Err("USING over a join".to_owned());
            }
            JoinOn::Using(columns) => {
                let columns: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
                format!(" USING ({})", columns.join(", "))
            }
        };
        Ok(format!("{} {kind} {right}{on}", self.left.print(reader)?))
    }
}

impl Expr {
    /// The text for a reader.
    ///
    /// # Errors
    /// What SQLite does not do alike.
    pub fn print(&self, reader: Reader) -> Printed {
        match &self.node {
            Node::Column { table, column } => Ok(format!("{table}.{}", quoted(column))),
            Node::Output(name) => Ok(quoted(name)),
            Node::Literal(literal) => match reader {
                Reader::DataFusion => Ok(literal.text.clone()),
                Reader::Sqlite => literal.alone.clone().ok_or_else(|| format!("the literal {}", literal.text)),
            },
            Node::Form { form, args } => form.print(args, reader),
            Node::Case { operand, whens, otherwise } => {
                let mut text = "CASE".to_owned();
                if let Some(operand) = operand {
                    text.push_str(&format!(" {}", operand.print(reader)?));
                }
                for (when, then) in whens {
                    text.push_str(&format!(" WHEN {} THEN {}", when.print(reader)?, then.print(reader)?));
                }
                if let Some(otherwise) = otherwise {
                    text.push_str(&format!(" ELSE {}", otherwise.print(reader)?));
                }
                Ok(text + " END")
            }
            Node::Aggregate { function, distinct, args, filter } => {
                let filter = match filter {
                    Some(filter) => format!(" FILTER (WHERE {})", filter.print(reader)?),
                    None => String::new(),
                };
                let distinct = if *distinct { "DISTINCT " } else { "" };
                Ok(format!("{}({distinct}{}){filter}", function.print(reader)?, arguments(function, args, reader)?))
            }
            Node::Window { function, args, partition, order, frame } => {
                let mut over = Vec::new();
                if !partition.is_empty() {
                    over.push(format!("PARTITION BY {}", list(partition, ", ", reader)?));
                }
                if !order.is_empty() {
                    over.push(format!("ORDER BY {}", keys(order, reader)?));
                }
                over.extend(frame.map(str::to_owned));
                let arguments = arguments(function, args, reader)?;
                Ok(format!("{}({arguments}) OVER ({})", function.print(reader)?, over.join(" ")))
            }
            Node::Exists { query, negated } => {
                Ok(format!("({}EXISTS ({}))", if *negated { "NOT " } else { "" }, query.print(reader)?))
            }
            Node::In { value, query, negated } => {
                let operator = if *negated { "NOT IN" } else { "IN" };
                Ok(format!("({} {operator} ({}))", value.print(reader)?, query.print(reader)?))
            }
            Node::Scalar(query) => Ok(format!("({})", query.print(reader)?)),
        }
    }
}

impl Form {
    fn print(&self, args: &[Expr], reader: Reader) -> Printed {
        let text = match (reader, self.alone) {
            (Reader::DataFusion, _) | (Reader::Sqlite, Alone::Same) => self.text,
            (Reader::Sqlite, Alone::As(text)) => text,
            (Reader::Sqlite, Alone::No) => return Err(self.text.to_owned()),
        };
        let args: Vec<String> = args.iter().map(|arg| arg.print(reader)).collect::<Printed<_>>()?;
        let mut pieces = text.split('{');
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (index, rest) = piece.split_once('}').expect("a place of a form is closed");
            filled.push_str(&args[index.parse::<usize>().expect("a place of a form is a number")]);
            filled.push_str(rest);
        }
        Ok(filled)
    }
}

impl Function {
    fn print(&self, reader: Reader) -> Printed<&'static str> {
        match (reader, self.alone) {
            (Reader::DataFusion, _) | (Reader::Sqlite, Alone::Same) => Ok(self.name),
            (Reader::Sqlite, Alone::As(name)) => Ok(name),
            (Reader::Sqlite, Alone::No) => Err(format!("{}()", self.name)),
        }
    }
}

fn arguments(function: &Function, args: &[Expr], reader: Reader) -> Printed {
    if args.is_empty() && function.name == "count" {
        return Ok("*".to_owned());
    }
    list(args, ", ", reader)
}

fn list(exprs: &[Expr], between: &str, reader: Reader) -> Printed {
    let texts: Vec<String> = exprs.iter().map(|expr| expr.print(reader)).collect::<Printed<_>>()?;
    Ok(texts.join(between))
}

fn keys(keys: &[OrderKey], reader: Reader) -> Printed {
    let texts: Vec<String> = keys
        .iter()
        .map(|key| {
            // By default nulls are the largest values here, and the smallest in SQLite.
            let nulls_first = match reader {
                Reader::DataFusion => key.nulls_first,
                Reader::Sqlite => Some(key.nulls_first.unwrap_or(key.descending)),
            };
            let nulls = match nulls_first {
                Some(true) => " NULLS FIRST",
                Some(false) => " NULLS LAST",
                None => "",
            };
            Ok(format!("{}{}{nulls}", key.expr.print(reader)?, if key.descending { " DESC" } else { "" }))
        })
        .collect::<Printed<_>>()?;
    Ok(texts.join(", "))
}

/// A name as it must be written: in quotes unless it is plainly a name.
pub(super) fn quoted(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    // Words of SQL have no digit and no underscore, and names of one letter are no words.
    if is_plain && (name.len() == 1 || name.contains(|c: char| c.is_ascii_digit() || c == '_') || NAMES.contains(&name))
    {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Sources and tables that are written without quotes although they could be words.
const NAMES: [&str; 13] = [
    "shop", "crm", "lake", "mem", "customer", "orders", "supplier", "nation", "region", "lineitem", "part", "partsupp",
    "none",
];
