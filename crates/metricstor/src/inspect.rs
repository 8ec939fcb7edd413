//! `metricstor inspect`: what a chunk file is, and whether it is what was written.

use std::ops::ControlFlow;

use anyhow::bail;
use metricstor_http::format_time;
use metricstor_storage::chunk_file::{ChunkFile, Description};
use metricstor_storage::files::Disk;

use crate::cli::InspectArgs;

/// Damaged places listed before it is enough.
const DAMAGES_MAX: usize = 100;

/// Describes the file, then reads and decodes all of it; fails if anything is damaged.
pub fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let file = ChunkFile::open(&Disk, &args.file)?;
    describe(&file.describe());
    if args.series {
        file.for_each_series(|series, labels| {
            println!("{series:>10}  {labels}");
            ControlFlow::Continue(())
        })?;
    }
    let damages = file.verify(DAMAGES_MAX)?;
    for damage in &damages {
        let series = damage.series.map_or(String::new(), |series| format!(", series {series}"));
        println!("damaged     at byte {}{series}: {}", damage.offset, damage.what);
    }
    if !damages.is_empty() {
        bail!("{} is damaged in {} places", args.file.display(), damages.len());
    }
    println!("verified    every checksum, every sample decoded");
    Ok(())
}

fn describe(file: &Description) {
    let per_sample = file.size as f64 / file.samples.max(1) as f64;
    println!("series      {} in {} chunks", file.series, file.chunks);
    println!("samples     {} at {per_sample:.3} bytes", file.samples);
    println!("exemplars   {}", file.exemplars);
    println!("from        {}", format_time(file.range.start));
    println!("to          {}", format_time(file.range.end));
    println!("bytes       {}", file.size);
    println!(
        "  values    {}",
        file.body_size.saturating_sub(file.timestamps_size + file.labels_size)
    );
    println!("  times     {}", file.timestamps_size);
    println!("  labels    {}", file.labels_size);
    println!("  directory {}", file.directory_size);
    println!("  tables    {}", file.tables_size);
}
