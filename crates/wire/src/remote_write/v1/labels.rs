//! Labels of a series: field 1 of `TimeSeries` and `Exemplar`, a message of name (1) and value (2).

use metricstor_model::LabelsFault;

use crate::protobuf::{Fields, Value};

/// No setting lets a series have more; each takes sixteen times what it may take in the message.
const LABELS_MAX: usize = 1 << 16;

/// See [`metricstor_model::DecodeLabels`]; other fields in the run are skipped.
pub(in super::super) fn decode<'a>(
    run: &'a [u8],
    pairs: &mut Vec<(&'a str, &'a str)>,
) -> Result<(), LabelsFault> {
    let mut fields = Fields::new(run, 0);
    while let Some((number, value)) = fields.next().map_err(malformed)? {
        if let (1, Value::Bytes(bytes, _)) = (number, value) {
            if pairs.len() == LABELS_MAX {
                return Err(LabelsFault::TooMany { count: LABELS_MAX + 1, limit: LABELS_MAX });
            }
            pairs.push(label(bytes)?);
        }
    }
    Ok(())
}

/// The value of `__name__`; empty when there is none.
pub(in super::super) fn metric_name(run: &[u8]) -> &[u8] {
    let mut fields = Fields::new(run, 0);
    while let Ok(Some((_, value))) = fields.next() {
        let Value::Bytes(label, _) = value else { continue };
        let mut texts = Fields::new(label, 0);
        let is_name = matches!(texts.next(), Ok(Some((1, Value::Bytes(b"__name__", _)))));
        if is_name && let Ok(Some((2, Value::Bytes(value, _)))) = texts.next() {
            return value;
        }
    }
    b""
}

fn label(bytes: &[u8]) -> Result<(&str, &str), LabelsFault> {
    let (mut name, mut value) = ("", "");
    let mut fields = Fields::new(bytes, 0);
    while let Some((number, field)) = fields.next().map_err(malformed)? {
        match (number, field) {
            (1, Value::Bytes(bytes, _)) => name = text(bytes)?,
            (2, Value::Bytes(bytes, _)) => value = text(bytes)?,
            (1 | 2, _) => return Err(LabelsFault::Malformed),
            _ => {}
        }
    }
    Ok((name, value))
}

fn text(bytes: &[u8]) -> Result<&str, LabelsFault> {
    std::str::from_utf8(bytes).map_err(|_| LabelsFault::NotUtf8)
}

fn malformed(_: crate::DecodeError) -> LabelsFault {
    LabelsFault::Malformed
}
