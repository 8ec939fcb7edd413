//! Opening a log: the segments are read in order and must agree with each other; only the end of the
//! newest one may be unfinished, and is cut off there. Nothing is written before all is understood.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;

use super::LogConfig;
use super::cursor::{Cursor, Unreadable};
use super::error::LogError;
use super::folder::{Folder, SPARES};
use super::group::{Group, Position};
use super::log::Log;
use super::record::{Header, Kind};
use super::segment::{START, Segment, SegmentHeader};
use super::tail;
use super::write::create_segment;
use crate::files::Files;

/// Bytes read at a time where every byte is wanted, and where entries are large and only their
/// headers are.
const STRIDE: u32 = 1 << 20;
const LEAP: u32 = 4 << 10;

/// An unfinished write that was cut off the end of the log: none of it was ever acknowledged.
#[derive(Clone, Debug)]
pub struct TornTail {
    pub path: PathBuf,
    /// Where the log ends now, in bytes.
    pub offset: u64,
    /// Valid records that were given up because an earlier one is not whole.
    pub records: u64,
}

impl Log {
    /// Opens the log in a folder, or begins one.
    ///
    /// # Errors
    /// [`LogError::Damaged`] and [`LogError::Missing`] if something that was durable is not there as
    /// it was. Payloads of full segments are verified when they are read.
    pub fn open(files: Arc<dyn Files>, dir: &Path, config: LogConfig) -> Result<Log, LogError> {
        let (mut folder, found) = Folder::open(files, dir, config.segment_bytes)?;
        let Some(run) = last_run(&found) else { return begin(folder, config.identity) };
        let open = |seq: &u32| folder.open_segment(*seq, config.identity);
        let mut segments = run.iter().map(open).collect::<Result<VecDeque<_>, _>>()?;
        let mut scan = Scan::default();
        for at in 1..segments.len() {
            segments[at - 1].end = segments[at].header.previous_end;
            scan.full_segment(&segments[at - 1])?;
        }
        let newest = segments.back_mut().expect("a run is not empty");
        let end = scan.newest_segment(newest, &folder)?;
        newest.end = end.offset;
        if scan.groups.values().any(Group::is_incomplete) {
            return Err(LogError::Missing { path: folder.segment_path(run[0].saturating_sub(1)) });
        }
        tail::rewrite(newest, end.durable, end.offset)?;
        // Before the gap is what an interrupted reclaim left.
        for seq in &found[..found.len() - run.len()] {
            folder.retire(&folder.segment_path(*seq))?;
        }
        folder.trim_spares(SPARES)?;
        folder.sync()?;
        let mut log = new_log(folder, config.identity, segments, scan.groups);
        log.generation = scan.generation.saturating_add(1);
        log.torn = end.torn;
        log.durable = end.durable;
        // What was read, be it a mark, may be in memory only, with something else on the disk.
        log.debris = true;
        log.clear_debris()?;
        Ok(log)
    }
}

/// The last of the numbers and those before it without a gap.
fn last_run(seqs: &[u32]) -> Option<&[u32]> {
    seqs.chunk_by(|a, b| a + 1 == *b).last()
}

/// Begins a log in a folder that has none.
fn begin(mut folder: Folder, identity: u128) -> Result<Log, LogError> {
    // A spare may hold records of an earlier log under this very segment header.
    folder.trim_spares(0)?;
    folder.sync()?;
    let (generation, state_end) = (1, 0);
    let header =
        SegmentHeader { identity, seq: 1, generation, previous_end: 0, state_end, allocated: 0 };
    let first = create_segment(&mut folder, &HashMap::new(), header)?;
    Ok(new_log(folder, identity, VecDeque::from([first]), HashMap::new()))
}

fn new_log(
    folder: Folder,
    identity: u128,
    segments: VecDeque<Segment>,
    groups: HashMap<u32, Group>,
) -> Log {
    let newest = segments.back().expect("a log has at least one segment");
    Log {
        folder,
        identity,
        durable: newest.end,
        generation: newest.header.generation,
        segments,
        groups,
        poisoned: false,
        debris: false,
        buffer: Vec::new(),
        batches: 0,
        torn: None,
    }
}

/// What was read so far.
#[derive(Default)]
struct Scan {
    groups: HashMap<u32, Group>,
    /// The highest so far.
    generation: u64,
    segments: usize,
}

/// Where a segment's good records stop, and how.
struct Stop {
    offset: u32,
    /// How far the records before say the segment was durable.
    durable: u32,
    why: Why,
}

