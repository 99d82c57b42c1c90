use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::common::DFSchema;
use datafusion::execution::TaskContext;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::{ExecutionPlan, collect};
use tombolo_connector::{
    Connector, ConnectorFactory, ErrorCode, Options, QueryContext, QueryState, RowCount, Scan, ScanInput, ScanTable,
    TableRef,
};

use super::{MemoryConnector, MemoryFactory};

fn shop() -> MemoryConnector {
    let batch = |ids: Vec<i64>, names: Vec<&str>| {
        let columns: [(&str, ArrayRef); 2] =
            [("id", Arc::new(Int64Array::from(ids))), ("name", Arc::new(StringArray::from(names)))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let batches = vec![batch(vec![1, 2], vec!["a", "b"]), batch(vec![3], vec!["c"])];
    MemoryConnector::builder().table("main", "users", batches).primary_key("main", "users", &["id"]).build()
}

fn context() -> QueryContext {
    QueryContext {
        query_id: "q".to_owned(),
        user: "u".to_owned(),
        deadline: None,
        batch_size: 1000,
        target_partitions: 2,
        reads_first_rows: false,
        runtime: Arc::new(RuntimeEnv::default()),
        session: SessionConfig::new(),
        state: QueryState::default(),
    }
}

#[tokio::test]
async fn tables_are_read_by_column_and_counted_exactly() {
    let shop = shop();
    let description = shop.describe_table(&TableRef::new("main", "users")).await.unwrap();
    assert_eq!(description.statistics.rows, RowCount::Exact(3));
    assert_eq!(description.primary_key, ["id"]);
    let schema = description.arrow_schema().project(&[1]).unwrap();
    let schema = Arc::new(DFSchema::try_from_qualified_schema("u", &schema).unwrap());
    let scan = Scan::Table(ScanTable { description: Arc::new(description), columns: vec![1], schema });
    assert!(shop.offer(&scan).is_exact());
    assert_eq!(shop.native_query(&scan).unwrap().text, "read main.users [name]");
    let planned = shop.plan_scan(&scan, &context()).await.unwrap();
    assert_eq!(planned.statistics.rows, RowCount::Exact(3));
    let ScanInput::Plan(plan) = planned.input else { panic!("memory is read by a plan") };
    let plan: Arc<dyn ExecutionPlan> = plan;
    let batches = collect(plan, Arc::new(TaskContext::default())).await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
    assert_eq!(batches[0].num_columns(), 1);
    let limit = Scan::Limit { input: Arc::new(scan), skip: 0, fetch: Some(1) };
    assert_eq!(shop.offer(&limit).reasons(), ["memory tables have no query engine: the limit runs in Tombolo"]);
    assert_eq!(shop.plan_scan(&limit, &context()).await.unwrap_err().code(), ErrorCode::Internal);
}

#[tokio::test]
async fn a_missing_table_is_not_found_and_an_unregistered_source_is_unavailable() {
    let error = shop().describe_table(&TableRef::new("main", "user")).await.unwrap_err();
    assert_eq!((error.code(), error.hint()), (ErrorCode::TableNotFound, Some("Did you mean `users`?")));
    let factory = MemoryFactory::default().with_source("shop", shop());
    let shop = factory.connect("shop", &Options::default()).await.unwrap();
    assert_eq!(shop.list_tables("main").await.unwrap(), [TableRef::new("main", "users")]);
    assert_eq!(factory.connect("other", &Options::default()).await.unwrap_err().code(), ErrorCode::SourceUnavailable);
}
