//! Reading entries back. Every payload is verified here, each time: what opening the log checks is the
//! structure, so that a restart reads the bytes once.

use std::ops::Range;

use super::Entry;
use super::cursor::{Cursor, Unreadable};
use super::error::LogError;
use super::group::Position;
use super::log::Log;
use super::record::{Header, Kind};

/// Bytes read at a time when going through the whole log.
const STRIDE: u32 = 1 << 20;
/// The same for one group's entries, between which others' may lie.
const GROUP_STRIDE: u32 = 64 << 10;

impl Log {
    /// Visits the group's entries `range`, in order.
    ///
    /// # Errors
    /// [`LogError::NoEntry`] if one of them is purged or was never appended.
    pub fn read<E: From<LogError>>(
        &self,
        group: u32,
        range: Range<u64>,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cursor: Option<(u32, Cursor<'_>)> = None;
        for index in range {
            let known = self.groups.get(&group).and_then(|state| state.position(index));
            let position = known.ok_or(LogError::NoEntry { group, index })?;
            let segment = self.segment(position.seq).expect("live entries are in known segments");
            let (_, cursor) = match &mut cursor {
                Some((seq, cursor)) if *seq == position.seq => (seq, cursor),
                Some((seq, cursor)) => {
                    *seq = position.seq;
                    cursor.turn_to(segment, segment.end);
                    (seq, cursor)
                }
                none => {
                    let fresh = Cursor::new(segment, segment.end, GROUP_STRIDE);
                    let (seq, cursor) = none.insert((position.seq, fresh));
                    (seq, cursor)
                }
            };
            let at = position.offset;
            let header = cursor.header(at).map_err(|why| cursor.refuse(at, why))?;
            if (header.kind, header.group, header.index) != (Kind::Entry, group, index) {
                Err(cursor.damaged(at, "another record in an entry's place"))?;
            }
            visit_entry(cursor, at, &header, &mut visit)?;
        }
        Ok(())
    }

    /// Visits the live entries of all groups in the order they were appended, of each group from index
    /// `from(group)` on. Memory stays bounded by the largest entry.
    pub fn replay<E: From<LogError>>(
        &self,
        from: impl Fn(u32) -> u64,
        mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(mut at) = self.first_wanted(&from) else { return Ok(()) };
        let first = self.segment(at.seq).expect("live entries are in known segments");
        let mut cursor = Cursor::new(first, first.end, STRIDE);
        while let Some(segment) = self.segment(at.seq) {
            cursor.turn_to(segment, segment.end);
            while at.offset < segment.end {
                let header =
                    cursor.header(at.offset).map_err(|why| cursor.refuse(at.offset, why))?;
                if header.kind == Kind::Entry
                    && header.index >= from(header.group)
                    && self.is_live(&header, at)
                {
                    visit_entry(&mut cursor, at.offset, &header, &mut visit)?;
                }
                at.offset += header.extent();
            }
            let next = self.segment(at.seq + 1).map_or(0, |segment| segment.header.state_end);
            at = Position { seq: at.seq + 1, offset: next };
        }
        Ok(())
    }

    /// Where the earliest entry lies that a replay visits.
    fn first_wanted(&self, from: impl Fn(u32) -> u64) -> Option<Position> {
        let first = self.groups.iter().filter_map(|(id, group)| {
            let (first, _) = group.live()?;
            group.position(first.max(from(*id)))
        });
        first.min()
    }

    fn is_live(&self, entry: &Header, at: Position) -> bool {
        self.groups.get(&entry.group).is_some_and(|group| group.position(entry.index) == Some(at))
    }
}

fn visit_entry<E: From<LogError>>(
    cursor: &mut Cursor<'_>,
    at: u32,
    header: &Header,
    visit: &mut impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    // The path is looked up on failure only, after the payload's borrow has ended.
    let failed = match cursor.payload(at, header) {
        Ok(payload) => {
            let (group, term, index) = (header.group, header.term, header.index);
            return visit(Entry { group, term, index, payload });
        }
        Err(Unreadable::Flaw(what)) => what,
        Err(Unreadable::Error(error)) => return Err(error.into()),
    };
    Err(cursor.damaged(at, failed).into())
}
