//! The parts that are decoded before anything is trusted: any bytes, no panic, bounded memory.

use super::*;
use crate::chunk_file::directory::{Entry, put_page, read_page};
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
    fn directory_pages_round_trip(entries in entries()) {
        let (mut page, mut out) = (Vec::new(), Vec::new());
        put_page(&entries, &mut page);
        read_page(&page, &mut out).unwrap();
        prop_assert_eq!(out, entries);
    }

    #[test]
    fn arbitrary_pages_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut out = Vec::new();
        let _ = read_page(&bytes, &mut out);
        prop_assert!(out.len() <= bytes.len());
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
