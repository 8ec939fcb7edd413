//! The binary: picks a command, reports failure with an exit code and a sentence.
//!
//! Exit codes: 0 done, 1 failed while running, 2 wrong usage or configuration.

// They panic where nobody takes what is printed: on a full disk, or when the journal has ended.
#![deny(clippy::print_stdout, clippy::print_stderr)]

/// `println!` whose failure (`> file` on a full disk) is an error of the caller's and no panic.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stdout(), $($text)*)
    }};
}

/// `eprintln!` that goes on when nobody can hear it.
macro_rules! complain {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod ca;
mod check;
mod cli;
mod client;
mod config;
mod descriptors;
mod enrol;
mod inspect;
mod log;
mod memory;
mod pki;
mod policy;
mod policy_watch;
mod query;
mod serve;
mod supervisor;
mod welcome;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Check, Cli, Command};
use crate::config::ConfigError;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if !is_to_last(&command) {
        // `metricstor inspect FILE | head` ends quietly.
        sigpipe::reset();
    }
    let outcome = match command {
        Command::Serve(args) => serve::serve(&args),
        Command::Query(args) => query::query(&args),
        Command::Ca(args) => ca::ca(&args),
        Command::Enrol(args) => enrol::enrol(&args),
        Command::Policy(command) => policy::policy(&command),
        Command::CheckConfig(args) => check::config(&args),
        Command::Check(Check::Promql { expr }) => check::promql(&expr),
        Command::Inspect(args) => inspect::inspect(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("metricstor: {}", sentence(&error));
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 1 })
        }
    }
}

/// A server must not end with a connection, nor renewals with who reads what they say.
fn is_to_last(command: &Command) -> bool {
    match command {
        Command::Serve(_) => true,
        Command::Enrol(args) => !args.once,
        _ => false,
    }
}

/// The error and its causes; many an error names its cause itself.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;
    use crate::config::from_file;

    #[test]
    fn a_cause_is_told_once() {
        let missing = || from_file(Some("/nowhere.yml".as_ref()), []).map(drop);
        let said = "cannot read /nowhere.yml: No such file or directory (os error 2)";
        assert_eq!(sentence(&missing().unwrap_err().into()), said);
        let error = missing().context("no settings").unwrap_err();
        assert_eq!(sentence(&error), format!("no settings: {said}"));
    }
}