enum Why {
    Limit,
    /// A mark or seal.
    Closed(Kind),
    Flaw(&'static str),
}

/// The end of the log.
struct End {
    offset: u32,
    durable: u32,
    torn: Option<TornTail>,
}

impl Scan {
    /// Reads a segment that another one follows: its records must end where that one says.
    fn full_segment(&mut self, segment: &Segment) -> Result<(), LogError> {
        let damaged = |offset, what| Err(LogError::damaged(&segment.path, offset, what));
        if segment.end > segment.allocated || segment.end < segment.header.state_end {
            return damaged(segment.allocated, "the file is cut off");
        }
        let stop = self.walk(Cursor::new(segment, segment.end, STRIDE), segment, false)?;
        match stop.why {
            Why::Limit if stop.offset == segment.end => Ok(()),
            Why::Flaw(what) => damaged(stop.offset, what),
            Why::Limit | Why::Closed(_) => {
                damaged(stop.offset, "it ends before the next segment begins")
            }
        }
    }

    /// Reads the newest segment and finds the end of the log.
    fn newest_segment(&mut self, segment: &Segment, folder: &Folder) -> Result<End, LogError> {
        let cursor = Cursor::new(segment, segment.allocated, STRIDE);
        let Stop { offset, durable, why } = self.walk(cursor, segment, true)?;
        let beyond = tail::survey(segment, offset)?;
        if beyond.durable > offset || segment.header.state_end > offset {
            let Why::Flaw(what) = why else {
                return Err(LogError::damaged(&segment.path, offset, "records are missing"));
            };
            return Err(LogError::damaged(&segment.path, offset, what));
        }
        if matches!(why, Why::Closed(Kind::Seal)) {
            return Err(LogError::Missing {
                path: folder.segment_path(segment.header.seq.saturating_add(1)),
            });
        }
        self.generation = self.generation.max(beyond.generation);
        let closed = matches!(why, Why::Closed(_));
        let torn =
            beyond.records > u64::from(closed) || (!closed && tail::is_begun(segment, offset)?);
        let torn = torn.then(|| TornTail {
            path: segment.path.clone(),
            offset: offset.into(),
            records: beyond.records - u64::from(closed),
        });
        Ok(End { offset, durable: durable.max(beyond.durable), torn })
    }

    /// Applies a segment's records up to its end or the first that is not good.
    fn walk(
        &mut self,
        mut cursor: Cursor<'_>,
        segment: &Segment,
        verify: bool,
    ) -> Result<Stop, LogError> {
        if segment.header.generation <= self.generation {
            return Err(LogError::damaged(
                &segment.path,
                40,
                "an older segment in a newer's place",
            ));
        }
        self.generation = segment.header.generation;
        self.segments += 1;
        let state_end = segment.header.state_end;
        let mut stop = Stop { offset: START, durable: state_end, why: Why::Limit };
        while stop.offset < cursor.limit() {
            let record = match self.next(&mut cursor, stop.offset, verify) {
                Ok(record) => record,
                Err(Unreadable::Flaw(what)) => return Ok(Stop { why: Why::Flaw(what), ..stop }),
                Err(Unreadable::Error(error)) => return Err(error),
            };
            self.generation = record.generation;
            stop.durable = stop.durable.max(record.durable.min(stop.offset));
            let opening = stop.offset < state_end;
            if !opening && matches!(record.kind, Kind::Mark | Kind::Seal) {
                return Ok(Stop { why: Why::Closed(record.kind), ..stop });
            }
            if !opening && record.kind == Kind::Grown && record.index <= segment.allocated.into() {
                stop.offset += record.extent();
                continue;
            }
            let at = Position { seq: segment.header.seq, offset: stop.offset };
            self.apply(&record, at, opening)
                .map_err(|what| LogError::damaged(&segment.path, stop.offset, what))?;
            stop.offset += record.extent();
        }
        Ok(stop)
    }

    fn next(&self, cursor: &mut Cursor<'_>, at: u32, verify: bool) -> Result<Header, Unreadable> {
        let record = cursor.header(at)?;
        if record.generation < self.generation {
            return Err(Unreadable::Flaw("a record of an earlier, cut-off write"));
        }
        if verify {
            cursor.payload(at, &record)?;
        } else {
            cursor.set_stride(if record.len > 4 * LEAP { LEAP } else { STRIDE });
        }
        Ok(record)
    }

    fn apply(&mut self, record: &Header, at: Position, opening: bool) -> Result<(), &'static str> {
        let group = self.groups.entry(record.group).or_default();
        match (opening, self.segments) {
            (false, _) => group.apply(record, at),
            (true, 1) => group.adopt(record),
            (true, _) => group.confirm(record),
        }
    }
}
