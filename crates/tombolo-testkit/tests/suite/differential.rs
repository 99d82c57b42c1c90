//! The differential runner finds what is wrong: connectors that lie, and answers that were altered.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tombolo_connector::{PlannedScan, Registry, Scan, StreamWrapper};
use tombolo_connectors::files::FilesFactory;
use tombolo_connectors::sqlite::SqliteFactory;
use tombolo_testkit::compare::{Rules, same_up_to_ties};
use tombolo_testkit::differential::{Databases, Home, Kind, Placement, Statement, Verdict, World, shrunk};
use tombolo_testkit::generate::Generator;
use tombolo_testkit::generate::tables::{Collection, tables};
use tombolo_testkit::rows;
use tombolo_testkit::tampered::{Tamper, TamperedFactory, with_inputs};

/// What a lying SQLite does to what it has accepted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lie {
    None,
    DropFilters,
    LoseLastRows,
    IgnoreOffsets,
}

impl Tamper for Lie {
    fn asked(&self, scan: &Scan) -> Scan {
        match with_inputs(scan, |input| self.asked(input)) {
            Scan::Filter { input, .. } if *self == Self::DropFilters => input.as_ref().clone(),
            Scan::Limit { input, fetch, .. } if *self == Self::IgnoreOffsets => Scan::Limit { input, skip: 0, fetch },
            other => other,
        }
    }

    fn planned(&self, _source: &str, planned: PlannedScan) -> PlannedScan {
        if *self == Self::LoseLastRows { planned.wrapped(Arc::new(Losing)) } else { planned }
    }
}

/// Loses the last row of each batch.
#[derive(Debug)]
struct Losing;

impl StreamWrapper for Losing {
    fn wrap(&self, stream: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = stream.schema();
        let fewer = stream.map(|batch| batch.map(|batch| batch.slice(0, batch.num_rows().saturating_sub(1))));
        Box::pin(RecordBatchStreamAdapter::new(schema, fewer))
    }
}

/// The fixtures, all in one SQLite file that lies.
async fn lying(lie: Lie) -> World {
    let data = tables(Collection::Fixtures, 0);
    let placement = Placement(data.iter().map(|table| (table.name.clone(), Home::Shop)).collect());
    let registry =
        || Registry::default().with(Arc::new(TamperedFactory::new(SqliteFactory, lie))).with(Arc::new(FilesFactory));
    World::with_registry(&data, &placement, Databases::Sqlite, registry).await
}

