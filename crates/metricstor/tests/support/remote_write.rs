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

    pub fn add(&mut self, labels: &[(&str, &str)], samples: &[(i64, f64)]) {
        let mut series = Vec::new();
        for (name, value) in labels {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, value.as_bytes());
            field(&mut series, 1, &label);
        }
        for (timestamp, value) in samples {
            let mut sample = vec![1 << 3 | 1];
            sample.extend_from_slice(&value.to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, *timestamp as u64);
            field(&mut series, 2, &sample);
        }
        field(&mut self.bytes, 1, &series);
    }
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
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
