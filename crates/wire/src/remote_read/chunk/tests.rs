//! Chunks read back by a decoder that shares no code with the encoders.

use std::sync::Arc;

use metricstor_model::{CounterResetHint, FloatHistogram, STALE_NAN, Samples, Span};
use proptest::prelude::*;

use super::{Chunk, Encoding, chunks};

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn bits(&mut self, count: usize) -> u64 {
        (0..count).fold(0, |value, _| {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            value << 1 | u64::from(bit)
        })
    }

    fn double(&mut self) -> f64 {
        f64::from_bits(self.bits(64))
    }

    fn ones(&mut self, max: usize) -> usize {
        (0..max).take_while(|_| self.bits(1) == 1).count()
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.bits(8);
            value |= (byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }

    fn signed_bits(&mut self, count: usize) -> i64 {
        let value = self.bits(count);
        if count < 64 && value > 1 << (count - 1) {
            value as i64 - (1 << count)
        } else {
            value as i64
        }
    }

    fn unsigned(&mut self) -> u64 {
        let width = [0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8)];
        self.bits(width)
    }

    fn signed(&mut self) -> i64 {
        let width = [0, 3, 6, 9, 12, 18, 25, 56, 64][self.ones(8)];
        if width == 0 { 0 } else { self.signed_bits(width) }
    }

    fn change(&mut self, (value, kept): &mut (f64, (usize, usize))) -> f64 {
        if self.bits(1) == 1 {
            if self.bits(1) == 1 {
                let leading = self.bits(5) as usize;
                let significant = match self.bits(6) as usize {
                    0 => 64,
                    n => n,
                };
                *kept = (leading, 64 - leading - significant);
            }
            let change = self.bits(64 - kept.0 - kept.1) << kept.1;
            *value = f64::from_bits(value.to_bits() ^ change);
        }
        *value
    }
}

fn floats(data: &[u8]) -> Vec<(i64, u64)> {
    let count = u16::from_be_bytes([data[0], data[1]]);
    let mut reader = Reader { bytes: &data[2..], at: 0 };
    let (mut out, mut time, mut delta) = (Vec::new(), 0i64, 0i64);
    let mut column = (0.0, (0, 0));
    for i in 0..count {
        match i {
            0 => {
                let n = reader.varint();
                time = (n >> 1) as i64 ^ -((n & 1) as i64);
                column.0 = reader.double();
            }
            1 => delta = reader.varint() as i64,
            _ => match [0, 14, 17, 20, 64][reader.ones(4)] {
                0 => {}
                width => delta = delta.wrapping_add(reader.signed_bits(width)),
            },
        }
        if i > 0 {
            time = time.wrapping_add(delta);
            reader.change(&mut column);
        }
        out.push((time, column.0.to_bits()));
    }
    out
}

fn spans(reader: &mut Reader<'_>) -> Vec<Span> {
    let count = reader.unsigned();
    let span = |_| {
        let length = reader.unsigned() as u32;
        Span { length, offset: reader.signed() as i32 }
    };
    (0..count).map(span).collect()
}

fn layout(reader: &mut Reader<'_>) -> FloatHistogram {
    let zero_threshold = match reader.bits(8) {
        0 => 0.0,
        255 => reader.double(),
        n => 2f64.powi(n as i32 - 244),
    };
    let schema = reader.signed() as i32;
    let (positive_spans, negative_spans) = (spans(reader), spans(reader));
    let mut custom_values = Vec::new();
    if schema == -53 {
        for _ in 0..reader.unsigned() {
            custom_values.push(match reader.unsigned() {
                0 => reader.double(),
                n => (n - 1) as f64 / 1000.0,
            });
        }
    }
    FloatHistogram {
        schema,
        zero_threshold,
        positive_spans,
        negative_spans,
        custom_values,
        ..Default::default()
    }
}

fn histograms(data: &[u8]) -> Vec<(i64, FloatHistogram)> {
    let count = u16::from_be_bytes([data[0], data[1]]);
    let mut reader = Reader { bytes: &data[3..], at: 0 };
    let layout = layout(&mut reader);
    let total = |spans: &[Span]| spans.iter().map(|s| s.length as usize).sum::<usize>();
    let (positive, negative) = (total(&layout.positive_spans), total(&layout.negative_spans));
    let mut columns = vec![(0.0, (0, 0)); 3 + positive + negative];
    let (mut out, mut time, mut delta) = (Vec::new(), 0i64, 0i64);
    for i in 0..count {
        let moved = reader.signed();
        if i == 0 {
            time = moved
        } else {
            delta += moved
        }
        time += delta;
        let mut histogram = layout.clone();
        for at in 0..columns.len() {
            if at == 3 && metricstor_model::is_stale(columns[2].0) {
                histogram = FloatHistogram::default();
                break;
            }
            let column = &mut columns[at];
            if i == 0 { column.0 = reader.double() } else { _ = reader.change(column) }
        }
        (histogram.count, histogram.zero_count) = (columns[0].0, columns[1].0);
        histogram.sum = columns[2].0;
        if !histogram.is_stale() {
            let buckets: Vec<f64> = columns[3..].iter().map(|column| column.0).collect();
            histogram.positive_buckets = buckets[..positive].to_vec();
            histogram.negative_buckets = buckets[positive..].to_vec();
        }
        histogram.counter_reset_hint = match data[2] {
            0xc0 => CounterResetHint::Gauge,
            _ if i > 0 => CounterResetHint::NotReset,
            _ => CounterResetHint::Unknown,
        };
        out.push((time, histogram));
    }
    out
}

