use arrow::array::{Int32Array, Int64Array, StringArray};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use datafusion::logical_expr::lit;
use datafusion::physical_plan::metrics::MetricValue;

use super::*;

fn ids(range: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(range))
}

fn names(range: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(range.map(|id| format!("n{id}"))))
}

#[tokio::test]
async fn rows_are_counted_in_footers_and_text_is_views() {
    let fixture = Fixture::new();
    let maybe: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, None, Some(4)]));
    fixture.parquet("t.parquet", vec![("id", ids(0..4)), ("name", names(0..4)), ("maybe", maybe)]);
    let description = fixture.describe("t").await.unwrap();
    assert_eq!(description.statistics.rows, RowCount::Exact(4));
    assert_eq!(description.statistics.columns["maybe"].null_fraction, Some(0.5));
    assert_eq!(description.columns[1].field.data_type(), &DataType::Utf8View);
    assert_eq!(lines(&fixture.read("t").await.unwrap()), ["0|n0|1", "1|n1|NULL", "2|n2|NULL", "3|n3|4"]);
}

/// The sum of a counter of the plan that ran, kept or pruned as named.
fn pruned(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let metrics = plan.metrics().unwrap();
    metrics
        .iter()
        .filter_map(|metric| match metric.value() {
            MetricValue::PruningMetrics { name: found, pruning_metrics } if found == name => {
                Some(pruning_metrics.pruned())
            }
            _ => None,
        })
        .sum()
}

#[tokio::test]
async fn row_groups_and_pages_are_pruned() {
    let fixture = Fixture::new();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .build();
    fixture.parquet_with("t.parquet", vec![("id", ids(0..10_000)), ("name", names(0..10_000))], properties);
    let connector = fixture.connect().await;
    let all = table(&*connector, "t").await.unwrap();
    let (scan, answer) = filtered(&*connector, all, column("id").gt_eq(lit(9_950_i64)));
    assert_eq!(answer, Answer::Inexact);
    let context = context();
    let planned = connector.plan_scan(&scan, &context).await.unwrap();
    assert!(planned.native.text.ends_with("t.parquet [id, name] where id >= 9950"), "{}", planned.native.text);
    assert_eq!(planned.statistics.rows, RowCount::Estimated(10_000));
    let ScanInput::Plan(plan) = &planned.input else { panic!("Parquet is read by a plan") };
    let plan = Arc::clone(plan);
    let read = rows(&collect(planned, &scan, &context).await.unwrap());
    assert!((50..=100).contains(&read), "{read}");
    assert_eq!(pruned(&plan, "row_groups_pruned_statistics"), 9);
    assert!(pruned(&plan, "page_index_rows_pruned") >= 900);
}

#[tokio::test]
async fn partitions_are_columns_and_prune_files() {
    let fixture = Fixture::new();
    for day in 1..=5 {
        fixture.parquet(&format!("sales/day=2026-01-0{day}/p.parquet"), vec![("id", ids(day * 10..day * 10 + 10))]);
    }
    let connector = fixture.connect().await;
    let all = table(&*connector, "sales").await.unwrap();
    assert_eq!(rows(&run(&*connector, &all).await.unwrap()), 50);
    let day = datafusion::common::ScalarValue::Date32(Some(20457));
    let (days, answer) = filtered(&*connector, all, column("day").eq(lit(day)));
    assert_eq!(answer, Answer::Exact);
    let (scan, answer) = filtered(&*connector, days.clone(), column("id").lt(lit(45_i64)));
    assert_eq!(answer, Answer::Inexact);
    let planned = connector.plan_scan(&days, &context()).await.unwrap();
    assert_eq!(planned.statistics.rows, RowCount::Exact(10));
    assert!(planned.native.text.contains("where day = 2026-01-04 (1 of 5 files)"), "{}", planned.native.text);
    let batches = run(&*connector, &scan).await.unwrap();
    assert_eq!(lines(&batches)[0], "40|2026-01-04");
    // Nothing is left to read.
    let never = column("day").is_null();
    let (scan, _) = filtered(&*connector, days.clone(), never);
    assert_eq!(rows(&run(&*connector, &scan).await.unwrap()), 0);
    // Filters over both kinds of column go together.
    let both = column("id").gt(lit(1_i64)).or(column("day").is_null());
    let (scan, answer) = filtered(&*connector, days, both);
    assert_eq!(answer, Answer::Inexact);
    assert_eq!(rows(&run(&*connector, &scan).await.unwrap()), 10);
}

