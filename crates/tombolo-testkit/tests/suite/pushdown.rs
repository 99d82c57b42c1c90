//! What of a small query becomes one native query, what stays here, and why. The answers of the same shapes are in the `.slt`
//! files.

use tombolo_testkit::{Lab, outline};

use crate::islands::islands;

async fn outlined(lab: &Lab, sql: &str) -> String {
    let explained = lab.engine().explain(sql, false, Default::default()).await;
    let (explanation, _) = explained.unwrap_or_else(|error| panic!("{sql}: {error}"));
    lab.without_folder(&outline::outline(&explanation))
}

/// Each case is a snapshot of its own, named after what it shows.
macro_rules! plans {
    ($($name:ident: $sql:literal;)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                let lab = islands().await;
                insta::assert_snapshot!(stringify!($name), outlined(&lab, $sql).await, $sql);
            }
        )+
    };
}

plans! {
    columns_and_filters_are_one_query:
        "SELECT name, credit FROM shop.customers WHERE region = 'north' AND credit > 10.5 AND since >= date '2024-01-01'";
    a_filter_that_sqlite_cannot_do_stays_beside_those_it_can:
        "SELECT id FROM shop.customers WHERE region = 'north' AND upper(name) = 'ANN' AND name ~ '^A'";
    a_computed_column_that_sqlite_cannot_do_stays:
        "SELECT upper(name) AS name, id + 1 AS next FROM shop.customers WHERE id < 3";
    an_inner_join_of_one_source_is_one_query:
        "SELECT c.name, o.amount FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id WHERE o.status = 'paid'";
    a_left_join_of_one_source_is_one_query:
        "SELECT c.name, o.amount FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id AND o.amount > 10";
    a_full_join_of_one_source_is_one_query:
        "SELECT c.name, o.amount FROM shop.customers c FULL JOIN shop.orders o ON o.customer_id = c.id";
    exists_within_one_source_is_one_query:
        "SELECT name FROM shop.customers c WHERE EXISTS (SELECT 1 FROM shop.orders o WHERE o.customer_id = c.id)";
    not_in_within_one_source_is_one_query:
        "SELECT name FROM shop.customers WHERE id NOT IN (SELECT customer_id FROM shop.orders)";
    a_join_across_sources_runs_here:
        "SELECT c.name, v.page FROM shop.customers c JOIN lake.visits v ON v.customer_id = c.id WHERE c.region = 'north' AND v.seconds > 5";
    a_join_within_one_source_is_pushed_below_a_join_across:
        "SELECT c.name, o.amount, v.page FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id JOIN lake.visits v ON v.customer_id = c.id";
    the_first_rows_of_a_left_join_across_are_of_its_left_side:
        "SELECT c.name AS who, v.page FROM shop.customers c LEFT JOIN lake.visits v ON v.customer_id = c.id ORDER BY who DESC LIMIT 2";
    a_join_of_one_source_that_is_split_by_another_is_one_query_again:
        "SELECT c.name, o.amount FROM shop.customers c JOIN lake.visits v ON v.customer_id = c.id JOIN shop.orders o ON o.customer_id = v.customer_id";
    a_cross_join_of_one_source_runs_here:
        "SELECT c.name, o.amount FROM shop.customers c CROSS JOIN shop.orders o";
    an_aggregate_with_having_is_one_query:
        "SELECT status, count(*) AS n, max(id) AS last FROM shop.orders GROUP BY status HAVING count(*) > 1";
    an_aggregate_above_a_join_of_one_source_is_one_query:
        "SELECT c.region, count(*) AS n FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id GROUP BY c.region ORDER BY n DESC, region LIMIT 3";
    an_aggregate_above_a_join_across_runs_here:
        "SELECT c.region, count(*) AS n FROM shop.customers c JOIN lake.visits v ON v.customer_id = c.id GROUP BY c.region";
    an_aggregate_of_decimals_says_where_it_runs:
        "SELECT status, sum(amount) AS total, avg(amount) AS mean FROM shop.orders GROUP BY status";
    an_aggregate_that_sqlite_cannot_do_stays:
        "SELECT status, median(id) AS middle FROM shop.orders GROUP BY status";
    distinct_is_pushed:
        "SELECT DISTINCT status FROM shop.orders";
    a_sort_with_a_limit_is_pushed:
        "SELECT id, amount FROM shop.orders ORDER BY id DESC LIMIT 2 OFFSET 1";
    a_sort_without_a_limit_is_pushed:
        "SELECT id FROM shop.orders ORDER BY status, id";
    a_sort_by_another_column_than_is_put_out_is_pushed:
        "SELECT id FROM shop.orders ORDER BY status, placed LIMIT 3";
    a_limit_above_a_refused_filter_is_not_pushed:
        "SELECT id FROM shop.customers WHERE upper(name) = 'ANN' LIMIT 1";
    a_limit_above_an_inner_join_across_is_not_pushed:
        "SELECT c.name, v.page FROM shop.customers c JOIN lake.visits v ON v.customer_id = c.id LIMIT 2";
    a_limit_above_a_left_join_across_may_limit_the_left_side_only:
        "SELECT c.name, v.page FROM shop.customers c LEFT JOIN lake.visits v ON v.customer_id = c.id LIMIT 2";
    a_limit_below_a_join_across_is_pushed:
        "SELECT t.name, v.page FROM (SELECT id, name FROM shop.customers ORDER BY id LIMIT 2) t JOIN lake.visits v ON v.customer_id = t.id";
    a_union_of_one_source_is_one_query:
        "SELECT id FROM shop.customers UNION ALL SELECT id FROM shop.orders";
    a_union_across_sources_runs_here:
        "SELECT id FROM shop.customers UNION ALL SELECT customer_id FROM lake.visits";
    a_scalar_sub_select_of_one_source:
        "SELECT id FROM shop.orders WHERE id > (SELECT max(id) FROM shop.customers)";
    a_correlated_sub_select_of_one_source:
        "SELECT id FROM shop.orders o WHERE id = (SELECT max(id) FROM shop.orders i WHERE i.status = o.status)";
    a_window_is_pushed_and_a_filter_above_it_too:
        "SELECT id, n FROM (SELECT id, row_number() OVER (PARTITION BY status ORDER BY id) AS n FROM shop.orders) t WHERE n <= 3";
    a_window_with_a_frame_by_groups_runs_here:
        "SELECT id, count(*) OVER (PARTITION BY status ORDER BY id GROUPS 2 PRECEDING) AS n FROM shop.orders";
    a_window_over_a_join_across_runs_here:
        "SELECT c.name, row_number() OVER (ORDER BY v.page, c.id) AS n FROM shop.customers c JOIN lake.visits v ON v.customer_id = c.id";
    case_and_cast_are_pushed:
        "SELECT id FROM shop.orders WHERE CASE WHEN status = 'paid' THEN id ELSE 0 END > 10 AND cast(id AS varchar) = '11'";
    in_lists_and_like_are_pushed:
        "SELECT id FROM shop.orders WHERE status IN ('paid', 'void') AND note LIKE '%off' AND id BETWEEN 2 AND 99";
    parquet_filters_prune_and_are_checked_again:
        "SELECT page FROM lake.visits WHERE seconds > 20 AND page LIKE 'c%'";
    parquet_reads_only_the_columns:
        "SELECT c299 FROM lake.wide";
    csv_filters_stay:
        "SELECT name FROM sheets.products WHERE price > 20";
    memory_does_nothing_itself:
        "SELECT title FROM mem.regions WHERE code = 'north' ORDER BY title LIMIT 1";
    keys_of_different_types_are_converted_with_a_notice:
        "SELECT c.name, k.label FROM shop.customers c JOIN sheets.codes k ON c.id = k.id";
}

#[tokio::test]
async fn with_push_down_off_sources_are_asked_for_columns_alone() {
    let lab = islands().await;
    let settings = tombolo_engine::Settings { pushdown: tombolo_engine::PushdownRules::NONE, ..lab.settings() };
    let sql = "SELECT status, count(*) AS n FROM shop.orders WHERE id > 10 GROUP BY status ORDER BY n LIMIT 1";
    let (explanation, _) = lab.engine_with(settings).explain(sql, false, Default::default()).await.unwrap();
    let outline = lab.without_folder(&outline::outline(&explanation));
    insta::assert_snapshot!("with_push_down_off_sources_are_asked_for_columns_alone", outline, sql);
}
