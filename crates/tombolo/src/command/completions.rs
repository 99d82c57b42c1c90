use clap::{Args, CommandFactory};
use clap_complete::Shell;
use tombolo_connector::Result;

use super::Cli;
use crate::output;

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tombolo completions bash > ~/.local/share/bash-completion/completions/tombolo
  tombolo completions fish > ~/.config/fish/completions/tombolo.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    pub(crate) fn run(self) -> Result<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "tombolo", &mut script);
        output::with_stdout(|out| out.write_all(&script))?;
        Ok(0)
    }
}
