//! What is said about results when names are removed by each operation, as the server does it: the
//! scripts of `promqltest` assume that they are removed at the end.

use metricstor_promql::{Engine, EngineOptions, Interrupt, QueryTime};

use crate::store::{INTERVAL, Made};

fn warnings(text: &str, delayed_name_removal: bool) -> Vec<String> {
    let options = EngineOptions { delayed_name_removal, ..EngineOptions::default() };
    let (source, time) = (Made { series: 1, samples: 9 }, QueryTime::Instant(8 * INTERVAL));
    let engine = Engine::new(options).unwrap();
    engine.query(&source, text, time, &Interrupt::new()).unwrap().warnings
}

#[test]
fn histograms_are_named_only_if_they_keep_their_names() {
    let text = "histogram_quantile(0.5, x)";
    let place = "(1:25)";
    let warning = "PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\"";
    assert_eq!(warnings(text, false), [format!("{warning} {place}")]);
    assert_eq!(warnings(text, true), [format!("{warning} for metric name \"x\" {place}")]);
}
