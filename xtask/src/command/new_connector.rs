use std::process::ExitCode;
#[derive(clap::Parser)]
/// x
pub(crate) struct Args {}
pub(crate) fn run(_: Args) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
