//! The queries that run or wait now: listed for operators, and stopped by them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metricstor_promql::Interrupt;

use crate::json::{push_html_string, push_number};

/// Characters of a query's text that are kept to be shown.
const TEXT_MAX: usize = 2048;

#[derive(Default)]
pub struct Running {
    last: AtomicU64,
    queries: Mutex<BTreeMap<u64, Query>>,
}

struct Query {
    caller: String,
    text: String,
    since: Instant,
    interrupt: Interrupt,
}

/// Keeps a query on the list until dropped.
pub struct Listed {
    running: Arc<Running>,
    id: u64,
}

impl Running {
    pub fn list(self: &Arc<Self>, caller: &str, text: &str, interrupt: &Interrupt) -> Listed {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let query = Query {
            caller: caller.to_owned(),
            text: text.chars().take(TEXT_MAX).collect(),
            since: Instant::now(),
            interrupt: interrupt.clone(),
        };
        self.lock().insert(id, query);
        Listed { running: Arc::clone(self), id }
    }

    /// False if there is no such query any more.
    pub fn cancel(&self, id: u64) -> bool {
        self.lock().get(&id).map(|query| query.interrupt.cancel()).is_some()
    }

    /// `[{"id":1,"caller":"user/admin","query":"up","seconds":0.5},…]`, the oldest first.
    pub fn push_json(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (i, (id, query)) in self.lock().iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"," });
            out.extend_from_slice(format!(r#"{{"id":{id},"caller":"#).as_bytes());
            push_html_string(out, &query.caller);
            out.extend_from_slice(br#","query":"#);
            push_html_string(out, &query.text);
            out.extend_from_slice(br#","seconds":"#);
            push_number(out, query.since.elapsed().as_secs_f64());
            out.push(b'}');
        }
        out.push(b']');
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Query>> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.running.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_query_can_be_cancelled_until_it_ends() {
        let running = Arc::new(Running::default());
        let interrupt = Interrupt::new();
        let listed = running.list("local", &"é".repeat(TEXT_MAX + 1), &interrupt);
        let mut out = Vec::new();
        running.push_json(&mut out);
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&json[0]["id"], &json[0]["caller"]), (&1.into(), &"local".into()));
        assert_eq!(json[0]["query"].as_str().unwrap().chars().count(), TEXT_MAX);
        assert!(running.cancel(1));
        assert!(interrupt.check().is_err());
        drop(listed);
        assert!(!running.cancel(1));
    }
}
