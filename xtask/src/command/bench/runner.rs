//! A program that stays, and answers one question after another: a line of standard input is a question, and a line of JSON on
//! its standard output the answer.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::interrupt::Interrupt;

/// How long an answer may take. The slowest take a few seconds.
const ANSWER_PATIENCE: Duration = Duration::from_secs(180);

/// How long a program may take to end after its last question.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// How often to look whether it is over.
const GLANCE: Duration = Duration::from_millis(100);

pub(super) struct Runner {
    /// What it calls itself.
    pub(super) name: String,
    child: Child,
    /// None once there are no more questions.
    questions: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: File,
    interrupt: Interrupt,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    ms: f64,
    pub(super) rows: Vec<Vec<String>>,
    /// What was read, and how many rows of it came to where they were joined.
    #[serde(default)]
    pub(super) moved: Vec<(String, u64)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Answer(Answer),
    Ready { ready: String },
    Error { error: String },
}

impl Answer {
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.ms / 1000.0)
    }
}

impl Runner {
    /// Starts the program, and waits until it says that it is ready.
    pub(super) fn start(mut command: Command, interrupt: &Interrupt) -> Result<Self> {
        let complaints = tempfile::tempfile().context("cannot make a file for complaints")?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints.try_clone()?).spawn();
        let mut child = child.with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        let questions = child.stdin.take();
        let lines = child.stdout.take().map(read_lines).context("it has no standard output")?;
        let interrupt = interrupt.clone();
        let mut runner = Self { name: String::new(), child, questions, lines, complaints, interrupt };
        match runner.listen()? {
            Said::Ready { ready } => runner.name = ready,
            Said::Answer(_) => bail!("it answers before it is asked"),
            Said::Error { error } => bail!(error),
        }
        Ok(runner)
    }

    pub(super) fn ask(&mut self, question: &str) -> Result<Answer> {
        // When it has ended, what it says last is told below.
        let _ = self.questions.as_mut().map(|questions| writeln!(questions, "{question}"));
        match self.listen()? {
            Said::Answer(answer) => Ok(answer),
            Said::Ready { .. } => bail!("it says that it is ready instead of an answer"),
            Said::Error { error } => bail!(error),
        }
    }

    fn listen(&mut self) -> Result<Said> {
        let give_up = Instant::now() + ANSWER_PATIENCE;
        loop {
            match self.lines.recv_timeout(GLANCE) {
                Ok(line) => return serde_json::from_str(&line).with_context(|| format!("it says {line}")),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!("it ended ({status}): {}", self.last_complaint());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.interrupt.is_requested() {
                bail!("interrupted");
            }
            if Instant::now() > give_up {
                bail!("it does not answer after {} s", ANSWER_PATIENCE.as_secs());
            }
        }
    }

    fn last_complaint(&mut self) -> String {
        let mut text = Vec::new();
        if self.complaints.rewind().is_ok() {
            let _ = self.complaints.read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("without a word").trim().to_owned()
    }
}

impl Drop for Runner {
    /// Lets it end in good order, so that it removes what it made.
    fn drop(&mut self) {
        self.questions = None;
        let give_up = Instant::now() + END_PATIENCE;
        while Instant::now() < give_up && !self.interrupt.is_requested() {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(GLANCE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads in a thread, since reading a pipe waits for ever.
fn read_lines(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Runner;
    use crate::interrupt::Interrupt;

    fn shell(script: &str) -> anyhow::Result<Runner> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Runner::start(command, &Interrupt::install()?)
    }

    #[test]
    fn questions_are_answered_in_turn() {
        let script =
            r#"echo '{"ready": "sh"}'; while read n; do echo "{\"ms\": $n, \"rows\": [[\"a\", \"1\"]]}"; done"#;
        let mut runner = shell(script).unwrap();
        assert_eq!(runner.name, "sh");
        for ms in [20, 10] {
            assert_eq!(runner.ask(&ms.to_string()).unwrap().time().as_millis(), ms);
        }
        assert_eq!(runner.ask("1").unwrap().rows, [["a", "1"]]);
    }

    #[test]
    fn the_end_of_a_program_is_told_with_its_last_words() {
        let error = shell("echo first >&2; echo last >&2; exit 3").map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "it ended (exit status: 3): last");
        let error = shell(r#"echo '{"error": "no such table"}'"#).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "no such table");
    }
}
