//! What a measurement was taken on: a figure without its machine says nothing.

use std::fmt;
use std::fs;
use std::thread;

/// The machine, as Linux describes it; what cannot be read is `unknown`.
pub(super) struct Machine {
    processor: String,
    cores: usize,
    memory_gib: Option<u64>,
    kernel: String,
}

impl Machine {
    pub(super) fn of_here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: field(&read("/proc/meminfo"), "MemTotal").and_then(|text| kibibytes(&text)).map(in_gib),
            kernel: if kernel.is_empty() { unknown() } else { kernel },
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- processor: {}, {} cores", self.processor, self.cores)?;
        match self.memory_gib {
            Some(memory) => writeln!(f, "- memory: {memory} GiB")?,
            None => writeln!(f, "- memory: unknown")?,
        }
        writeln!(f, "- kernel: {}", self.kernel)
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// Returns the value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix(" kB")?.trim().parse().ok()
}

fn in_gib(kibibytes: u64) -> u64 {
    (kibibytes + (1 << 19)) >> 20
}

#[cfg(test)]
mod tests {
    use super::{field, in_gib, kibibytes};

    #[test]
    fn linux_describes_itself() {
        let text = "processor\t: 0\nmodel name\t: A: fast one\nmodel name\t: second\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A: fast one"));
        assert_eq!(
            field("MemTotal:       24605160 kB\n", "MemTotal").and_then(|text| kibibytes(&text)).map(in_gib),
            Some(23)
        );
        assert_eq!(field(text, "cache"), None);
    }
}
