use std::collections::BTreeMap;
use std::collections::HashSet;
use std::path::Path;

use tombolo_connector::ErrorCode;

use super::generate;
use super::shop::Shop;

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_demo_is_the_same_bytes_every_time() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    generate(one.path()).unwrap();
    generate(two.path()).unwrap();
    let (one, two) = (files(one.path()), files(two.path()));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(bytes == &two[name], "{name} differs");
    }
    assert!(one.contains_key("lake/transactions/day=2026-01-05/part-0.parquet"));
    assert_eq!(one.keys().filter(|name| name.ends_with(".parquet")).count(), 30);
    assert!(!one.keys().any(|name| name.contains("partial")));
}

#[test]
fn a_folder_of_somebody_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let error = generate(folder.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Usage);
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn a_demo_is_made_anew_but_its_config_stays() {
    let folder = tempfile::tempdir().unwrap();
    generate(folder.path()).unwrap();
    let config = folder.path().join("tombolo.toml");
    let text = std::fs::read_to_string(&config).unwrap() + "\n[sources.mine]\nkind = \"files\"\npath = \"mine\"\n";
    std::fs::write(&config, &text).unwrap();
    std::fs::remove_file(folder.path().join("shop.sqlite")).unwrap();
    generate(folder.path()).unwrap();
    assert_eq!(std::fs::read_to_string(&config).unwrap(), text);
    assert!(folder.path().join("shop.sqlite").exists());
}

#[test]
fn the_shop_has_flaws_to_talk_about() {
    let shop = Shop::new();
    let customers: HashSet<i64> = shop.customers.iter().map(|customer| customer.id).collect();
    let orders: HashSet<i64> = shop.orders.iter().map(|order| order.id).collect();
    let buyers: HashSet<i64> = shop.orders.iter().map(|order| order.user_id).collect();
    let sold: HashSet<&str> = shop.orders.iter().flat_map(|order| &order.items).map(|item| item.sku.as_str()).collect();
    let paid: HashSet<i64> = shop.transactions.iter().map(|transaction| transaction.order_id).collect();
    let count =
        |found: usize, from: usize, to: usize| assert!((from..to).contains(&found), "{found} not in {from}..{to}");
    count(shop.orders.iter().filter(|order| !customers.contains(&order.user_id)).count(), 100, 500);
    count(customers.difference(&buyers).count(), 100, 600);
    count(paid.difference(&orders).count(), 50, 200);
    count(orders.difference(&paid).count(), 200, 1_500);
    count(shop.products.iter().filter(|product| !sold.contains(product.sku.as_str())).count(), 5, 30);
    count(shop.customers.iter().filter(|customer| customer.email.is_none()).count(), 20, 120);
    count(shop.transactions.len(), 10_000, 14_000);
    let names: HashSet<&str> = shop.products.iter().map(|product| product.sku.as_str()).collect();
    assert_eq!(names.len(), shop.products.len());
}

#[test]
fn the_config_names_the_sources() {
    let config: toml::Table = super::CONFIG.parse().unwrap();
    let sources = config["sources"].as_table().unwrap();
    assert_eq!(sources.keys().collect::<Vec<_>>(), ["files", "lake", "shop"]);
}
