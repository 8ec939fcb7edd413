//! Damage is found, named and contained: an error, never a wrong sample, never a panic.

use metricstor_model::Need;

use super::caching::cache;
use super::*;
use crate::chunk_file::{ChunkFileError, Needed};

fn small() -> Model {
    let mut model: Model = (0..40).map(|series| (series * 5, regular(series, 30))).collect();
    let mut mixed = regular(1, 20);
    mixed.histograms = (3..20).map(|i| (i, histogram(i as i64))).collect();
    mixed.start_timestamps = vec![1_600_000_000_000; 20];
    model.insert(3, mixed);
    model
}

/// The file's bytes, and a disk to put damaged ones on.
fn bytes() -> (Simulated, PathBuf, Vec<u8>) {
    let disk = disk();
    let path = path(&write(&disk, &small()));
    let bytes = disk.content(&path).unwrap();
    (disk, path, bytes)
}

/// The buffers of a reader with a cache.
fn cached() -> Scratch {
    let mut scratch = Scratch::default();
    scratch.look_into(&cache(1 << 20).0);
    scratch
}

/// Reads everything, with a cache of blocks or without: each series is right or an error that is
/// called damage. Returns the errors.
fn read_or_error(
    disk: &Simulated,
    path: &Path,
    model: &Model,
    mut scratch: Scratch,
) -> Vec<ChunkFileError> {
    let mut errors = Vec::new();
    match ChunkFile::open(disk, path) {
        Err(error) => errors.push(error),
        Ok(file) => {
            for (series, samples) in model {
                let (all, any) = (TimeRange::ALL, Needed::of_chunks(Need::One, TimeRange::ALL));
                let (mut out, mut few) = (Samples::default(), Samples::default());
                let read = file.read(key(*series), all, &mut out, &mut scratch);
                let read_few =
                    file.read_needed(key(*series), all, any, &mut |_| true, &mut few, &mut scratch);
                assert_eq!(read.is_ok(), read_few.is_ok(), "series {series}");
                match read {
                    Ok(()) => {
                        assert_eq!(text(&out), text(samples), "series {series}");
                        assert_eq!(few.len() + few.left_out, samples.len(), "series {series}");
                    }
                    Err(error) => {
                        assert!(out.is_empty() && out.values.is_empty());
                        assert!(few.is_empty() && few.left_out == 0);
                        errors.push(error);
                    }
                }
            }
        }
    }
    for error in &errors {
        let damage = matches!(error, ChunkFileError::Damaged { path: named, .. } if named == path);
        assert!(damage || matches!(error, ChunkFileError::Unsupported { .. }), "{error}");
    }
    errors
}

fn found_by_scrub(disk: &Simulated, path: &Path) -> bool {
    match ChunkFile::open(disk, path) {
        Err(_) => true,
        Ok(file) => !file.verify(1000).unwrap().is_empty(),
    }
}

#[test]
fn a_flip_of_any_byte_is_found_and_never_read_as_data() {
    let (disk, path, bytes) = bytes();
    let model = small();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        disk.plant(&path, damaged);
        read_or_error(&disk, &path, &model, Scratch::default());
        read_or_error(&disk, &path, &model, cached());
        assert!(found_by_scrub(&disk, &path), "byte {at} of {}", bytes.len());
    }
}

#[test]
fn a_file_cut_at_any_length_does_not_open() {
    let (disk, path, bytes) = bytes();
    for length in 0..bytes.len() {
        disk.plant(&path, bytes[..length].to_vec());
        assert!(matches!(ChunkFile::open(&disk, &path), Err(ChunkFileError::Damaged { .. })));
    }
}

#[test]
fn a_damaged_block_is_named_and_leaves_its_neighbours_readable() {
    let (disk, path, mut bytes) = bytes();
    let file = ChunkFile::open(&disk, &path).unwrap();
    let mut scratch = Scratch::default();
    let entry = file.entries(0, &mut scratch).unwrap()[7];
    bytes[entry.offset as usize + 1] ^= 0x10;
    disk.plant(&path, bytes);
    let file = ChunkFile::open(&disk, &path).unwrap();
    let damages = file.verify(100).unwrap();
    let places: Vec<_> = damages.iter().map(|d| (d.offset, d.series)).collect();
    assert_eq!(places, [(entry.offset, Some(entry.key.series))]);
    for scratch in [Scratch::default(), cached()] {
        let errors = read_or_error(&disk, &path, &small(), scratch);
        assert_eq!(errors.len(), 1);
        let named = format!("offset {}: series {}", entry.offset, entry.key.series);
        assert!(errors[0].to_string().contains(&named), "{}", errors[0]);
    }
}

