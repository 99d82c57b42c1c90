//! What is pushed is proved equal to what is not: every statement that SQLite takes whole is run there, and by DataFusion
//! over the same rows in memory.

use std::collections::BTreeMap;

use super::support::{Bench, context, lines, read};

const UGLY: &str = "
CREATE TABLE t (
  id INTEGER PRIMARY KEY, i INTEGER, j INTEGER, f REAL, g REAL, s TEXT, n TEXT COLLATE NOCASE, r TEXT COLLATE RTRIM,
  o STRING, b BOOLEAN, d DATE, ts DATETIME, m DECIMAL(10,2), x BLOB, z TEXT, w);
CREATE TABLE u (k INTEGER, s TEXT COLLATE NOCASE, m DECIMAL(10,2), d DATE, o TEXT, e INTEGER NOT NULL);
CREATE TABLE empty (k INTEGER, s TEXT);
";

/// A small generator with a seed, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // Knuth's multiplier for 64-bit linear congruential generators; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const INTS: [&str; 9] =
    ["NULL", "0", "1", "-1", "42", "9223372036854775807", "-9223372036854775808", "9007199254740993", "7"];
const SMALL: [&str; 6] = ["NULL", "0", "1", "-3", "12", "7"];
const FLOATS: [&str; 9] = ["NULL", "0.0", "1.5", "-1.5", "9e999", "-9e999", "1e300", "0.1", "5e-324"];
const FINITE: [&str; 6] = ["NULL", "0.0", "0.1", "2.5", "-7.25", "1234.5"];
const TEXTS: [&str; 14] =
    ["NULL", "''", "'a'", "'A'", "'ab'", "'a '", "'ä'", "'Ä'", "'é%'", "'a_b'", "'a\\b'", "'123'", "'🦀'", "'Zürich'"];
const ODD_TEXTS: [&str; 6] = ["NULL", "'abc'", "' x'", "'ABC'", "'zz top'", "''"];
const BOOLS: [&str; 3] = ["NULL", "0", "1"];
const DATES: [&str; 6] = ["NULL", "'2024-01-01'", "'2024-02-29'", "'1969-12-31'", "'0001-01-01'", "'9999-12-31'"];
const TIMES: [&str; 5] =
    ["NULL", "'2024-01-01 00:00:00'", "'2024-02-29 23:59:59'", "'1969-12-31 12:30:00'", "'2024-01-01 00:00:01'"];
const MONEY: [&str; 7] = ["NULL", "0", "0.01", "12.30", "-12.3", "99999999.99", "7"];
const BYTES: [&str; 5] = ["NULL", "X''", "X'00'", "X'00FF'", "X'61'"];
const NULS: [&str; 4] = ["NULL", "'a' || char(0) || 'b'", "'a'", "'ab'"];

fn fill(dice: &mut Dice) -> String {
    let mut sql = UGLY.to_owned();
    for id in 1..=60 {
        let columns: [&[&str]; 14] = [
            &INTS, &SMALL, &FLOATS, &FINITE, &TEXTS, &TEXTS, &TEXTS, &ODD_TEXTS, &BOOLS, &DATES, &TIMES, &MONEY,
            &BYTES, &NULS,
        ];
        let values: Vec<&str> = columns.iter().map(|values| dice.pick(values)).collect();
        sql.push_str(&format!("INSERT INTO t VALUES ({id}, {}, {});\n", values.join(", "), dice.pick(&SMALL)));
    }
    for _ in 0..25 {
        let columns: [&[&str]; 5] = [&SMALL, &TEXTS, &MONEY, &DATES, &TEXTS];
        let values: Vec<&str> = columns.iter().map(|values| dice.pick(values)).collect();
        sql.push_str(&format!("INSERT INTO u VALUES ({}, {});\n", values.join(", "), dice.roll(5)));
    }
    sql
}

