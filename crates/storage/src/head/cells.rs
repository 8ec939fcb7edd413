//! An arena of 64-byte cells, chained: where the head keeps the encoded samples of its series.
//!
//! A cell is a cache line: four bytes of link, sixty of samples. Nothing is freed one by one: a flush
//! takes the whole arena away. Cells come in slabs of 1 MiB, so a series costs no allocation.

const CELL_SIZE: usize = 64;
const LINK_SIZE: usize = 4;
const PAYLOAD_SIZE: usize = CELL_SIZE - LINK_SIZE;
const SLAB_CELLS: usize = 1 << 14;

type Cell = [u8; CELL_SIZE];

/// A byte string spread over cells.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chain {
    first: u32,
    last: u32,
    /// Bytes in the whole chain; 0: no cell is taken yet.
    len: u32,
}

impl Chain {
    pub fn len(&self) -> usize {
        self.len as usize
    }
}

#[derive(Default)]
pub(crate) struct Cells {
    slabs: Vec<Box<[Cell]>>,
    taken: u32,
}

impl Cells {
    /// Appends bytes (at most one cell's worth) to a chain.
    #[inline]
    pub fn append(&mut self, chain: &mut Chain, bytes: &[u8]) {
        debug_assert!(bytes.len() <= PAYLOAD_SIZE);
        let used = chain.len as usize % PAYLOAD_SIZE;
        if chain.len == 0 {
            chain.first = self.take();
            chain.last = chain.first;
        } else if used == 0 {
            self.link_new(chain);
        }
        let room = PAYLOAD_SIZE - used;
        let (here, rest) = bytes.split_at(bytes.len().min(room));
        let start = LINK_SIZE + used;
        self.cell_mut(chain.last)[start..start + here.len()].copy_from_slice(here);
        if !rest.is_empty() {
            self.link_new(chain);
            self.cell_mut(chain.last)[LINK_SIZE..LINK_SIZE + rest.len()].copy_from_slice(rest);
        }
        chain.len += bytes.len() as u32;
    }

    /// The chain's bytes.
    pub fn bytes(&self, chain: &Chain) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.copy(chain, &mut bytes);
        bytes
    }

    /// Appends the chain's bytes to `out`.
    pub fn copy(&self, chain: &Chain, out: &mut Vec<u8>) {
        let mut left = chain.len as usize;
        let mut id = chain.first;
        out.reserve(left);
        while left > 0 {
            let cell = self.cell(id);
            let n = left.min(PAYLOAD_SIZE);
            out.extend_from_slice(&cell[LINK_SIZE..LINK_SIZE + n]);
            let link = cell.first_chunk().expect("a cell begins with its link");
            id = u32::from_le_bytes(*link);
            left -= n;
        }
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        self.slabs.len() * SLAB_CELLS * CELL_SIZE
    }

    fn link_new(&mut self, chain: &mut Chain) {
        let next = self.take();
        self.cell_mut(chain.last)[..LINK_SIZE].copy_from_slice(&next.to_le_bytes());
        chain.last = next;
    }

    fn take(&mut self) -> u32 {
        let id = self.taken;
        if id as usize == self.slabs.len() * SLAB_CELLS {
            self.slabs.push(vec![[0; CELL_SIZE]; SLAB_CELLS].into_boxed_slice());
        }
        self.taken += 1;
        id
    }

    fn cell(&self, id: u32) -> &Cell {
        &self.slabs[id as usize / SLAB_CELLS][id as usize % SLAB_CELLS]
    }

    fn cell_mut(&mut self, id: u32) -> &mut Cell {
        &mut self.slabs[id as usize / SLAB_CELLS][id as usize % SLAB_CELLS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaved_chains_keep_their_bytes() {
        let mut cells = Cells::default();
        let mut chains = vec![(Chain::default(), Vec::new()); 7];
        for i in 0..3000usize {
            let bytes: Vec<u8> = (0..i % 21 + 1).map(|k| (i * 31 + k) as u8).collect();
            let (chain, expected) = &mut chains[i * i % 7];
            cells.append(chain, &bytes);
            expected.extend_from_slice(&bytes);
        }
        for (chain, expected) in &chains {
            let mut out = Vec::new();
            cells.copy(chain, &mut out);
            assert_eq!(&out, expected);
        }
    }
}
