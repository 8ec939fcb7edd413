//! What was published is found again; what was not, is not.

use std::sync::Arc;

use metricstor_model::{Labels, SeriesId, TimeRange};
use roaring::RoaringBitmap;

use super::*;
use crate::chunk_file::{FileMeta, FileSummary};
use crate::index::Index;
use crate::tombstone::Tombstone;

fn block(index: &Index, series: impl IntoIterator<Item = u32>) -> Block {
    let mut builder = BlockBuilder::new();
    for series in series {
        builder.add(series, index.id(series).unwrap(), index.pairs(series));
    }
    builder.finish().unwrap()
}

pub(super) fn publish_all(catalog: &mut Catalog, index: &Index) {
    let series: Vec<u32> = index.select(&[]).iter().collect();
    let mut blocks = series.chunks(4096).map(|part| block(index, part.iter().copied()));
    let publication = Publication { new_series: Some(&mut blocks), ..Publication::default() };
    catalog.publish(publication).unwrap();
}

fn file(name: &str) -> FileSummary {
    FileSummary {
        name: name.into(),
        sha256: [0; 32],
        size: 1,
        meta: FileMeta::new(0, 0),
        range: TimeRange::new(0, 1),
        series: 1,
        chunks: 1,
        samples: 2,
    }
}

fn index_of(n: u32) -> Index {
    let mut index = Index::default();
    for i in 0..n {
        let i = i.to_string();
        let labels = Labels::from_pairs([("__name__", "m"), ("i", i.as_str())]).unwrap();
        index.create(SeriesId::of("", &labels), labels.iter());
    }
    index
}

#[test]
fn series_files_and_position_come_back_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let index = index_of(300);
    let mut catalog = Catalog::open(&path, 3).unwrap();
    for range in [0..100, 100..300] {
        let mut new_series = std::iter::once(block(&index, range));
        let publication = Publication {
            new_series: Some(&mut new_series),
            added: &[file("a"), file("b")],
            removed: &["a".into()],
            flushed: Some(17),
            ..Publication::default()
        };
        catalog.publish(publication).unwrap();
    }
    drop(catalog);
    let catalog = Catalog::open(&path, 3).unwrap();
    let loaded = catalog.load_series().unwrap();
    assert_eq!(loaded.len(), 300);
    for series in 0..300 {
        assert_eq!(loaded.labels(series), index.labels(series));
        let id = SeriesId::of("", &index.labels(series));
        assert_eq!(loaded.get(id), Some(series));
    }
    assert_eq!(catalog.flushed().unwrap(), 17);
    let mut names = catalog.files().unwrap();
    names.sort();
    assert_eq!(names, ["a", "b"]);
}

/// All that a start reads: series with their labels, the next reference, chunk files, the flushed log index.
type Content = (Vec<(u32, Labels)>, u32, Vec<String>, u64);

fn content(path: &Path) -> Result<Content, CatalogError> {
    let catalog = Catalog::open(path, 0)?;
    let index = catalog.load_series()?;
    let series = index.select(&[]);
    let series = series.into_iter().map(|series| (series, index.labels(series))).collect();
    Ok((series, index.next(), catalog.files()?, catalog.flushed()?))
}

fn filled(path: &Path, series: u32) -> Index {
    let index = index_of(series);
    let mut catalog = Catalog::open(path, 0).unwrap();
    let publication = Publication {
        new_series: Some(&mut std::iter::once(block(&index, 0..series))),
        added: &[file("a"), file("b")],
        flushed: Some(9),
        ..Publication::default()
    };
    catalog.publish(publication).unwrap();
    index
}

#[test]
fn removed_series_are_gone_and_their_references_stay_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let mut index = filled(&path, 9000);
    let removed: RoaringBitmap = (0..3000).chain(4000..9000).collect();
    for range in [0..5000, 5000..9000] {
        let mut part = removed.clone();
        part.remove_range(..range.start);
        part.remove_range(range.end..);
        let publication = Publication { removed_series: Some(&part), ..Publication::default() };
        Catalog::open(&path, 0).unwrap().publish(publication).unwrap();
    }
    index.remove(&removed);
    let (series, next, ..) = content(&path).unwrap();
    assert!(index.select(&[]).iter().eq(series.iter().map(|(one, _)| *one)));
    assert!(series.iter().all(|(one, labels)| index.labels(*one) == *labels));
    assert_eq!((series.len(), next), (1000, 9000));
}

#[test]
fn tombstones_come_back_until_they_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let tombstone = |position: u64| {
        Arc::new(Tombstone {
            position,
            range: TimeRange::new(-(position as i64), i64::MAX),
            series: (0..10_000).filter(|one| u64::from(one % 7) != position).collect(),
        })
    };
    let mut catalog = Catalog::open(&path, 0).unwrap();
    let added = [tombstone(1), tombstone(2)];
    catalog.publish(Publication { tombstones: &added, ..Publication::default() }).unwrap();
    drop(catalog);
    let mut catalog = Catalog::open(&path, 0).unwrap();
    assert_eq!(catalog.tombstones().unwrap(), added);
    let dropped = Publication { dropped_tombstones: &[1], ..Publication::default() };
    catalog.publish(dropped).unwrap();
    assert_eq!(catalog.tombstones().unwrap(), [tombstone(2)]);
    catalog.connection.execute("UPDATE tombstone SET start = 0", []).unwrap();
    assert!(matches!(catalog.tombstones(), Err(CatalogError::Damaged { .. })));
}

