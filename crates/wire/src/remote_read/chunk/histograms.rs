//! Encoding 3: native histograms with float counts, all of one layout, which is written once.

use metricstor_model::{CounterResetHint, FloatHistogram, Span};

use super::bits::{Bits, Changing};

/// Encodes at least one histogram, fewer than 2¹⁶, each of which [`continues`] the one before.
pub(super) fn encode<'a>(
    samples: impl ExactSizeIterator<Item = (i64, &'a FloatHistogram)>,
) -> Vec<u8> {
    let mut header = (samples.len() as u16).to_be_bytes().to_vec();
    header.push(0);
    let mut bits = Bits::after(header);
    let mut columns: Vec<Changing> = Vec::new();
    let (mut before, mut delta_before) = (0i64, 0);
    for (i, (timestamp, histogram)) in samples.enumerate() {
        let delta = if i == 0 { 0 } else { timestamp.wrapping_sub(before) };
        if i == 0 {
            bits.bytes[2] = header_of(histogram.counter_reset_hint);
            push_layout(histogram, &mut bits);
            bits.signed(timestamp);
        } else {
            bits.signed(delta.wrapping_sub(delta_before));
        }
        push_counts(histogram, &mut columns, &mut bits);
        (before, delta_before) = (timestamp, delta);
    }
    bits.bytes
}

/// May `next` follow `previous` in one chunk, so that its reader knows what was stored about counter
/// resets: that there was none between the two, or that they are gauges?
pub(super) fn continues(previous: &FloatHistogram, next: &FloatHistogram) -> bool {
    use CounterResetHint::{Gauge, NotReset};
    let hints = (previous.counter_reset_hint, next.counter_reset_hint);
    let same_descent = match hints {
        (Gauge, hint) => hint == Gauge,
        (_, hint) => hint == NotReset,
    };
    same_descent && (next.is_stale() || !previous.is_stale() && same_layout(previous, next))
}

fn same_layout(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold == b.zero_threshold
        && a.custom_values == b.custom_values
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
}

fn header_of(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::NotReset => 0b0100_0000,
        CounterResetHint::Reset => 0b1000_0000,
        CounterResetHint::Gauge => 0b1100_0000,
    }
}

fn push_layout(histogram: &FloatHistogram, bits: &mut Bits) {
    if histogram.is_stale() {
        // A marker has no buckets, whatever it was stored with.
        return push_layout_of(&FloatHistogram::default(), bits);
    }
    push_layout_of(histogram, bits);
}

fn push_layout_of(histogram: &FloatHistogram, bits: &mut Bits) {
    push_zero_threshold(histogram.zero_threshold, bits);
    bits.signed(i64::from(histogram.schema));
    push_spans(&histogram.positive_spans, bits);
    push_spans(&histogram.negative_spans, bits);
    if histogram.uses_custom_buckets() {
        bits.unsigned(histogram.custom_values.len() as u64);
        histogram.custom_values.iter().for_each(|bound| push_bound(*bound, bits));
    }
}

/// Powers of two from 2⁻²⁴³ to 2¹⁰ take a byte, others nine.
fn push_zero_threshold(threshold: f64, bits: &mut Bits) {
    const MANTISSA: u64 = (1 << 52) - 1;
    if threshold == 0.0 {
        return bits.push(0, 8);
    }
    let pattern = threshold.to_bits();
    // The exponent of a fraction between a half and one, as it is counted here.
    let exponent = (pattern >> 52) as i64 - 1022;
    if pattern & MANTISSA == 0 && (-242..=11).contains(&exponent) {
        bits.push((exponent + 243) as u64, 8);
    } else {
        bits.push(255, 8);
        bits.push(pattern, 64);
    }
}

fn push_spans(spans: &[Span], bits: &mut Bits) {
    bits.unsigned(spans.len() as u64);
    for span in spans {
        bits.unsigned(u64::from(span.length));
        bits.signed(i64::from(span.offset));
    }
}

/// Thousandths up to 33554.430 are written as whole numbers from 1 on.
fn push_bound(bound: f64, bits: &mut Bits) {
    let thousandths = (bound * 1000.0).round();
    if (0.0..=33_554_430.0).contains(&(bound * 1000.0)) && thousandths / 1000.0 == bound {
        bits.unsigned(thousandths as u64 + 1);
    } else {
        bits.bit(false);
        bits.push(bound.to_bits(), 64);
    }
}

/// Count, zero bucket, sum, then the buckets; a marker of a series' end has the first three only.
fn push_counts(histogram: &FloatHistogram, columns: &mut Vec<Changing>, bits: &mut Bits) {
    let stale = histogram.is_stale();
    let counted = |count: f64| if stale { 0.0 } else { count };
    let head = [counted(histogram.count), counted(histogram.zero_count), histogram.sum];
    let buckets = histogram.positive_buckets.iter().chain(&histogram.negative_buckets).copied();
    let values = head.into_iter().chain(buckets.filter(|_| !stale));
    if columns.is_empty() {
        for value in values {
            bits.push(value.to_bits(), 64);
            columns.push(Changing::first(value));
        }
    } else {
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value, bits));
    }
}
