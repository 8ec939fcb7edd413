//! Checks that start nothing.

use crate::cli::CheckConfigArgs;
use crate::config::{Settings, from_file};

/// Succeeds if `serve --config FILE` would find its settings usable.
pub fn config(args: &CheckConfigArgs) -> anyhow::Result<()> {
    let file = from_file(Some(&args.file), std::env::vars())?;
    Settings::try_from(&file)?;
    if args.print {
        print!("{}", file.to_yaml());
    } else {
        println!("{} is valid", args.file.display());
    }
    Ok(())
}
