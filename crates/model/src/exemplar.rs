//! An exemplar as it is stored: a sample of a series that points to, say, a trace.

use crate::Labels;

#[derive(Debug, Clone)]
pub struct StoredExemplar {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// Kept bit for bit.
    pub value: f64,
    /// Usually `trace_id` and `span_id`; may be empty.
    pub labels: Labels,
}

/// Two that differ in no bit.
impl PartialEq for StoredExemplar {
    fn eq(&self, other: &Self) -> bool {
        self.timestamp == other.timestamp
            && self.value.to_bits() == other.value.to_bits()
            && self.labels == other.labels
    }
}

impl StoredExemplar {
    /// Puts an exemplar into its place in a column in time order, unless it is there.
    pub fn insert_into(self, column: &mut Vec<Self>) -> bool {
        let at = column.partition_point(|other| other.timestamp < self.timestamp);
        let at_its_time = column[at..].iter().take_while(|o| o.timestamp == self.timestamp);
        if at_its_time.into_iter().any(|other| *other == self) {
            return false;
        }
        column.insert(at, self);
        true
    }
}
