//! What each operation of a plan takes, for those who want it explained.
//!
//! Invariant: without a stopwatch nothing is measured or counted; the test for it is all that is paid.

use std::time::Duration;

use crate::eval::Evaluator;
use crate::eval::frame::{Frame, is_absent};
use crate::explain::{Explanation, Stopwatch};
use crate::plan::{Kind, Node, Plan};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub series: u64,
    pub samples: u64,
    pub bytes: u64,
    pub time: Duration,
}

impl Cost {
    pub fn of(frame: &Frame) -> Self {
        let (series, samples) = (frame.len() as u64, frame.samples() as u64);
        Self { series, samples, bytes: frame.size() as u64, time: Duration::ZERO }
    }

    /// One series with these cells.
    pub fn of_cells(cells: &[f64]) -> Self {
        let samples = cells.iter().filter(|cell| !is_absent(**cell)).count() as u64;
        let bytes = size_of_val(cells) as u64;
        Self { series: 1, samples, bytes, time: Duration::ZERO }
    }

    fn add(&mut self, other: &Self) {
        self.series += other.series;
        self.samples += other.samples;
        self.bytes += other.bytes;
        self.time += other.time;
    }
}

/// The costs of a plan's nodes, by their numbers.
#[derive(Debug)]
pub(crate) struct Profile {
    clock: Stopwatch,
    costs: Vec<Cost>,
    /// The nodes that were evaluated inside the pipeline of another.
    streamed: Vec<bool>,
}

impl Profile {
    pub fn new(clock: Stopwatch, nodes: usize) -> Self {
        Self { clock, costs: vec![Cost::default(); nodes], streamed: vec![false; nodes] }
    }

    pub fn explain(&self, plan: &Plan, text: &str) -> Explanation {
        self.node(&plan.root, text)
    }

    /// Recursion is bounded: the parser refuses deep expressions.
    fn node(&self, node: &Node, text: &str) -> Explanation {
        let cost = self.costs.get(node.number).copied().unwrap_or_default();
        Explanation {
            operation: node.operation(),
            expression: text.get(node.span.start..node.span.end).unwrap_or_default().to_owned(),
            series: cost.series,
            samples: cost.samples,
            bytes: cost.bytes,
            time: cost.time,
            once: node.once,
            streamed: self.streamed.get(node.number).is_some_and(|streamed| *streamed),
            operands: node.operands().into_iter().map(|operand| self.node(operand, text)).collect(),
        }
    }
}

impl Evaluator<'_> {
    /// The moment at which an evaluation begins, if anybody wants to know.
    pub(super) fn begin(&self) -> Option<Duration> {
        self.profile.as_ref().map(|profile| (profile.clock)())
    }

    /// Notes what a node took since `begun`.
    pub(super) fn end(
        &mut self,
        node: &Node,
        begun: Option<Duration>,
        cost: impl FnOnce() -> Cost,
    ) {
        if let (Some(profile), Some(begun)) = (&mut self.profile, begun) {
            let time = (profile.clock)().saturating_sub(begun);
            // Of a selector, what was read is told, not what the steps need of it.
            let read = matches!(node.kind, Kind::Selector(_));
            let cost = if read { profile.costs[node.number] } else { cost() };
            profile.costs[node.number] = Cost { time, ..cost };
            profile.streamed[node.number] = false;
        }
    }

    pub(super) fn stopwatch(&self) -> Option<Stopwatch> {
        self.profile.as_ref().map(|profile| profile.clock)
    }
}

/// What the operations of a pipeline take in one run, innermost first.
#[derive(Debug, Default)]
pub(crate) struct Laps {
    clock: Option<Stopwatch>,
    last: Duration,
    costs: Vec<Cost>,
}

impl Laps {
    pub fn start(clock: Option<Stopwatch>, operations: usize) -> Self {
        let (last, operations) = match clock {
            Some(clock) => (clock(), operations),
            None => (Duration::ZERO, 0),
        };
        Self { clock, last, costs: vec![Cost::default(); operations] }
    }

    /// Everything since the last lap was work of this operation.
    #[inline]
    pub fn lap(&mut self, operation: usize, cost: impl FnOnce() -> Cost) {
        if let Some(clock) = self.clock {
            let now = clock();
            let time = now.saturating_sub(self.last);
            self.costs[operation].add(&Cost { time, ..cost() });
            self.last = now;
        }
    }
}

/// Adds what a run took to the nodes with these numbers, innermost first.
pub(crate) fn absorb(profile: &mut Option<Profile>, nodes: &[usize], laps: &Laps) {
    let Some(profile) = profile else { return };
    let mut time = Duration::ZERO;
    for (&node, cost) in nodes.iter().zip(&laps.costs) {
        time += cost.time;
        profile.costs[node].add(&Cost { time, ..*cost });
        profile.streamed[node] = true;
    }
}
