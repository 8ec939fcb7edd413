//! Series as they stand in the catalog: blocks of a few thousand, each complete in itself.
//!
//! A block repeats the texts it needs, so that series cost next to nothing in SQLite, no two blocks
//! depend on each other, and one checksum covers all. Layout: `formats/index.md`.

use hashbrown::HashTable;
use metricstor_model::SeriesId;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Series of a block; more would make the last, growing one expensive to rewrite.
const SERIES_MAX: usize = 4096;
/// A block is also full when its texts are this long together, in bytes.
const TEXT_SIZE_MAX: usize = 1 << 20;
/// Uncompressed bytes up to which a block is filled up.
const FILLED_SIZE_MAX: usize = 4 << 20;
/// Uncompressed bytes; more is damage, not data.
const BODY_SIZE_MAX: usize = 64 << 20;
/// Format version, the first byte under the checksum.
const VERSION: u8 = 1;
/// Checksum, version, length of the body.
const HEADER_SIZE: usize = 4 + 1 + 4;
const ID_SIZE: usize = 16;
const COMPRESSION_LEVEL: i32 = 3;

/// Encoded series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Block {
    /// The lowest and the highest reference.
    pub first: u32,
    pub last: u32,
    pub count: u32,
    pub bytes: Vec<u8>,
}

/// Collects series for a block.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    series: Vec<u32>,
    ids: Vec<u8>,
    /// Per series: how many pairs, and their positions in `pairs`; varints.
    carried: Vec<u8>,
    /// Names and values, one behind the other.
    texts: String,
    pairs: Vec<Span>,
    by_text: HashTable<u32>,
}

/// Where a pair stands in the texts.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    name_len: usize,
    value_len: usize,
}

impl BlockBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Time to finish this block and to begin another?
    pub fn is_full(&self) -> bool {
        self.series.len() >= SERIES_MAX || self.texts.len() >= TEXT_SIZE_MAX
    }

    pub fn add<'a>(
        &mut self,
        series: u32,
        id: SeriesId,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        self.series.push(series);
        self.ids.extend_from_slice(&id.0.to_le_bytes());
        let numbers: Vec<u32> = pairs.map(|(name, value)| self.intern(name, value)).collect();
        put_varint(&mut self.carried, numbers.len());
        numbers.iter().for_each(|pair| put_varint(&mut self.carried, *pair as usize));
    }

    fn intern(&mut self, name: &str, value: &str) -> u32 {
        let Self { texts, pairs, by_text, .. } = self;
        let hash = xxh3_64_with_seed(value.as_bytes(), xxh3_64(name.as_bytes()));
        let same = |pair: &u32| pairs[*pair as usize].pair(texts) == (name, value);
        if let Some(pair) = by_text.find(hash, same) {
            return *pair;
        }
        let number = pairs.len() as u32;
        pairs.push(Span { start: texts.len(), name_len: name.len(), value_len: value.len() });
        texts.push_str(name);
        texts.push_str(value);
        by_text.insert_unique(hash, number, |pair| {
            let (name, value) = pairs[*pair as usize].pair(texts);
            xxh3_64_with_seed(value.as_bytes(), xxh3_64(name.as_bytes()))
        });
        number
    }

    /// The block; `None` if nothing was added.
    pub fn finish(self) -> Option<Block> {
        let first = *self.series.iter().min()?;
        let last = *self.series.iter().max()?;
        let mut body = Vec::with_capacity(self.texts.len() + self.carried.len() + 64);
        put_varint(&mut body, self.pairs.len());
        for pair in &self.pairs {
            put_varint(&mut body, pair.name_len);
            put_varint(&mut body, pair.value_len);
        }
        body.extend_from_slice(self.texts.as_bytes());
        self.series.iter().for_each(|series| put_varint(&mut body, (series - first) as usize));
        body.extend_from_slice(&self.carried);
        let packed = zstd::bulk::compress(&body, COMPRESSION_LEVEL)
            .expect("compressing into a growing buffer cannot fail");
        let count = self.series.len() as u32;
        let mut bytes = Vec::with_capacity(HEADER_SIZE + self.ids.len() + packed.len());
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(VERSION);
        bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&self.ids);
        bytes.extend_from_slice(&packed);
        let mut block = Block { first, last, count, bytes };
        let checksum = block.checksum();
        block.bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        Some(block)
    }
}

impl Block {
    /// May the series of another block be added to this one?
    pub(super) fn has_room_for(&self, more: &Self) -> bool {
        (self.count + more.count) as usize <= SERIES_MAX
            && self.body_size() + more.body_size() <= FILLED_SIZE_MAX
    }

    /// Uncompressed bytes, or as good as endless if nothing says how many.
    fn body_size(&self) -> usize {
        let field = self.bytes.get(5..HEADER_SIZE).and_then(|bytes| bytes.try_into().ok());
        field.map_or(BODY_SIZE_MAX, |field| u32::from_le_bytes(field) as usize)
    }

