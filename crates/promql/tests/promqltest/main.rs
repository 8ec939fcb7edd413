//! Runs files in Prometheus' query testing language (`*.test`) against the engine.
//!
//! The project's own cases always run; besides them those of the directory in METRICSTOR_PROMQLTEST,
//! or of ../shared/promqltest/given beside the repository if there is one. Each failing case is
//! printed with file and line; the last line is "N passed, M failed" (of the directory's cases if there
//! is one). The cases under tests/cases/wrong must fail: they keep the comparisons honest.

mod compare;
mod expect;
mod nhcb;
mod number;
mod pin;
mod run;
mod script;
mod series;
mod store;
mod superseded;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use run::Outcome;
use script::Command;

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    superseded: usize,
}

fn main() -> ExitCode {
    // Without libtest's harness its filter has to be honoured here.
    let mut filters = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).peekable();
    if filters.peek().is_some() && !filters.any(|filter| "promqltest".contains(&filter)) {
        return ExitCode::SUCCESS;
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut tally = Tally::default();
    tally.run(&own, |outcome| outcome);
    tally.run(&own.join("wrong"), Outcome::inverted);
    let mut failed = tally.failed;
    if let Some(given) = given() {
        println!("own cases: {tally}");
        tally = Tally::default();
        tally.run(&given, |outcome| outcome);
        failed += tally.failed;
    }
    if tally.superseded > 0 {
        println!("{} hold for an earlier version only", tally.superseded);
    }
    println!("{tally}");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn given() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os("METRICSTOR_PROMQLTEST")
        .map(|path| from_repository(package, Path::new(&path)))
        .or_else(|| Some(package.join("../../../shared/promqltest/given")).filter(|p| p.exists()))
}

/// Tests run in the package's directory, but people name paths from where they are: the repository.
fn from_repository(package: &Path, path: &Path) -> PathBuf {
    let there = package.join("../..").join(path);
    if path.is_relative() && there.exists() { there } else { path.to_owned() }
}

fn test_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory)
        .unwrap_or_else(|e| panic!("cannot read {}: {e}", directory.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    files
}

/// Each case's place (`file:line`) and outcome.
fn run_file(file: &Path) -> Vec<(String, Outcome)> {
    let text = std::fs::read_to_string(file)
        .unwrap_or_else(|e| panic!("cannot read {}: {e}", file.display()));
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let engine = run::engine();
    let mut store = store::Store::default();
    let mut outcomes = Vec::new();
    for (line, command) in script::parse(&text) {
        let outcome = match command {
            Ok(Command::Clear) => {
                store = store::Store::default();
                continue;
            }
            Ok(Command::Load(load)) => match store.load(&load) {
                Ok(()) => continue,
                Err(problem) => Outcome::Failed(format!("cannot load: {problem}")),
            },
            Ok(Command::Eval(case)) => {
                let outcome = run::run(&engine, &store, &case);
                superseded::judge(&name, &case.title, outcome)
            }
            Err(problem) => Outcome::Failed(format!("broken file: {problem}")),
        };
        outcomes.push((format!("{name}:{line}"), outcome));
    }
    outcomes
}

impl Tally {
    fn run(&mut self, directory: &Path, judge: impl Fn(Outcome) -> Outcome) {
        for (place, outcome) in test_files(directory).iter().flat_map(|file| run_file(file)) {
            self.count(&place, judge(outcome));
        }
    }

    fn count(&mut self, place: &str, outcome: Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::Superseded(reason) => {
                println!("{place}: not counted, since {reason}");
                self.superseded += 1;
            }
            Outcome::Failed(difference) => {
                println!("{place}: {difference}");
                self.failed += 1;
            }
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}
