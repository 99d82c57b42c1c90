//! `tombolo demo`: a small shop, made on the spot, and a tour of queries over it. No server, no network.

mod files;
mod guide;
mod lake;
mod random;
mod shop;
mod sqlite;
mod tour;

use std::path::Path;

use tombolo_connector::{Error, ErrorCode, Result, ResultExt};

pub(crate) use guide::run;

use self::shop::Shop;

/// The config of the demo's sources; its first line is how a demo's folder is recognised.
const CONFIG: &str = include_str!("tombolo.toml");

/// The config's name.
pub(crate) const CONFIG_FILE: &str = "tombolo.toml";

/// Makes the shop in a folder: `shop.sqlite`, `files/orders.jsonl`, `files/products.csv`,
/// `lake/transactions/day=…/part-0.parquet`, and a `tombolo.toml` that names them as sources.
///
/// The same bytes every time. A folder that holds an earlier demo is made anew, but its `tombolo.toml` stays as it is:
/// somebody may have added to it.
///
/// # Errors
///
/// `usage` where the folder holds something else; `file_failed` where it cannot be written.
pub(crate) fn generate(folder: &Path) -> Result<()> {
    let config = folder.join(CONFIG_FILE);
    let is_demo = std::fs::read_to_string(&config).is_ok_and(|text| text.lines().next() == CONFIG.lines().next());
    if !is_demo && !is_empty_or_missing(folder)? {
        return Err(Error::new(ErrorCode::Usage, format!("{} is not empty", folder.display()))
            .with_hint("Name a new folder with `tombolo demo --dir FOLDER`."));
    }
    for needed in [folder.to_owned(), folder.join("files"), folder.join("lake/transactions")] {
        std::fs::create_dir_all(&needed)
            .or_error(ErrorCode::FileFailed, || format!("cannot make the folder {}", needed.display()))
            .map_err(|error| error.with_hint("Name a folder that you may write to with `--dir FOLDER`."))?;
    }
    let shop = Shop::new();
    write_database(&shop, folder)?;
    files::write_orders(&shop, &folder.join("files/orders.jsonl"))?;
    files::write_products(&shop, &folder.join("files/products.csv"))?;
    lake::write(&shop, &folder.join("lake/transactions"))?;
    if is_demo {
        return Ok(());
    }
    // Last, so that a folder with a config is a whole demo.
    files::write(&config, |out| out.write_all(CONFIG.as_bytes()))
}

/// SQLite writes its file itself, so it is made under another name and then put in its place.
fn write_database(shop: &Shop, folder: &Path) -> Result<()> {
    let place = folder.join("shop.sqlite");
    let failed = || format!("cannot write {}", place.display());
    let hidden = tempfile::Builder::new()
        .prefix(".shop-")
        .suffix(".partial")
        .tempdir_in(folder)
        .or_error(ErrorCode::FileFailed, failed)?;
    let partial = hidden.path().join("shop.sqlite");
    sqlite::write(shop, &partial)?;
    std::fs::rename(&partial, &place).or_error(ErrorCode::FileFailed, failed)
}

fn is_empty_or_missing(folder: &Path) -> Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::new(ErrorCode::FileFailed, format!("cannot look into {}", folder.display()))
            .with_detail(error.to_string())
            .with_hint("Name another folder with `tombolo demo --dir FOLDER`.")
            .with_cause(error)),
    }
}

#[cfg(test)]
mod tests;