#[test]
fn a_file_with_anothers_content_is_found_by_its_name() {
    let (disk, path, _) = bytes();
    let other: Model = [(0, regular(0, 5))].into();
    let bytes = disk.content(&self::path(&write(&disk, &other))).unwrap();
    disk.plant(&path, bytes);
    let damages = ChunkFile::open(&disk, &path).unwrap().verify(10).unwrap();
    assert_eq!(damages.len(), 1);
    assert!(damages[0].what.contains("hash"), "{damages:?}");
}

/// Recomputes the checksum behind `content`, as if the damage had happened before writing. Header and
/// footer have one place only, all else says where it stands.
fn reseal(bytes: &mut [u8], content: std::ops::Range<usize>) {
    let fixed = content.start == 0 || content.end == bytes.len() - 12;
    let checksum = match fixed {
        true => crc32c::crc32c(&bytes[content.clone()]),
        false => FileMeta::new(0, 7).checksum(&bytes[content.clone()], content.start as u64),
    };
    bytes[content.end..content.end + 4].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn nonsense_under_a_right_checksum_does_not_panic() {
    let (disk, path, bytes) = bytes();
    let file = ChunkFile::open(&disk, &path).unwrap();
    let mut scratch = Scratch::default();
    let mut sealed = Vec::new();
    for (i, page) in file.tables.directory.iter().enumerate() {
        sealed.push(page.offset as usize..page.offset as usize + page.size as usize);
        let block = |e: &crate::chunk_file::directory::Entry| {
            e.offset as usize..e.offset as usize + e.size as usize
        };
        let entries = file.entries(i, &mut scratch).unwrap();
        sealed.extend(entries.iter().map(block));
    }
    let frames = file.tables.labels.iter();
    sealed.extend(frames.map(|f| f.offset as usize..(f.offset + f.size) as usize));
    sealed.push(0..28);
    sealed.push(bytes.len() - 96..bytes.len() - 12);
    sealed.push(file.footer.tables as usize..bytes.len() - 100);
    for content in sealed {
        for at in content.clone() {
            let mut damaged = bytes.clone();
            damaged[at] ^= [0x01, 0x80, 0xff][at % 3];
            reseal(&mut damaged, content.clone());
            disk.plant(&path, damaged);
            if let Ok(file) = ChunkFile::open(&disk, &path) {
                use_everything(&file);
            }
        }
    }
}

/// Uses the whole reading side; whatever it answers, it must answer.
fn use_everything(file: &ChunkFile) {
    use_with(file, Scratch::default());
    use_with(file, cached());
    let _ = file.verify(1000).unwrap();
}

fn use_with(file: &ChunkFile, mut scratch: Scratch) {
    let mut out = Samples::default();
    for &series in small().keys() {
        let _ = file.read(key(series), TimeRange::ALL, &mut out, &mut scratch);
        let needed = Needed::of_chunks(Need::Greatest, TimeRange::ALL);
        let _ = file.read_needed(
            key(series),
            TimeRange::ALL,
            needed,
            &mut |_| true,
            &mut out,
            &mut scratch,
        );
        let _ = file.last_sample(key(series), &mut scratch);
    }
}

/// Bytes that are whole in themselves, at another place: a disk that wrote to the wrong sector.
#[test]
fn blocks_that_changed_places_are_damage_and_no_samples() {
    let disk = disk();
    let constant = |value: f64| {
        let mut samples = Samples::default();
        (0..100).for_each(|i| samples.push(i * 15_000, value));
        samples
    };
    // Nothing in the two blocks tells to which series they belong.
    let model: Model = [(1, constant(1.0)), (2, constant(2.0))].into();
    let path = path(&write(&disk, &model));
    let mut bytes = disk.content(&path).unwrap();
    let place = |value: u8| {
        let block = [1, 2 * value];
        (32..bytes.len()).find(|at| bytes[*at..].starts_with(&block)).unwrap()
    };
    let (one, two) = (place(1), place(2));
    (0..6).for_each(|i| bytes.swap(one + i, two + i));
    disk.plant(&path, bytes);
    let file = ChunkFile::open(&disk, &path).unwrap();
    for series in [1, 2] {
        let mut out = Samples::default();
        let read = file.read(key(series), TimeRange::ALL, &mut out, &mut Scratch::default());
        assert!(matches!(read, Err(ChunkFileError::Damaged { .. })), "{series}: {}", text(&out));
    }
    assert_eq!(file.verify(9).unwrap().len(), 2);
}
