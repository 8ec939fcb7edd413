//! Bytes from strangers, damaged in seeded ways: every parser answers, none panics, none is fooled.
//!
//! `METRICSTOR_FUZZ_SECONDS=600 cargo test --release -p metricstor-pki --test damaged_input` goes on
//! for that long with enrolment requests, renewals and policies; METRICSTOR_FUZZ_SEED makes it other
//! damage.

#![allow(clippy::unwrap_used, reason = "a panic is the failure report, in helpers too")]

mod support;

use std::time::{Duration, Instant};

use metricstor_pki::{
    ApplicantKey, ApprovalRequest, EnrolError, EnrolRequest, Identity, Kind, Policy, Refusal,
    Registrar, RenewRequest, Rule, TokenSpec, Verb, certificates_from_pem, parse_uri, uri,
};
use support::*;

/// SplitMix64: the same damage in every run.
struct Dice(u64);

impl Dice {
    fn new(test: u64) -> Self {
        let seed = std::env::var("METRICSTOR_FUZZ_SEED").map_or(0, |seed| seed.parse().unwrap());
        Self(test.wrapping_add(1_000_003_u64.wrapping_mul(seed)))
    }

    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }

    /// Overwrites, deletes, doubles or inserts a few bytes.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.roll(3) {
            if damaged.is_empty() {
                break;
            }
            let at = self.roll(damaged.len());
            let byte = [0x00, 0x01, 0x30, 0x7f, 0x80, 0x84, 0xff][self.roll(7)];
            match self.roll(5) {
                0 => damaged[at] = byte,
                1 => damaged[at] ^= 1 << self.roll(8),
                2 => damaged.insert(at, byte),
                3 => drop(damaged.remove(at)),
                _ => damaged.truncate(at),
            }
        }
        damaged
    }
}

/// Runs so many rounds, or for as long as the environment says.
fn repeat(rounds: usize, mut round: impl FnMut()) {
    (0..rounds).for_each(|_| round());
    let Ok(seconds) = std::env::var("METRICSTOR_FUZZ_SECONDS") else { return };
    let end = Instant::now() + Duration::from_secs(seconds.parse().unwrap());
    let mut more = 0_u64;
    while Instant::now() < end {
        round();
        more += 1;
    }
    println!("{more} more rounds in {seconds} s");
}

#[test]
fn a_damaged_certificate_is_refused_or_still_names_one_valid_subject() {
    let site = Site::new();
    let der = site.issue("agent/web-1", day(0)).chain()[0].to_vec();
    let mut dice = Dice::new(1);
    let mut refused = 0;
    for _ in 0..30_000 {
        match Identity::from_certificate(&dice.damage(&der)) {
            Err(_) => refused += 1,
            Ok(identity) => {
                let text = uri(&identity.trust_domain, &identity.subject);
                let parsed = parse_uri(&text).unwrap();
                assert_eq!(parsed, (identity.trust_domain, identity.subject));
            }
        }
    }
    assert!(refused > 10_000, "only {refused} refused");
}

#[test]
fn a_damaged_uri_is_refused_or_reads_back_as_itself() {
    let mut dice = Dice::new(2);
    for _ in 0..100_000 {
        let damaged = dice.damage(b"spiffe://test.example/agent/web-1");
        let Ok(text) = String::from_utf8(damaged) else { continue };
        if let Ok((trust_domain, subject)) = parse_uri(&text) {
            assert_eq!(uri(&trust_domain, &subject), text);
        }
    }
}

#[test]
fn a_damaged_pem_file_is_refused_or_holds_certificates() {
    let site = Site::new();
    let pem = metricstor_pki::certificates_to_pem(site.authority.issuing_chain());
    let mut dice = Dice::new(3);
    for _ in 0..5_000 {
        if let Ok(certificates) = certificates_from_pem(&dice.damage(pem.as_bytes())) {
            assert!(!certificates.is_empty());
        }
    }
}

