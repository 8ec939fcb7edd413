//! `metricstor query`: asks a running server, shows the answer as table, JSON, CSV or graph, or how
//! it was worked out.

mod csv;
mod explain;
mod graph;
mod result;
mod table;

use std::io::{self, IsTerminal, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use metricstor_http::{format_time, parse_duration, parse_time};
use serde::de::IgnoredAny;

use self::result::Series;
use crate::cli::{Output, QueryArgs};
use crate::client::Client;

/// Steps of a range when none is asked for: about one per column of a wide terminal.
const STEPS: i64 = 120;

pub fn query(args: &QueryArgs) -> anyhow::Result<()> {
    let client = Client::of(&args.server)?;
    let (path, fields) = request(args, now_ms())?;
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let answer = client.post(path, &fields)?;
    let mut out = io::stdout().lock();
    let colored = out.is_terminal();
    if args.output == Output::Json && answer.status == 200 {
        // Without TLS nothing else tells an answer from the beginning of one.
        serde_json::from_slice::<IgnoredAny>(&answer.body).context("the answer is cut off")?;
        out.write_all(&answer.body)?;
        writeln!(out)?;
        return Ok(());
    }
    let result = result::parse(answer.status, &answer.body)?;
    for note in &result.notes {
        complain!("{note}");
    }
    match &result.explanation {
        Some(explanation) => explain::write(&mut out, explanation)?,
        None if args.explain => bail!("the server does not explain queries"),
        None => show(&mut out, args.output, &result.series, colored)?,
    }
    Ok(())
}

fn show(
    out: &mut impl Write,
    output: Output,
    series: &[Series],
    colored: bool,
) -> anyhow::Result<()> {
    match output {
        Output::Csv => csv::write(out, series)?,
        Output::Graph => graph::write(out, series, colored)?,
        Output::Table | Output::Json => table::write(out, series)?,
    }
    Ok(())
}

/// Path and form: a range if any of start, end and step is given, or a graph is wanted.
fn request(
    args: &QueryArgs,
    now: i64,
) -> anyhow::Result<(&'static str, Vec<(&'static str, String)>)> {
    let mut fields = vec![("query", args.expr.clone())];
    if args.explain {
        fields.push(("explain", "1".to_owned()));
    }
    let is_range = args.start.is_some()
        || args.end.is_some()
        || args.step.is_some()
        || args.output == Output::Graph;
    if !is_range {
        if let Some(time) = &args.time {
            fields.push(("time", seconds(point(time, now)?)));
        }
        return Ok(("/api/v1/query", fields));
    }
    if args.time.is_some() {
        bail!(
            "--time asks for one point and --start, --end, --step and graphs for a range: choose"
        );
    }
    let end = args.end.as_deref().map_or(Ok(now), |text| point(text, now))?;
    let start = args.start.as_deref().map_or(Ok(end - 3_600_000), |text| point(text, now))?;
    let step = match &args.step {
        Some(text) => text.clone(),
        None => seconds(((end - start) / STEPS).max(1_000)),
    };
    fields.extend([("start", seconds(start)), ("end", seconds(end)), ("step", step)]);
    Ok(("/api/v1/query_range", fields))
}

/// A time, or a duration before now.
fn point(text: &str, now: i64) -> anyhow::Result<i64> {
    let ago = text.strip_prefix('-').and_then(parse_duration).map(|ms| now - ms);
    ago.or_else(|| parse_time(text)).with_context(|| {
        format!("{text:?} is no time; write Unix seconds, 2025-01-31T12:00:00Z, or -1h")
    })
}

fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A timestamp in seconds, for people.
fn clock(timestamp: f64) -> String {
    format_time((timestamp * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests;