#[test]
fn small_publications_share_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let index = index_of(5000);
    let mut catalog = Catalog::open(&path, 0).unwrap();
    for start in (0..5000).step_by(50) {
        let mut blocks = std::iter::once(block(&index, (start..start + 50).rev()));
        let publication = Publication { new_series: Some(&mut blocks), ..Publication::default() };
        catalog.publish(publication).unwrap();
    }
    let sql = "SELECT count(*) FROM series_block";
    let blocks: u32 = catalog.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(blocks, 2);
    drop(catalog);
    let (series, ..) = content(&path).unwrap();
    assert!(series.iter().all(|(one, labels)| index.labels(*one) == *labels));
    assert_eq!(series.len(), 5000);
}

/// As a crash in the middle: the series are written, the files are not, the commit never comes.
#[test]
fn half_a_publication_leaves_nothing() {
    struct Crash<'a>(&'a Path, &'a Path);
    impl Iterator for Crash<'_> {
        type Item = Block;
        fn next(&mut self) -> Option<Block> {
            let copy = |from: &Path, to: &Path| std::fs::copy(from, to).map(drop);
            copy(self.0, self.1).unwrap();
            let wal = |path: &Path| path.with_extension("db-wal");
            copy(&wal(self.0), &wal(self.1)).unwrap();
            None
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, crashed) = (dir.path().join("index.db"), dir.path().join("crashed.db"));
    let index = filled(&path, 10);
    let before = content(&path).unwrap();
    let more = index_of(9000);
    let blocks = [block(&more, 10..4000), block(&more, 4000..9000)];
    let mut catalog = Catalog::open(&path, 0).unwrap();
    // Pages must reach the files before the commit.
    catalog.connection.pragma_update(None, "cache_size", 2).unwrap();
    let mut new_series = blocks.into_iter().chain(Crash(&path, &crashed));
    let publication = Publication {
        new_series: Some(&mut new_series),
        removed: &["a".into()],
        flushed: Some(10),
        ..Publication::default()
    };
    catalog.publish(publication).unwrap();
    drop(catalog);
    assert!(crashed.with_extension("db-wal").metadata().unwrap().len() > 100_000);
    assert_eq!(path.with_extension("db-wal").metadata().map_or(0, |wal| wal.len()), 0);
    assert_eq!(content(&crashed).unwrap(), before);
    assert_eq!(before.0.len(), index.len());
    let (series, next, files, flushed) = content(&path).unwrap();
    assert_eq!((series.len(), next, files, flushed), (9000, 9000, vec!["b".into()], 10));
}

#[test]
fn a_flipped_bit_is_found_or_does_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let (path, broken) = (dir.path().join("index.db"), dir.path().join("broken.db"));
    filled(&path, 200);
    let expected = content(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (mut found, mut harmless) = (0, 0);
    for at in (0..bytes.len()).step_by(23) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&broken, &flipped).unwrap();
        match content(&broken) {
            Ok(content) => {
                assert_eq!(content, expected, "byte {at}");
                harmless += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("broken.db"), "{error}");
                found += 1;
            }
        }
    }
    assert!(found > 100 && harmless > 100, "{found} found, {harmless} harmless");
}

#[test]
fn a_lost_page_is_damage_after_an_unclean_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    filled(&path, 2000);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 8192);
    std::fs::write(&path, &bytes).unwrap();
    let error = content(&path).unwrap_err();
    assert!(matches!(error, CatalogError::Damaged { .. }), "{error}");
}

/// An error after the commit makes the store publish the same series again.
#[test]
fn series_published_twice_are_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let index = index_of(3000);
    for _ in 0..2 {
        let mut blocks = std::iter::once(block(&index, 0..3000));
        let publication = Publication { new_series: Some(&mut blocks), ..Publication::default() };
        Catalog::open(&path, 0).unwrap().publish(publication).unwrap();
    }
    assert_eq!(content(&path).unwrap().0.len(), 3000);
}

#[test]
fn another_shards_catalog_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    drop(Catalog::open(&path, 1).unwrap());
    assert!(matches!(Catalog::open(&path, 2), Err(CatalogError::OtherShard { found: 1, .. })));
}

#[test]
fn what_is_not_a_database_is_called_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    std::fs::write(&path, vec![7; 8192]).unwrap();
    assert!(matches!(Catalog::open(&path, 0), Err(CatalogError::Damaged { .. })));
}

#[test]
fn a_later_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let catalog = Catalog::open(&path, 0).unwrap();
    catalog.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(catalog);
    assert!(matches!(Catalog::open(&path, 0), Err(CatalogError::Version { found: 99, .. })));
}

#[test]
fn series_with_long_labels_never_make_a_block_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let mut catalog = Catalog::open(&path, 0).unwrap();
    let mut index = Index::default();
    for i in 0..150 {
        let long = format!("{i}{}", "x".repeat(500_000));
        let labels = Labels::from_pairs([("__name__", "m"), ("i", long.as_str())]).unwrap();
        index.create(SeriesId::of("", &labels), labels.iter());
    }
    let mut blocks = (0..150).map(|series| block(&index, [series]));
    let publication = Publication { new_series: Some(&mut blocks), ..Publication::default() };
    catalog.publish(publication).unwrap();
    assert_eq!(catalog.load_series().unwrap().len(), 150);
}

/// SQLite refuses to empty its log while a statement of the connection reads; a full disk does too.
#[test]
fn what_is_committed_is_published_also_when_the_log_cannot_be_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let mut catalog = Catalog::open(&dir.path().join("index.db"), 0).unwrap();
    let mut statement = catalog.connection.prepare("SELECT name FROM position").unwrap();
    let mut rows = statement.query([]).unwrap();
    rows.next().unwrap();
    std::mem::forget(rows);
    std::mem::forget(statement);
    let publication = Publication { flushed: Some(5), ..Publication::default() };
    catalog.publish(publication).unwrap();
    assert_eq!(catalog.flushed().unwrap(), 5);
}
