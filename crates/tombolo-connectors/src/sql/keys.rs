use datafusion::common::ScalarValue;
use tombolo_connector::{KeyBatch, Scan};

use super::block::Block;
use super::compile::Compiler;
use super::dialect::{Comparison, Dialect, literal_value};
use super::value::{Level, Shipped, Value};

impl Compiler<'_> {
    /// Keeps only the rows whose key columns equal one of the keys. A key with a null equals nothing.
    pub(super) fn with_keys(&mut self, block: Block, keys: &KeyBatch) -> Shipped<Block> {
        let mut block = self.open_for_rows(block);
        if block.group.as_ref().is_some_and(Vec::is_empty) {
            block = self.wrap(block, true);
        }
        let columns = keys
            .columns
            .iter()
            .map(|at| block.items.get(*at).ok_or_else(|| format!("there is no column {at} to take keys")))
            .collect::<Shipped<Vec<_>>>()?;
        let texts = columns
            .iter()
            .map(|column| self.grouping_text(column, Comparison::Equality))
            .collect::<Shipped<Vec<_>>>()?;
        // What is true of a column of the groups is true of their rows, which an index may find.
        let is_having = block.group.as_ref().is_some_and(|group| {
            let is_of_groups = |(column, text): (&&Value, &String)| group.contains(&column.sql) || group.contains(text);
            !columns.iter().zip(&texts).all(is_of_groups)
        });
        let mut rows: Vec<Vec<Value>> = Vec::with_capacity(keys.keys.num_rows());
        for row in 0..keys.keys.num_rows() {
            rows.extend(self.key(&columns, keys, row)?);
        }
        let served = columns.iter().enumerate().filter_map(|(at, column)| {
            let keys: Vec<&Value> = rows.iter().filter_map(|row| row.get(at)).collect();
            if keys.is_empty() { None } else { self.dialect.index_condition(column, &keys) }
        });
        let served: Vec<Value> = served.map(|text| Value::predicate(text, Level::Compare)).collect();
        let rows = rows.into_iter().map(|row| row.into_iter().map(|value| value.sql).collect());
        let rows: Vec<Vec<String>> = rows.collect();
        let condition = match (texts.as_slice(), rows.is_empty()) {
            (_, true) => Value::predicate("1 = 0", Level::Compare),
            ([text], false) => {
                let keys: Vec<String> = rows.into_iter().flatten().collect();
                Value::predicate(format!("{text} IN ({})", keys.join(", ")), Level::Compare)
            }
            (texts, false) => Value::predicate(self.dialect.key_rows(texts, &rows), Level::Compare),
        };
        let conditions = served.into_iter().chain([condition]);
        if is_having {
            block.having.extend(conditions)
        } else {
            block.filters.extend(conditions)
        }
        Ok(block)
    }

    /// The values of one key; none where it is no row's.
    fn key(&self, columns: &[&Value], keys: &KeyBatch, row: usize) -> Shipped<Option<Vec<Value>>> {
        let mut values = Vec::with_capacity(columns.len());
        for (column, keys) in columns.iter().zip(keys.keys.columns()) {
            let scalar = ScalarValue::try_from_array(keys, row).map_err(|error| error.strip_backtrace())?;
            if scalar.is_null() || !self.dialect.may_hold(&scalar, column.facts.form) {
                return Ok(None);
            }
            values.push(literal_value(self.dialect, &scalar, column.facts.form)?);
        }
        Ok(Some(values))
    }
}

/// Whether all of these keys can be printed.
pub fn takes_keys(dialect: &dyn Dialect, scan: &Scan, keys: &KeyBatch) -> bool {
    let mut compiler = Compiler::new(dialect);
    let Ok(block) = compiler.block(scan, None) else { return false };
    let columns: Option<Vec<&Value>> = keys.columns.iter().map(|at| block.items.get(*at)).collect();
    columns.is_some_and(|columns| (0..keys.keys.num_rows()).all(|row| compiler.key(&columns, keys, row).is_ok()))
}
