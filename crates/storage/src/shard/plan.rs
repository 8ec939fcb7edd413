//! Which chunk files to merge next: a pure decision.
//!
//! Levels are time windows aligned to the epoch. A window's files are merged into one when nothing
//! more is expected for it, or when there are so many that reads suffer; so a sample is rewritten
//! about four times in its life.

use metricstor_model::TimeRange;

use crate::chunk_file::DENSE_LEVEL;

/// A file as the plan sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub name: String,
    pub level: u8,
    pub range: TimeRange,
    /// In bytes.
    pub size: u64,
}

/// What merged files may be: retention deletes whole files, so none should hold much of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bounds {
    /// Milliseconds of the time that one file spans.
    pub window: i64,
    /// Bytes.
    pub size: u64,
}

/// Merge these into one file of this level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub inputs: Vec<String>,
    pub level: u8,
}

const HOUR: i64 = 3_600_000;
/// The window of each level from 1 on, in milliseconds.
const WINDOWS: [i64; 3] = [2 * HOUR, 24 * HOUR, 720 * HOUR];
/// An open window is merged when it has this many files.
const CROWD: usize = 8;

/// The next merge, small windows first; `None` when all is well.
pub(super) fn next(files: &[Candidate], now: i64, bounds: Bounds) -> Option<Plan> {
    levels(bounds).find_map(|i| {
        let window = WINDOWS[i];
        // Late samples of the last tenth of a window may still come.
        let closed = |end: i64| end.saturating_add(window / 10) <= now;
        plan_level(files, i, |files, end| {
            let (count, size) = (files.len(), files.iter().map(|file| file.size).sum::<u64>());
            (count >= CROWD || count >= 2 && closed(end)) && size <= bounds.size
        })
    })
}

/// The next merge that takes no more than so many bytes of the disk; and does another wait for more?
pub(super) fn next_within(
    files: &[Candidate],
    now: i64,
    bounds: Bounds,
    room: u64,
) -> (Option<Plan>, bool) {
    let wanted = next(files, now, bounds);
    // What is merged is no larger than its inputs.
    let plan = next(files, now, Bounds { size: bounds.size.min(room), ..bounds });
    let waits = plan != wanted;
    (plan, waits)
}

/// Merges everything that may share a file, whatever its age; a lone file is rewritten once if that
/// packs it densely.
pub(super) fn everything(files: &[Candidate], bounds: Bounds) -> Option<Plan> {
    let last = levels(bounds).last()?;
    let denser = |file: &&Candidate| file.level < DENSE_LEVEL && last + 1 >= DENSE_LEVEL.into();
    plan_level(files, last, |files, _| files.len() >= 2 || files.iter().any(denser))
}

/// The levels whose files span no more than they may.
fn levels(bounds: Bounds) -> impl Iterator<Item = usize> {
    (0..WINDOWS.len()).filter(move |i| *i == 0 || WINDOWS[*i] <= bounds.window)
}

