//! Answers drawn with braille dots: two columns and four rows of dots a character.

use std::io::{self, Write};

use super::clock;
use super::result::Series;

/// Characters.
const WIDTH: usize = 72;
const HEIGHT: usize = 16;
/// Series drawn together; more become unreadable.
const SERIES_MAX: usize = 6;
const COLORS: [&str; SERIES_MAX] = ["32", "33", "36", "35", "31", "34"];

/// What the drawing spans.
#[derive(Debug, Clone, Copy)]
struct Frame {
    start: f64,
    end: f64,
    low: f64,
    high: f64,
}

/// `colored` is for terminals; without, the series are told apart by their shape alone.
pub fn write(out: &mut impl Write, series: &[Series], colored: bool) -> io::Result<()> {
    let paint = |color: usize, text: &str| {
        if colored { format!("\x1b[{}m{text}\x1b[0m", COLORS[color]) } else { text.to_owned() }
    };
    let drawn: Vec<(&str, Vec<(f64, f64)>)> = series
        .iter()
        .take(SERIES_MAX)
        .map(|one| (one.name.as_str(), finite(&one.points)))
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let Some(frame) = Frame::around(drawn.iter().flat_map(|(_, points)| points)) else {
        return writeln!(out, "(nothing to draw)");
    };
    let mut canvas = vec![[Cell::default(); WIDTH]; HEIGHT];
    for (color, (_, points)) in drawn.iter().enumerate() {
        for pair in points.windows(2) {
            line(&mut canvas, frame.dot(pair[0]), frame.dot(pair[1]), color);
        }
        for point in points {
            set(&mut canvas, frame.dot(*point), color);
        }
    }
    for (row, cells) in canvas.iter().enumerate() {
        let label = frame.value_at(row).map_or(String::new(), |value| frame.label(value));
        write!(out, "{label:>10} │")?;
        for run in cells.chunk_by(|a, b| a.color == b.color) {
            let text: String = run.iter().map(|cell| cell.symbol()).collect();
            write!(out, "{}", paint(run[0].color, &text))?;
        }
        writeln!(out)?;
    }
    let (start, end) = (clock(frame.start), clock(frame.end));
    writeln!(out, "{:>10} └{}", "", "─".repeat(WIDTH))?;
    writeln!(out, "{:>12}{start}{end:>width$}", "", width = WIDTH.saturating_sub(start.len()))?;
    for (color, (name, _)) in drawn.iter().enumerate() {
        writeln!(out, "{} {name}", paint(color, "━━"))?;
    }
    if series.len() > SERIES_MAX {
        writeln!(out, "and {} more series", series.len() - SERIES_MAX)?;
    }
    Ok(())
}

fn finite(points: &[(f64, String)]) -> Vec<(f64, f64)> {
    let numbers = points.iter().filter_map(|(time, value)| Some((*time, value.parse().ok()?)));
    numbers.filter(|(_, value): &(f64, f64)| value.is_finite()).collect()
}

impl Frame {
    fn around<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> Option<Self> {
        let nothing = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut times, mut values) = (nothing, nothing);
        for (time, value) in points {
            times = (times.0.min(*time), times.1.max(*time));
            values = (values.0.min(*value), values.1.max(*value));
        }
        let (start, end) = times;
        let (low, high) = values;
        (start <= end).then_some(Self { start, end, low, high })
    }

    /// What stands beside a row: at the middle alone where all values are the same.
    fn value_at(&self, row: usize) -> Option<f64> {
        let middle = self.low / 2.0 + self.high / 2.0;
        match row {
            _ if row == HEIGHT / 2 => Some(middle),
            0 if self.high > self.low => Some(self.high),
            _ if row == HEIGHT - 1 && self.high > self.low => Some(self.low),
            _ => None,
        }
    }

    /// In at most ten characters, if they can tell the values apart.
    fn label(&self, value: f64) -> String {
        let apart = (2.0 - (self.high - self.low).log10().floor()).clamp(0.0, 17.0) as usize;
        let decimals = if self.high > self.low { apart } else { 4 };
        let texts = [value.to_string(), format!("{value:.decimals$}")];
        texts.into_iter().find(|text| text.len() <= 10).unwrap_or(format!("{value:.3e}"))
    }

    /// The dot of a point, from the upper left.
    fn dot(&self, (time, value): (f64, f64)) -> (usize, usize) {
        let share = |x: f64, low: f64, high: f64| {
            if high > low { ((x - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
        };
        let x = share(time, self.start, self.end) * (2 * WIDTH - 1) as f64;
        let y = (1.0 - share(value, self.low, self.high)) * (4 * HEIGHT - 1) as f64;
        (x.round() as usize, y.round() as usize)
    }
}

/// Eight dots and the series that set one last.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    dots: u8,
    color: usize,
}

impl Cell {
    fn symbol(self) -> char {
        match self.dots {
            0 => ' ',
            dots => char::from_u32(0x2800 + u32::from(dots)).unwrap_or('?'),
        }
    }
}

fn set(canvas: &mut [[Cell; WIDTH]], (x, y): (usize, usize), color: usize) {
    /// Unicode numbers the dots by column, the lowest row apart.
    const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    let cell = &mut canvas[y / 4][x / 2];
    cell.dots |= BITS[x % 2][y % 4];
    cell.color = color;
}

fn line(
    canvas: &mut [[Cell; WIDTH]],
    (x0, y0): (usize, usize),
    (x1, y1): (usize, usize),
    color: usize,
) {
    let steps = x0.abs_diff(x1).max(y0.abs_diff(y1)).max(1);
    let between = |a: usize, b: usize, i: usize| {
        (a as f64 + (b as f64 - a as f64) * i as f64 / steps as f64).round() as usize
    };
    for i in 0..=steps {
        set(canvas, (between(x0, x1, i), between(y0, y1, i)), color);
    }
}
