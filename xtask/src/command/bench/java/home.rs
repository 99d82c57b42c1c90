//! Where Java is: engines are particular about its release, and a machine may have several.

use std::env;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Folders of installations.
const PLACES: [&str; 2] = ["/usr/lib/jvm", "/opt"];

/// Returns the home of the newest Java of these releases.
pub(super) fn find(releases: &RangeInclusive<u32>) -> Option<PathBuf> {
    let named = env::var_os("JAVA_HOME").map(PathBuf::from);
    let on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<PathBuf>>();
    let on_path = on_path.into_iter().filter_map(|folder| {
        let program = folder.join("java").canonicalize().ok()?;
        Some(program.parent()?.parent()?.to_path_buf())
    });
    let installed = PLACES.iter().filter_map(|place| fs::read_dir(place).ok()).flatten();
    let installed = installed.filter_map(|entry| Some(entry.ok()?.path()));
    let homes = named.into_iter().chain(on_path).chain(installed).filter(|home| home.join("bin/java").is_file());
    let known = homes.filter_map(|home| Some((release_of(&home)?, home)));
    known.filter(|(release, _)| releases.contains(release)).max_by_key(|(release, _)| *release).map(|(_, home)| home)
}

/// Every Java since 9 tells its version in a file.
fn release_of(home: &Path) -> Option<u32> {
    release_in(&fs::read_to_string(home.join("release")).ok()?)
}

fn release_in(text: &str) -> Option<u32> {
    let version = text.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?.trim_matches('"');
    version.split(['.', '-', '+']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{find, release_in};

    #[test]
    fn the_release_is_the_first_number_of_the_version() {
        assert_eq!(release_in("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"25.0.3\"\nOS_NAME=\"Linux\"\n"), Some(25));
        assert_eq!(release_in("JAVA_VERSION=\"26-ea\"\n"), Some(26));
        assert_eq!(release_in("IMPLEMENTOR_VERSION=\"25.0.3\"\n"), None);
    }

    #[test]
    fn a_release_that_is_nowhere_is_not_found() {
        assert_eq!(find(&(9000..=9001)), None);
    }
}