#[tokio::test]
async fn a_null_partition_keeps_its_rows() {
    let fixture = Fixture::new();
    fixture.parquet("t/k=1/p.parquet", vec![("id", ids(0..2))]);
    fixture.parquet("t/k=__HIVE_DEFAULT_PARTITION__/p.parquet", vec![("id", ids(2..3))]);
    assert_eq!(lines(&fixture.read("t").await.unwrap()), ["0|1", "1|1", "2|NULL"]);
}

#[tokio::test]
async fn damaged_files_are_named() {
    let fixture = Fixture::new();
    fixture.parquet("whole.parquet", vec![("id", ids(0..5000)), ("name", names(0..5000))]);
    let bytes = fs::read(fixture.path("whole.parquet")).unwrap();
    let mut holed = bytes.clone();
    // The first page's header.
    holed[4..40].fill(0xFF);
    fixture
        .write("cut.parquet", &bytes[..bytes.len() / 2])
        .write("empty.parquet", "")
        .write("text.parquet", "this is not Parquet at all")
        .write("holed.parquet", holed);
    for name in ["cut", "empty", "text", "holed"] {
        let error = fixture.read(name).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptData, "{name}: {error:?}");
        assert!(error.message().contains(&format!("{name}.parquet`")), "{error}");
        assert!(error.hint().is_some());
    }
    // Cut after it was described, and after it was planned.
    let connector = fixture.connect().await;
    let scan = table(&*connector, "whole").await.unwrap();
    let context = context();
    let planned = connector.plan_scan(&scan, &context).await.unwrap();
    fixture.write("whole.parquet", &bytes[..bytes.len() / 2]);
    let error = collect(planned, &scan, &context).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceFailed, "{error:?}");
    assert!(error.message().ends_with("whole.parquet` was changed while it was in use"), "{error}");
    assert_eq!(run(&*connector, &scan).await.unwrap_err().code(), ErrorCode::CorruptData);
}

#[tokio::test]
async fn a_file_that_vanishes_after_planning_is_an_error() {
    let fixture = Fixture::new();
    fixture.parquet("t.parquet", vec![("id", ids(0..10))]);
    let connector = fixture.connect().await;
    let scan = table(&*connector, "t").await.unwrap();
    let context = context();
    let planned = connector.plan_scan(&scan, &context).await.unwrap();
    fs::remove_file(fixture.path("t.parquet")).unwrap();
    let error = collect(planned, &scan, &context).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::SourceFailed, "{error:?}");
    assert!(error.message().ends_with("t.parquet` is no longer there"), "{error}");
}

#[tokio::test]
async fn parts_with_other_columns_are_united_and_contradictions_named() {
    let fixture = Fixture::new();
    let small: ArrayRef = Arc::new(Int32Array::from(vec![7]));
    fixture
        .parquet("grown/1.parquet", vec![("id", small)])
        .parquet("grown/2.parquet", vec![("name", names(0..1)), ("id", ids(8..9))])
        .parquet("odd/1.parquet", vec![("id", ids(0..1))])
        .parquet("odd/2.parquet", vec![("id", names(0..1))]);
    assert_eq!(types(&fixture.describe("grown").await.unwrap()), ["id bigint", "name text"]);
    assert_eq!(lines(&fixture.read("grown").await.unwrap()), ["7|NULL", "8|n0"]);
    let error = fixture.describe("odd").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TypeMismatch);
    assert_eq!(error.message(), "column `id` of table `odd` has two types");
    assert!(error.detail().unwrap().contains("Utf8View in `"), "{error:?}");
}

#[tokio::test]
async fn large_files_are_split_and_three_hundred_columns_are_read() {
    let fixture = Fixture::new();
    let wide: Vec<(String, ArrayRef)> = (0..300).map(|at| (format!("c{at}"), ids(at..at + 10))).collect();
    fixture.parquet("wide.parquet", wide.iter().map(|(name, array)| (name.as_str(), Arc::clone(array))).collect());
    assert_eq!(rows(&fixture.read("wide").await.unwrap()), 10);
    let connector = fixture.connect().await;
    let description = connector.describe_table(&TableRef::new("main", "wide")).await.unwrap();
    assert_eq!(rows(&run(&*connector, &table_of(description.clone(), vec![])).await.unwrap()), 10);
    let scan = table_of(description, vec![299, 0]);
    assert_eq!(lines(&run(&*connector, &scan).await.unwrap())[0], "299|0");
    let mut context = context();
    context.session.options_mut().optimizer.repartition_file_min_size = 1;
    let planned = connector.plan_scan(&scan, &context).await.unwrap();
    let ScanInput::Plan(plan) = &planned.input else { panic!("Parquet is read by a plan") };
    assert_eq!(plan.output_partitioning().partition_count(), 2);
    assert_eq!(rows(&collect(planned, &scan, &context).await.unwrap()), 10);
}