    /// Over what stands beside the bytes, and all of them but the checksum itself.
    fn checksum(&self) -> u32 {
        let beside = [self.first, self.last, self.count].map(u32::to_le_bytes);
        let rest = self.bytes.get(4..).unwrap_or_default();
        crc32c::crc32c_append(crc32c::crc32c(beside.as_flattened()), rest)
    }
}

/// A block taken apart.
pub(super) struct Decoded {
    body: Vec<u8>,
    pairs: Vec<Span>,
    series: Vec<(u32, SeriesId)>,
    /// Where the series' pairs begin in the body.
    carried: usize,
}

/// What does not hold in a damaged block.
pub(super) type Flaw = &'static str;

impl Decoded {
    pub fn of(block: &Block) -> Result<Self, Flaw> {
        let bytes = &block.bytes;
        let header = bytes.get(..HEADER_SIZE).ok_or("cut short")?;
        if header[..4] != block.checksum().to_le_bytes() {
            return Err("checksum does not match");
        }
        if header[4] != VERSION {
            return Err("unknown format version");
        }
        let field = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| header[at + i])) as usize;
        let (count, body_len) = (block.count as usize, field(5));
        let rest = &bytes[HEADER_SIZE..];
        if count > rest.len() / ID_SIZE || body_len > BODY_SIZE_MAX {
            return Err("impossible lengths");
        }
        let (ids, packed) = rest.split_at(count * ID_SIZE);
        let body =
            zstd::bulk::decompress(packed, body_len).map_err(|_| "cannot be decompressed")?;
        Self::parse(block.first, ids, body).ok_or("contradicts itself")
    }

    fn parse(first: u32, ids: &[u8], body: Vec<u8>) -> Option<Self> {
        let mut rest = body.as_slice();
        let pair_count = take_varint(&mut rest)?;
        let mut pairs = Vec::with_capacity(pair_count.min(rest.len()));
        let mut start = 0usize;
        for _ in 0..pair_count {
            let (name_len, value_len) = (take_varint(&mut rest)?, take_varint(&mut rest)?);
            pairs.push(Span { start, name_len, value_len });
            start = start.checked_add(name_len)?.checked_add(value_len)?;
        }
        let texts = std::str::from_utf8(rest.get(..start)?).ok()?;
        let base = body.len() - rest.len();
        for pair in &mut pairs {
            let middle = pair.start + pair.name_len;
            (texts.is_char_boundary(pair.start) && texts.is_char_boundary(middle)).then_some(())?;
            pair.start += base;
        }
        rest = &rest[start..];
        let mut series = Vec::with_capacity(ids.len() / ID_SIZE);
        for id in ids.chunks_exact(ID_SIZE) {
            let reference = u32::try_from(take_varint(&mut rest)?).ok()?.checked_add(first)?;
            series.push((reference, SeriesId(u128::from_le_bytes(id.try_into().ok()?))));
        }
        let carried = body.len() - rest.len();
        Some(Self { body, pairs, series, carried })
    }

    /// The pairs that the series refer to by position.
    pub fn pairs(&self) -> impl Iterator<Item = Option<(&str, &str)>> {
        self.pairs.iter().map(|pair| pair.pair_in(&self.body))
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Visits every series with the positions of its pairs, in label order.
    pub fn for_each(&self, mut visit: impl FnMut(u32, SeriesId, &[u32])) -> Result<(), Flaw> {
        let mut rest = &self.body[self.carried..];
        let mut numbers = Vec::new();
        for (series, id) in &self.series {
            numbers.clear();
            for _ in 0..take_varint(&mut rest).ok_or("contradicts itself")? {
                let known = take_varint(&mut rest).filter(|pair| *pair < self.pairs.len());
                numbers.push(known.ok_or("contradicts itself")? as u32);
            }
            visit(*series, *id, &numbers);
        }
        if rest.is_empty() { Ok(()) } else { Err("contradicts itself") }
    }

    /// Adds these series, but for those that `keep` refuses, to a block in the making.
    pub fn copy_to(
        &self,
        builder: &mut BlockBuilder,
        mut keep: impl FnMut(u32) -> bool,
    ) -> Result<(), Flaw> {
        self.for_each(|series, id, numbers| {
            if keep(series) {
                let pair = |number: &u32| self.pairs[*number as usize].pair_in(&self.body);
                builder.add(series, id, numbers.iter().filter_map(pair));
            }
        })
    }
}

impl Span {
    fn pair(self, texts: &str) -> (&str, &str) {
        texts[self.start..self.start + self.name_len + self.value_len].split_at(self.name_len)
    }

    /// The pair in a body whose texts were checked.
    fn pair_in(self, body: &[u8]) -> Option<(&str, &str)> {
        let both = body.get(self.start..self.start + self.name_len + self.value_len)?;
        std::str::from_utf8(both).ok()?.split_at_checked(self.name_len)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// At most 32 bits.
fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for i in 0..5 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok().filter(|_| value <= u64::from(u32::MAX));
        }
    }
    None
}
