//! Checks that start nothing.

use std::io::{self, Write};

use crate::cli::CheckConfigArgs;
use crate::config::{Settings, from_file};

/// Succeeds if `serve --config FILE` would find its settings usable.
pub fn config(args: &CheckConfigArgs) -> anyhow::Result<()> {
    let file = from_file(Some(&args.file), std::env::vars_os())?;
    let settings = Settings::try_from(&file)?;
    if args.print {
        io::stdout().write_all(settings.in_effect(&file).to_yaml().as_bytes())?;
    } else {
        say!("{} is valid", args.file.display())?;
    }
    Ok(())
}

/// Prints the expression as it was understood, or points at what is wrong.
pub fn promql(text: &str) -> anyhow::Result<()> {
    match metricstor_promql::parse(text) {
        Ok(expr) => {
            say!("{}", metricstor_promql::pretty(&expr))?;
            Ok(())
        }
        Err(error) => {
            if let Some(line) = text.lines().nth(error.place.line.saturating_sub(1)) {
                let before = line.get(..error.place.column.saturating_sub(1)).unwrap_or(line);
                complain!("{line}\n{}^", " ".repeat(before.chars().count()));
            }
            Err(error.into())
        }
    }
}