#[tokio::test]
async fn arrow_files_are_read_compressed_too_and_a_cut_one_is_named() {
    let fixture = Fixture::new();
    let batch = RecordBatch::try_from_iter([("id", ids(0..1000)), ("name", names(0..1000))]).unwrap();
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    for (name, compression) in [("lz4", CompressionType::LZ4_FRAME), ("zstd", CompressionType::ZSTD)] {
        let options = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        fixture.write(&format!("{name}.arrow"), writer.into_inner().unwrap());
        assert_eq!(rows(&fixture.read(name).await.unwrap()), 1000, "{name}");
    }
    fixture
        .write("t.arrow", &bytes)
        .write("parts/k=1/a.feather", &bytes)
        .write("parts/k=2/b.feather", &bytes)
        .write("cut.arrow", &bytes[..bytes.len() / 2])
        .write("text.arrow", "this is not Arrow at all");
    assert_eq!(rows(&fixture.read("t").await.unwrap()), 1000);
    assert_eq!(rows(&fixture.read("parts").await.unwrap()), 2000);
    let connector = fixture.connect().await;
    let description = connector.describe_table(&TableRef::new("main", "parts")).await.unwrap();
    let scan = table_of(description.clone(), vec![2, 1]);
    let (scan, answer) = filtered(&*connector, scan, column("k").eq(lit(2_i64)));
    assert_eq!(answer, Answer::Exact);
    assert_eq!(lines(&run(&*connector, &scan).await.unwrap())[0], "2|n0");
    assert_eq!(rows(&run(&*connector, &table_of(description, vec![])).await.unwrap()), 2000);
    for name in ["cut", "text"] {
        let error = fixture.read(name).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptData, "{name}: {error:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_replaced_by_another_of_its_size_is_not_read() {
    let fixture = Fixture::new();
    let plain = || WriterProperties::builder().set_dictionary_enabled(false).build();
    fixture.parquet_with("t.parquet", vec![("id", ids(0..1000))], plain());
    let connector = fixture.connect().await;
    let scan = table(&*connector, "t").await.unwrap();
    let context = context();
    let planned = connector.plan_scan(&scan, &context).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    fixture.parquet_with("new", vec![("id", ids(1000..2000))], plain());
    fs::rename(fixture.path("new"), fixture.path("t.parquet")).unwrap();
    let error = collect(planned, &scan, &context).await.unwrap_err();
    assert!(error.message().ends_with("t.parquet` was changed while it was in use"), "{error:?}");
    assert_eq!(lines(&run(&*connector, &scan).await.unwrap())[0], "1000");
}

#[tokio::test]
async fn a_join_prunes_row_groups_at_run_time() {
    use datafusion::common::{JoinType, NullEquality};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::physical_expr::expressions::col;
    use datafusion::physical_optimizer::PhysicalOptimizerRule;
    use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
    use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

    let fixture = Fixture::new();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(1000)).set_data_page_row_count_limit(100).build();
    fixture.parquet_with("t.parquet", vec![("id", ids(0..10_000)), ("name", names(0..10_000))], properties);
    let connector = fixture.connect().await;
    let scan = table(&*connector, "t").await.unwrap();
    let context = QueryContext { target_partitions: 1, ..context() };
    let planned = connector.plan_scan(&scan, &context).await.unwrap();
    let ScanInput::Plan(probe) = planned.input else { panic!("Parquet is read by a plan") };
    let keys = RecordBatch::try_from_iter([("key", ids(4205..4208))]).unwrap();
    let build = MemorySourceConfig::try_new_exec(&[vec![keys.clone()]], keys.schema(), None).unwrap();
    let on = vec![(col("key", &build.schema()).unwrap(), col("id", &probe.schema()).unwrap())];
    let join = HashJoinExec::try_new(
        build,
        probe,
        on,
        None,
        &JoinType::Inner,
        None,
        PartitionMode::CollectLeft,
        NullEquality::NullEqualsNothing,
        false,
    );
    let plan =
        FilterPushdown::new_post_optimization().optimize(Arc::new(join.unwrap()), context.session.options()).unwrap();
    let task = TaskContext::default().with_runtime(Arc::clone(&context.runtime));
    let task = Arc::new(task.with_session_config(context.session.clone()));
    let joined = datafusion::physical_plan::collect(Arc::clone(&plan), task).await.unwrap();
    assert_eq!(rows(&joined), 3);
    let probe = plan.children()[1];
    assert_eq!(pruned(probe, "row_groups_pruned_statistics"), 9);
}
