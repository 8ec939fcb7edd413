//! What start timestamps say about counter resets.

/// Did the counter start anew between two samples, each given as start timestamp and timestamp?
pub(crate) fn is_reset((previous_start, previous): (i64, i64), (start, time): (i64, i64)) -> bool {
    if start == 0 || start >= time {
        // Not given, or of no use.
        return false;
    }
    if start != previous {
        return start > previous;
    }
    // A start right at the previous sample is a reset if that one has a start of its own (deltas); it
    // is the way to say "unknown" otherwise.
    previous_start <= previous && previous_start != 0 && previous_start != previous
}

/// Does a sample claim to count from before the previous sample, but not from that one's start?
pub(crate) fn overlaps(previous_start: i64, previous: i64, start: i64) -> bool {
    start != 0 && start < previous && start != previous_start
}
