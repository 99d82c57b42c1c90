use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::{Ran, Sandbox, names};

/// Runs for hours, wherever it runs, and never gives a row before its end.
const ENDLESS: &str = "SELECT count(*) AS n FROM big.t a, big.t b, big.t c WHERE a.n + b.n + c.n < 0";
/// Gives rows at once, and for a long time.
const LONG: &str = "SELECT a.n, b.n AS m FROM big.t a, big.t b, big.t c";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_shop();
    sandbox.sqlite(
        "big.db",
        "CREATE TABLE t (n INTEGER NOT NULL);
         WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000) INSERT INTO t SELECT n FROM s;",
    );
    sandbox.ok(&["connect", "big.db"]);
    sandbox
}

fn start(sandbox: &Sandbox, args: &[&str]) -> Child {
    sandbox.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Waits for the end; a program that does not end in time is killed, and the test fails.
fn end(mut child: Child, within: Duration) -> Ran {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > within {
            child.kill().unwrap();
            panic!("it did not end within {within:?}: {:?}", child.wait_with_output().unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap().into()
}

#[test]
fn an_interrupt_cancels_and_leaves_nothing_half_written() {
    let sandbox = sandbox();
    sandbox.write("out.csv", "before");
    for (sql, code, name) in [(ENDLESS, 130, "-INT"), (LONG, 130, "-INT"), (ENDLESS, 143, "-TERM")] {
        let child = start(&sandbox, &["query", sql, "--allow-cartesian", "-o", "out.csv"]);
        std::thread::sleep(Duration::from_millis(1500));
        signal(&child, name);
        let ran = end(child, Duration::from_secs(10));
        assert_eq!(ran.code, code, "{ran:?}");
        assert_eq!(ran.stdout, "");
        ran.refuse_ugliness();
    }
    assert_eq!(sandbox.read("out.csv"), "before");
    assert!(!sandbox.names().iter().any(|name| name.contains("partial")), "{:?}", sandbox.names());
    assert!(!names(&sandbox.state()).iter().any(|name| name.starts_with(".last-")), "{:?}", names(&sandbox.state()));
    let entries: serde_json::Value = serde_json::from_str(&sandbox.ok(&["history", "--format", "json"])).unwrap();
    assert_eq!(entries[0]["outcome"]["state"], "cancelled", "{entries:#}");
    assert_eq!(entries[0]["statement"], ENDLESS);
}

#[test]
fn a_time_limit_ends_the_query() {
    let sandbox = sandbox();
    let started = Instant::now();
    let stderr = sandbox.fails(&["query", ENDLESS, "--allow-cartesian", "--timeout", "700ms"], 124, "timeout");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(stderr.contains("hint:"), "{stderr}");
    sandbox.ok(&["config", "set", "federation.max_query_time", "600ms"]);
    sandbox.fails(&["query", ENDLESS, "--allow-cartesian"], 124, "timeout");
    assert_eq!(sandbox.run(&["query", "SELECT 1", "--timeout", "10"]).code, 2);
}

#[test]
fn a_reader_that_has_enough_ends_it_in_silence() {
    let sandbox = sandbox();
    for format in ["csv", "jsonl", "json"] {
        let mut child = start(&sandbox, &["query", LONG, "--allow-cartesian", "--format", format, "--no-keep"]);
        let mut first = [0; 64];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ran = end(child, Duration::from_secs(10));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{format}: {ran:?}");
    }
    let mut child = start(&sandbox, &["config", "list"]);
    drop(child.stdout.take());
    assert_eq!(end(child, Duration::from_secs(10)).code, 0);
}

#[test]
fn a_full_disk_is_an_error() {
    let sandbox = Sandbox::with_shop();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran: Ran = sandbox.command(&["query", "SELECT * FROM shop.customers"]).stdout(full).output().unwrap().into();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("error[disk_full]"), "{ran:?}");
    sandbox.fails(&["query", "SELECT * FROM shop.customers", "--format", "csv", "-o", "/dev/full"], 1, "disk_full");
}