fn column(times: &[i64], values: &[u64]) -> Samples {
    let mut samples = Samples::default();
    let mut time = -5_000i64;
    for (step, bits) in times.iter().zip(values) {
        time += step;
        samples.push(time, f64::from_bits(*bits));
    }
    samples
}

proptest! {
    #[test]
    fn every_bit_of_time_and_value_comes_back(
        times in prop::collection::vec(prop_oneof![Just(15_000i64), 1i64..70_000, 1i64..1 << 40], 1..400),
        seed in prop::collection::vec(prop_oneof![
            any::<u64>(), (0u32..50).prop_map(|n| f64::from(n).to_bits()), Just(STALE_NAN),
        ], 400),
    ) {
        let samples = column(&times, &seed);
        let encoded: Vec<Chunk> = chunks(&samples).collect();
        let back: Vec<_> = encoded.iter().flat_map(|chunk| floats(&chunk.data)).collect();
        let expected: Vec<_> =
            samples.timestamps.iter().copied().zip(samples.values.iter().map(|v| v.to_bits())).collect();
        prop_assert_eq!(back, expected);
        prop_assert_eq!(encoded.len(), times.len().div_ceil(120));
        for chunk in &encoded {
            let times = floats(&chunk.data);
            prop_assert_eq!((chunk.start, chunk.end), (times[0].0, times[times.len() - 1].0));
        }
    }
}

fn histogram(n: f64, hint: CounterResetHint) -> FloatHistogram {
    FloatHistogram {
        counter_reset_hint: hint,
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: n,
        count: 10.0 * n,
        sum: 18.4 * n,
        positive_spans: vec![Span { offset: -7, length: 2 }, Span { offset: 300, length: 1 }],
        negative_spans: vec![Span { offset: 70_000, length: 1 }],
        positive_buckets: vec![n, 2.5 * n, 3.0 * n],
        negative_buckets: vec![n],
        custom_values: vec![],
    }
}

#[test]
fn histograms_come_back_with_what_is_known_of_resets() {
    use CounterResetHint::{Gauge, NotReset, Unknown};
    let stale = FloatHistogram {
        counter_reset_hint: NotReset,
        sum: f64::from_bits(STALE_NAN),
        ..Default::default()
    };
    let custom = |hint| FloatHistogram {
        counter_reset_hint: hint,
        schema: -53,
        custom_values: vec![-1.0, 0.0, 0.005, 0.1234, 33_554.43, 1e9],
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive_buckets: vec![4.0, 5.0],
        count: 9.0,
        ..Default::default()
    };
    let odd = FloatHistogram { zero_threshold: 0.001, ..histogram(1.0, Unknown) };
    let mut samples = Samples::default();
    samples.push(0, 1.0);
    let all = [
        histogram(1.0, Unknown),
        histogram(2.0, NotReset),
        stale,
        histogram(3.0, Unknown),
        histogram(1.0, Gauge),
        histogram(0.5, Gauge),
        custom(Unknown),
        custom(NotReset),
        odd,
    ];
    for (i, histogram) in all.iter().enumerate() {
        samples.push_histogram(1000 * (i as i64 + 1) + i as i64 % 3, Arc::new(histogram.clone()));
    }
    samples.push(20_000, 2.0);
    let encoded: Vec<Chunk> = chunks(&samples).collect();
    let counts: Vec<_> =
        encoded.iter().map(|c| (c.encoding, u16::from_be_bytes([c.data[0], c.data[1]]))).collect();
    let (f, h) = (Encoding::Floats, Encoding::FloatHistograms);
    assert_eq!(counts, [(f, 1), (h, 3), (h, 1), (h, 2), (h, 2), (h, 1), (f, 1)]);
    let back = encoded.iter().filter(|c| c.encoding == h).flat_map(|c| histograms(&c.data));
    let mut found = 0;
    for ((position, expected), (time, histogram)) in samples.histograms.iter().zip(back) {
        assert_eq!(time, samples.timestamps[*position]);
        assert_eq!(histogram.counter_reset_hint, expected.counter_reset_hint, "{position}");
        assert!(histogram.same_data(expected), "{histogram:?} is not {expected:?}");
        assert_eq!(histogram.custom_values, expected.custom_values);
        found += 1;
    }
    assert_eq!(found, all.len());
}
