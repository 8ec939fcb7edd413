//! What was published is found again; what was not, is not.

use metricstor_model::{Labels, SeriesId, TimeRange};

use super::*;
use crate::chunk_file::{FileMeta, FileSummary};
use crate::index::Index;

struct FromIndex<'a>(&'a Index, std::ops::Range<u32>);

impl NewSeries for FromIndex<'_> {
    fn pair(&mut self, pair: u32) -> Option<(String, String)> {
        let (name, value) = (pair < self.0.pair_count()).then(|| self.0.pair(pair))?;
        Some((name.to_owned(), value.to_owned()))
    }

    fn next(&mut self, pairs: &mut Vec<u32>) -> Option<u32> {
        let series = self.1.next()?;
        *pairs = self.0.pairs_of(series).to_vec();
        Some(series)
    }
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
    let mut index = Index::new();
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
        let mut new_series = FromIndex(&index, range);
        let publication = Publication {
            new_series: Some(&mut new_series),
            added: &[file("a"), file("b")],
            removed: &["a".into()],
            flushed: Some(17),
        };
        catalog.publish(publication).unwrap();
    }
    drop(catalog);
    let catalog = Catalog::open(&path, 3).unwrap();
    let mut loaded = Index::new();
    catalog.load_series(&mut loaded, "").unwrap();
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