/// A random condition on the columns of `t` under the alias `a`.
fn condition(dice: &mut Dice, depth: usize) -> String {
    if depth > 0 {
        let (left, right) = (condition(dice, depth - 1), condition(dice, depth - 1));
        return match dice.roll(4) {
            0 => format!("({left} AND {right})"),
            1 => format!("({left} OR {right})"),
            2 => format!("NOT ({left})"),
            _ => left,
        };
    }
    let compare = ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"];
    let op = dice.pick(&compare);
    // IS DISTINCT FROM takes all that follows as its right side, so each condition stands in parentheses.
    let text = match dice.roll(22) {
        0 => format!("a.i {op} {}", dice.pick(&INTS[1..6])),
        1 => format!("a.j {op} {}", dice.pick(&SMALL)),
        2 => format!("a.f {op} {}", dice.pick(&["0.0", "1.5", "0.1", "-1.5", "1e300", "5e-324"])),
        3 => format!("a.{} {op} {}", dice.pick(&["s", "n", "r"]), dice.pick(&TEXTS)),
        4 => format!("a.o {op} {}", dice.pick(&["'abc'", "'123'", "''", "'7'"])),
        5 => {
            dice.pick(&["a.b", "NOT a.b", "a.b IS TRUE", "a.b IS NOT FALSE", "a.b IS UNKNOWN", "a.b = true"]).to_owned()
        }
        6 => format!("a.d {op} {}", dice.pick(&["DATE '2024-01-01'", "DATE '1969-12-31'", "DATE '2024-03-01'"])),
        7 => format!(
            "a.ts {op} {}",
            dice.pick(&["TIMESTAMP '2024-01-01 00:00:00.5'", "TIMESTAMP '1969-12-31 12:30:00'"])
        ),
        8 => format!("a.m {op} {}", dice.pick(&["12.30", "0", "12.305", "-12.3", "99999999.99", "7.0"])),
        9 => format!("a.x {op} {}", dice.pick(&["X''", "X'00'", "X'61'"])),
        10 => format!(
            "a.{} {} {}",
            dice.pick(&["s", "n", "r", "o"]),
            dice.pick(&["LIKE", "NOT LIKE"]),
            dice.pick(&["'a%'", "'%b'", "'_'", "'A_'", "'a\\_b'", "'%\\%'", "'%ü%'", "''", "'a\\\\b'", "'%'"])
        ),
        11 => format!("a.{} IS {}NULL", dice.pick(&["i", "s", "d", "m", "x", "w"]), dice.pick(&["", "NOT "])),
        12 => format!("a.j {}IN (1, {}, 7)", dice.pick(&["", "NOT "]), dice.pick(&SMALL)),
        13 => format!("a.s {}IN ('a', {}, 'Ä')", dice.pick(&["", "NOT "]), dice.pick(&TEXTS)),
        14 => format!("a.j {}BETWEEN -1 AND {}", dice.pick(&["", "NOT "]), dice.pick(&SMALL[1..])),
        15 => format!("a.j * 3 + 1 {op} {}", dice.pick(&SMALL[1..])),
        16 => format!("a.j / 2 {op} a.j % 3"),
        17 => format!("a.n {op} a.s"),
        18 => format!("a.g * 2.0 - 1.0 {op} {}", dice.pick(&["0.5", "-1.0", "4.0"])),
        19 => format!("coalesce(a.s, a.n, 'none') {op} 'a'"),
        20 => format!("CASE WHEN a.b THEN a.j WHEN a.j > 3 THEN 9 ELSE a.w END {op} 7"),
        _ => format!(
            "{} {op} 2",
            dice.pick(&["length(a.s)", "extract(year FROM a.d) - 2022", "strpos(a.s, 'b')", "abs(a.j)"])
        ),
    };
    format!("({text})")
}

