//! An arena of texts: appended, read, and thrown away as a whole.
//!
//! Chunks of a fixed size, so that growing never copies. A text stands behind its length.

/// Bytes of a chunk, unless one text needs more.
const CHUNK_SIZE: usize = 64 << 10;
/// Length bytes carry seven bits each, so that a chunk stays valid UTF-8.
const LENGTH_BYTES: usize = 4;

#[derive(Default)]
pub(super) struct Texts {
    chunks: Vec<String>,
}

/// Where a text stands.
#[derive(Clone, Copy)]
pub(super) struct Text {
    chunk: u32,
    at: u32,
}

impl Texts {
    pub fn push(&mut self, text: &str) -> Text {
        let needed = text.len() + LENGTH_BYTES;
        let fits = |chunk: &String| chunk.len() + needed <= CHUNK_SIZE;
        if !self.chunks.last().is_some_and(fits) {
            if let Some(full) = self.chunks.last_mut() {
                full.shrink_to_fit();
            }
            self.chunks.push(String::new());
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let at = chunk.len();
        put_length(chunk, text.len());
        chunk.push_str(text);
        Text { chunk: number as u32, at: at as u32 }
    }

    #[inline]
    pub fn get(&self, Text { chunk, at }: Text) -> &str {
        let chunk = &self.chunks[chunk as usize];
        let (len, start) = length(chunk.as_bytes(), at as usize);
        &chunk[start..start + len]
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.capacity() + size_of::<String>()).sum()
    }
}

fn put_length(chunk: &mut String, len: usize) {
    if len < 0x7f {
        chunk.push(len as u8 as char);
    } else {
        // Labels are at most 2²¹ bytes long.
        chunk.push(0x7f as char);
        for shift in [14, 7, 0] {
            chunk.push((len >> shift & 0x7f) as u8 as char);
        }
    }
}

#[inline]
fn length(bytes: &[u8], at: usize) -> (usize, usize) {
    if bytes[at] < 0x7f {
        return (bytes[at] as usize, at + 1);
    }
    let digits = &bytes[at + 1..at + 4];
    (digits.iter().fold(0, |len, digit| len << 7 | usize::from(*digit)), at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_lengths_come_back() {
        let mut texts = Texts::default();
        let long = "xyé".repeat(20_000);
        let lengths = [0, 1, 126, 128, 129, 60_000, 20_000, 80_000, 4];
        let at: Vec<Text> = lengths.iter().map(|len| texts.push(&long[..*len])).collect();
        for (at, len) in at.into_iter().zip(lengths) {
            assert_eq!(texts.get(at), &long[..len]);
        }
    }
}
