use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use super::kinds::Server;
use super::{Column, Sample, Table, Value, View};
use crate::Reference;

impl Sample {
    /// Gives all tables and views to plain DataFusion, under a source's name, with the types that the server gives them.
    pub async fn add_to(&self, reference: &Reference, source: &str, server: Server) {
        for table in &self.tables {
            reference.memory(source, table.name, vec![batch(table, server)]);
        }
        for view in &self.views {
            let query = Self::placed(view.query, |_| format!("{source}."));
            let (_, rows) = reference.ask(&query).await.unwrap_or_else(|error| panic!("{error} in {query}"));
            let schema = schema(view.columns(server), server);
            let rows = rows.iter().map(|rows| {
                let of_column = rows.columns().iter().zip(schema.fields());
                let columns = of_column.map(|(values, field)| cast(values, field.data_type()).unwrap());
                RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
            });
            reference.memory(source, view.name, rows.collect());
        }
    }
}

impl View {
    /// The columns as a server has them.
    pub fn columns(&self, server: Server) -> &[Column] {
        match server {
            Server::Postgres => &self.on_postgres,
            Server::Mysql => &self.on_mysql,
        }
    }
}

pub(super) fn field(column: &Column, server: Server) -> Field {
    Field::new(column.name, column.kind.arrow(server), column.is_nullable)
}

fn batch(table: &Table, server: Server) -> RecordBatch {
    let fields: Vec<Field> = table.columns.iter().map(|column| field(column, server)).collect();
    let columns = (0..fields.len()).map(|at| {
        let values: Vec<&Value> = table.rows.iter().map(|row| &row[at]).collect();
        array(&values, fields[at].data_type())
    });
    let columns: Vec<ArrayRef> = columns.collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .unwrap_or_else(|error| panic!("{error} in {}", table.name))
}

fn array(values: &[&Value], data_type: &DataType) -> ArrayRef {
    let number = |value: &&Value| match value {
        Value::Null => None,
        Value::Number(number) => Some(*number),
        Value::Micros(micros) => Some(*micros),
        other => panic!("{other:?} is no {data_type}"),
    };
    let text = |value: &&Value| match value {
        Value::Null => None,
        Value::Text(text) => Some(text.clone()),
        Value::Labels(labels) => Some(labels.join(",")),
        other => panic!("{other:?} is no {data_type}"),
    };
    let values = values.iter();
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(values.map(|value| match value {
            Value::Flag(is_so) => Some(*is_so),
            _ => None,
        }))),
        DataType::Decimal128(digits, places) => {
            let numbers: Decimal128Array = values.map(number).map(|number| number.map(i128::from)).collect();
            Arc::new(numbers.with_precision_and_scale(*digits, *places).unwrap())
        }
        DataType::Float64 => Arc::new(Float64Array::from_iter(values.map(|value| match value {
            Value::Double(number) => Some(*number),
            _ => None,
        }))),
        DataType::Utf8 => Arc::new(values.map(text).collect::<StringArray>()),
        DataType::Date32 => Arc::new(Date32Array::from_iter(values.map(|value| match value {
            Value::Day(day) => Some(*day),
            _ => None,
        }))),
        DataType::Timestamp(_, zone) => {
            let micros: TimestampMicrosecondArray = values.map(number).collect();
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        DataType::Binary => Arc::new(BinaryArray::from_iter(values.map(|value| match value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }))),
        DataType::List(_) => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            values.for_each(|value| match value {
                Value::Labels(labels) => lists.append_value(labels.iter().map(|label| Some(*label))),
                _ => lists.append_null(),
            });
            Arc::new(lists.finish())
        }
        integer => cast(&values.map(number).collect::<Int64Array>(), integer).unwrap(),
    }
}

fn schema(columns: &[Column], server: Server) -> Arc<Schema> {
    // Whether a value may be null is the catalog's to say; here rows alone count.
    let fields = columns.iter().map(|column| field(column, server).with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
