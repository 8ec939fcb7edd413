//! The lines themselves, without time and tasks.
//!
//! A turn that becomes free goes to the caller with the fewest queries in evaluation, among equals to
//! whose last turn is longest ago, of those who had none to who waits longest; when there are more
//! places than may wait, the longest line loses its last. So a caller who floods the
//! server delays and displaces its own queries only.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// Sent to who may evaluate; dropping its sender says that there is no place any more.
#[derive(Debug)]
pub struct Turn;

pub enum Admission {
    Now,
    /// The ticket is for giving up.
    Wait(u64, Receiver<Turn>),
}

#[derive(Debug)]
pub struct Lines {
    turns: usize,
    places: usize,
    evaluating: usize,
    waiting: usize,
    last_ticket: u64,
    /// Counts the turns that were handed out.
    handed_out: u64,
    /// Those who evaluate or wait.
    callers: HashMap<String, Line>,
}

#[derive(Debug, Default)]
struct Line {
    limit: usize,
    evaluating: usize,
    /// The number of its last turn, since it evaluates or waits; 0 if it had none.
    last_turn: u64,
    waiting: VecDeque<(u64, Sender<Turn>)>,
}

impl Line {
    fn begin(&mut self, turn: u64) {
        self.evaluating += 1;
        self.last_turn = turn;
    }

    /// Who has the lowest is next; `None` if nobody waits.
    fn rank(&self) -> Option<(usize, u64, u64)> {
        let (ticket, _) = self.waiting.front()?;
        Some((self.evaluating, self.last_turn, *ticket))
    }
}

impl Lines {
    pub fn new(turns: usize, places: usize) -> Self {
        let callers = HashMap::new();
        Self { turns, places, evaluating: 0, waiting: 0, last_ticket: 0, handed_out: 0, callers }
    }

    pub fn enter(&mut self, caller: &str, limit: usize) -> Admission {
        let line = self.callers.entry(caller.to_owned()).or_default();
        line.limit = limit;
        if self.evaluating < self.turns && line.evaluating < limit {
            self.evaluating += 1;
            self.handed_out += 1;
            line.begin(self.handed_out);
            return Admission::Now;
        }
        self.last_ticket += 1;
        self.waiting += 1;
        let (sender, receiver) = channel();
        line.waiting.push_back((self.last_ticket, sender));
        let ticket = self.last_ticket;
        if self.waiting > self.places {
            self.shorten(caller);
        }
        Admission::Wait(ticket, receiver)
    }

    /// A query of this caller ended.
    pub fn leave(&mut self, caller: &str) {
        self.evaluating -= 1;
        if let Some(line) = self.callers.get_mut(caller) {
            line.evaluating -= 1;
        }
        self.hand_out();
        self.forget_if_idle(caller);
    }

    /// Nobody waits with this ticket any more; nothing to do if it was displaced.
    pub fn give_up(&mut self, caller: &str, ticket: u64) {
        if let Some(line) = self.callers.get_mut(caller) {
            let before = line.waiting.len();
            line.waiting.retain(|(other, _)| *other != ticket);
            self.waiting -= before - line.waiting.len();
        }
        self.forget_if_idle(caller);
    }

    fn hand_out(&mut self) {
        while self.evaluating < self.turns {
            let may_have = self.callers.values_mut().filter(|line| line.evaluating < line.limit);
            let next = may_have
                .filter_map(|line| Some((line.rank()?, line)))
                .min_by_key(|(rank, _)| *rank);
            let Some((_, line)) = next else { return };
            let Some((_, sender)) = line.waiting.pop_front() else { return };
            self.waiting -= 1;
            // Whoever gave up takes its ticket out of the line, under the same lock.
            if sender.send(Turn).is_ok() {
                self.evaluating += 1;
                self.handed_out += 1;
                line.begin(self.handed_out);
            }
        }
    }

    /// Displaces the last of the longest line, among equally long ones of who came now.
    fn shorten(&mut self, newcomer: &str) {
        let longest = self
            .callers
            .iter_mut()
            .max_by_key(|(caller, line)| (line.waiting.len(), caller.as_str() == newcomer));
        if let Some((_, line)) = longest
            && line.waiting.pop_back().is_some()
        {
            self.waiting -= 1;
        }
    }

    fn forget_if_idle(&mut self, caller: &str) {
        if self.callers.get(caller).is_some_and(|l| l.evaluating == 0 && l.waiting.is_empty()) {
            self.callers.remove(caller);
        }
    }

    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        (self.evaluating, self.waiting) == (0, 0) && self.callers.is_empty()
    }
}
