//! `status/tsdb/blocks`: the chunk files, as the blocks that Prometheus would call them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use metricstor_storage::ChunkFileSummary;

use crate::app::App;
use crate::reply::success;

pub async fn blocks(State(app): State<Arc<App>>) -> Response {
    let files = app.unscoped_store.chunk_files();
    success(|out| {
        out.extend_from_slice(br#"{"blocks":["#);
        for (i, file) in files.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            push_block(out, file);
        }
        out.extend_from_slice(b"]}");
    })
}

/// A block's end is exclusive, and a level 1 is what came from memory: it is its own source.
fn push_block(out: &mut Vec<u8>, file: &ChunkFileSummary) {
    let ChunkFileSummary { level, range, series, chunks, samples, .. } = file;
    let ulid = ulid(range.start, &file.name);
    let (end, level) = (range.end.saturating_add(1), level + 1);
    let sources = if level == 1 { format!(r#","sources":["{ulid}"]"#) } else { String::new() };
    let block = format!(
        r#"{{"ulid":"{ulid}","minTime":{},"maxTime":{end},"stats":{{"numSamples":{samples},"numSeries":{series},"numChunks":{chunks}}},"compaction":{{"level":{level}{sources}}},"version":1}}"#,
        range.start,
    );
    out.extend_from_slice(block.as_bytes());
}

/// The name that tools expect: 48 bits of time, here of the first sample, and 80 bits of the hash,
/// five bits a sign.
fn ulid(start: i64, name: &str) -> String {
    const SIGNS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let time = u128::from(start.max(0).unsigned_abs() & ((1 << 48) - 1));
    let hash = name.get(..20).and_then(|digits| u128::from_str_radix(digits, 16).ok());
    let bits = time << 80 | hash.unwrap_or(0);
    (0..26).rev().map(|i| char::from(SIGNS[(bits >> (5 * i)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_time_and_tell_files_apart() {
        let (a, b) = ("f".repeat(64), "0".repeat(64));
        // 1469918176385 ms is the example of ULID's specification.
        assert_eq!(ulid(1_469_918_176_385, &a), "01ARYZ6S41ZZZZZZZZZZZZZZZZ");
        assert_eq!(ulid(1_469_918_176_385, &b), "01ARYZ6S410000000000000000");
        assert_eq!(ulid(-5, &b), "0".repeat(26));
    }
}
