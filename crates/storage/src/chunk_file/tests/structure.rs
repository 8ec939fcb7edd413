//! The parts that are decoded before anything is trusted: any bytes, no panic, bounded memory.

use super::*;
use crate::chunk_file::Version;
use crate::chunk_file::directory::{Entry, Page, put_page};
use crate::chunk_file::labels::LabelReader;
use crate::chunk_file::tables::Tables;

fn versions() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::Two), Just(Version::Three), Just(Version::Four)]
}

/// A few metrics and many, so that neighbours share one and do not.
fn keys() -> impl Strategy<Value = SeriesKey> {
    (prop_oneof![0u32..3, any::<u32>()], any::<u32>())
        .prop_map(|(metric, series)| SeriesKey { metric, series })
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (keys(), any::<u32>(), 0u64..1 << 40, any::<u32>())
        .prop_map(|(key, column, offset, size)| Entry { key, column, offset, size });
    prop::collection::vec(entry, 0..40).prop_map(|mut entries| {
        entries.sort_by_key(|entry| entry.key);
        entries
    })
}

proptest! {
    #[test]
    fn directory_pages_round_trip(entries in entries(), wanted in prop::collection::vec(keys(), 0..5)) {
        let mut bytes = Vec::new();
        put_page(&entries, &mut bytes);
        let mut page = Page::default();
        page.turn_to(bytes.into(), Version::default());
        for key in wanted.into_iter().chain(entries.first().map(|entry| entry.key)) {
            let decoded = page.up_to(key).unwrap();
            prop_assert!(entries.starts_with(decoded));
            prop_assert!(entries[decoded.len()..].iter().all(|entry| entry.key > key));
        }
        prop_assert_eq!(page.up_to(SeriesKey::MAX).unwrap(), entries);
    }

    #[test]
    fn arbitrary_pages_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), version in versions()) {
        let mut page = Page::default();
        page.turn_to(bytes.as_slice().into(), version);
        let _ = page.up_to(SeriesKey::MAX);
        prop_assert!(page.decoded().len() <= bytes.len());
    }

    #[test]
    fn arbitrary_tables_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), start: u64, version in versions(), key in keys()) {
        if let Ok(tables) = Tables::read(&bytes, start, version) {
            prop_assert!(tables.size() <= bytes.len() * 100);
            let _ = tables.column_page(start);
            let _ = tables.directory_page(key, start as usize);
        }
    }

    #[test]
    fn arbitrary_label_records_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut reader = LabelReader::default();
        reader.load(&zstd::bulk::compress(&bytes, 1).unwrap(), 300).unwrap();
        while let Ok(Some(_)) = reader.next() {}
        let _ = reader.load(&bytes, 300);
    }
}
