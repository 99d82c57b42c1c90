use super::kinds::{Kind, Server};
use super::value::quoted as literal;
use super::{Column, Sample, Table, View};

/// Rows of one INSERT.
const ROWS: usize = 400;

impl Sample {
    /// What makes the whole sample on a server and fills it, in order. The database is the one that is in use; `bytewise` is
    /// the collation that compares byte by byte.
    pub fn statements(&self, server: Server, bytewise: &str) -> Vec<String> {
        let mut statements = types(self, server);
        for table in &self.tables {
            statements.push(create(table, server, bytewise));
            if server == Server::Postgres {
                statements.extend(table.indexes.iter().map(|(name, columns)| {
                    format!("CREATE INDEX {} ON {} ({})", quoted(name), quoted(table.name), list(columns))
                }));
                statements.extend(comments(table));
            }
            statements.extend(inserts(table, server));
        }
        // Two tables may refer to each other, so all rows are there before.
        statements.extend(self.tables.iter().filter(|table| !table.foreign_keys.is_empty()).map(foreign_keys));
        for view in &self.views {
            statements.push(create_view(view));
            let comment = view.comment.filter(|_| server == Server::Postgres);
            statements
                .extend(comment.map(|text| format!("COMMENT ON VIEW {} IS {}", quoted(view.name), literal(text))));
        }
        statements.extend(self.tables.iter().map(|table| match server {
            Server::Postgres => format!("ANALYZE {}", quoted(table.name)),
            Server::Mysql => format!("ANALYZE TABLE {}", quoted(table.name)),
        }));
        statements
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// The types that PostgreSQL wants before it takes columns of them.
fn types(sample: &Sample, server: Server) -> Vec<String> {
    if server != Server::Postgres {
        return Vec::new();
    }
    let columns = sample.tables.iter().flat_map(|table| &table.columns);
    let mut made: Vec<String> = columns
        .filter_map(|column| match column.kind {
            Kind::Year(name) => Some(format!("CREATE DOMAIN {name} AS smallint CHECK (VALUE BETWEEN 1901 AND 2155)")),
            Kind::Label(name, labels) => {
                let labels: Vec<String> = labels.iter().map(|label| literal(label)).collect();
                Some(format!("CREATE TYPE {name} AS ENUM ({})", labels.join(", ")))
            }
            _ => None,
        })
        .collect();
    made.sort();
    made.dedup();
    made
}

fn create(table: &Table, server: Server, bytewise: &str) -> String {
    let on_mysql = server == Server::Mysql;
    let comment = |said: Option<&str>, before: &str| match said {
        Some(text) if on_mysql => format!("{before}{}", literal(text)),
        _ => String::new(),
    };
    let column = |column: &Column| {
        let collation = if column.is_by_bytes { format!(" COLLATE {bytewise}") } else { String::new() };
        // TIMESTAMP would not be null without being told.
        let nullable = if column.is_nullable { "NULL" } else { "NOT NULL" };
        let (name, declared) = (quoted(column.name), column.kind.declared(server));
        format!("{name} {declared}{collation} {nullable}{}", comment(column.comment, " COMMENT "))
    };
    let mut parts: Vec<String> = table.columns.iter().map(column).collect();
    parts.push(format!("PRIMARY KEY ({})", list(&table.primary_key)));
    let unique = table.unique_keys.iter();
    parts.extend(unique.map(|(name, columns)| format!("CONSTRAINT {} UNIQUE ({})", quoted(name), list(columns))));
    if on_mysql {
        let indexes = table.indexes.iter();
        parts.extend(indexes.map(|(name, columns)| format!("KEY {} ({})", quoted(name), list(columns))));
    }
    let end =
        if on_mysql { format!(" ENGINE = InnoDB{}", comment(table.comment, " COMMENT = ")) } else { String::new() };
    format!("CREATE TABLE {} ({}){end}", quoted(table.name), parts.join(", "))
}

/// PostgreSQL's comments, which are statements of their own.
fn comments(table: &Table) -> Vec<String> {
    let name = quoted(table.name);
    let of_table = table.comment.map(|text| format!("COMMENT ON TABLE {name} IS {}", literal(text)));
    let of_column = |column: &Column| {
        let text = literal(column.comment?);
        Some(format!("COMMENT ON COLUMN {name}.{} IS {text}", quoted(column.name)))
    };
    of_table.into_iter().chain(table.columns.iter().filter_map(of_column)).collect()
}

fn inserts(table: &Table, server: Server) -> Vec<String> {
    let row = |row: &Vec<super::Value>| {
        let cells = row.iter().zip(&table.columns).map(|(value, column)| value.literal(column.kind, server));
        format!("({})", cells.collect::<Vec<_>>().join(", "))
    };
    let insert = |rows: &[Vec<super::Value>]| {
        let rows: Vec<String> = rows.iter().map(row).collect();
        format!("INSERT INTO {} VALUES {}", quoted(table.name), rows.join(", "))
    };
    table.rows.chunks(ROWS).map(insert).collect()
}

fn foreign_keys(table: &Table) -> String {
    let keys = table.foreign_keys.iter().map(|key| {
        let (name, columns, other) = (quoted(key.name), list(&key.columns), quoted(key.table));
        format!("ADD CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {other} ({})", list(&key.referenced))
    });
    format!("ALTER TABLE {} {}", quoted(table.name), keys.collect::<Vec<_>>().join(", "))
}

fn create_view(view: &View) -> String {
    format!("CREATE VIEW {} AS {}", quoted(view.name), Sample::placed(view.query, |_| String::new()))
}
