//! The last samples as families in protobuf, which has a form for every one of them.

use std::borrow::Cow;

use metricstor_wire::exposition::Family;

use super::names::underscored;
use super::{Key, Last, LastSamples, Value, labels_of};
use crate::error::ApiError;
use crate::reply::Sink;

pub fn write(sink: &mut Sink, last: &LastSamples, utf8: bool) -> Result<(), ApiError> {
    let mut rows = last.iter().peekable();
    while let Some(((metric, kind, _), _)) = rows.peek().copied() {
        let mut family = Family::new(&known(metric, true, utf8), *kind);
        let of_family = |row: &(&Key, &Last)| (&row.0.0, row.0.1) == (metric, *kind);
        while let Some(((_, _, labels), Last { timestamp, value })) = rows.next_if(of_family) {
            let labels: Vec<_> =
                labels_of(labels).map(|(name, value)| (known(name, false, utf8), value)).collect();
            let labels = labels.iter().map(|(name, value)| (&**name, *value));
            match value {
                Value::Float(value) => family.push_number(labels, *timestamp, *value),
                Value::Histogram(h) => family.push_histogram(labels, *timestamp, h),
            }
        }
        family.finish(sink.out());
        sink.checkpoint()?;
    }
    Ok(())
}

fn known(name: &str, is_metric: bool, utf8: bool) -> Cow<'_, str> {
    if utf8 { Cow::Borrowed(name) } else { underscored(name, is_metric) }
}
