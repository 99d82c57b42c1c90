//! Installing servers from Debian's packages.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::output::complain;
use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

/// Installs packages by apt-get, without letting them start their services.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if !Path::new("/usr/bin/apt-get").is_file() {
        bail!("not installed, and this is not a Debian system; install what Debian calls {}", packages.join(", "));
    }
    if !geteuid().is_root() {
        bail!("not installed; as root, run: {by_hand}");
    }
    complain!("installing {} with apt-get …", packages.join(", "));
    let _no_services = NoServices::install(Path::new("/usr/sbin/policy-rc.d"))?;
    apt_get(["update", "-qq"])?;
    apt_get(["install", "-qq", "--yes", "--no-install-recommends"].into_iter().chain(packages.iter().copied()))
        .with_context(|| format!("cannot install; try by hand: {by_hand}"))
}

/// Runs apt-get to its end; its output is the error.
pub(super) fn apt_get(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<()> {
    // Another apt-get may be at work on a machine that has just been made: wait for it rather than fail.
    let output = Command::new("/usr/bin/apt-get")
        .args(["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    if !output.status.success() {
        bail!("apt-get failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// While it lives, Debian packages do not start services: `invoke-rc.d` asks this file, and 101 means "not allowed".
///
/// A server package otherwise starts a server on the standard port, and that is not ours to do to a machine.
struct NoServices {
    path: PathBuf,
    before: Option<(Vec<u8>, Permissions)>,
}

impl NoServices {
    fn install(path: &Path) -> Result<Self> {
        let before = match fs::read(path) {
            Ok(text) => Some((text, fs::metadata(path)?.permissions())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let guard = Self { path: path.to_path_buf(), before };
        fs::write(path, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(path, Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        let restored = match &self.before {
            None => fs::remove_file(&self.path),
            Some((text, mode)) => {
                fs::write(&self.path, text).and_then(|()| fs::set_permissions(&self.path, mode.clone()))
            }
        };
        if let Err(error) = restored {
            complain!("warning: {} could not be put back as it was: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::NoServices;

    #[test]
    fn services_are_held_back_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy-rc.d");
        let guard = NoServices::install(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\nexit 101\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
        drop(guard);
        assert!(!path.exists());
    }

    #[test]
    fn a_policy_of_the_machine_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy-rc.d");
        fs::write(&path, "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        drop(NoServices::install(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\nexit 0\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
