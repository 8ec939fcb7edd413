//! Answers as aligned columns.

use std::io::{self, Write};

use super::clock;
use super::result::Series;

/// One point a series: name and value. More: a block per series with a line per point.
pub fn write(out: &mut impl Write, series: &[Series]) -> io::Result<()> {
    if series.is_empty() {
        return writeln!(out, "(no series)");
    }
    if series.iter().all(|one| one.points.len() == 1) {
        let width = series.iter().map(|one| one.name.chars().count()).max().unwrap_or(0);
        for one in series {
            let value = one.points.first().map_or("", |(_, value)| value);
            writeln!(out, "{:width$}  {value}", one.name)?;
        }
        return Ok(());
    }
    for one in series {
        writeln!(out, "{}", one.name)?;
        for (time, value) in &one.points {
            writeln!(out, "  {}  {value}", clock(*time))?;
        }
    }
    Ok(())
}
