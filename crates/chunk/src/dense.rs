//! Integer columns for files that are kept for long: entropy-coded by pco, about a fifth smaller
//! than packed blocks and four times slower to decode.
//!
//! Pages of 1,024 integers decode on their own, so a range costs what it covers.

use std::ops::Range;

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec, PagingSpec};

use crate::DecodeError;
use crate::varint::{Input, put_varint};

/// Integers on a page; a multiple of the 256 that pco decodes at once.
const PAGE: usize = 1024;
/// Below this, describing the distribution costs more than it saves.
pub const INTS_MIN: usize = 256;

const DAMAGED: DecodeError = DecodeError::Invalid("dense column");

/// Appends the column; false, and nothing appended, if it would take `limit` bytes or more.
///
/// Layout: `header [size description] [size page]…`, the first two as pco writes them.
pub fn encode(ints: &[i64], limit: usize, out: &mut Vec<u8>) -> bool {
    let kept = out.len();
    if ints.len() < INTS_MIN || put(ints, out).is_err() || out.len() - kept >= limit {
        out.truncate(kept);
        return false;
    }
    true
}

fn put(ints: &[i64], out: &mut Vec<u8>) -> pco::errors::PcoResult<()> {
    let pages: Vec<usize> = ints.chunks(PAGE).map(<[i64]>::len).collect();
    let config = ChunkConfig::default()
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(DeltaSpec::Auto)
        .with_paging_spec(PagingSpec::Exact(pages.clone()));
    let file = FileCompressor::default();
    file.write_header(&mut *out)?;
    let mut chunk = file.chunk_compressor(ints, &config)?;
    let mut part = Vec::new();
    chunk.write_meta(&mut part)?;
    put_sized(&part, out);
    for page in 0..pages.len() {
        part.clear();
        chunk.write_page(page, &mut part)?;
        put_sized(&part, out);
    }
    Ok(())
}

fn put_sized(part: &[u8], out: &mut Vec<u8>) {
    put_varint(out, part.len() as u64);
    out.extend_from_slice(part);
}

/// Decodes the integers at `range` of a column of `count`, handing them to `sink` in order, a page
/// at most at a time.
pub fn decode(
    bytes: &[u8],
    count: usize,
    range: Range<usize>,
    mut sink: impl FnMut(&mut [i64]),
) -> Result<(), DecodeError> {
    let (file, rest) = FileDecompressor::new(bytes).map_err(|_| DAMAGED)?;
    let mut input = Input::new(rest);
    let (mut chunk, _) =
        file.chunk_decompressor::<i64, _>(sized(&mut input)?).map_err(|_| DAMAGED)?;
    let mut page = [0i64; PAGE];
    for first in (0..count.min(range.end)).step_by(PAGE) {
        let bytes = sized(&mut input)?;
        let len = PAGE.min(count - first);
        if first + len <= range.start {
            continue;
        }
        let mut decoder = chunk.page_decompressor(bytes, len).map_err(|_| DAMAGED)?;
        let wanted = range.start.saturating_sub(first)..len.min(range.end - first);
        let progress = decoder.read(&mut page[..len]).map_err(|_| DAMAGED)?;
        if progress.n_processed < wanted.end {
            return Err(DAMAGED);
        }
        sink(&mut page[wanted]);
    }
    Ok(())
}

fn sized<'a>(input: &mut Input<'a>) -> Result<&'a [u8], DecodeError> {
    let size = input.count(input.rest().len(), "size of a dense column's part")?;
    input.take(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A walk with small steps and any 64-bit pattern now and then.
    fn columns() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![20 => -50i64..50, 5 => Just(0), 1 => any::<i64>()];
        prop::collection::vec(step, 256..5000).prop_map(|steps| {
            let mut value = 0i64;
            let walk = steps.into_iter().map(|step| {
                value = value.wrapping_add(step);
                value
            });
            walk.collect()
        })
    }

    fn encoded(ints: &[i64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert!(encode(ints, usize::MAX, &mut bytes));
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_range_of_any_column_decodes_on_its_own(
            ints in columns(), a: prop::sample::Index, b: prop::sample::Index,
        ) {
            let bytes = encoded(&ints);
            let (a, b) = (a.index(ints.len() + 1), b.index(ints.len() + 1));
            for range in [0..ints.len(), a.min(b)..a.max(b)] {
                let mut out = Vec::new();
                decode(&bytes, ints.len(), range.clone(), |page| out.extend_from_slice(page)).unwrap();
                prop_assert_eq!(&out, &ints[range]);
            }
        }

        #[test]
        fn damage_never_panics(
            ints in columns(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
            cut: prop::sample::Index, count in 0usize..6000,
        ) {
            let mut bytes = encoded(&ints);
            for (at, flip) in flips {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
            let _ = decode(&bytes, count, 0..count, |_| {});
            let cut = cut.index(bytes.len());
            let _ = decode(&bytes[..cut], ints.len(), 0..ints.len(), |_| {});
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..400), count in 0usize..6000,
        ) {
            let _ = decode(&bytes, count, 0..count, |_| {});
        }
    }

    #[test]
    fn a_column_that_gains_nothing_is_left_to_the_caller() {
        let ints: Vec<i64> = (0..1000).collect();
        let mut bytes = vec![7];
        assert!(!encode(&ints, 10, &mut bytes));
        assert!(!encode(&ints[..100], usize::MAX, &mut bytes));
        assert_eq!(bytes, [7]);
    }
}
