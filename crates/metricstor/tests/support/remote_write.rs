//! Remote write 1.0 messages, encoded by hand.

/// As Prometheus sends them.
pub const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

/// A request with one series per item: labels and (timestamp in ms, value) samples.
#[derive(Default)]
pub struct Message {
    pub bytes: Vec<u8>,
}

impl Message {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn series(mut self, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Self {
        self.add(labels, samples);
        self
    }

    /// A native histogram of schema 0 with the counts of its first buckets above 1, at each time.
    pub fn histogram(mut self, labels: &[(&str, &str)], samples: &[(i64, &[u64])]) -> Self {
        let mut series = Vec::new();
        push_labels(&mut series, labels);
        for (timestamp, counts) in samples {
            let mut histogram = vec![1 << 3];
            varint(&mut histogram, counts.iter().sum());
            histogram.push(3 << 3 | 1);
            histogram.extend_from_slice(&(counts.iter().sum::<u64>() as f64).to_le_bytes());
            // One span, from bucket 1 on.
            field(&mut histogram, 11, &[1 << 3, 2, 2 << 3, counts.len() as u8]);
            let (mut deltas, mut before) = (Vec::new(), 0);
            for count in *counts {
                let delta = *count as i64 - before;
                varint(&mut deltas, (delta << 1 ^ delta >> 63) as u64);
                before = *count as i64;
            }
            field(&mut histogram, 12, &deltas);
            histogram.push(15 << 3);
            varint(&mut histogram, *timestamp as u64);
            field(&mut series, 4, &histogram);
        }
        field(&mut self.bytes, 1, &series);
        self
    }

    pub fn add(&mut self, labels: &[(&str, &str)], samples: &[(i64, f64)]) {
        self.add_with_histograms(labels, samples, &[]);
    }

    pub fn add_with_histograms(
        &mut self,
        labels: &[(&str, &str)],
        samples: &[(i64, f64)],
        histograms: &[(i64, &Histogram)],
    ) {
        let mut series = Vec::new();
        push_labels(&mut series, labels);
        for (timestamp, value) in samples {
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, *timestamp as u64);
            field(&mut series, 2, &sample);
        }
        for (timestamp, histogram) in histograms {
            field(&mut series, 4, &histogram.message(*timestamp));
        }
        field(&mut self.bytes, 1, &series);
    }
}

fn push_labels(series: &mut Vec<u8>, labels: &[(&str, &str)]) {
    for (name, value) in labels {
        let mut label = Vec::new();
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(series, 1, &label);
    }
}

/// Spans (offset, length) and the counts of their buckets.
type Buckets = (Vec<(i32, u32)>, Vec<f64>);

/// A native histogram with floats for counts.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: Buckets,
    pub negative: Buckets,
    /// Upper bounds of custom buckets (schema -53).
    pub bounds: Vec<f64>,
    pub gauge: bool,
}

impl Histogram {
    fn message(&self, timestamp: i64) -> Vec<u8> {
        let mut out = Vec::new();
        let zigzag = |value: i32| (i64::from(value) << 1 ^ i64::from(value) >> 63) as u64;
        double(&mut out, 2, self.count);
        double(&mut out, 3, self.sum);
        number(&mut out, 4, zigzag(self.schema));
        double(&mut out, 5, self.zero_threshold);
        double(&mut out, 7, self.zero_count);
        for (spans, counts, (spans_field, counts_field)) in [
            (&self.negative.0, &self.negative.1, (8, 10)),
            (&self.positive.0, &self.positive.1, (11, 13)),
        ] {
            for (offset, length) in spans {
                let mut span = Vec::new();
                number(&mut span, 1, zigzag(*offset));
                number(&mut span, 2, u64::from(*length));
                field(&mut out, spans_field, &span);
            }
            doubles(&mut out, counts_field, counts);
        }
        number(&mut out, 14, if self.gauge { 3 } else { 0 });
        number(&mut out, 15, timestamp as u64);
        doubles(&mut out, 16, &self.bounds);
        out
    }
}

fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, value);
}

fn double(out: &mut Vec<u8>, field: u8, value: f64) {
    out.push(field << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

fn doubles(out: &mut Vec<u8>, number: u8, values: &[f64]) {
    if !values.is_empty() {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        field(out, number, &bytes);
    }
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
