//! Programs of Debian's unstable distribution, in a folder with the libraries that they are linked with. Nothing of it is
//! installed into the machine, whose own C library is older.
//!
//! That distribution changes daily and keeps no old versions, so a program has no fixed version here, but a series that the
//! tests know; and no run may depend on it: see [`super::ServerKind::may_be_missing`].

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::instance::run;
use super::{debian, tools, version_told};
use crate::output::complain;

/// A package of which one program is wanted.
pub(super) struct Package {
    pub(super) name: &'static str,
    /// How versions begin that the tests know.
    pub(super) series: &'static str,
    /// The program, as the package has it below `/usr`. It is kept under its last name.
    pub(super) program: &'static str,
    /// A folder of what the program reads, likewise.
    pub(super) data: &'static str,
}

/// The folder of the libraries.
pub(super) const LIBRARIES: &str = "lib";

/// The dynamic linker among them, by which the program is run: the machine's own knows its own C library alone.
const LINKER: &str = "ld.so";

const APT_GET: &str = "/usr/bin/apt-get";

/// Lists where the packages come from. The name is Debian's own, which finds a copy nearby.
const SOURCES: &str =
    "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main\n";

impl Package {
    /// Returns the folder of the program when it is installed.
    pub(super) fn find(&self) -> Option<PathBuf> {
        self.root().ok().filter(|root| root.is_dir())
    }

    /// Installs it below the user's cache folder, where every checkout finds it.
    pub(super) fn install(&self) -> Result<()> {
        let root = self.root()?;
        if root.is_dir() {
            return Ok(());
        }
        if !Path::new(APT_GET).is_file() {
            bail!(
                "{} is got from Debian's unstable distribution, and this is not a Debian system; set the variable of \
                 this server to one of yours",
                self.name
            );
        }
        let parent = root.parent().context("the folder to install into has no parent")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        complain!("getting {} of Debian's unstable distribution with apt-get …", self.name);
        // Beside its place, so that it is whole when it appears there.
        let unpacked = tempfile::tempdir_in(parent).context("cannot make a folder to install into")?;
        let everything = unpacked.path().join("everything");
        fs::create_dir(&everything)?;
        self.download(&everything)?;
        let kept = unpacked.path().join("kept");
        fs::create_dir(&kept)?;
        self.keep(&everything.join("usr"), &kept)?;
        let version = self.version(&kept)?;
        if !version.starts_with(&format!("{}.", self.series)) {
            bail!("Debian's unstable distribution has {} {version} now, and the tests know {}", self.name, self.series);
        }
        match fs::rename(&kept, &root) {
            // Another run was quicker.
            Err(_) if root.is_dir() => Ok(()),
            renamed => renamed.with_context(|| format!("cannot make {}", root.display())),
        }
    }

    /// Returns the version of the program in `folder`.
    pub(super) fn version(&self, folder: &Path) -> Result<String> {
        let (linker, arguments) = self.command(folder);
        version_told(Command::new(linker).args(arguments).arg("--version"))
    }

    /// Returns what runs the program in `folder`: the dynamic linker, and its arguments before the program's own.
    pub(super) fn command(&self, folder: &Path) -> (PathBuf, Vec<OsString>) {
        let libraries = folder.join(LIBRARIES);
        let linker = libraries.join(LINKER);
        (linker, vec!["--library-path".into(), libraries.into(), folder.join(last_name(self.program)).into()])
    }

