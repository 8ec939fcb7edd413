//! Snappy's block format, with the declared length checked before anything is allocated.

use crate::DecodeError;

/// The size after decompression as `body` declares it, refused when it is above `limit` bytes or
/// cannot be true.
pub fn declared_len(body: &[u8], limit: usize) -> Result<usize, DecodeError> {
    let size = snap::raw::decompress_len(body).map_err(invalid)?;
    if size > limit {
        let what = "uncompressed request size in bytes";
        return Err(DecodeError::TooLarge { what, size, limit });
    }
    // A copy element of three bytes yields at most 64: a larger claim cannot be honest, and
    // believing it would let a small body allocate the whole limit.
    if size / 64 > body.len() {
        return Err(DecodeError::Snappy(format!("declared length {size} cannot be reached")));
    }
    Ok(size)
}

/// Decompresses `body` into `out` (replaced), refusing a declared length above `limit` bytes.
pub fn decompress(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    out.resize(declared_len(body, limit)?, 0);
    snap::raw::Decoder::new().decompress(body, out).map_err(invalid)?;
    Ok(())
}

/// Compresses a whole body.
pub fn compress(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    snap::raw::Encoder::new().compress_vec(body).map_err(invalid)
}

fn invalid(error: snap::Error) -> DecodeError {
    DecodeError::Snappy(error.to_string())
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
