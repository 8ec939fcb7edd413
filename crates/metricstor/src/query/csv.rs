//! Answers as CSV (RFC 4180): one line per point.

use std::io::{self, Write};

use super::result::Series;

pub fn write(out: &mut impl Write, series: &[Series]) -> io::Result<()> {
    writeln!(out, "series,timestamp,value")?;
    for one in series {
        let name = quoted(&one.name);
        for (time, value) in &one.points {
            writeln!(out, "{name},{time},{}", quoted(value))?;
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
