//! The pages of the reference that the code itself knows best: `docs/reference/config.md` and `errors.md`.

use std::fmt::Write;

use tombolo_connector::{ErrorCode, OptionSpec, Registry};

use super::guardrails::{GUARDRAILS, TABLE_GUARDRAILS};
use super::{COMMON, FEDERATION};

const GENERATED: &str = "<!-- Generated from the code by `tombolo reference`; a test keeps it up to date. -->\n";

/// `docs/reference/config.md`.
pub(crate) fn config_page(registry: &Registry) -> String {
    let mut page = String::from(GENERATED);
    page.push_str(
        "\n# Configuration\n\n\
         Tombolo reads one file, `tombolo.toml`. It is the file that `--config` names, else the one that the environment \
         variable `TOMBOLO_CONFIG` names, else the nearest `tombolo.toml` upwards from the working directory, else \
         `tombolo/tombolo.toml` in the user's config folder. A key that is not listed here is refused with its line and \
         the nearest known name. `tombolo config list|get|set|unset` reads and changes the file and keeps its comments.\n\n\
         History, the last result and cached catalogs are kept in a state folder: the one that `TOMBOLO_HOME` names, \
         else `tombolo` in the user's state folder (`~/.local/state` on Linux).\n\n\
         Durations have a unit (`500ms`, `10s`, `5m`, `1h`), and so have sizes (`64KB`, `512MB`, `2GB`, powers of 1024).\n\n\
         ## `[federation]`\n\n",
    );
    table(&mut page, FEDERATION);
    page.push_str(
        "\n## `[sources.NAME]`\n\n\
         A source for each table; `tombolo connect` writes them. NAME is a letter, then letters, digits, `_` or single \
         hyphens. Relative paths start from the config file's folder. Every source takes:\n\n",
    );
    table(&mut page, COMMON);
    page.push_str(
        "\n### `[sources.NAME.guardrails]`\n\n\
         What queries may not do to the source; see [guardrails](../guide/guardrails.md). Nothing is forbidden by default.\n\n",
    );
    table(&mut page, GUARDRAILS);
    page.push_str(
        "\n### `[sources.NAME.tables.TABLE.guardrails]`\n\n\
         What queries may not do to one table. TABLE is `\"schema.table\"` in quotes, or `table` for tables of that name in any \
         schema. Limits hold beside those of the source, all else in place of them.\n\n\
         | key | takes | default | |\n|---|---|---|---|\n\
         | `require` | a list of columns |  | Columns that must be restricted, in each scan of the table, by predicates against \
         constants that the source evaluates. |\n",
    );
    rows(&mut page, TABLE_GUARDRAILS);
    for factory in registry.factories() {
        let spec = factory.spec();
        let _ = write!(page, "\n### `kind = \"{}\"`: {}\n\n", spec.kind, spec.title);
        if !spec.urls.is_empty() {
            let urls: Vec<String> = spec.urls.iter().map(|url| code_or_words(url)).collect();
            let _ = write!(page, "`tombolo connect` takes {}.\n\n", urls.join(", "));
        }
        if spec.options.is_empty() {
            page.push_str("It has no options of its own.\n");
        } else {
            table(&mut page, spec.options);
        }
    }
    page
}

/// `docs/reference/errors.md`.
pub(crate) fn errors_page() -> String {
    let mut page = String::from(GENERATED);
    page.push_str(
        "\n# Errors\n\n\
         Every error has a stable code, a message, and where they help a detail and a hint. The command line prints them \
         on stderr and ends with the exit code; SQL wires send the SQLSTATE.\n\n\
         ## Exit codes\n\n\
         | code | meaning |\n|---:|---|\n\
         | 0 | ok; also when the reader of stdout closed it early, as `head` does |\n\
         | 1 | the query failed; for `doctor`, something needs attention |\n\
         | 2 | usage: the command line or the config is wrong |\n\
         | 3 | a source is not available |\n\
         | 4 | refused by a policy or a guardrail |\n\
         | 5 | a partial answer |\n\
         | 124 | the time limit was reached |\n\
         | 130 | interrupted by Ctrl-C (143: by SIGTERM) |\n\n\
         ## Codes\n\n\
         | code | means | exit | SQLSTATE | HTTP |\n|---|---|---:|---|---:|\n",
    );
    for code in ErrorCode::ALL {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            code.name(),
            one_line(code.summary()),
            code.exit_code(),
            code.sqlstate(),
            code.http_status()
        );
    }
    page
}

fn table(page: &mut String, specs: &[OptionSpec]) {
    page.push_str("| key | takes | default | |\n|---|---|---|---|\n");
    rows(page, specs);
}

fn rows(page: &mut String, specs: &[OptionSpec]) {
    for spec in specs {
        let default = match (spec.default, spec.required) {
            (Some(default), _) => format!("`{default}`"),
            (None, true) => "required".to_owned(),
            (None, false) => String::new(),
        };
        let _ = writeln!(page, "| `{}` | {} | {default} | {} |", spec.name, spec.kind.describe(), one_line(spec.help));
    }
}

/// Most are written as they stand; some are described.
fn code_or_words(url: &str) -> String {
    if url.contains(' ') { url.to_owned() } else { format!("`{url}`") }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
