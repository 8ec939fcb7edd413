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
    /// What the client likes best; of what it likes as much, the cheapest on the way.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let choices: Vec<(&str, f32)> = choices(headers).collect();
        let named = |name: &str| {
            let same = |choice: &&(&str, f32)| choice.0.eq_ignore_ascii_case(name);
            choices.iter().find(same).map(|choice| choice.1)
        };
        let compressed = [(Self::Gzip, "gzip"), (Self::Zstd, "zstd")];
        compressed
            .map(|(encoding, name)| (encoding, named(name).or_else(|| named("*")).unwrap_or(0.0)))
            .into_iter()
            // As it is, an answer is for everybody, but preferred only by who says so.
            .filter(|(_, quality)| *quality > 0.0 && *quality >= named("identity").unwrap_or(0.0))
            .max_by(|(_, one), (_, other)| one.total_cmp(other))
            .map_or(Self::Identity, |(encoding, _)| encoding)
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

/// Names with their quality, 1 where none is given. One that cannot be read is a refusal: an answer as
/// it is does no harm.
fn choices(headers: &HeaderMap) -> impl Iterator<Item = (&str, f32)> {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(
        |choice| {
            let mut parts = choice.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            (name, parts.find_map(quality).unwrap_or(1.0))
        },
    )
}

fn quality(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    let is_quality = name.trim_end().eq_ignore_ascii_case("q");
    is_quality.then(|| value.trim_start().parse().unwrap_or(0.0))
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
    fn the_best_liked_is_taken_and_a_quality_of_zero_refuses() {
        for (value, expected) in [
            ("gzip, deflate, br, zstd", Encoding::Zstd),
            ("gzip;q=0.5, zstd;q=0", Encoding::Gzip),
            ("gzip;q=0.0", Encoding::Identity),
            ("gzip;q=0", Encoding::Identity),
            ("GZIP; Q=0.001", Encoding::Gzip),
            ("gzip ; q = 0", Encoding::Identity),
            ("gzip;q=none", Encoding::Identity),
            ("gzip, zstd;q=0.9", Encoding::Gzip),
            ("identity", Encoding::Identity),
            ("identity, gzip", Encoding::Gzip),
            ("identity, gzip;q=0.5", Encoding::Identity),
            ("identity;q=0.5, gzip;q=0.9, zstd;q=0.1", Encoding::Gzip),
            ("*", Encoding::Zstd),
            ("*;q=0", Encoding::Identity),
            ("br, *;q=0.1", Encoding::Zstd),
            ("zstd;q=0, *", Encoding::Gzip),
            ("gzip;q=0.2, *;q=0", Encoding::Gzip),
            ("identity, *;q=0.5", Encoding::Identity),
            ("deflate", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(Encoding::accepted(&headers), expected, "{value}");
        }
    }
}
