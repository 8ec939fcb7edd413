//! Compression by `Accept-Encoding`, on the thread that writes the answer.

use std::io::{self, Write};

use axum::http::{HeaderMap, header};
use flate2::write::GzEncoder;

/// How an answer is encoded on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
    /// In snappy's block format, by whoever writes the answer.
    Snappy,
}

impl Encoding {
    /// The cheapest encoding among those the client takes.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let mut gzip = false;
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for choice in value.to_str().unwrap_or("").split(',') {
                let mut parts = choice.split(';').map(str::trim);
                let name = parts.next().unwrap_or("");
                let refused = parts
                    .any(|p| p.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0));
                match name {
                    "zstd" if !refused => return Self::Zstd,
                    "gzip" if !refused => gzip = true,
                    _ => {}
                }
            }
        }
        if gzip { Self::Gzip } else { Self::Identity }
    }

    /// The value of `Content-Encoding`, if one is due.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
            Self::Snappy => Some("snappy"),
        }
    }

    /// A compressor that appends to its own buffer.
    pub fn encoder(self) -> io::Result<Encoder> {
        Ok(match self {
            Self::Identity | Self::Snappy => Encoder::Identity,
            Self::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::fast())),
            Self::Zstd => Encoder::Zstd(zstd::Encoder::new(Vec::new(), 1)?),
        })
    }
}

pub enum Encoder {
    Identity,
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Encodes `bytes`; returns what came out so far.
    pub fn push(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(bytes),
            Self::Gzip(encoder) => {
                encoder.write_all(&bytes)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zstd(encoder) => {
                encoder.write_all(&bytes)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
        }
    }

    /// What was still inside.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(Vec::new()),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn zstd_is_preferred_and_a_quality_of_zero_refuses() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", Encoding::Zstd),
            ("gzip;q=0.5, zstd;q=0", Encoding::Gzip),
            ("gzip;q=0.0", Encoding::Identity),
            ("deflate", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(Encoding::accepted(&headers), expected, "{value}");
        }
    }
}