    /// Unpacks the package, and all that it depends on, into a folder.
    fn download(&self, folder: &Path) -> Result<()> {
        // A system of its own in apt's eyes, in which nothing is installed. Open to the account under which root's apt loads.
        let apt = tempfile::tempdir().context("cannot make a folder for apt")?;
        fs::set_permissions(apt.path(), Permissions::from_mode(0o755))?;
        for name in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(apt.path().join(name))?;
        }
        fs::write(apt.path().join("state/status"), "")?;
        fs::write(apt.path().join("sources.list"), SOURCES)?;
        let place = |name: &str, path: &str| format!("{name}={}", apt.path().join(path).display());
        let options = [
            place("Dir::State", "state"),
            place("Dir::State::status", "state/status"),
            place("Dir::Cache", "cache"),
            place("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            // The machine's wishes are about its own packages.
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            // A list that cannot be got is a warning otherwise, and the package is then said to be unknown.
            "APT::Update::Error-Mode=any".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ];
        let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option.as_str()]).collect();
        debian::apt_get(options.iter().copied().chain(["update", "-qq"]))?;
        let install = ["install", "-qq", "--yes", "--no-install-recommends", "--download-only", self.name];
        debian::apt_get(options.iter().copied().chain(install))?;
        for entry in apt.path().join("cache/archives").read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                run(Command::new("dpkg-deb").arg("--extract").arg(path).arg(folder))?;
            }
        }
        Ok(())
    }

    /// Copies the program, its data and the libraries that it is linked with: a third of what was unpacked.
    fn keep(&self, usr: &Path, kept: &Path) -> Result<()> {
        let libraries = child(&usr.join("lib"), "-linux-gnu")?;
        let linker = child(&libraries, "ld-linux")?;
        let program = usr.join(self.program);
        let mut list = Command::new(&linker);
        list.arg("--library-path").arg(&libraries).arg("--list").arg(&program);
        let output = list.output().with_context(|| format!("cannot run {}", linker.display()))?;
        let linked = linked(&String::from_utf8_lossy(&output.stdout), &libraries);
        if !output.status.success() || linked.is_empty() {
            let reason = String::from_utf8_lossy(&output.stderr);
            bail!("{} does not find its libraries: {}", program.display(), reason.trim());
        }
        fs::create_dir(kept.join(LIBRARIES))?;
        fs::copy(&linker, kept.join(LIBRARIES).join(LINKER))?;
        for path in linked {
            fs::copy(&path, kept.join(LIBRARIES).join(last_name(&path)))?;
        }
        fs::copy(&program, kept.join(last_name(self.program)))?;
        run(Command::new("cp").args(["--recursive", "--"]).arg(usr.join(self.data)).arg(kept))
    }

    fn root(&self) -> Result<PathBuf> {
        tools::folder(self.name, self.series)
    }
}

fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Returns the entry of a folder that has this in its name, which is another on each architecture.
fn child(folder: &Path, part: &str) -> Result<PathBuf> {
    let mut entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let entry = entries.find_map(|entry| Some(entry.ok()?.path()).filter(|path| has_in_name(path, part)));
    entry.with_context(|| format!("{} holds nothing like {part}", folder.display()))
}

fn has_in_name(path: &Path, part: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(part))
}

/// Returns the libraries in `folder` that the dynamic linker lists, each as `name => path (address)`.
fn linked(list: &str, folder: &Path) -> Vec<String> {
    let path = |line: &str| Some(line.split_once(" => ")?.1.rsplit_once(" (")?.0.to_owned());
    list.lines().filter_map(path).filter(|path| Path::new(path).starts_with(folder)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{last_name, linked};

    #[test]
    fn libraries_are_read_from_the_list_of_the_linker() {
        let list = "\tlinux-vdso.so.1 (0x00007f6606b26000)\n\
                    \tlibicuuc.so.78 => /tree/lib/libicuuc.so.78 (0x00007f6601800000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 => /other/ld-linux-x86-64.so.2 (0x00007f6606b28000)\n\
                    \tlibmissing.so => not found\n";
        assert_eq!(linked(list, Path::new("/tree/lib")), ["/tree/lib/libicuuc.so.78"]);
    }

    #[test]
    fn a_program_is_kept_under_its_last_name() {
        assert_eq!(last_name("sbin/mysqld"), "mysqld");
        assert_eq!(last_name("mysqld"), "mysqld");
    }
}
