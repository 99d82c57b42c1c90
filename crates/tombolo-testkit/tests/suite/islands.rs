use tombolo_testkit::{Lab, rows};

/// The sources of the `.slt` files; slt/README.md lists their tables.
pub(crate) async fn islands() -> Lab {
    let mut lab = Lab::new();
    lab.sqlite("shop").execute(include_str!("../../slt/shop.sql"));
    lab.sqlite("users-db").execute(include_str!("../../slt/users-db.sql"));

    let lake = lab.files("lake");
    let visits = "SELECT customer_id, page, cast(seconds AS integer) AS seconds, rate, cast(at AS timestamp) AS at, \
                  cast(day AS date) AS day, cast(cost AS decimal(12, 4)) AS cost
                  FROM (VALUES
                    (1, 'home', 10, 0.5, '2025-01-01T10:00:00.250', '2025-01-01', '1.2500'),
                    (1, 'cart', 30, 1.5, '2025-01-01T10:05:00', '2025-01-01', '0.0001'),
                    (2, 'home', 5, NULL, '2025-01-02T00:00:00', '2025-01-02', '-3.5000'),
                    (5, 'help', NULL, 2.25, '2024-02-29T23:59:59.999999', '2024-02-29', NULL),
                    (NULL, 'home', 7, 0.25, NULL, NULL, '99999999.9999'),
                    (8, 'cart', 60, 3.0, '1969-12-31T23:59:59', '1969-12-31', '0')
                  ) AS t(customer_id, page, seconds, rate, at, day, cost)";
    lake.parquet("visits", 2, &rows(visits).await);
    lake.parquet("empty", 100, &rows(&format!("SELECT * FROM ({visits}) WHERE false")).await);
    let columns: Vec<String> = (1..=300).map(|column| format!("value * 1000 + {column} AS c{column}")).collect();
    lake.parquet("wide", 100, &rows(&format!("SELECT {} FROM generate_series(1, 3)", columns.join(", "))).await);
    lake.parquet("MixedCase", 100, &rows(r#"SELECT 1 AS "UserId", 'x' AS "Page View", 2 AS plain"#).await);

    let sheets = lab.files("sheets");
    sheets.text(
        "products.csv",
        "sku,name,price,stock,launched\nA-1,Lamp,19.90,4,2024-05-01\nA-2,\"Desk, large\",250.00,0,2023-11-15\nB-1,\"The \"\"Chair\"\"\",75.5,,\n",
    );
    sheets.text(
        "codes.jsonl",
        "{\"id\": \"1\", \"label\": \"one\"}\n{\"id\": \"02\", \"label\": \"two\"}\n{\"id\": \"5\", \"label\": \"five\"}\n{\"id\": null, \"label\": \"none\"}\n",
    );

    let regions =
        "SELECT * FROM (VALUES ('north', 'The North'), ('south', 'The South'), ('east', NULL)) AS t(code, title)";
    lab.memory("mem", "main", "regions", rows(regions).await);
    lab.memory("mem", "extra", "regions", rows("SELECT 'north' AS code, 'another' AS title").await);
    lab.memory("mem", "extra", "numbers", rows("SELECT value AS n FROM generate_series(1, 5)").await);
    lab
}
