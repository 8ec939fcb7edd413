//! Damage in a chunk file that nobody reads is found by the scrub, named, and told in the metrics.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::os::unix::fs::FileExt;
use std::path::PathBuf;

mod support;
use support::remote_write::Message;
use support::{Server, now, wait_until};

fn chunk_files(server: &Server) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(server.dir.join("data/shards")).unwrap();
    let chunks = shards.flat_map(|shard| std::fs::read_dir(shard.unwrap().path().join("chunks")));
    chunks.flatten().map(|file| file.unwrap().path()).collect()
}

#[test]
fn damage_is_found_though_nobody_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &[("METRICSTOR_STORAGE__SCRUB_INTERVAL", "1s")]);
    let mut message = Message::new();
    for i in 0..500 {
        let samples: Vec<_> =
            (0..20).map(|t| (now() * 1000 - t * 1000, (i * t) as f64)).rev().collect();
        message.add(&[("__name__", "m"), ("i", &i.to_string())], &samples);
    }
    assert_eq!(server.push(&message.bytes).status, 204);
    assert!(server.post("/api/v1/admin/storage/compact", &[], b"").status < 300);
    let scrubbed = "metricstor_storage_scrubbed_bytes_total";
    let size = server.metric("metricstor_storage_chunk_file_bytes");
    assert!(size > 0.0);
    wait_until("a pass over all files", || server.metric(scrubbed) >= size);
    wait_until("the time of the pass", || {
        server.metric("metricstor_storage_scrubbed_timestamp_seconds") >= now() as f64 - 60.0
    });
    let damage = "metricstor_storage_scrub_damage_total";
    assert_eq!(server.metric(damage), 0.0);

    let path = chunk_files(&server).pop().unwrap();
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 40).unwrap();
    file.write_all_at(&[byte[0] ^ 4], 40).unwrap();
    wait_until("the damage to be found", || server.metric(damage) > 0.0);
    let name = path.file_name().unwrap().to_str().unwrap();
    let quarantined = format!("metricstor_storage_quarantined_blocks{{file=\"{name}\"}}");
    assert!(server.metric(&quarantined) > 0.0);
    assert!(server.log().contains(name), "{}", server.log());
}
