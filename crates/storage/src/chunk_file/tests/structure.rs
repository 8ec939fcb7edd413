//! The parts that are decoded before anything is trusted: any bytes, no panic, bounded memory.

use super::*;
use crate::chunk_file::directory::{Entry, Page, put_page};
use crate::chunk_file::labels::LabelReader;
use crate::chunk_file::tables::Tables;

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (any::<u32>(), any::<u32>(), 0u64..1 << 40, any::<u32>())
        .prop_map(|(series, column, offset, size)| Entry { series, column, offset, size });
    prop::collection::vec(entry, 0..40).prop_map(|mut entries| {
        entries.sort_by_key(|entry| entry.series);
        entries
    })
}

proptest! {
    #[test]
    fn directory_pages_round_trip(entries in entries(), wanted in prop::collection::vec(any::<u32>(), 0..5)) {
        let mut bytes = Vec::new();
        put_page(&entries, &mut bytes);
        let mut page = Page::default();
        page.turn_to(bytes.into());
        for series in wanted.into_iter().chain(entries.first().map(|entry| entry.series)) {
            let decoded = page.up_to(series).unwrap();
            prop_assert!(entries.starts_with(decoded));
            prop_assert!(entries[decoded.len()..].iter().all(|entry| entry.series > series));
        }
        prop_assert_eq!(page.up_to(u32::MAX).unwrap(), entries);
    }

    #[test]
    fn arbitrary_pages_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut page = Page::default();
        page.turn_to(bytes.as_slice().into());
        let _ = page.up_to(u32::MAX);
        prop_assert!(page.decoded().len() <= bytes.len());
    }

    #[test]
    fn arbitrary_tables_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), start: u64) {
        if let Ok(tables) = Tables::read(&bytes, start) {
            prop_assert!(tables.size() <= bytes.len() * 100);
            let _ = tables.column_page(start);
            let _ = tables.directory_page(start as u32);
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
