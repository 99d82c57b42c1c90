use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder of its own for one test, with its own state and home.
pub(crate) struct Sandbox {
    root: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("work")).unwrap();
        Self { root }
    }

    /// A sandbox with a small shop: `shop` in SQLite (customers, regions), `sales` a folder of files (orders.csv,
    /// visits.jsonl). Customers 1 to 6; orders of customers 1, 2, 3 and of 99, who does not exist.
    pub(crate) fn with_shop() -> Self {
        let sandbox = Self::new();
        sandbox.sqlite(
            "shop.db",
            "CREATE TABLE regions (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             INSERT INTO regions VALUES (1, 'north'), (2, 'south');
             CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT, region_id INTEGER REFERENCES regions (id));
             CREATE INDEX customers_by_region ON customers (region_id);
             INSERT INTO customers VALUES (1, 'Ann', 'Oslo', 1), (2, 'Bo', 'Rome', 2), (3, 'Cy', NULL, 2),
               (4, 'Dee', 'Kyiv', 1), (5, 'Eve, \"E\"', 'Lima', 2), (6, 'Fay', 'Oslo', 1);",
        );
        std::fs::create_dir(sandbox.path("sales")).unwrap();
        sandbox.write(
            "sales/orders.csv",
            "order_id,customer_id,total\n10,1,5.50\n11,1,7.25\n12,2,100.00\n13,3,1.00\n14,99,2.00\n",
        );
        sandbox.write("sales/visits.jsonl", "{\"who\":\"1\",\"pages\":[\"a\",\"b\"]}\n{\"who\":\"4\",\"pages\":[]}\n");
        sandbox.write(
            "tombolo.toml",
            "[sources.shop]\nkind = \"sqlite\"\npath = \"shop.db\"\n\n[sources.sales]\nkind = \"files\"\npath = \"sales\"\n",
        );
        sandbox
    }

    /// A path below the working folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn sqlite(&self, name: &str, script: &str) {
        rusqlite::Connection::open(self.path(name)).unwrap().execute_batch(script).unwrap();
    }

    /// The program, not yet started: in the working folder, with nothing of the outside's settings.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tombolo"));
        command
            .args(args)
            .current_dir(self.path(""))
            .env("TOMBOLO_HOME", self.state())
            .env("HOME", self.root.path())
            .env("XDG_CONFIG_HOME", self.root.path().join("config"))
            .env_remove("TOMBOLO_CONFIG")
            .env_remove("TOMBOLO_LOG")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// Runs with a text on stdin.
    pub(crate) fn feed(&self, args: &[&str], text: &str) -> Ran {
        self.write(".stdin", text);
        let stdin = std::fs::File::open(self.path(".stdin")).unwrap();
        self.command(args).stdin(stdin).output().unwrap().into()
    }

    /// Runs what must go well, and gives its stdout.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.stdout
    }

    /// The rows of a query as CSV without its header.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        self.ok(&["query", sql]).lines().skip(1).map(str::to_owned).collect()
    }

    /// Runs what must fail with an error of this code, and gives its stderr.
    pub(crate) fn fails(&self, args: &[&str], exit: i32, code: &str) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, exit, "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(&format!("error[{code}]")), "{args:?}: {ran:?}");
        ran.refuse_ugliness();
        ran.stderr
    }

    /// The names of everything in the working folder.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.path(""))
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

impl Ran {
    /// What no user should ever see.
    pub(crate) fn refuse_ugliness(&self) {
        for ugly in ["panicked", "RUST_BACKTRACE", "External(", "ArrowError(", "DataFusionError"] {
            assert!(!self.stderr.contains(ugly) && !self.stdout.contains(ugly), "`{ugly}` in {self:?}");
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        #[cfg(unix)]
        let code = {
            use std::os::unix::process::ExitStatusExt;
            output.status.code().or(output.status.signal().map(|signal| -signal)).unwrap_or(-1000)
        };
        #[cfg(not(unix))]
        let code = output.status.code().unwrap_or(-1000);
        Self {
            code,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