/// The whole way from JSON to a decision: damage never gets a certificate, and the undamaged request
/// still does afterwards.
#[test]
fn a_damaged_enrolment_request_gets_no_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let mut registrar = Registrar::open(dir.path(), &domain(), day(0)).unwrap();
    let names = "web-1".parse().unwrap();
    let lifetime = Duration::from_secs(3_600);
    let spec = TokenSpec { kind: Kind::Agent, names, uses: 1, lifetime };
    let token = registrar.create_token(&spec, "user/admin", day(0)).unwrap();
    let request = ApplicantKey::generate().unwrap().enrol(&token, "web-1");
    let json = serde_json::to_vec(&request).unwrap();
    let mut dice = Dice::new(4);
    repeat(10_000, || {
        let bytes = dice.damage(&json);
        // Whatever it is, it is no other sort of request that is granted anything either.
        if let Ok(approval) = serde_json::from_slice::<ApprovalRequest>(&bytes) {
            assert!(registrar.ask_approval(&approval, day(0)).is_err());
        }
        let Ok(damaged) = serde_json::from_slice::<EnrolRequest>(&bytes) else { return };
        if damaged == request {
            return;
        }
        match registrar.enrol(&damaged, day(0)) {
            Err(EnrolError::Refused(Refusal::UnknownToken) | EnrolError::Csr(_)) => {}
            Err(other) => panic!("another error: {other}"),
            // PEM may be damaged without another meaning, in its line breaks for instance.
            Ok(_) => assert_eq!((damaged.name, damaged.proof), ("web-1".into(), request.proof)),
        }
    });
    registrar.enrol(&request, day(0)).unwrap();
}

/// A renewal with an expired certificate is the one request that brings its own proof of identity.
#[test]
fn a_damaged_renewal_renews_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut registrar = Registrar::open(dir.path(), &domain(), day(0)).unwrap();
    let spec = TokenSpec {
        kind: Kind::Agent,
        names: "web-1".parse().unwrap(),
        uses: 1,
        lifetime: Duration::from_secs(3_600),
    };
    let token = registrar.create_token(&spec, "user/admin", day(0)).unwrap();
    let key = ApplicantKey::generate().unwrap();
    let answer = registrar.enrol(&key.enrol(&token, "web-1"), day(0)).unwrap();
    let old = key.accept(&answer, None, day(0)).unwrap();
    let request = ApplicantKey::generate().unwrap().renew_expired(&old.credentials).unwrap();
    let json = serde_json::to_vec(&request).unwrap();
    let mut dice = Dice::new(5);
    repeat(3_000, || {
        let Ok(damaged) = serde_json::from_slice::<RenewRequest>(&dice.damage(&json)) else {
            return;
        };
        if damaged == request {
            return;
        }
        if let Ok(answer) = registrar.renew(None, &damaged, day(20)) {
            // Damage to PEM without another meaning: the key is still the one that was signed for.
            let chain = certificates_from_pem(answer.chain.as_bytes()).unwrap();
            let identity = Identity::from_certificate(&chain[0]).unwrap();
            assert_eq!(identity.subject, subject("agent/web-1"));
            assert_eq!(
                damaged.expired.unwrap().signature,
                request.expired.clone().unwrap().signature
            );
        }
    });
}

/// A damaged policy is refused, or is a policy that grants nobody what the whole one does not name.
#[test]
fn a_damaged_policy_is_refused_or_well_formed() {
    const RULES: &str = r#"[{"who":["agent/web-*","agent/*.dc1"],"may":["write"],"tenant":"shop",
        "stamp":{"instance":"{name}","via":"{kind}@{trust_domain}"},
        "limits":{"samples_per_second":10,"active_series":5,"label_value_bytes":9}},
        {"who":"service/grafana","may":["read"],"read_tenants":["shop"],"only":["env=~\"a|b.*\""]},
        {"who":"*","may":["read","rules"]}]"#;
    let mut dice = Dice::new(6);
    let names = ["agent/web-1", "agent/a.dc1", "service/grafana", "user/x", "node/n"];
    let mut built = 0_u64;
    repeat(20_000, || {
        let Ok(rules) = serde_json::from_slice::<Vec<Rule>>(&dice.damage(RULES.as_bytes())) else {
            return;
        };
        let Ok(policy) = Policy::new(&rules) else { return };
        built += 1;
        for name in names {
            let who = subject(name);
            for verb in [Verb::Write, Verb::Read, Verb::Rules, Verb::Admin, Verb::Peer] {
                if let Ok(grant) = policy.decide(&who, verb) {
                    assert!(rules[grant.rule() - 1].may.contains(&verb));
                    assert!(grant.only().iter().all(|matcher| !matcher.name.is_empty()));
                }
            }
        }
    });
    assert!(built > 300, "only {built} policies were built");
}
