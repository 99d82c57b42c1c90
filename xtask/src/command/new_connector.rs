//! `cargo xtask new-connector`: the files of a new source.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::output::say;
use crate::workspace;

/// Write the files of a new connector, each with what belongs in it
///
/// The files compile and answer every question with "not yet". They are the set that `cargo xtask tidy` asks of a connector.
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo xtask new-connector cassandra --title \"Apache Cassandra\"")]
pub(crate) struct Args {
    /// The kind's name in the config: lower-case letters and digits, such as sqlserver
    name: String,
    /// The name as people write it [default: the name with a capital]
    #[arg(long)]
    title: Option<String>,
}

struct Template {
    file: &'static str,
    text: &'static str,
}

macro_rules! template {
    ($file:literal) => {
        Template { file: $file, text: include_str!(concat!("../../templates/connector/", $file, ".txt")) }
    };
}

static TEMPLATES: &[Template] = &[
    template!("mod.rs"),
    template!("config.rs"),
    template!("capability.rs"),
    template!("client.rs"),
    template!("catalog.rs"),
    template!("types.rs"),
    template!("native.rs"),
    template!("scan.rs"),
    template!("docs.md"),
];

/// Names that would be no module, or another one.
const TAKEN: &[&str] =
    &["sql", "mod", "lib", "type", "match", "move", "trait", "static", "struct", "loop", "self", "super"];

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let name = args.name.as_str();
    check_name(name)?;
    let connectors = workspace::root()?.join("crates/tombolo-connectors/src");
    let folder = connectors.join(name);
    if folder.exists() || connectors.join(format!("{name}.rs")).exists() {
        bail!("there is a connector `{name}` already: {}", folder.display());
    }
    let title = args.title.unwrap_or_else(|| capitalised(name));
    if title.contains(['"', '\\', '{', '}']) {
        bail!("the title stands in Rust strings, and `{title}` would break them");
    }
    write(&folder, name, &title)?;
    say!("written to {}", folder.display());
    say!("Next:");
    say!(
        "  add `pub mod {name};` to crates/tombolo-connectors/src/lib.rs, and {}Factory to its registry",
        capitalised(name)
    );
    say!("  begin with config.rs, client.rs and catalog.rs; CONTRIBUTING.md has the order of work");
    Ok(ExitCode::SUCCESS)
}

fn check_name(name: &str) -> Result<()> {
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !is_word {
        bail!("`{name}` cannot be the name of a connector: use lower-case letters and digits, such as sqlserver");
    }
    if TAKEN.contains(&name) {
        bail!("`{name}` cannot be the name of a connector: it has another meaning");
    }
    Ok(())
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

fn filled(template: &str, name: &str, title: &str) -> String {
    template.replace("{{name}}", name).replace("{{Type}}", &capitalised(name)).replace("{{Title}}", title)
}

fn write(folder: &Path, name: &str, title: &str) -> Result<()> {
    fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for template in TEMPLATES {
        let path = folder.join(template.file);
        fs::write(&path, filled(template.text, name, title))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::{TEMPLATES, check_name, write};
    use crate::tidy;

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "My", "my-db", "my_db", "9db", "../db", "sql", "match"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        check_name("db2").unwrap();
    }

    #[test]
    fn the_templates_are_the_set_that_tidy_asks_for() {
        let templates: BTreeSet<&str> = TEMPLATES.iter().map(|template| template.file).collect();
        assert_eq!(templates, tidy::CONNECTOR_FILES.iter().copied().collect());
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("db2");
        write(&folder, "db2", "IBM Db2").unwrap();
        for template in TEMPLATES {
            let text = fs::read_to_string(folder.join(template.file)).unwrap();
            assert!(!text.contains("{{"), "{}: {text}", template.file);
        }
        assert!(fs::read_to_string(folder.join("mod.rs")).unwrap().starts_with("//! IBM Db2: "));
        assert!(write(&folder, "db2", "IBM Db2").is_err());
    }
}
