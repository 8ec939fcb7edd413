//! How an answer was worked out: a tree of operations with what each took.

use std::io::{self, Write};

use serde::Deserialize;

/// An operation of the query, its operands below it.
#[derive(Debug, Deserialize)]
pub struct Explanation {
    operation: String,
    expression: String,
    series: u64,
    samples: u64,
    bytes: u64,
    seconds: f64,
    once: bool,
    streamed: bool,
    operands: Vec<Explanation>,
}

/// A row of the table.
struct Row {
    tree: String,
    figures: [String; 4],
    remark: String,
}

const HEADINGS: [&str; 4] = ["series", "samples", "memory", "time"];

/// One line an operation, figures aligned; below a stream its operands' times are those of all
/// threads together.
pub fn write(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    let mut rows = Vec::new();
    push(&mut rows, explanation, "", "");
    let longest = |texts: &mut dyn Iterator<Item = &str>| texts.map(|t| t.chars().count()).max();
    let width = longest(&mut rows.iter().map(|row| row.tree.as_str())).unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(|i| {
        let figures = rows.iter().map(|row| row.figures[i].as_str());
        longest(&mut figures.chain([HEADINGS[i]])).unwrap_or(0)
    });
    let headings = HEADINGS.map(str::to_owned);
    let first = Row { tree: "operation".to_owned(), figures: headings, remark: String::new() };
    for Row { tree, figures, remark } in std::iter::once(&first).chain(&rows) {
        let mut line = format!("{tree:width$}");
        for (figure, width) in figures.iter().zip(widths) {
            line.push_str(&format!("  {figure:>width$}"));
        }
        line.push_str("  ");
        line.push_str(remark);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// `lead` stands before the operation itself, `indent` before what is below it.
fn push(rows: &mut Vec<Row>, one: &Explanation, lead: &str, indent: &str) {
    let literal = matches!(one.operation.as_str(), "number" | "string" | "matchers");
    let figures = match literal {
        true => Default::default(),
        false => {
            [one.series.to_string(), one.samples.to_string(), size(one.bytes), time(one.seconds)]
        }
    };
    let mut remarks = Vec::new();
    if one.operands.is_empty() {
        remarks.push(one.expression.as_str());
    }
    remarks.extend(one.streamed.then_some("(streamed)"));
    remarks.extend(one.once.then_some("(once)"));
    rows.push(Row { tree: format!("{lead}{}", one.operation), figures, remark: remarks.join(" ") });
    for (i, operand) in one.operands.iter().enumerate() {
        let last = i + 1 == one.operands.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        push(rows, operand, &format!("{indent}{branch}"), &format!("{indent}{below}"));
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn time(seconds: f64) -> String {
    if seconds >= 1.0 { format!("{seconds:.2} s") } else { format!("{:.3} ms", seconds * 1e3) }
}
