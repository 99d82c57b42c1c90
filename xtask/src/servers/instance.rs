//! One server's folder, port, password and account.

use std::env;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::unistd::{User, geteuid};

use super::ServerKind;
use crate::workspace;

/// An empty file that says whose folder this is.
const MARKER: &str = "made-by-cargo-xtask-servers";

/// Everything that a kind needs to know to prepare and run one server.
pub(crate) struct Instance {
    /// Holds the log, the data folder and the record of the running server.
    pub(crate) folder: PathBuf,
    pub(crate) binaries: PathBuf,
    pub(crate) port: u16,
    pub(crate) password: String,
    /// The account to run as; `None` is the present one.
    account: Option<User>,
}

impl Instance {
    /// Makes a new, empty one in the place of whatever was left in the folder.
    pub(crate) fn create(kind: &dyn ServerKind, binaries: PathBuf) -> Result<Self> {
        let folder = servers_folder()?.join(kind.name());
        clear(&folder)?;
        let account = account(kind)?;
        let instance = Self { folder, binaries, port: free_port()?, password: random_password()?, account };
        fs::create_dir(&instance.folder).with_context(|| format!("cannot make {}", instance.folder.display()))?;
        File::create(instance.folder.join(MARKER))?;
        fs::set_permissions(&instance.folder, fs::Permissions::from_mode(0o755))?;
        instance.create_data_folder(&instance.data())?;
        Ok(instance)
    }

    /// The folder that belongs to the server's account.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Makes a folder that belongs to the server's account.
    pub(crate) fn create_data_folder(&self, folder: &Path) -> Result<()> {
        fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        self.hand_over(folder, 0o700)
    }

    /// Writes a file that only the server's account can read, such as one with a password.
    pub(crate) fn write_private(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        self.hand_over(&path, 0o600)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Returns a command that runs a program as the server's account, away from our environment. A name without a folder is
    /// looked for in `binaries`.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC").env("HOME", self.data());
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some(user) = &self.account {
            // Given a user, the standard library also drops root's further groups.
            command.gid(user.gid.as_raw()).uid(user.uid.as_raw());
        }
        command
    }

    /// Copies these files and folders of `binaries` to [`Self::programs`], since root's cache folder, where some programs are
    /// kept, is closed to the account that a server runs as.
    pub(crate) fn copy_programs(&self, names: &[&str]) -> Result<()> {
        let programs = self.programs();
        fs::create_dir(&programs).with_context(|| format!("cannot make {}", programs.display()))?;
        // Links are kept: libraries are found by theirs.
        let mut copy = Command::new("cp");
        copy.args(["--recursive", "--no-dereference", "--"]).args(names.iter().map(|name| self.binaries.join(name)));
        run(copy.arg(&programs))?;
        // For the server's account to read and run, whatever the umask of whoever installed them.
        run(Command::new("chmod").args(["--recursive", "a+rX"]).arg(&programs))
    }

    /// The folder of the programs that [`Self::copy_programs`] has copied. It goes with the data.
    pub(crate) fn programs(&self) -> PathBuf {
        self.data().join("programs")
    }

    fn hand_over(&self, path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        if let Some(user) = &self.account {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(|| format!("cannot give {} to {}", path.display(), user.name))?;
        }
        Ok(())
    }
}

/// Runs a command to its end, and on failure returns its output as the error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Runs a command to its end, without its output, and returns whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status.with_context(|| format!("cannot run {program}"))?.success())
}

/// Returns the folder of the server of this kind.
pub(crate) fn folder(kind: &dyn ServerKind) -> Result<PathBuf> {
    Ok(root()?.join(kind.name()))
}

/// Removes a server's folder, but never one that was not made here: `TOMBOLO_SERVERS_DIR` may name any folder.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.join(MARKER).exists() {
        bail!(
            "{} exists and is not a server's folder made by this program; remove it or set TOMBOLO_SERVERS_DIR",
            folder.display()
        );
    }
    remove(folder)
}

/// Removes the data of a server that has been stopped.
pub(crate) fn remove_data(folder: &Path) -> Result<()> {
    if folder.join(MARKER).exists() { remove(&folder.join("data")) } else { Ok(()) }
}

fn remove(folder: &Path) -> Result<()> {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        match fs::remove_dir_all(folder) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // A program whose run was killed while preparing the folder may still be writing into it for a moment.
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty && Instant::now() < give_up => {
                thread::sleep(Duration::from_millis(100));
            }
            Err(error) => return Err(error).with_context(|| format!("cannot remove {}", folder.display())),
        }
    }
}

fn root() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("TOMBOLO_SERVERS_DIR") {
        return Ok(std::path::absolute(folder)?);
    }
    if !geteuid().is_root() {
        return Ok(workspace::target_dir()?.join("servers"));
    }
    // Root's servers run as other accounts, and those can seldom look into root's build folder.
    let checkout = workspace::root()?.to_string_lossy().trim_matches('/').replace('/', "-");
    Ok(env::temp_dir().join(format!("tombolo-servers-{checkout}")))
}

/// Returns the folder of all servers of this checkout, which is made if it is not there.
pub(super) fn servers_folder() -> Result<PathBuf> {
    let root = root()?;
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    // The folder may have a name that anyone on the machine could have taken before.
    let metadata = fs::symlink_metadata(&root)?;
    if !metadata.is_dir() || metadata.uid() != geteuid().as_raw() {
        bail!("{} is not a folder of yours; set TOMBOLO_SERVERS_DIR to one that is", root.display());
    }
    if geteuid().is_root() {
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        if let Some(closed) = root.ancestors().find(|folder| !others_may_enter(folder)) {
            bail!(
                "servers are not run as root, and other accounts may not enter {}; set TOMBOLO_SERVERS_DIR to a folder \
                 that they can reach",
                closed.display()
            );
        }
    }
    Ok(root)
}

fn others_may_enter(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & 0o001 != 0)
}

fn account(kind: &dyn ServerKind) -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in kind.accounts() {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("{} is not run as root, and there is no account {}", kind.title(), kind.accounts().join(" or "))
}

/// Returns a port that was free on the loopback interface a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on the loopback interface")?;
    Ok(listener.local_addr()?.port())
}

/// Returns 128 random bits as hexadecimal digits, which need no quoting in SQL or in a URL.
fn random_password() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).context("no random numbers")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{MARKER, clear, random_password, remove_data};

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        remove_data(folder.path()).unwrap();
        assert!(clear(folder.path()).unwrap_err().to_string().contains("is not a server's folder"));
        assert!(data.exists());
        fs::write(folder.path().join(MARKER), "").unwrap();
        clear(folder.path()).unwrap();
        assert!(!folder.path().exists());
        clear(folder.path()).unwrap();
    }

    #[test]
    fn passwords_are_long_plain_and_differ() {
        let (one, two) = (random_password().unwrap(), random_password().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 32);
        assert!(one.chars().all(|c| c.is_ascii_hexdigit()));
    }
}
