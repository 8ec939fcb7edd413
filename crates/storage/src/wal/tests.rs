//! Any bytes may stand in a segment, also bytes with right checksums: opening the log refuses or
//! accepts them, and neither panics nor believes a size.

use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::record::{Header, Kind};
use super::segment::{START, SegmentHeader};
use super::{Entry, Log, LogConfig, LogError};
use crate::files::Simulated;

const FIRST: &str = "wal/00000001.seg";
const SECOND: &str = "wal/00000002.seg";

/// Opens the log and, if that works, reads all and writes on.
fn exercise(disk: &Simulated) -> Result<(), LogError> {
    let config = LogConfig { segment_bytes: 4096, identity: 0 };
    let mut log = Log::open(Arc::new(disk.clone()), Path::new("wal"), config)?;
    log.replay(|_| 0, |_| Ok::<_, LogError>(()))?;
    let groups: Vec<u32> = log.groups().collect();
    for group in groups {
        let (first, last) = (log.first_index(group), log.last(group));
        if let (Some(first), Some(last)) = (first, last) {
            log.read(group, first..last.index + 1, |_| Ok::<_, LogError>(()))?;
            log.truncate_suffix(group, last.index)?;
        }
        if let Some(last) = log.last(group).filter(|last| last.index < u64::MAX - 1) {
            let entry = Entry { group, term: last.term, index: last.index + 1, payload: b"x" };
            log.append(&[entry])?;
            log.purge_prefix(group, last)?;
        }
    }
    log.reclaim().map(|_| ())
}

/// A segment's bytes, of which the first records are the opening state.
fn bytes(header: SegmentHeader, records: &[Header]) -> Vec<u8> {
    let mut bytes = header.encode().to_vec();
    for record in records {
        bytes.extend(record.encode(header.seed()));
        bytes.resize(bytes.len() + record.len.next_multiple_of(8) as usize, 0);
    }
    bytes.resize(2048, 0);
    bytes
}

#[test]
fn an_opening_state_that_contradicts_the_log_is_refused() {
    let record = |kind, term, generation| {
        let durable = START;
        Header { durable, generation, ..Header::bare(kind, 0, term, 5) }
    };
    let header = |seq: u32, state_end| SegmentHeader {
        identity: 0,
        seq,
        generation: seq.into(),
        previous_end: START + 48,
        state_end,
        allocated: 2048,
    };
    for kind in [Kind::Vote, Kind::Purge] {
        let open = |term| {
            let disk = Simulated::new();
            disk.plant(Path::new(FIRST), bytes(header(1, START), &[record(kind, 1, 1)]));
            let second = bytes(header(2, START + 48), &[record(kind, term, 2)]);
            disk.plant(Path::new(SECOND), second);
            exercise(&disk)
        };
        open(1).unwrap();
        assert!(matches!(open(2), Err(LogError::Damaged { offset: 64, .. })), "{kind:?}");
    }
}

fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![0..4_u64, Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()]
}

fn kind() -> impl Strategy<Value = Kind> {
    use Kind::{Entry, Grown, Mark, Purge, Retained, Seal, Truncate, Vote};
    prop_oneof![
        4 => Just(Entry),
        1 => prop::sample::select(vec![Vote, Truncate, Purge, Retained, Mark, Seal, Grown]),
    ]
}

prop_compose! {
    fn record()(
        kind in kind(), group in 0..2_u32, term in edge(), index in edge(),
        durable in prop_oneof![Just(0), 0..4096_u32, Just(u32::MAX)],
        generation in prop_oneof![8 => Just(1), 1 => edge()],
        len in 0..64_u32,
    ) -> Header {
        let len = if kind == Kind::Entry { len } else { 0 };
        let payload_crc = crc32c::crc32c(&vec![0; len as usize]);
        let bare = Header::bare(kind, group, term, index);
        Header { durable, generation, len, payload_crc, ..bare }
    }
}

prop_compose! {
    fn segment(seq: u32)(
        records in vec(record(), 0..8), opening in 0..4_u32,
        generation in prop_oneof![8 => Just(seq.into()), 1 => edge()],
        previous_end in prop_oneof![4 => 64..512_u32, 1 => any::<u32>()],
        state_end in prop_oneof![8 => Just(None), 1 => any::<u32>().prop_map(Some)],
        allocated in prop_oneof![8 => Just(2048_u32), 1 => any::<u32>()],
    ) -> Vec<u8> {
        let state_end = state_end.unwrap_or(START + 48 * opening);
        let header =
            SegmentHeader { identity: 0, seq, generation, previous_end, state_end, allocated };
        bytes(header, &records)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_bytes_are_refused_or_read(bytes in vec(any::<u8>(), 0..600)) {
        let disk = Simulated::new();
        disk.plant(Path::new(FIRST), bytes);
        prop_assert!(exercise(&disk).is_err());
    }

    #[test]
    fn any_records_with_right_checksums_are_refused_or_read(
        first in segment(1), second in prop::option::of(segment(2)),
    ) {
        let disk = Simulated::new();
        disk.plant(Path::new(FIRST), first);
        if let Some(second) = second {
            disk.plant(Path::new(SECOND), second);
        }
        let _either = exercise(&disk);
    }
}