async fn judged(world: &World, sql: &str) -> Verdict {
    let ways: Vec<usize> = (0..world.ways.len()).collect();
    world.judge(&Statement::new(sql), &ways, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_that_drops_a_pushed_filter_is_caught() {
    let sql = "SELECT id, name FROM shop.customers WHERE id > 10";
    assert!(matches!(judged(&lying(Lie::None).await, sql).await, Verdict::Same { rows: 10, .. }));
    let world = lying(Lie::DropFilters).await;
    let Verdict::Different(difference) = judged(&world, sql).await else { panic!("nothing was found") };
    assert_eq!((difference.way.as_str(), difference.kind), ("pushed down", Kind::Answers));
    // Where the filter is not pushed nothing is wrong.
    let honest: Vec<usize> = (0..world.ways.len())
        .filter(|&way| ["nothing pushed down", "no push-down of Filter"].contains(&world.ways[way].name.as_str()))
        .collect();
    assert_eq!(honest.len(), 2);
    assert!(matches!(world.judge(&Statement::new(sql), &honest, None).await, Verdict::Same { rows: 10, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_row_and_a_forgotten_offset_are_caught() {
    let sql = "SELECT id FROM shop.customers";
    let verdict = judged(&lying(Lie::LoseLastRows).await, sql).await;
    assert!(matches!(&verdict, Verdict::Different(found) if found.what == "19 rows in place of 20"), "{verdict:?}");
    let world = lying(Lie::IgnoreOffsets).await;
    // The same rows would be right without an order; with one that has no ties they are not.
    let sql = "SELECT id FROM shop.customers ORDER BY id LIMIT 3 OFFSET 2";
    assert!(matches!(judged(&world, sql).await, Verdict::Different(_)));
    assert!(matches!(judged(&world, "SELECT id FROM shop.customers LIMIT 3 OFFSET 2").await, Verdict::Same { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn made_queries_find_a_lying_connector_and_are_made_small() {
    let world = lying(Lie::DropFilters).await;
    let tables = world.tables.clone();
    let mut generator = Generator::new(1, &tables);
    for number in 0..200 {
        let query = generator.next_query();
        let Verdict::Different(found) = world.judge(&Statement::new(&query.sql()), &[0], None).await else { continue };
        let (small, still) = shrunk(&world, &query, &found).await;
        let sql = small.sql();
        assert_eq!((&still.way, &still.kind), (&found.way, &found.kind));
        assert!(sql.len() < query.sql().len(), "{sql}");
        assert!(sql.contains("WHERE") || sql.contains("HAVING") || sql.contains(" ON "), "{sql}\n{still}");
        assert!(sql.len() < 250, "query {number} was left as long as this: {sql}");
        return;
    }
    panic!("none of 200 queries found the lie");
}

#[tokio::test]
async fn ties_at_a_limit_may_fall_either_way_and_nothing_else_may() {
    let all = rows("SELECT * FROM (VALUES (1, 'a'), (1, 'b'), (2, 'c')) AS t(k, v)").await;
    let wanted = rows("SELECT 1 AS k, 'a' AS v").await;
    let sql = "SELECT k, v FROM t ORDER BY k LIMIT 1";
    let check = |given: &[RecordBatch]| {
        let schema = |batches: &[RecordBatch]| batches[0].schema();
        let (given_schema, wanted_schema) = (schema(given), schema(&wanted));
        same_up_to_ties(sql, (&given_schema, given), (&wanted_schema, &wanted), &all, Rules::default())
    };
    assert_eq!(check(&rows("SELECT 1 AS k, 'b' AS v").await), Ok(()));
    let wrong = check(&rows("SELECT 2 AS k, 'c' AS v").await).unwrap_err();
    assert_eq!(wrong, "row 0 has k 2 in place of 1");
    let invented = check(&rows("SELECT 1 AS k, 'c' AS v").await).unwrap_err();
    assert_eq!(invented, "the row (1, c) is not one of those without the limit");
    let more = check(&rows("SELECT * FROM (VALUES (1, 'a'), (1, 'b')) AS t(k, v)").await).unwrap_err();
    assert_eq!(more, "2 rows in place of 1");
}

#[test]
fn a_seed_makes_the_same_queries_again_and_they_have_every_construct() {
    let placed: Vec<_> = tables(Collection::Rows, 3).iter().map(|table| table.placed("shop")).collect();
    let made = |seed| {
        let mut generator = Generator::new(seed, &placed);
        (0..1500).map(|_| generator.next_query().sql()).collect::<Vec<_>>()
    };
    let queries = made(5);
    assert_eq!(queries, made(5));
    assert_ne!(queries, made(6));
    let constructs = [
        " JOIN ",
        "LEFT JOIN",
        "RIGHT JOIN",
        "FULL JOIN",
        "CROSS JOIN",
        "USING (",
        "(EXISTS (",
        "(NOT EXISTS (",
        " IN (SELECT",
        " NOT IN (SELECT",
        " OVER (",
        "ROWS BETWEEN",
        "FILTER (WHERE",
        "HAVING",
        "(DISTINCT ",
        "SELECT DISTINCT",
        "UNION ALL",
        " UNION SELECT",
        "INTERSECT",
        "EXCEPT",
        "WITH cte",
        "LIMIT",
        "OFFSET",
        "NULLS FIRST",
        "CASE WHEN",
        " LIKE ",
        "BETWEEN",
        "IS DISTINCT FROM",
        "IS NOT DISTINCT FROM",
        "coalesce(",
        "nullif(",
        "date_trunc(",
        "extract(",
        "INTERVAL",
        "ROLLUP",
        "CUBE",
        "CAST(",
        "stddev(",
        "bool_and(",
        "(SELECT max(",
        ", NULL))",
        "row_number()",
        "lag(",
        "IS UNKNOWN",
    ];
    for construct in constructs {
        assert!(queries.iter().any(|sql| sql.contains(construct)), "no query has {construct}");
    }
}
