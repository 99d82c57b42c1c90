//! Runs the `.slt` files over one catalog of several sources: as it is, with nothing pushed, and with one stream and batches
//! of two rows. All three must give the answers in the files.

use std::path::Path;

use tombolo_engine::{Engine, Settings};
use tombolo_testkit::slt;

use crate::islands::islands;

async fn run(file: &str) {
    let lab = islands().await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt").join(file);
    let unpushed = Settings { pushdown: tombolo_engine::PushdownRules::NONE, ..lab.settings() };
    let narrow = Settings { parallel: 1, batch_size: 2, join_counts: false, ..lab.settings() };
    let ways: [(&str, Engine); 3] = [
        ("as it is", lab.engine()),
        ("with nothing pushed", lab.engine_with(unpushed)),
        ("with one stream and small batches", lab.engine_with(narrow)),
    ];
    for (way, engine) in ways {
        slt::run(&engine, &path).await.unwrap_or_else(|difference| panic!("{way}: {difference}"));
    }
}

macro_rules! files {
    ($($name:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                run(concat!(stringify!($name), ".slt")).await;
            }
        )+

        #[test]
        fn every_file_is_run() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt");
            for entry in std::fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if let Some(stem) = name.strip_suffix(".slt") {
                    assert!([$(stringify!($name)),+].contains(&stem), "{name} is not run");
                }
            }
        }
    };
}

files![aggregates, errors, expressions, joins, limits, names, overflow, sets, shapes, subqueries, text, types, windows];
