use tombolo_connector::{Answer, Scan, ScanOffer};

use super::compile::Compiler;
use super::dialect::{Comparison, Dialect};
use super::expression::Scope;
use super::value::Shipped;

/// Answers an offered operator part by part: exact where the dialect can print it, refused with the reason where not.
pub fn offer(dialect: &dyn Dialect, scan: &Scan) -> ScanOffer {
    let parts = scan.part_count();
    let answers = match parts_of(dialect, scan) {
        Ok(answers) => answers,
        Err(reason) => return ScanOffer::all(Answer::refused(reason), parts),
    };
    // Parts that are fine alone may still not fit together; only the whole tree shows it.
    if answers.iter().all(Result::is_ok)
        && let Err(reason) = Compiler::new(dialect).block(scan, None)
    {
        return ScanOffer::all(Answer::refused(reason), parts);
    }
    let parts = answers.into_iter().map(|answer| answer.map_or_else(Answer::Refused, |()| Answer::Exact)).collect();
    ScanOffer { parts }
}

/// Answers whether the source takes run-time keys for these output columns of an accepted tree.
pub fn offer_keys(dialect: &dyn Dialect, scan: &Scan, columns: &[usize]) -> Answer {
    if scan.any(&|scan| matches!(scan, Scan::Window { .. })) {
        return Answer::refused("a window looks at all rows, whatever their keys");
    }
    let mut compiler = Compiler::new(dialect);
    let taken = compiler.block(scan, None).and_then(|block| {
        // Keys go around what is cut off or not a plain select, as the printer puts them.
        let block = compiler.open_for_rows(block);
        columns.iter().try_for_each(|at| {
            let column = block.items.get(*at).ok_or_else(|| format!("there is no column {at}"))?;
            compiler.grouping_text(column, Comparison::Equality).map(|_| ())
        })
    });
    taken.map_or_else(Answer::Refused, |()| Answer::Exact)
}

fn parts_of(dialect: &dyn Dialect, scan: &Scan) -> Shipped<Vec<Shipped<()>>> {
    let mut compiler = Compiler::new(dialect);
    let one = |answer: Shipped<()>| Ok(vec![answer]);
    match scan {
        Scan::Filter { input, predicates } => {
            let block = compiler.block(input, None)?;
            let scope = Scope::new(input.schema(), &block.items);
            Ok(predicates.iter().map(|predicate| compiler.printer().truth(predicate, &scope).map(|_| ())).collect())
        }
        Scan::Project { input, exprs, .. } => {
            let block = compiler.block(input, None)?;
            let scope = Scope::new(input.schema(), &block.items);
            Ok(exprs.iter().map(|expr| compiler.printer().expression(expr, &scope).map(|_| ())).collect())
        }
        Scan::Sort { input, keys, .. } => {
            let block = compiler.block(input, None)?;
            let scope = Scope::new(input.schema(), &block.items);
            Ok(keys.iter().map(|key| compiler.sort_key(key, &scope).map(|_| ())).collect())
        }
        Scan::Window { input, windows, schema } => {
            let block = compiler.block(input, None)?;
            let scope = Scope::new(input.schema(), &block.items);
            let types = schema.fields().iter().skip(input.schema().fields().len());
            let calls = windows.iter().zip(types);
            Ok(calls.map(|(call, field)| compiler.window_call(call, field.data_type(), &scope).map(|_| ())).collect())
        }
        Scan::Aggregate(aggregate) => {
            let block = compiler.block(&aggregate.input, None)?;
            let scope = Scope::new(aggregate.input.schema(), &block.items);
            let groups = aggregate.group.iter().map(|key| compiler.group_key(key, &scope).map(|_| ()));
            let types = aggregate.schema.fields().iter().skip(aggregate.group.len());
            let calls = aggregate
                .aggregates
                .iter()
                .zip(types)
                .map(|(call, field)| compiler.aggregate_call(call, field.data_type().clone(), &scope).map(|_| ()));
            let answers: Vec<Shipped<()>> = groups.chain(calls).collect();
            Ok(if answers.is_empty() { vec![Ok(())] } else { answers })
        }
        Scan::Join(join) => {
            let (left, right) = (compiler.block(&join.left, None)?, compiler.block(&join.right, None)?);
            let mut answers: Vec<Shipped<()>> = (0..join.on.len())
                .map(|at| compiler.key_pair(join, at, &left.items, &right.items).map(|_| ()))
                .collect();
            if let Some(condition) = &join.condition {
                let scope = Scope::new(join.left.schema(), &left.items).and(join.right.schema(), &right.items);
                answers.push(compiler.printer().truth(condition, &scope).map(|_| ()));
            }
            Ok(if answers.is_empty() { vec![Ok(())] } else { answers })
        }
        Scan::Table(_) | Scan::Alias { .. } | Scan::Limit { .. } | Scan::Union { .. } => {
            one(compiler.block(scan, None).map(|_| ()))
        }
    }
}
