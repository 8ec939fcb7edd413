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
#[derive(Default)]
pub struct Stamps {
    known: Vec<Stamp>,
    next: usize,
}

impl Stamp {
    fn new(timestamp: i64) -> Self {
        let mut text = Vec::with_capacity(SIZE);
        text.extend_from_slice(b",[");
        push_timestamp(&mut text, timestamp);
        text.push(b',');
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

impl Stamps {
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
            // Between others: hardly worth remembering.
            Some(_) => return Stamp::new(timestamp).push(out),
            None => {
                let stamp = Stamp::new(timestamp);
                stamp.push(out);
                self.known.push(stamp);
            }
        }
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_gets_its_own_timestamps() {
        let mut stamps = Stamps::default();
        for series in
            [&[1000, 2000, 4500][..], &[2000, 3000, 4500, 9000], &[i64::MIN, 1000, i64::MAX]]
        {
            let (mut out, mut expected) = (Vec::new(), Vec::new());
            stamps.restart();
            for &timestamp in series {
                stamps.push(&mut out, timestamp);
                expected.extend_from_slice(b",[");
                push_timestamp(&mut expected, timestamp);
                expected.push(b',');
            }
            assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
        }
    }
}
