//! A test file as a list of commands.

use crate::expect::{Expectations, parse_expectations};
use crate::number::parse_duration;
use crate::series::{Series, StartOffsets, parse_series, parse_start_timestamps};

pub enum Command {
    Clear,
    Load(Load),
    Eval(Box<Case>),
}

pub struct Load {
    /// Milliseconds between two points.
    pub interval: i64,
    pub with_nhcb: bool,
    pub series: Vec<LoadedSeries>,
}

pub struct LoadedSeries {
    pub series: Series,
    /// One per point, relative to its timestamp (milliseconds); empty if none were given.
    pub start_offsets: StartOffsets,
}

pub struct Case {
    /// When and what, as written: `instant at 5m up`.
    pub title: String,
    pub query: String,
    pub time: CaseTime,
    pub expect: Expectations,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy)]
pub enum CaseTime {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// The commands with their line numbers; a command that makes no sense is an error of its own.
pub fn parse(text: &str) -> Vec<(usize, Result<Command, String>)> {
    let lines: Vec<&str> = text
        .split('\n')
        .map(|line| line.trim_matches([' ', '\t', '\r']))
        .map(|line| if line.starts_with('#') { "" } else { line })
        .collect();
    let mut commands = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let number = at + 1;
        let line = lines[at];
        at += 1;
        if line.is_empty() {
            continue;
        }
        let word = line.split([' ', '\t']).next().unwrap_or_default().to_lowercase();
        let body = lines[at..].split(|line| line.is_empty()).next().unwrap_or_default();
        let command = if word == "clear" {
            Ok(Command::Clear)
        } else if word.starts_with("load") {
            at += body.len();
            parse_load(line, body).map(Command::Load)
        } else if word.starts_with("eval") {
            parse_eval(line, body).map(|(case, used)| {
                at += used;
                Command::Eval(Box::new(case))
            })
        } else {
            Err(format!("unknown command {line:?}"))
        };
        if command.is_err() {
            at = (number..lines.len()).find(|i| lines[*i].is_empty()).unwrap_or(lines.len());
        }
        commands.push((number, command));
    }
    commands
}

fn parse_load(line: &str, body: &[&str]) -> Result<Load, String> {
    let (word, interval) = line.split_once([' ', '\t']).ok_or("load without interval")?;
    let with_nhcb = match word {
        "load" => false,
        "load_with_nhcb" => true,
        _ => return Err(format!("unknown command {word:?}")),
    };
    let interval = parse_duration(interval.trim())?;
    let mut series: Vec<LoadedSeries> = Vec::new();
    let mut starts = None;
    for line in body {
        if let Some(parsed) = parse_start_timestamps(line) {
            starts = Some(parsed?);
            continue;
        }
        let parsed = parse_series(line)?;
        let start_offsets = match starts.take() {
            Some((labels, offsets)) => {
                if labels != parsed.labels || offsets.len() != parsed.points.len() {
                    return Err(format!("start timestamps do not fit {line:?}"));
                }
                offsets
            }
            None => Vec::new(),
        };
        series.retain(|other| other.series.labels != parsed.labels);
        series.push(LoadedSeries { series: parsed, start_offsets });
    }
    Ok(Load { interval, with_nhcb, series })
}

/// The case and how many lines of `body` belong to it.
fn parse_eval(line: &str, body: &[&str]) -> Result<(Case, usize), String> {
    let title = line.split_once([' ', '\t']).map_or("", |(_, title)| title).to_owned();
    let mut rest = line;
    let mut word = || take_word(&mut rest).ok_or_else(|| format!("incomplete command {line:?}"));
    let mode = word()?.strip_prefix("eval").unwrap_or_default().trim_start_matches('_');
    let kind = word()?;
    let mut time_after = |keyword: &str| {
        if word()? == keyword { parse_duration(word()?) } else { Err(format!("no {keyword:?}")) }
    };
    let time = match kind {
        "instant" => CaseTime::Instant(time_after("at")?),
        "range" => {
            let (start, end) = (time_after("from")?, time_after("to")?);
            CaseTime::Range { start, end, step: time_after("step")? }
        }
        _ => return Err(format!("neither instant nor range: {line:?}")),
    };
    let (expect, used) = parse_expectations(mode, body)?;
    Ok((Case { title, query: rest.to_owned(), time, expect }, used))
}

fn take_word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let end = rest.find([' ', '\t'])?;
    let (word, after) = rest.split_at(end);
    *rest = after.trim_start_matches([' ', '\t']);
    Some(word)
}
