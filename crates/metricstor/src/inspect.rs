//! `metricstor inspect`: what a chunk file is, and whether it is what was written.

use std::io;
use std::ops::ControlFlow;

use anyhow::{Context, bail};
use metricstor_http::format_time;
use metricstor_storage::chunk_file::{ChunkFile, Description};
use metricstor_storage::files::Disk;

use crate::cli::InspectArgs;

/// Damaged places listed before it is enough.
const DAMAGES_MAX: usize = 100;

/// Describes the file, then reads and decodes all of it; fails if anything is damaged.
pub fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let opened = ChunkFile::open(&Disk, &args.file);
    let file = if args.file.extension().is_some_and(|extension| extension == "mc") {
        opened?
    } else {
        let path = args.file.display();
        opened.with_context(|| {
            format!("{path} cannot be read as a chunk file, and is not named as one (….mc)")
        })?
    };
    describe(&file.describe())?;
    if args.series {
        let mut shown = Ok(());
        file.for_each_series(|series, labels| {
            shown = say!("{series:>10}  {labels}");
            if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        shown?;
    }
    let damages = file.verify(DAMAGES_MAX)?;
    for damage in &damages {
        let series = damage.series.map(|series| format!("series {series}"));
        // Most damages name it themselves.
        let series = series.filter(|series| !damage.what.contains(series));
        let series = series.map_or(String::new(), |series| format!(", {series}"));
        say!("damaged     at byte {}{series}: {}", damage.offset, damage.what)?;
    }
    if !damages.is_empty() {
        bail!("{} is damaged, places found: {}", args.file.display(), damages.len());
    }
    say!("verified    every checksum, every sample decoded")?;
    Ok(())
}

fn describe(file: &Description) -> io::Result<()> {
    let per_sample = file.size as f64 / file.samples.max(1) as f64;
    say!("series      {} in {} chunks", file.series, file.chunks)?;
    say!("samples     {} at {per_sample:.3} bytes", file.samples)?;
    say!("exemplars   {}", file.exemplars)?;
    say!("from        {}", format_time(file.range.start))?;
    say!("to          {}", format_time(file.range.end))?;
    say!("bytes       {}", file.size)?;
    say!("  values    {}", file.body_size.saturating_sub(file.timestamps_size + file.labels_size))?;
    say!("  times     {}", file.timestamps_size)?;
    say!("  labels    {}", file.labels_size)?;
    say!("  directory {}", file.directory_size)?;
    say!("  tables    {}", file.tables_size)
}
