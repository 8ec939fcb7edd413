//! What an explained query says of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metricstor_promql::{
    Engine, EngineOptions, Explanation, Interrupt, QueryOptions, QueryTime, Stopwatch,
};

use crate::store::Made;

/// A clock of the test's own: every look at it is a microsecond later.
fn ticking() -> Duration {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    Duration::from_micros(TICKS.fetch_add(1, Ordering::Relaxed))
}

fn explained(text: &str, threads: usize, explain: Option<Stopwatch>) -> Option<Explanation> {
    let engine = Engine::new(EngineOptions { threads, ..EngineOptions::default() }).unwrap();
    let time = QueryTime::Range { start: 600_000, end: 1_200_000, step: 60_000 };
    let options = QueryOptions { explain, ..QueryOptions::default() };
    let source = Made { series: 200, samples: 100 };
    let answer = engine.query_with(&source, text, time, &options, &Interrupt::new()).unwrap();
    answer.explanation
}

/// Operation, series and samples of every node, operands after their operation.
fn outline(one: &Explanation, depth: usize, out: &mut Vec<String>) {
    let Explanation { operation, series, samples, .. } = one;
    let marks = [(one.streamed, " streamed"), (one.once, " once")];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    out.push(format!("{}{operation} {series} {samples}{marks}", " ".repeat(depth)));
    one.operands.iter().for_each(|operand| outline(operand, depth + 1, out));
}

fn check(text: &str, expected: &[&str]) {
    for threads in [1, 4] {
        let explanation = explained(text, threads, Some(ticking)).expect("asked for");
        let mut lines = Vec::new();
        outline(&explanation, 0, &mut lines);
        assert_eq!(lines, expected, "{text}");
    }
}

#[test]
fn every_operation_tells_its_series_and_samples() {
    // Samples of eleven windows of five minutes, one a minute: 60 intervals of 15 s, open on the left.
    check(
        r#"sum by (half) (rate(x{i=~"1."}[5m]) * 2) / scalar(x{i="7"})"#,
        &[
            "/ 1 11",
            " sum by (half) 1 11",
            "  * 10 110 streamed",
            "   rate 10 110 streamed",
            "    range selector 10 600 streamed",
            "   number 1 1",
            " scalar 1 11",
            "  selector 1 60",
        ],
    );
}

#[test]
fn what_is_the_same_at_every_step_is_worked_out_once() {
    check(
        "x{i='3'} > scalar(count(x @ 900)) + 5",
        &[
            "> 1 8",
            " selector 1 60 streamed",
            " + 1 1 once",
            "  scalar 1 1",
            "   count 1 1",
            "    selector 200 4000 streamed",
            "  number 1 1",
        ],
    );
}

#[test]
fn the_parts_of_the_text_and_the_times_belong_to_their_operations() {
    let explanation = explained("topk(2, rate(x[5m]))", 2, Some(ticking)).expect("asked for");
    assert_eq!(explanation.expression, "topk(2, rate(x[5m]))");
    let rate = &explanation.operands[1];
    assert_eq!((rate.operation.as_str(), rate.expression.as_str()), ("rate", "rate(x[5m])"));
    assert_eq!(rate.operands[0].expression, "x[5m]");
    assert!(rate.time >= rate.operands[0].time && !rate.operands[0].time.is_zero());
    assert!(explanation.time > Duration::ZERO && rate.operands[0].bytes > 0);
}

#[test]
fn nothing_is_explained_unless_asked_for() {
    assert_eq!(explained("rate(x[5m])", 1, None), None);
}
