use std::sync::Arc;

use async_trait::async_trait;
use tombolo_connector::{
    Answer, Capabilities, Connector, ConnectorFactory, ConnectorSpec, Error, ErrorCode, NativeQuery, OptionKind,
    OptionSpec, Options, PlannedScan, QueryContext, Registry, RemoteInfo, Result, Scan, ScanOffer, TableDescription,
    TableRef,
};

use super::{Catalog, Guardrails, NamePart, SourceConfig};
use crate::settings::Settings;

/// A kind of source that has names and nothing else. A source called `down` cannot be connected.
#[derive(Debug)]
struct Names;

static SPEC: ConnectorSpec = ConnectorSpec { kind: "names", title: "Names", urls: &[], options: &[], docs: "" };

#[async_trait]
impl ConnectorFactory for Names {
    fn spec(&self) -> &'static ConnectorSpec {
        &SPEC
    }

    fn parse_url(&self, _: &str) -> Option<Result<Options>> {
        None
    }

    async fn connect(&self, name: &str, _: &Options) -> Result<Arc<dyn Connector>> {
        match name {
            "down" => Err(Error::new(ErrorCode::SourceUnavailable, "it is down")),
            _ => Ok(Arc::new(NamesSource(Capabilities::default()))),
        }
    }
}

#[derive(Debug)]
struct NamesSource(Capabilities);

#[async_trait]
impl Connector for NamesSource {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    async fn ping(&self) -> Result<RemoteInfo> {
        Ok(RemoteInfo { product: "Names".into(), version: "1".into(), detail: None })
    }

    async fn list_schemas(&self) -> Result<Vec<String>> {
        Ok(vec!["main".into(), "app.Sales".into(), "archive".into()])
    }

    async fn list_tables(&self, schema: &str) -> Result<Vec<TableRef>> {
        let tables: &[&str] = match schema {
            "main" => &["users", "Mixed", "mixed_up", "MIXED_UP"],
            "app.Sales" => &["Orders", "old"],
            _ => &["old", "users"],
        };
        Ok(tables.iter().map(|table| TableRef::new(schema, *table)).collect())
    }

    async fn describe_table(&self, table: &TableRef) -> Result<TableDescription> {
        Err(Error::table_not_found(table, &[]))
    }

    fn offer(&self, scan: &Scan) -> ScanOffer {
        ScanOffer::all(Answer::refused("it has names only"), scan.part_count())
    }

    fn native_query(&self, _: &Scan) -> Result<NativeQuery> {
        Err(Error::internal("it has names only"))
    }

    async fn plan_scan(&self, _: &Scan, _: &QueryContext) -> Result<PlannedScan> {
        Err(Error::internal("it has names only"))
    }
}

fn config(name: &str) -> SourceConfig {
    let options = Options::default();
    SourceConfig {
        name: name.into(),
        kind: "names".into(),
        options,
        timeout: None,
        max_concurrency: None,
        guardrails: Guardrails::default(),
    }
}

fn catalog(names: &[&str]) -> Result<Catalog> {
    let registry = Registry::default().with(Arc::new(Names));
    Catalog::try_new(&registry, names.iter().map(|name| config(name)).collect(), None, &Settings::default())
}

/// The parts of a dotted name, in which a part in double quotes is quoted.
fn parts(name: &str) -> Vec<NamePart> {
    let part = |text: &str| match text.strip_prefix('"') {
        Some(rest) => NamePart { text: rest.trim_end_matches('"').to_owned(), quoted: true },
        None => NamePart::unquoted(text),
    };
    name.split('.').map(part).collect()
}

async fn resolve(name: &str) -> Result<String> {
    resolve_in(name, &[]).await
}

async fn resolve_in(name: &str, path: &[&str]) -> Result<String> {
    let catalog = catalog(&["shop", "users-db", "down"])?;
    let path = path.iter().map(|place| catalog.search_place(&parts(place))).collect::<Result<Vec<_>>>()?;
    let found = catalog.resolve_table(&parts(name), &path).await?;
    Ok(format!("{}|{}|{}", found.source.name(), found.table.schema, found.table.table))
}

