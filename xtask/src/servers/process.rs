//! One operating-system process, told apart from a later one that happens to get the same number.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process by its id and its start. Ids are used again by the system; the pair is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pid: i32,
    /// Clock ticks between the start of the machine and that of the process.
    start_ticks: u64,
}

impl ProcessId {
    /// Returns the identity of the running process `pid`.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let pid = i32::try_from(pid).context("a process id is out of range")?;
        match read_stat(pid) {
            Some(stat) => Ok(Self { pid, start_ticks: stat.start_ticks }),
            None => bail!("process {pid} has ended, or this system has no /proc (servers are started on Linux only)"),
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether this very process still runs. One that has ended and waits for its parent to notice does not.
    pub(crate) fn is_alive(&self) -> bool {
        read_stat(self.pid).is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.has_ended)
    }

    /// Asks the process to end, waits up to `patience`, and then kills it.
    pub(crate) fn stop(&self, signal: Signal, patience: Duration) -> Result<()> {
        for (signal, patience) in [(signal, patience), (Signal::SIGKILL, Duration::from_secs(5))] {
            if !self.is_alive() {
                return Ok(());
            }
            match kill(Pid::from_raw(self.pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => bail!("cannot send {signal} to process {}: {error}", self.pid),
            }
            let give_up = Instant::now() + patience;
            while self.is_alive() && Instant::now() < give_up {
                thread::sleep(Duration::from_millis(20));
            }
        }
        if self.is_alive() {
            bail!("process {} does not end", self.pid);
        }
        Ok(())
    }
}

struct Stat {
    start_ticks: u64,
    has_ended: bool,
}

fn read_stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat` (proc_pid_stat(5)): the state is field 3, the start is field 22.
fn parse_stat(text: &str) -> Option<Stat> {
    // Field 2 is the program's name in parentheses and may itself hold blanks and parentheses.
    let after_name = text.rsplit_once(')')?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Some(Stat { has_ended: matches!(*fields.first()?, "Z" | "X" | "x"), start_ticks: fields.get(19)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use nix::sys::signal::Signal;

    use super::{ProcessId, parse_stat};

    #[test]
    fn a_program_name_with_blanks_and_parentheses_is_read() {
        let stat = parse_stat("7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 8123 1 1").unwrap();
        assert_eq!(stat.start_ticks, 8123);
        assert!(!stat.has_ended);
    }

    #[test]
    fn a_process_is_stopped_and_a_successor_with_its_number_is_not_taken_for_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = ProcessId::of(child.id()).unwrap();
        let other = ProcessId { start_ticks: process.start_ticks + 1, ..process.clone() };
        assert!(!other.is_alive());
        other.stop(Signal::SIGTERM, Duration::from_secs(5)).unwrap();
        assert!(process.is_alive());
        process.stop(Signal::SIGTERM, Duration::from_secs(5)).unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }
}
