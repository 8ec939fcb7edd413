//! `/federate`: the last sample of every selected series, for another Prometheus to scrape.

mod format;
mod names;
mod protobuf;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use metricstor_model::{
    CounterResetHint, FloatHistogram, Labels, METRIC_NAME, Matcher, Samples, TimeRange, is_stale,
};
use metricstor_wire::exposition::Kind;

use self::format::Format;
use super::run::{Ask, Reading, run};
use super::selector::selectors;
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::param::Form;

pub async fn federate(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let format = Format::accepted(request.headers());
    let ask = Ask { content_type: format.content_type(), ..Ask::json(&app, &request) };
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    run(&app, &caller, ask, move |reading, sink| {
        let last = last_samples(reading, &selectors(reading.app, &form)?)?;
        match format {
            Format::Text { utf8 } => text::write(sink, &last, utf8),
            Format::Protobuf { utf8 } => protobuf::write(sink, &last, utf8),
        }
    })
    .await
}

/// Metric, what its family is, labels: what belongs to one family stands together.
type Key = (String, Kind, Labels);
type LastSamples = BTreeMap<Key, Last>;

/// What an entry of [`LastSamples`] takes besides its texts and buckets, about.
const ENTRY_SIZE: usize = 2 * size_of::<(Key, Last)>();

struct Last {
    /// Milliseconds since the Unix epoch.
    timestamp: i64,
    value: Value,
}

enum Value {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Value {
    /// The sample at a position; `None` for a staleness marker, which scrapers make themselves.
    fn at(samples: &Samples, at: usize) -> Option<Self> {
        let histogram = samples.histograms.last().filter(|(position, _)| *position == at);
        let (number, value) = match histogram {
            Some((_, histogram)) => (histogram.sum, Self::Histogram(Arc::clone(histogram))),
            None => (samples.values[at], Self::Float(samples.values[at])),
        };
        (!is_stale(number)).then_some(value)
    }

    /// Bytes of memory beyond its own.
    fn size(&self) -> usize {
        match self {
            Self::Float(_) => 0,
            Self::Histogram(h) => {
                let spans = h.positive_spans.len() + h.negative_spans.len();
                let counts = h.positive_buckets.len() + h.negative_buckets.len();
                size_of::<FloatHistogram>() + 8 * (spans + counts + h.custom_values.len())
            }
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Float(_) => Kind::Untyped,
            Self::Histogram(h) if h.counter_reset_hint == CounterResetHint::Gauge => {
                Kind::GaugeHistogram
            }
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

fn last_samples(
    reading: &Reading<'_>,
    selectors: &[Vec<Matcher>],
) -> Result<LastSamples, ApiError> {
    let now = reading.app.now();
    let range =
        TimeRange::new(now.saturating_sub(reading.app.engine.options().lookback_ms) + 1, now);
    let mut last = BTreeMap::new();
    let (mut samples, mut memory) = (Samples::default(), reading.memory());
    let mut read = reading.memory();
    for matchers in selectors {
        let set = reading.view.select(matchers)?;
        for i in 0..set.len() {
            reading.check()?;
            read.read(&*set, i, range, &mut samples)?;
            let Some(at) = samples.len().checked_sub(1) else { continue };
            let Some(value) = Value::at(&samples, at) else { continue };
            let labels = set.labels(i);
            let key = (labels.metric_name().to_owned(), value.kind(), labels);
            memory.grow(key.0.len() + key.2.size() + value.size() + ENTRY_SIZE)?;
            last.insert(key, Last { timestamp: samples.timestamps[at], value });
        }
    }
    Ok(last)
}

/// All labels but the name. A series without an instance gets an empty one, so that the scraper does not
/// put its own in that place.
fn labels_of(labels: &Labels) -> impl Iterator<Item = (&str, &str)> {
    let no_instance = labels.get("instance").is_none().then_some(("instance", ""));
    labels.iter().filter(|(name, _)| *name != METRIC_NAME).chain(no_instance)
}
