//! The binary: picks a command, reports failure with an exit code and a sentence.
//!
//! Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.

mod check;
mod cli;
mod config;
mod log;
mod pki;
mod serve;
mod supervisor;
mod welcome;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::config::ConfigError;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::serve(&args),
        Command::CheckConfig(args) => check::config(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("metricstor: {error:#}");
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}
