//! An arena of packed pairs: appended, read, and thrown away as a whole.
//!
//! Chunks of a fixed size, so that growing never copies.

use metricstor_model::PackedPair;

/// Bytes of a chunk, unless one pair needs more.
const CHUNK_SIZE: usize = 64 << 10;

#[derive(Default)]
pub(super) struct Texts {
    chunks: Vec<String>,
    /// Bytes of all pairs.
    bytes: usize,
}

/// Where a pair stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    chunk: u32,
    at: u32,
}

impl Texts {
    pub fn push(&mut self, name: &str, value: &str) -> Place {
        let needed = name.len() + value.len() + PackedPair::OVERHEAD;
        let fits = |chunk: &String| chunk.len() + needed <= CHUNK_SIZE;
        if !self.chunks.last().is_some_and(fits) {
            if let Some(full) = self.chunks.last_mut() {
                full.shrink_to_fit();
            }
            self.chunks.push(String::new());
        }
        self.bytes += needed;
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let at = chunk.len();
        PackedPair::push(chunk, name, value);
        Place { chunk: number as u32, at: at as u32 }
    }

    #[inline]
    pub fn get(&self, Place { chunk, at }: Place) -> PackedPair<'_> {
        PackedPair::at(&self.chunks[chunk as usize], at as usize)
    }

    /// Bytes of all pairs that were put in; takes no time.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.capacity() + size_of::<String>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_lengths_come_back() {
        let mut texts = Texts::default();
        let long = "xyé".repeat(20_000);
        let lengths = [0, 1, 126, 128, 129, 60_000, 20_000, 80_000, 4];
        let at: Vec<Place> = lengths.iter().map(|len| texts.push("name", &long[..*len])).collect();
        for (at, len) in at.into_iter().zip(lengths) {
            assert_eq!(texts.get(at).texts(), ("name", &long[..len]));
        }
    }
}
