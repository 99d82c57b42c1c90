use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// A kind of server that samples are loaded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// Integers of 16 bits.
    Small,
    /// Integers of 32 bits.
    Int,
    /// Integers of 64 bits.
    Big,
    /// Integers of 32 bits without a sign, where the server has them.
    Unsigned,
    /// Decimals of so many digits, of which some are after the point.
    Decimal(u8, i8),
    /// What PostgreSQL makes of a sum of decimals, a decimal without bounds; elsewhere of so many digits.
    Sum(u8, i8),
    /// Binary numbers with a fraction.
    Double,
    /// Text of any length.
    Text,
    /// Text of up to so many letters.
    Varchar(u16),
    /// Text of exactly so many letters, filled up with blanks.
    Char(u8),
    /// A day.
    Date,
    /// A day and a time, of no time zone.
    Local,
    /// A moment.
    Moment,
    /// A year; in PostgreSQL a domain of this name.
    Year(&'static str),
    /// One of some labels; in PostgreSQL a type of this name.
    Label(&'static str, &'static [&'static str]),
    /// Some of some labels; in PostgreSQL a list of texts.
    Labels(&'static [&'static str]),
    /// Bytes.
    Bytes,
}

impl Kind {
    /// The type as the server's catalog writes it, without the widths for display that some servers add to integers.
    pub fn declared(&self, server: Server) -> String {
        let on_mysql = server == Server::Mysql;
        let labels = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|label| format!("'{}'", label.replace('\'', "''"))).collect();
            labels.join(",")
        };
        match *self {
            Self::Varchar(letters) if on_mysql => format!("varchar({letters})"),
            Self::Varchar(letters) => format!("character varying({letters})"),
            Self::Char(letters) if on_mysql => format!("char({letters})"),
            Self::Char(letters) => format!("character({letters})"),
            Self::Decimal(digits, places) | Self::Sum(digits, places) if on_mysql => {
                format!("decimal({digits},{places})")
            }
            Self::Decimal(digits, places) => format!("numeric({digits},{places})"),
            Self::Label(_, names) if on_mysql => format!("enum({})", labels(names)),
            Self::Labels(names) if on_mysql => format!("set({})", labels(names)),
            Self::Year(name) | Self::Label(name, _) if !on_mysql => name.to_owned(),
            _ => self.fixed(on_mysql).to_owned(),
        }
    }

    fn fixed(self, on_mysql: bool) -> &'static str {
        let (postgres, mysql) = match self {
            Self::Flag => ("boolean", "tinyint(1)"),
            Self::Small => ("smallint", "smallint"),
            Self::Int => ("integer", "int"),
            Self::Big => ("bigint", "bigint"),
            Self::Unsigned => ("bigint", "int unsigned"),
            Self::Double => ("double precision", "double"),
            Self::Date => ("date", "date"),
            Self::Local => ("timestamp without time zone", "datetime(6)"),
            Self::Moment => ("timestamp with time zone", "timestamp(6)"),
            Self::Bytes => ("bytea", "blob"),
            Self::Sum(..) => ("numeric", ""),
            Self::Labels(_) => ("text[]", ""),
            Self::Year(_) => ("", "year"),
            _ => ("text", "text"),
        };
        if on_mysql { mysql } else { postgres }
    }

    /// The Arrow type that the server's columns of this kind come as.
    pub fn arrow(&self, server: Server) -> DataType {
        match *self {
            Self::Flag => DataType::Boolean,
            Self::Small | Self::Year(_) => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::Big | Self::Unsigned => DataType::Int64,
            Self::Decimal(digits, places) => DataType::Decimal128(digits, places),
            // As many places as the option `numeric_scale` has by default.
            Self::Sum(..) if server == Server::Postgres => DataType::Decimal128(38, 10),
            Self::Sum(digits, places) => DataType::Decimal128(digits, places),
            Self::Double => DataType::Float64,
            Self::Labels(_) if server == Server::Postgres => {
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
            }
            Self::Text | Self::Varchar(_) | Self::Char(_) | Self::Label(..) | Self::Labels(_) => DataType::Utf8,
            Self::Date => DataType::Date32,
            Self::Local => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Moment => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Bytes => DataType::Binary,
        }
    }

    /// Whether the server compares it as text, by a collation.
    pub(super) fn has_collation(&self, server: Server) -> bool {
        match self {
            Self::Text | Self::Varchar(_) | Self::Char(_) => true,
            Self::Label(..) | Self::Labels(_) => server == Server::Mysql,
            _ => false,
        }
    }
}
