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

use super::java::Trino;
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
    /// Ends after it.
    server: Option<Trino>,
}

#[derive(Clone, Deserialize)]
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
    /// Starts the program, and waits until it says that it is ready. A server that it asks lives as long as it.
    pub(super) fn start(mut command: Command, server: Option<Trino>, interrupt: &Interrupt) -> Result<Self> {
        let complaints = tempfile::tempfile().context("cannot make a file for complaints")?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints.try_clone()?).spawn();
        let mut child = child.with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
        let questions = child.stdin.take();
        let lines = child.stdout.take().map(read_lines).context("it has no standard output")?;
        let interrupt = interrupt.clone();
        let mut runner = Self { name: String::new(), child, questions, lines, complaints, interrupt, server };
        match runner.listen(ANSWER_PATIENCE)? {
            Some(Said::Ready { ready }) => runner.name = ready,
            Some(Said::Answer(_)) => bail!("it answers before it is asked"),
            Some(Said::Error { error }) => bail!(error),
            None => bail!("it is not ready after {} s", ANSWER_PATIENCE.as_secs()),
        }
        Ok(runner)
    }

    pub(super) fn ask(&mut self, question: &str) -> Result<Answer> {
        let answer = self.ask_within(question, ANSWER_PATIENCE)?;
        answer.with_context(|| format!("it does not answer after {} s", ANSWER_PATIENCE.as_secs()))
    }

    /// Returns nothing when there is no answer in that time; then it is still at it.
    pub(super) fn ask_within(&mut self, question: &str, patience: Duration) -> Result<Option<Answer>> {
        // When it has ended, what it says last is told below.
        let _ = self.questions.as_mut().map(|questions| writeln!(questions, "{question}"));
        match self.listen(patience)? {
            Some(Said::Answer(answer)) => Ok(Some(answer)),
            Some(Said::Ready { .. }) => bail!("it says that it is ready instead of an answer"),
            Some(Said::Error { error }) => bail!(error),
            None => Ok(None),
        }
    }

    /// Ends it in the middle of its work.
    pub(super) fn kill(mut self) {
        let _ = self.child.kill();
    }

    fn listen(&mut self, patience: Duration) -> Result<Option<Said>> {
        let give_up = Instant::now() + patience;
        loop {
            match self.lines.recv_timeout(GLANCE) {
                Ok(line) => return serde_json::from_str(&line).map(Some).with_context(|| format!("it says {line}")),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait()?;
                    bail!("it ended ({status}): {}", self.last_complaint());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.interrupt.is_requested() {
                bail!("interrupted");
            }
            // Its client would go on trying for a while.
            self.server.as_mut().map_or(Ok(()), Trino::check)?;
            if Instant::now() > give_up {
                return Ok(None);
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
    use std::time::{Duration, Instant};

    use super::Runner;
    use crate::interrupt::Interrupt;

    fn shell(script: &str) -> anyhow::Result<Runner> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Runner::start(command, None, &Interrupt::install()?)
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
    fn what_takes_too_long_is_told_from_what_fails() {
        let mut runner = shell(r#"echo '{"ready": "sh"}'; read n; echo '{"error": "no"}'; exec sleep 60"#).unwrap();
        let patience = Duration::from_millis(300);
        assert_eq!(runner.ask_within("1", Duration::from_secs(60)).map(|_| ()).unwrap_err().to_string(), "no");
        assert!(runner.ask_within("2", patience).unwrap().is_none());
        let begun = Instant::now();
        runner.kill();
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn the_end_of_a_program_is_told_with_its_last_words() {
        let error = shell("echo first >&2; echo last >&2; exit 3").map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "it ended (exit status: 3): last");
        let error = shell(r#"echo '{"error": "no such table"}'"#).map(|_| ()).unwrap_err().to_string();
        assert_eq!(error, "no such table");
    }
}
