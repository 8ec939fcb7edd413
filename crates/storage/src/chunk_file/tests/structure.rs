//! The parts that are decoded before anything is trusted: any bytes, no panic, bounded memory.

use super::*;
use crate::chunk_file::Version;
use crate::chunk_file::directory::{Entry, put_page, read_page};
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
    fn directory_pages_round_trip(entries in entries()) {
        let mut bytes = Vec::new();
        put_page(&entries, &mut bytes);
        prop_assert_eq!(read_page(&bytes, Version::default()).unwrap(), entries);
    }

    #[test]
    fn arbitrary_pages_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), version in versions()) {
        if let Ok(entries) = read_page(&bytes, version) {
            prop_assert!(entries.len() <= bytes.len());
        }
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