/// The first window of a level whose number of files and end satisfy `wanted`.
fn plan_level(
    files: &[Candidate],
    level: usize,
    wanted: impl Fn(&[&Candidate], i64) -> bool,
) -> Option<Plan> {
    let window = WINDOWS[level];
    // Few files end where a window does: one belongs to the window of its end, unless late samples
    // stretch it over several.
    let home = |file: &Candidate| {
        let span = file.range.end.saturating_sub(file.range.start);
        (span / 2 <= window).then(|| file.range.end.div_euclid(window))
    };
    let mut homes: Vec<i64> = files.iter().filter_map(home).collect();
    homes.sort_unstable();
    homes.dedup();
    homes.into_iter().find_map(|number| {
        let members: Vec<_> = files.iter().filter(|f| home(f) == Some(number)).collect();
        let end = number.saturating_add(1).saturating_mul(window);
        wanted(&members, end).then(|| Plan {
            inputs: members.iter().map(|f| f.name.clone()).collect(),
            level: level as u8 + 1,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, start: i64, end: i64) -> Candidate {
        Candidate { name: name.into(), level: 0, range: TimeRange::new(start, end), size: 10 }
    }

    const FREE: Bounds = Bounds { window: i64::MAX, size: u64::MAX };

    #[test]
    fn no_file_spans_or_holds_much_of_what_is_kept() {
        let files = [file("a", HOUR, 3 * HOUR), file("b", 5 * HOUR, 6 * HOUR - 1)];
        let bounds = Bounds { window: 23 * HOUR, ..FREE };
        assert!(next(&files, 1000 * HOUR, FREE).is_some());
        assert_eq!(next(&files, 1000 * HOUR, bounds), None);
        let small = [file("a", 0, 1), file("b", 2, 3)];
        assert_eq!(next(&small, 1000 * HOUR, Bounds { size: 19, ..FREE }), None);
        assert!(next(&small, 1000 * HOUR, Bounds { size: 20, ..bounds }).is_some());
    }

    #[test]
    fn a_closed_window_becomes_one_file() {
        let half = HOUR / 2;
        let files: Vec<_> =
            (0..4).map(|i| file(&i.to_string(), i * half, (i + 1) * half - 1)).collect();
        assert_eq!(next(&files, 2 * HOUR, FREE), None);
        let plan = next(&files, 3 * HOUR, FREE).unwrap();
        assert_eq!(plan.level, 1);
        assert_eq!(plan.inputs.len(), 4);
        assert_eq!(next(&[file("merged", 0, 2 * HOUR - 1)], 1000 * HOUR, FREE), None);
    }

    #[test]
    fn a_merge_that_the_disk_has_no_room_for_waits_and_keeps_up_no_other() {
        let large = |name, at| Candidate { size: 50, ..file(name, at, at + 1) };
        let files =
            [large("a", 0), large("b", 2), file("c", 3 * HOUR, 4 * HOUR - 2), file("d", 0, 1)];
        let files = [&files[..], &[file("e", 3 * HOUR, 4 * HOUR - 1)]].concat();
        let within = |room| next_within(&files, 5 * HOUR, FREE, room);
        let (plan, waits) = within(110);
        assert_eq!(
            (plan.unwrap().inputs, waits),
            (vec!["a".into(), "b".into(), "d".into()], false)
        );
        let (plan, waits) = within(109);
        assert_eq!((plan.unwrap().inputs, waits), (vec!["c".to_owned(), "e".into()], true));
        assert_eq!(within(19), (None, true));
        assert_eq!(next_within(&files[2..3], 5 * HOUR, FREE, 0), (None, false));
    }

    #[test]
    fn a_crowd_is_merged_before_its_window_closes() {
        let files: Vec<_> = (0..8).map(|i| file(&i.to_string(), i, i + 1)).collect();
        assert_eq!(next(&files[..7], 0, FREE), None);
        assert_eq!(next(&files, 0, FREE).unwrap().inputs.len(), 8);
    }

    #[test]
    fn a_file_belongs_to_the_window_of_its_end_unless_it_spans_several() {
        let files = [file("a", HOUR, 3 * HOUR), file("b", 3 * HOUR, 4 * HOUR - 1)];
        assert_eq!(next(&files, 5 * HOUR, FREE).unwrap().inputs, ["a", "b"]);
        let files = [file("long", -4 * HOUR, 3 * HOUR), file("b", 3 * HOUR, 4 * HOUR - 1)];
        assert_eq!(next(&files, 20 * HOUR, FREE), None);
        assert_eq!(next(&files, 27 * HOUR, FREE).unwrap().level, 2);
    }

    #[test]
    fn everything_means_everything_in_a_month() {
        let files = [
            file("a", 0, HOUR),
            file("b", 30 * HOUR, 31 * HOUR),
            file("c", 721 * HOUR, 722 * HOUR),
        ];
        assert_eq!(everything(&files, FREE).unwrap().inputs, ["a", "b"]);
        let lone = everything(&files[2..], FREE).unwrap();
        assert_eq!((&lone.inputs[..], lone.level), (&["c".to_owned()][..], 3));
        let packed = Candidate { level: 3, ..files[2].clone() };
        assert_eq!(everything(&[packed], FREE), None);
    }
}
