use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// The name of the config file.
pub(crate) const FILE_NAME: &str = "tombolo.toml";

/// Finds the config file: what was given (`--config`, which clap also reads from `TOMBOLO_CONFIG`), else the nearest
/// `tombolo.toml` upwards from `folder`, else the one in the user's config folder.
pub(crate) fn find(given: Option<&Path>, folder: &Path) -> Option<PathBuf> {
    if let Some(given) = given {
        return Some(given.to_owned());
    }
    folder.ancestors().map(|folder| folder.join(FILE_NAME)).chain(user_file()).find(|candidate| candidate.is_file())
}

fn user_file() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("tombolo").join(FILE_NAME))
}