fn statement(dice: &mut Dice) -> (String, bool) {
    let depth = dice.roll(3);
    let filter = condition(dice, depth);
    match dice.roll(14) {
        0 | 1 => (format!("SELECT a.id, a.s, a.ts, a.m FROM t AS a WHERE {filter}"), false),
        2 => {
            let value = dice.pick(&[
                "substr(a.s, 2, 3)",
                "a.s || a.n",
                "nullif(a.s, a.n)",
                "CAST(a.j AS DOUBLE)",
                "CAST(a.i AS VARCHAR)",
                "trim(a.r)",
                "replace(a.s, 'a', 'xy')",
                "concat(a.s, a.o)",
                "CAST(a.d AS TIMESTAMP)",
                "date_trunc('month', a.ts)",
                "CAST(a.m AS DOUBLE)",
                "CASE a.s WHEN 'a' THEN 'one' ELSE a.n END",
                "date_part('month', a.d)",
                "-a.j",
                "a.j + a.w",
                "CAST(a.ts AS DATE)",
                "starts_with(a.s, 'a')",
                "left(a.s, 2)",
                "coalesce(a.d, DATE '2000-01-01')",
                "coalesce(a.m, 1.00)",
                "octet_length(a.s)",
                "a.n = 'A'",
                "length(a.z)",
            ]);
            (format!("SELECT a.id, {value} AS v FROM t AS a WHERE {filter}"), false)
        }
        3 | 4 => {
            let key = dice.pick(&["s", "n", "r", "b", "d", "m", "j", "i", "ts", "o", "x"]);
            let call = dice.pick(&[
                "sum(a.j)",
                "min(a.s)",
                "max(a.n)",
                "count(DISTINCT a.n)",
                "sum(a.g)",
                "avg(a.j)",
                "min(a.d)",
                "max(a.ts)",
                "max(a.m)",
                "count(a.f)",
                "count(*) FILTER (WHERE a.b)",
                "sum(DISTINCT a.j)",
                "min(a.x)",
                "avg(a.g)",
                "sum(a.m)",
                "max(a.i)",
                "coalesce(sum(a.m), 0)",
                "sum(DISTINCT a.m)",
                "avg(a.m)",
            ]);
            let having = dice.pick(&["", " HAVING count(*) > 2", " HAVING max(a.j) > 1", " HAVING sum(a.m) > 20.5"]);
            (
                format!(
                    "SELECT a.{key}, count(*) AS c, {call} AS v FROM t AS a WHERE {filter} GROUP BY a.{key}{having}"
                ),
                false,
            )
        }
        5 => {
            let key = dice.pick(&["s", "n", "r", "b", "d", "m", "f", "ts", "o", "x", "i"]);
            let order = dice.pick(&["ASC", "DESC", "ASC NULLS FIRST", "DESC NULLS LAST"]);
            let limit = dice.pick(&["", " LIMIT 5", " LIMIT 7 OFFSET 3", " OFFSET 50"]);
            (format!("SELECT a.id, a.{key} FROM t AS a WHERE {filter} ORDER BY a.{key} {order}, a.id{limit}"), true)
        }
        6 | 7 => {
            let kind = dice.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
            let key = dice.pick(&[
                "a.j = c.k",
                "a.n = c.s",
                "a.m = c.m",
                "a.d = c.d",
                "a.o = c.o",
                "a.j = c.k AND a.s = c.o",
            ]);
            let more = dice.pick(&["", " AND c.e > 1", " AND a.j < c.e", " AND a.s LIKE 'a%'"]);
            let after = dice.pick(&["", " AND c.k IS NULL", " AND coalesce(c.e, 9) > 2", " OR c.e = 1"]);
            (
                format!("SELECT a.id, c.k, c.s, c.e FROM t AS a {kind} u AS c ON {key}{more} WHERE {filter}{after}"),
                false,
            )
        }
        8 => {
            let test = dice.pick(&[
                "a.j IN (SELECT k FROM u)",
                "a.j NOT IN (SELECT k FROM u)",
                "a.j NOT IN (SELECT k FROM empty)",
                "EXISTS (SELECT 1 FROM u WHERE u.k = a.j AND u.e > 2)",
                "a.j NOT IN (SELECT e FROM u)",
                "NOT EXISTS (SELECT 1 FROM u WHERE u.s = a.n)",
                "(a.b OR EXISTS (SELECT 1 FROM u WHERE u.d = a.d))",
                "a.n NOT IN (SELECT s FROM u WHERE s IS NOT NULL)",
            ]);
            (format!("SELECT a.id FROM t AS a WHERE {filter} AND {test}"), false)
        }
        9 => (
            format!(
                "SELECT a.j, a.n FROM t AS a WHERE {filter} {} SELECT c.k, c.s FROM u AS c",
                dice.pick(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT"])
            ),
            false,
        ),
        10 => (
            format!(
                "SELECT x.n, sum(x.c) AS total FROM (SELECT a.n, a.b, count(*) AS c FROM t AS a WHERE {filter} GROUP BY a.n, a.b) AS x \
                 LEFT JOIN (SELECT s, max(e) AS e FROM u GROUP BY s) AS y ON x.n = y.s WHERE coalesce(y.e, 0) < 4 GROUP BY x.n"
            ),
            false,
        ),
        11 => {
            let call = dice.pick(&[
                "row_number()",
                "lag(a.n)",
                "lead(a.m, 2)",
                "lag(a.j, 3, -7)",
                "lag(a.s, 1, 'none')",
                "ntile(4)",
                "first_value(a.r)",
                "last_value(a.ts)",
                "nth_value(a.o, 3)",
                "last_value(a.x)",
                "lead(a.f)",
                "count(a.f)",
                "count(*) FILTER (WHERE a.b)",
                "sum(a.j)",
                "sum(a.m)",
                "min(a.n)",
                "max(a.o)",
                "max(a.d)",
                "min(a.m)",
                "max(a.x)",
            ]);
            let key = dice.pick(&["s", "n", "r", "b", "d", "m", "ts", "o", "i", "x", "z"]);
            let part = dice.pick(&[
                "",
                "PARTITION BY a.n ",
                "PARTITION BY a.b ",
                "PARTITION BY a.m, a.o ",
                "PARTITION BY a.j % 3 ",
            ]);
            // DataFusion has no frame by range over bytes.
            let order = if key == "x" { "" } else { dice.pick(&["ASC", "DESC", "ASC NULLS FIRST", "DESC NULLS LAST"]) };
            let order = if order.is_empty() { String::new() } else { format!("a.{key} {order}, ") };
            let takes_frame = !matches!(call.split('(').next(), Some("row_number" | "lag" | "lead" | "ntile"));
            let frame = if takes_frame {
                dice.pick(&[
                    "",
                    "",
                    " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
                    " ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING",
                    " ROWS BETWEEN 3 PRECEDING AND 2 PRECEDING",
                    " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
                    " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                ])
            } else {
                ""
            };
            (
                format!("SELECT a.id, {call} OVER ({part}ORDER BY {order}a.id{frame}) AS v FROM t AS a WHERE {filter}"),
                false,
            )
        }
        12 => {
            let call = dice.pick(&[
                "rank()",
                "dense_rank()",
                "percent_rank()",
                "cume_dist()",
                "count(*)",
                "sum(a.m)",
                "max(a.n)",
            ]);
            let part = dice.pick(&["", "PARTITION BY a.r ", "PARTITION BY a.b "]);
            let key = dice.pick(&["s", "n", "r", "b", "d", "m", "ts", "o", "j", "a.b, a.n"]);
            let way = dice.pick(&["ASC", "DESC", "ASC NULLS FIRST", "DESC NULLS LAST"]);
            let above =
                dice.pick(&["", " WHERE q.v > 2", " WHERE q.id > 20 ORDER BY q.v, q.id LIMIT 7", " WHERE q.v IS NULL"]);
            let column = if key.contains('.') { key.to_owned() } else { format!("a.{key}") };
            (
                format!(
                    "SELECT q.id, q.v FROM (SELECT a.id, {call} OVER ({part}ORDER BY {column} {way}) AS v FROM t AS a WHERE {filter}) AS q{above}"
                ),
                above.contains("ORDER"),
            )
        }
        _ => (
            format!(
                "SELECT q.id, q.v, c.e FROM (SELECT a.id, a.j, a.j + 1 AS v FROM t AS a WHERE {filter} ORDER BY a.id LIMIT 20) AS q \
                 {} JOIN u AS c ON q.v = c.e WHERE q.id > 2",
                dice.pick(&["", "LEFT", "RIGHT"])
            ),
            false,
        ),
    }
}

#[tokio::test]
async fn what_is_pushed_equals_what_is_not() {
    let seed = std::env::var("TOMBOLO_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_101);
    let count = std::env::var("TOMBOLO_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(1_500);
    let mut dice = Dice(seed);
    let bench = Bench::new(&fill(&mut dice)).await;
    let (mut compared, mut refusals) = (0, BTreeMap::<String, usize>::new());
    for case in 0..count {
        let (sql, ordered) = statement(&mut dice);
        let scan = match bench.accepted(&sql).await {
            Ok(scan) => scan,
            Err(reasons) => {
                assert!(!reasons.iter().any(|reason| reason.starts_with("plan:")), "{sql}\n{reasons:?}");
                reasons.into_iter().for_each(|reason| *refusals.entry(reason).or_default() += 1);
                continue;
            }
        };
        // What fails here (an overflow, say) is no answer to compare with.
        let Ok(expected) = bench.session.sql(&sql).await.unwrap().collect().await else { continue };
        let native = bench.connector.native_query(&scan).unwrap().text;
        let about = format!("seed {seed} case {case}\n{sql}\n{native}\n{scan}");
        let found = match read(bench.connector.as_ref(), &scan, &context(), None).await {
            Ok(found) => found,
            Err(error) => panic!("{about}\n{error} {:?}", error.detail()),
        };
        assert_eq!(lines(&found, ordered), lines(&expected, ordered), "{about}");
        compared += 1;
    }
    let summary: Vec<String> = refusals.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    println!("seed {seed}: compared {compared} of {count}; refused:\n{}", summary.join("\n"));
    // Most statements must be taken, or the comparison proves little.
    assert!(compared * 2 > count, "only {compared} of {count} statements were compared:\n{}", summary.join("\n"));
}

/// Literals are printed as the shortest digits of a double, and SQLite must read them as the same double.
#[test]
fn float_literals_are_read_back_exactly() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let mut dice = Dice(7);
    let mut numbers =
        vec![0.1, 1.0 / 3.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e23, 9_007_199_254_740_993.0, 123_456.789];
    while numbers.len() < 20_000 {
        let bits = ((dice.roll(1 << 31) as u64) << 33) ^ ((dice.roll(1 << 31) as u64) << 8) ^ dice.roll(1 << 20) as u64;
        let number = f64::from_bits(bits);
        if number.is_finite() && number != 0.0 {
            numbers.push(number);
        }
    }
    for chunk in numbers.chunks(100) {
        let list: Vec<String> = chunk.iter().map(|number| format!("({number:?})")).collect();
        let mut statement = connection.prepare(&format!("VALUES {}", list.join(", "))).unwrap();
        let read: Vec<f64> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for (number, read) in chunk.iter().zip(read) {
            assert_eq!(number.to_bits(), read.to_bits(), "{number:?} was read as {read:?}");
        }
    }
}
