//! Reading through a cache of blocks.

use metricstor_memory::Budget;

use super::*;
use crate::chunk_file::BlockCache;
use crate::metrics::Metrics;

pub fn cache(bytes: usize) -> (Arc<BlockCache>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    (Arc::new(BlockCache::new(bytes, &Budget::unlimited(), metrics.clone())), metrics)
}

fn model() -> Model {
    (0..500).map(|series| (series, regular(series, 300))).collect()
}

/// Reads all series of all files, in turns, with fresh buffers.
fn check(files: &[(ChunkFile, Model)], cache: &Arc<BlockCache>) {
    let mut scratches: Vec<Scratch> = files.iter().map(|_| Scratch::default()).collect();
    scratches.iter_mut().for_each(|scratch| scratch.look_into(cache));
    for series in 0..500 {
        for ((file, model), scratch) in files.iter().zip(&mut scratches) {
            let mut out = Samples::default();
            file.read(key(series), TimeRange::ALL, &mut out, scratch).unwrap();
            assert_eq!(text(&out), text(&model[&series]));
        }
    }
}

#[test]
fn what_was_read_once_is_not_read_again() {
    let disk = disk();
    let files = [(written(&disk, &model()), model())];
    let (cache, metrics) = cache(4 << 20);
    check(&files, &cache);
    let read = metrics.blocks_read.get();
    // Each block alone, for no two that follow each other belong together.
    assert!((500..550).contains(&read), "{read}");
    check(&files, &cache);
    assert_eq!(metrics.blocks_read.get(), read);
}

#[test]
fn neighbours_are_read_together() {
    let disk = disk();
    let summary = write_by(&disk, &model(), key);
    let files = [(ChunkFile::open(&disk, &path(&summary)).unwrap(), model())];
    let (cache, metrics) = cache(4 << 20);
    check(&files, &cache);
    // 16 pages of the directory, one of the columns, and an extent or two a page.
    let read = metrics.blocks_read.get();
    assert!((33..60).contains(&read), "{read}");
}

#[test]
fn a_small_cache_keeps_to_its_size_and_files_apart() {
    let disk = disk();
    let other: Model = model().into_keys().map(|s| (s, regular(s + 1, 299))).collect();
    let files = [(written(&disk, &model()), model()), (written(&disk, &other), other)];
    let (cache, _) = cache(64 << 10);
    check(&files, &cache);
    check(&files, &cache);
    assert!((1..=64 << 10).contains(&cache.size()), "{}", cache.size());
}

#[test]
fn what_is_damaged_is_not_kept() {
    let disk = disk();
    let summary = write(&disk, &model());
    let file = ChunkFile::open(&disk, &path(&summary)).unwrap();
    let entry = file.entries(0, &mut Scratch::default()).unwrap()[3];
    let column = file.tables.columns[0].offset + u64::from(entry.column) + 2;
    // The pages of the directory and of columns are sound in the first case, the former in the second.
    for (damaged, kept) in [(entry.offset, 2), (column, 1)] {
        let sound = disk.content(&path(&summary)).unwrap();
        let mut bytes = sound.clone();
        bytes[damaged as usize] ^= 1;
        disk.plant(&path(&summary), bytes);
        let file = ChunkFile::open(&disk, &path(&summary)).unwrap();
        let (cache, metrics) = cache(4 << 20);
        for _ in 0..2 {
            let (mut scratch, mut out) = (Scratch::default(), Samples::default());
            scratch.look_into(&cache);
            assert!(file.read(entry.key, TimeRange::ALL, &mut out, &mut scratch).is_err());
            assert_eq!(metrics.blocks_read.get(), kept);
        }
        disk.plant(&path(&summary), sound);
    }
}