async fn refused(name: &str) -> (ErrorCode, String) {
    let error = resolve(name).await.unwrap_err();
    (error.code(), error.hint().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_name_has_two_three_or_four_parts() {
    assert_eq!(resolve("shop.users").await.unwrap(), "shop|main|users", "the default schema comes first");
    assert_eq!(resolve("shop.archive.users").await.unwrap(), "shop|archive|users");
    assert_eq!(resolve("shop.app.sales.orders").await.unwrap(), "shop|app.Sales|Orders");
    assert_eq!(resolve("users-db.orders").await.unwrap(), "users-db|app.Sales|Orders", "the only schema that has it");
    assert_eq!(refused("shop.old").await.0, ErrorCode::AmbiguousName);
    assert_eq!(refused("a.b.c.d.e").await.0, ErrorCode::SyntaxError);
}

#[tokio::test]
async fn unquoted_names_match_whatever_their_case_and_quoted_ones_exactly() {
    assert_eq!(resolve("SHOP.MIXED").await.unwrap(), "shop|main|Mixed");
    assert_eq!(resolve("shop.\"Mixed\"").await.unwrap(), "shop|main|Mixed");
    assert_eq!(refused("shop.\"mixed\"").await, (ErrorCode::TableNotFound, "Did you mean `shop.Mixed`?".into()));
    assert_eq!(refused("\"Shop\".users").await.0, ErrorCode::SourceNotFound);
    assert_eq!(resolve("shop.mixed_up").await.unwrap(), "shop|main|mixed_up", "the exact one is meant");
    assert_eq!(refused("shop.Mixed_Up").await.0, ErrorCode::AmbiguousName);
}

#[tokio::test]
async fn what_is_not_found_has_the_nearest_name() {
    assert_eq!(refused("shpo.users").await, (ErrorCode::SourceNotFound, "Did you mean `shop`?".into()));
    assert_eq!(refused("shop.usres").await, (ErrorCode::TableNotFound, "Did you mean `shop.users`?".into()));
    assert_eq!(refused("shop.archiv.users").await, (ErrorCode::SchemaNotFound, "Did you mean `archive`?".into()));
    let (code, hint) = refused("mixed").await;
    assert_eq!(code, ErrorCode::TableNotFound);
    assert_eq!(hint, "Did you mean `shop.Mixed` or `users-db.Mixed`?", "a source that is down says nothing");
}

#[tokio::test]
async fn a_name_without_a_source_is_looked_for_in_the_search_path() {
    assert_eq!(resolve_in("users", &["shop", "users-db"]).await.unwrap(), "shop|main|users", "the first is meant");
    assert_eq!(resolve_in("users", &["users-db", "shop"]).await.unwrap(), "users-db|main|users");
    assert_eq!(resolve_in("users", &["shop.archive", "users-db"]).await.unwrap(), "shop|archive|users");
    assert_eq!(resolve_in("orders", &["shop.archive", "users-db"]).await.unwrap(), "users-db|app.Sales|Orders");
    assert_eq!(resolve_in("archive.users", &["shop"]).await.unwrap(), "shop|archive|users", "a schema in the path");
    assert_eq!(resolve_in("shop.users", &["users-db"]).await.unwrap(), "shop|main|users", "a source is no schema");
}

#[tokio::test]
async fn a_search_path_hides_no_error() {
    let refused = async |name: &str, path: &[&str]| resolve_in(name, path).await.unwrap_err();
    assert_eq!(refused("users", &["shpo"]).await.code(), ErrorCode::SourceNotFound);
    assert_eq!(refused("users", &["down", "shop"]).await.code(), ErrorCode::SourceUnavailable, "it may have another");
    assert_eq!(refused("userz", &["shop"]).await.code(), ErrorCode::TableNotFound);
    assert_eq!(refused("old", &["shop"]).await.code(), ErrorCode::AmbiguousName);
    let schema = refused("archiv.users", &["shop"]).await;
    assert_eq!((schema.code(), schema.message()), (ErrorCode::SourceNotFound, "no source is called `archiv`"));
}

#[tokio::test]
async fn a_source_that_is_down_fails_where_it_is_named() {
    let (code, _) = refused("down.users").await;
    assert_eq!(code, ErrorCode::SourceUnavailable);
    assert_eq!(resolve("shop.users").await.unwrap(), "shop|main|users");
}

#[test]
fn two_sources_of_one_name_are_refused() {
    assert_eq!(catalog(&["shop", "SHOP"]).unwrap_err().code(), ErrorCode::ConfigInvalid);
}

#[test]
fn the_cache_is_tied_to_the_options_but_for_secrets() {
    static OPTIONS: &[OptionSpec] = &[
        OptionSpec { name: "host", kind: OptionKind::Text, default: None, required: false, help: "" },
        OptionSpec { name: "password", kind: OptionKind::Secret, default: None, required: false, help: "" },
    ];
    let spec = ConnectorSpec { options: OPTIONS, ..SPEC };
    let of = |host: &str, password: &str| {
        super::source::fingerprint(&spec, &Options::default().with("host", host).with("password", password))
    };
    assert_eq!(of("a", "hunter2"), of("a", "hunter3"));
    assert_ne!(of("a", "hunter2"), of("b", "hunter2"));
}
