//! Snappy's block format, with the declared length checked before anything is allocated.

use crate::DecodeError;

/// Decompresses `body` into `out` (replaced), refusing a declared length above `limit` bytes.
pub fn decompress(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let invalid = |e: snap::Error| DecodeError::Snappy(e.to_string());
    let declared = snap::raw::decompress_len(body).map_err(invalid)?;
    if declared > limit {
        let what = "uncompressed request size in bytes";
        return Err(DecodeError::TooLarge { what, size: declared, limit });
    }
    // A copy element of three bytes yields at most 64: a larger claim cannot be honest, and
    // believing it would let a small body allocate the whole limit.
    if declared / 64 > body.len() {
        return Err(DecodeError::Snappy(format!("declared length {declared} cannot be reached")));
    }
    out.resize(declared, 0);
    snap::raw::Decoder::new().decompress(body, out).map_err(invalid)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lying_length_is_refused_before_allocating() {
        let mut out = Vec::new();
        let four_gib = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert!(matches!(
            decompress(&four_gib, 1 << 20, &mut out),
            Err(DecodeError::TooLarge { size: 0xffff_ffff, .. })
        ));
        assert!(matches!(decompress(&four_gib, usize::MAX, &mut out), Err(DecodeError::Snappy(_))));
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let text = b"a sample, a sample, a sample".repeat(100);
        let body = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        let mut out = vec![1, 2, 3];
        decompress(&body, text.len(), &mut out).unwrap();
        assert_eq!(out, text);
        assert!(decompress(&body[..body.len() - 1], text.len(), &mut out).is_err());
    }
}
