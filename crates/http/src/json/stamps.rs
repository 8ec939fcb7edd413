//! The beginnings of points, `,[1735693205.500,`: series of one answer have the same timestamps.

use super::push_timestamp;

/// The longest beginning, of the least timestamp there is, has 24 bytes.
const SIZE: usize = 32;

struct Stamp {
    timestamp: i64,
    text: [u8; SIZE],
    len: u8,
}

/// Beginnings that were written already, ascending.
pub struct Stamps {
    known: Vec<Stamp>,
    next: usize,
    /// For a single series there is nothing to be remembered.
    remember: bool,
}

impl Stamp {
    fn new(timestamp: i64) -> Self {
        let mut text = Vec::with_capacity(SIZE);
        push_beginning(&mut text, timestamp);
        let len = text.len() as u8;
        text.resize(SIZE, 0);
        Self { timestamp, text: text.try_into().expect("it was resized"), len }
    }

    /// Copying more than is needed takes less time than a copy of an unknown size.
    fn push(&self, out: &mut Vec<u8>) {
        let end = out.len() + usize::from(self.len);
        out.extend_from_slice(&self.text);
        out.truncate(end);
    }
}

fn push_beginning(out: &mut Vec<u8>, timestamp: i64) {
    out.extend_from_slice(b",[");
    push_timestamp(out, timestamp);
    out.push(b',');
}

impl Stamps {
    /// For an answer of so many series.
    pub fn for_series(count: usize) -> Self {
        Self { known: Vec::new(), next: 0, remember: count > 1 }
    }

    /// The next point is the first of a series.
    pub fn restart(&mut self) {
        self.next = 0;
    }

    /// Appends the beginning of a point; a series' timestamps ascend.
    pub fn push(&mut self, out: &mut Vec<u8>, timestamp: i64) {
        while let Some(stamp) = self.known.get(self.next) {
            if stamp.timestamp >= timestamp {
                break;
            }
            self.next += 1;
        }
        match self.known.get(self.next) {
            Some(stamp) if stamp.timestamp == timestamp => stamp.push(out),
            None if self.remember => {
                let stamp = Stamp::new(timestamp);
                stamp.push(out);
                self.known.push(stamp);
            }
            // Between others: hardly worth remembering.
            _ => return push_beginning(out, timestamp),
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_gets_its_own_timestamps() {
        let mut stamps = Stamps::for_series(3);
        for series in
            [&[1000, 2000, 4500][..], &[2000, 3000, 4500, 9000], &[i64::MIN, 1000, i64::MAX]]
        {
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            stamps.restart();
            for &timestamp in series {
                stamps.push(&mut out, timestamp);
                push_beginning(&mut expected, timestamp);
            }
            assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
        }
    }
}
