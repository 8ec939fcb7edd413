//! One simulated file: what programs see, and everything the disk may hold after a power cut.
//!
//! Kernel and disk write back in any order and at any time, so for each piece every content it had
//! since the last sync may be the one that survives.

use std::collections::BTreeMap;
use std::ops::Range;

use super::random::Random;

/// Bytes a disk writes as one.
const PIECE: usize = 512;

#[derive(Default)]
pub(super) struct Inode {
    /// What reads return.
    seen: Vec<u8>,
    /// What a power cut surely leaves, where no piece is unsettled.
    durable: Vec<u8>,
    /// Lengths since the last sync.
    lengths: Vec<usize>,
    unsettled: BTreeMap<usize, Piece>,
}

#[derive(Default)]
struct Piece {
    contents: Vec<Vec<u8>>,
    /// A failed sync leaves a page clean in memory and not on the disk: later syncs skip it.
    dirty: bool,
}

impl Inode {
    /// A file whose content is entirely durable.
    pub(super) fn settled(content: Vec<u8>) -> Inode {
        Inode { seen: content.clone(), durable: content, ..Inode::default() }
    }

    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.seen.len() {
            self.resize(end);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.touch(offset..end);
    }

    pub(super) fn resize(&mut self, len: usize) {
        let old = self.seen.len();
        if len < old {
            self.seen[len..].fill(0);
            self.touch(len..old);
        }
        self.seen.resize(len, 0);
        self.lengths.push(len);
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for (&number, piece) in &self.unsettled {
            let range = extent(number, self.seen.len());
            if piece.dirty {
                self.durable[range.clone()].copy_from_slice(&self.seen[range]);
            }
        }
        self.unsettled.retain(|_, piece| !piece.dirty);
        self.lengths.clear();
    }

    pub(super) fn fail_sync(&mut self) {
        for piece in self.unsettled.values_mut() {
            piece.dirty = false;
        }
    }

    /// Leaves one of the contents the disk may hold.
    pub(super) fn crash(&mut self, random: &mut Random) {
        let mut lengths = std::mem::take(&mut self.lengths);
        lengths.push(self.durable.len());
        let len = lengths[random.below(lengths.len())];
        let mut left = std::mem::take(&mut self.durable);
        left.resize(len, 0);
        for (number, piece) in std::mem::take(&mut self.unsettled) {
            let range = extent(number, len);
            // Now and then the write of a piece is itself torn.
            for _ in 0..1 + random.below(8) / 7 {
                let choice = random.below(piece.contents.len() + 1);
                let Some(content) = choice.checked_sub(1).map(|i| &piece.contents[i]) else {
                    continue;
                };
                let mut size = range.len().min(content.len());
                if random.below(8) == 0 {
                    size = random.below(size + 1);
                }
                left[range.start..range.start + size].copy_from_slice(&content[..size]);
            }
        }
        *self = Inode::settled(left);
    }

    fn touch(&mut self, range: Range<usize>) {
        for number in range.start / PIECE..range.end.div_ceil(PIECE) {
            let content = self.seen[extent(number, self.seen.len())].to_vec();
            let piece = self.unsettled.entry(number).or_default();
            piece.contents.push(content);
            piece.dirty = true;
        }
    }
}

fn extent(piece: usize, len: usize) -> Range<usize> {
    (piece * PIECE).min(len)..((piece + 1) * PIECE).min(len)
}
