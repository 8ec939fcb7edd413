//! Random queries, asked of the server and of a real Prometheus over the same pushed data: values
//! equal within 1e-9, the same errors, the same warnings and infos; each accepted difference is one
//! that a later version of Prometheus brought (`differences.rs`).
//!
//! Runs if a Prometheus 3 is found in METRICSTOR_PEERS or on PATH. METRICSTOR_DIFFERENTIAL=N asks N
//! queries, METRICSTOR_DIFFERENTIAL_SEED=S other ones; METRICSTOR_DIFFERENTIAL_BASE=T puts the data at
//! another time and METRICSTOR_DIFFERENTIAL_PATH shows both answers to one request, to look into a
//! difference.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod answer;
mod data;
mod differences;
mod grammar;
mod parts;
mod peer;
mod random;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use answer::{Outcome, compare};
use grammar::{Grammar, Question};
use peer::Prometheus;
use random::Random;
use support::Server;

/// Queries of an ordinary run.
const FEW: usize = 400;
/// Differences shown before the test fails.
const SHOWN: usize = 50;

fn setting(name: &str, default: usize) -> usize {
    let text = std::env::var(name);
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn random_queries_are_answered_as_prometheus_answers_them() {
    let dir = tempfile::tempdir().unwrap();
    let Some(prometheus) = Prometheus::start(dir.path()) else {
        println!("no Prometheus 3 in METRICSTOR_PEERS or on PATH: nothing to compare with");
        return;
    };
    let server = Server::start(dir.path());
    let seed = setting("METRICSTOR_DIFFERENTIAL_SEED", 1) as u64;
    let usual = support::now() / 3600 * 3600 - 2 * 3600;
    let base = setting("METRICSTOR_DIFFERENTIAL_BASE", usual as usize) as i64;
    let messages = data::messages(base, &mut Random::new(seed));
    push(&messages, server.plain);
    push(&messages, prometheus.address);
    if let Ok(path) = std::env::var("METRICSTOR_DIFFERENTIAL_PATH") {
        for address in [prometheus.address, server.plain] {
            let reply = support::request(address, "GET", &path, &[], b"").unwrap();
            println!("{}", reply.text());
        }
        return;
    }
    let mut grammar = Grammar::new(base, Random::new(seed ^ 0x9e37_79b9_7f4a_7c15));
    let (mut tally, mut differing) = (BTreeMap::new(), Vec::new());
    for _ in 0..setting("METRICSTOR_DIFFERENTIAL", FEW) {
        let question = grammar.question();
        let mut verdict = judge(server.plain, prometheus.address, &question, base);
        if matches!(verdict, Verdict::Differs(_)) {
            verdict = judge_afresh(&messages, server.plain, &question, base);
        }
        if let Verdict::Differs(difference) = &verdict {
            differing.push(format!("{}\n    {difference}", question.path()));
        }
        *tally.entry(verdict.name()).or_insert(0) += 1;
    }
    println!("{tally:?}");
    let shown = differing.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(
        differing.is_empty(),
        "{} differ (seed {seed}, base {base}):\n{shown}",
        differing.len()
    );
}

fn push(messages: &[Vec<u8>], address: SocketAddr) {
    for message in messages {
        let body = snap::raw::Encoder::new().compress_vec(message).unwrap();
        let headers = &support::remote_write::HEADERS;
        let reply = support::request(address, "POST", "/api/v1/write", headers, &body).unwrap();
        assert_eq!(reply.status, 204, "{address}: {}", reply.text());
    }
}

/// Compares with a Prometheus that has answered nothing yet: version 3.5 lets histograms of earlier
/// queries into later ones.
fn judge_afresh(messages: &[Vec<u8>], own: SocketAddr, question: &Question, base: i64) -> Verdict {
    with_fresh(messages, |fresh| match judge(own, fresh, question, base) {
        Verdict::Equal => Verdict::Explained("3.5 answers otherwise after other queries"),
        Verdict::Differs(difference) => {
            let (theirs, ours) = (Outcome::ask(fresh, question), Outcome::ask(own, question));
            let alone = |step: &Question| with_fresh(messages, |other| Outcome::ask(other, step));
            let reason = differences::reason_by_step(question, &theirs, &ours, alone);
            reason.map_or(Verdict::Differs(difference), Verdict::Explained)
        }
        verdict => verdict,
    })
}

fn with_fresh<T>(messages: &[Vec<u8>], ask: impl FnOnce(SocketAddr) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let fresh = Prometheus::start(dir.path()).expect("it was found before");
    push(messages, fresh.address);
    ask(fresh.address)
}

enum Verdict {
    Equal,
    BothRefuse,
    /// By a later version's doing, for this reason.
    Explained(&'static str),
    Differs(String),
}

impl Verdict {
    fn name(&self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::BothRefuse => "refused by both",
            Self::Explained(reason) => reason,
            Self::Differs(_) => "different",
        }
    }
}

fn judge(own: SocketAddr, reference: SocketAddr, question: &Question, base: i64) -> Verdict {
    let both =
        |question: &Question| (Outcome::ask(reference, question), Outcome::ask(own, question));
    let (theirs, ours) = both(question);
    let difference = match compare(&theirs, &ours) {
        Ok(()) if matches!(ours, Outcome::Refused(_)) => return Verdict::BothRefuse,
        Ok(()) => return Verdict::Equal,
        Err(difference) => difference,
    };
    let of_part =
        |text: &str| vec![both(&question.with(text)), both(&Question::over_all(text, base))];
    let reason = differences::reason(question, &theirs, &ours, &difference)
        .or_else(|| parts::reason(&question.text, of_part))
        .or_else(|| {
            differences::reason_by_time(question, &theirs, &ours, |at| Outcome::ask(reference, at))
        });
    match reason {
        Some(reason) => Verdict::Explained(reason),
        None if (0..3).any(|_| compare(&Outcome::ask(reference, question), &ours).is_ok()) => {
            Verdict::Explained("3.5 answers differently when asked again")
        }
        None => Verdict::Differs(difference),
    }
}
