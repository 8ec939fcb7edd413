//! Enrolment, renewal and the authority's administration, through the front door.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metricstor_http::Config;
use metricstor_pki::{
    ApplicantKey, ApprovalAnswer, EnrolAnswer, Enrolled, EnrolmentToken, Kind, Policy, TokenSpec,
    UnixTime, certificates_from_pem,
};
use serde_json::{Value, json};
use support::Reply;
use support::secured::*;

fn token(secured: &Secured, names: &str) -> EnrolmentToken {
    let spec = TokenSpec {
        kind: Kind::Agent,
        names: names.parse().unwrap(),
        uses: 1,
        lifetime: Duration::from_secs(600),
    };
    secured.server.pki.registrar().create_token(&spec, "user/admin", UnixTime::now()).unwrap()
}

fn enrol(secured: &Secured, token: &EnrolmentToken, key: &ApplicantKey, name: &str) -> Reply {
    let body = serde_json::to_string(&key.enrol(token, name)).unwrap();
    secured.ask_anonymously(post("/pki/v1/enrol", &body))
}

fn accept(key: ApplicantKey, reply: &Reply) -> Enrolled {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer: EnrolAnswer = serde_json::from_slice(&reply.body).unwrap();
    key.accept(&answer, None, UnixTime::now()).unwrap()
}

fn enrolled(secured: &Secured, name: &str) -> Enrolled {
    let key = ApplicantKey::generate().unwrap();
    let reply = enrol(secured, &token(secured, name), &key, name);
    accept(key, &reply)
}

#[test]
fn a_token_is_worth_one_key_however_often_that_one_asks() {
    let secured = Secured::start();
    let token = token(&secured, "web-*");
    let key = ApplicantKey::generate().unwrap();
    // The first answer was lost.
    assert_eq!(enrol(&secured, &token, &key, "web-1").status, 200);
    let again = enrol(&secured, &token, &key, "web-1");
    let enrolled = accept(key, &again);
    let another = enrol(&secured, &token, &ApplicantKey::generate().unwrap(), "web-1");
    assert_eq!((another.status, another.text()), (403, "the token has been used\n"));
    let labels = [("__name__", "up")];
    assert_eq!(secured.ask(&enrolled.credentials, write(&labels)).status, 204);
}

#[test]
fn renewal_gives_a_new_key_the_same_name_and_a_revoked_one_nothing() {
    let secured = Secured::start();
    let old = enrolled(&secured, "web-1");
    let key = ApplicantKey::generate().unwrap();
    let renewal = serde_json::to_string(&key.renew()).unwrap();
    let reply = secured.ask(&old.credentials, post("/pki/v1/renew", &renewal));
    let new = accept(key, &reply);
    assert_eq!(new.identity.subject, old.identity.subject);
    assert_eq!(secured.ask_anonymously(post("/pki/v1/renew", &renewal)).status, 403);
    let admin = secured.issue("user/admin");
    let order = json!({"subject": "agent/web-1", "reason": "stolen"}).to_string();
    assert_eq!(secured.ask(&admin, post("/api/v1/admin/pki/revoke", &order)).status, 200);
    assert!(is_refused(secured.connect(secured.client(&new.credentials))));
    let crl = secured.ask_anonymously(get("/pki/v1/crl"));
    assert!(crl.text().contains("BEGIN X509 CRL"));
}

#[test]
fn guessing_tokens_is_stopped_after_five_and_costs_the_owner_nothing() {
    let secured = Secured::start();
    let (real, other) = (token(&secured, "web-1"), Secured::start());
    let wrong = token(&other, "web-1");
    let key = ApplicantKey::generate().unwrap();
    let guesses: Vec<u16> = (0..8).map(|_| enrol(&secured, &wrong, &key, "web-1").status).collect();
    assert_eq!(guesses, [403, 403, 403, 403, 403, 429, 429, 429]);
    // The owner is somebody else; here the same address, so through the registrar itself.
    let request = key.enrol(&real, "web-1");
    assert!(secured.server.pki.registrar().enrol(&request, UnixTime::now()).is_ok());
    assert_eq!(secured.ask_anonymously(HEALTH).status, 200);
}

#[test]
fn what_is_no_request_is_refused_without_being_repeated() {
    let secured = Secured::start();
    let token = token(&secured, "web-1").reveal();
    let in_address = secured.ask_anonymously(post(&format!("/pki/v1/enrol?token={token}"), "{}"));
    assert_eq!(in_address.status, 400);
    assert!(!in_address.text().contains(&token));
    let garbage = secured.ask_anonymously(post("/pki/v1/enrol", &format!("{{\"x\":\"{token}\"}}")));
    assert_eq!(garbage.status, 400);
    assert!(!garbage.text().contains(&token));
    let large = "POST /pki/v1/enrol HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
    let large = secured.ask_anonymously(large);
    assert_eq!(large.status, 413);
}

#[test]
fn machines_without_a_token_wait_for_an_administrator() {
    let secured = Secured::start();
    let admin = secured.issue("user/admin");
    let key = ApplicantKey::generate().unwrap();
    let facts = BTreeMap::from([("host".to_owned(), "rack-7".to_owned())]);
    let subject = "agent/rack-7".parse().unwrap();
    let request = serde_json::to_string(&key.ask_approval(&subject, facts)).unwrap();
    let asking = || secured.ask_anonymously(post("/pki/v1/approval", &request));
    let first = asking();
    assert_eq!(first.status, 202);
    let ApprovalAnswer::Pending { fingerprint } = serde_json::from_slice(&first.body).unwrap()
    else {
        panic!("approved by nobody")
    };
    let root = secured.server.pki.registrar().authority().root_pin().unwrap();
    assert_eq!(fingerprint, key.approval_code(&root), "both sides show the same");
    let listed = secured.ask(&admin, get("/api/v1/admin/pki/pending"));
    let listed: Value = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listed[0]["fingerprint"], fingerprint.as_str());
    assert_eq!(listed[0]["facts"]["host"], "rack-7");
    let approve = post(&format!("/api/v1/admin/pki/pending/{fingerprint}/approve"), "");
    assert_eq!(secured.ask(&secured.issue("agent/rack-7"), &approve).status, 403);
    assert_eq!(secured.ask(&admin, &approve).status, 200);
    let answer = asking();
    let ApprovalAnswer::Approved(answer) = serde_json::from_slice(&answer.body).unwrap() else {
        panic!("still pending")
    };
    let enrolled = key.accept(&answer, Some(&root), UnixTime::now()).unwrap();
    assert_eq!(enrolled.identity.subject, subject);
}

#[test]
fn roots_are_exchanged_under_load_and_dropped_only_when_everybody_follows() {
    let secured = Secured::start();
    let admin = secured.issue("user/admin");
    let old = enrolled(&secured, "web-1");
    let rotate =
        |what: &str| secured.ask(&admin, post(&format!("/api/v1/admin/pki/rotate/{what}"), ""));
    assert_eq!(rotate("root").status, 200);
    assert_eq!(secured.ask(&old.credentials, HEALTH).status, 200, "old certificates go on");
    let refused = rotate("drop-old-roots");
    assert_eq!(refused.status, 409);
    assert!(refused.text().contains("agent/web-1"), "{}", refused.text());
    let key = ApplicantKey::generate().unwrap();
    let renewal = serde_json::to_string(&key.renew()).unwrap();
    let new = accept(key, &secured.ask(&old.credentials, post("/pki/v1/renew", &renewal)));
    assert_eq!(new.trust_bundle.len(), 2);
    assert_eq!(rotate("drop-old-roots").status, 200);
    let bundle = secured.ask(&new.credentials, get("/pki/v1/bundle"));
    assert_eq!(certificates_from_pem(&bundle.body).unwrap().len(), 1);
    assert!(is_refused(secured.connect(secured.client(&admin))), "the old administrator is out");
}

fn unbounded() -> Secured {
    let mut config = Config::default();
    config.enrolment.requests_per_minute = u32::MAX;
    config.enrolment.refusals_per_minute = u32::MAX;
    Secured::with(config, Policy::default())
}

fn renewed(secured: &Secured, old: &Enrolled) -> Enrolled {
    let key = ApplicantKey::generate().unwrap();
    let renewal = serde_json::to_string(&key.renew()).unwrap();
    accept(key, &secured.ask(&old.credentials, post("/pki/v1/renew", &renewal)))
}

/// Pushes on a connection of its own each time, and renews now and then, until told to stop.
fn push_for_ever(secured: &Secured, mut held: Enrolled, pushed: &AtomicU64, stop: &AtomicBool) {
    let labels = [("__name__", "up")];
    for n in 1.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        assert_eq!(secured.ask(&held.credentials, write(&labels)).status, 204);
        pushed.fetch_add(1, Ordering::Relaxed);
        if n % 10 == 0 {
            held = renewed(secured, &held);
        }
    }
}

/// Stops the fleet when dropped, also by a failed assertion.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Issuing key, root, issuing key again, and the old root's end: of a fleet that pushes and renews all
/// the while, nobody is refused once.
#[test]
fn issuing_keys_and_roots_change_under_a_load_that_never_notices() {
    let secured = unbounded();
    let (pushed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let patience = Instant::now() + Duration::from_secs(120);
    std::thread::scope(|scope| {
        let _at_the_end = Stop(&stop);
        let fleet = (0..3).map(|n| enrolled(&secured, &format!("web-{n}")));
        let fleet: Vec<_> = fleet
            .map(|held| scope.spawn(|| push_for_ever(&secured, held, &pushed, &stop)))
            .collect();
        let more = |count: u64| {
            let wanted = pushed.load(Ordering::Relaxed) + count;
            while pushed.load(Ordering::Relaxed) < wanted {
                let failed = fleet.iter().any(|thread| thread.is_finished());
                assert!(!failed && Instant::now() < patience, "the fleet has stopped");
                std::thread::yield_now();
            }
        };
        let pki = &secured.server.pki;
        more(20);
        pki.rotate_issuing("user/admin").unwrap();
        more(20);
        pki.add_root("user/admin").unwrap();
        more(20);
        pki.rotate_issuing("user/admin").unwrap();
        // Refused until all have renewed since.
        while pki.drop_old_roots("user/admin", false).is_err() {
            more(5);
        }
        assert_eq!(pki.registrar().authority().trust_bundle().len(), 1);
        more(60);
        stop.store(true, Ordering::Relaxed);
        for thread in fleet {
            thread.join().unwrap();
        }
    });
}

#[test]
fn the_list_of_an_issuer_is_open_to_everybody_and_no_other_path_is() {
    let secured = Secured::start();
    let old = enrolled(&secured, "web-1");
    let pki = &secured.server.pki;
    let issuer = pki.registrar().crls(UnixTime::now()).unwrap()[0].issuer;
    let ask = |issuer: &str| secured.ask_anonymously(get(&format!("/pki/v1/crl/{issuer}")));
    let list = ask(&issuer.to_string());
    assert_eq!((list.status, list.header("content-type")), (200, Some("application/pkix-crl")));
    assert_eq!(list.body, pki.crl_of(&issuer).unwrap().unwrap());
    let serial = &old.identity.serial;
    let holds = |list: &[u8]| list.windows(serial.len()).any(|bytes| bytes == serial);
    assert!(!holds(&list.body));
    let subject = "agent/web-1".parse().unwrap();
    pki.registrar().revoke(&subject, "stolen", "user/admin", UnixTime::now()).unwrap();
    assert!(holds(&ask(&issuer.to_string()).body), "named at the next question");
    // Of the old key too, once there is another.
    pki.rotate_issuing("user/admin").unwrap();
    assert!(holds(&ask(&issuer.to_string()).body));
    for stranger in ["00", &"ab".repeat(32), "..%2f..%2froot-1.pem", &"a".repeat(4096)] {
        assert_eq!(ask(stranger).status, 404, "{stranger}");
    }
}

/// Whoever guesses learns from the time neither which tokens there are nor how near a guess is.
#[test]
fn an_unknown_token_and_a_wrong_secret_are_refused_equally_fast() {
    let secured = unbounded();
    let token = token(&secured, "web-1");
    let right = ApplicantKey::generate().unwrap().enrol(&token, "web-1");
    let (mut wrong, mut unknown) = (right.clone(), right);
    wrong.proof.0[31] ^= 1;
    unknown.token.0[0] ^= 1;
    let requests =
        [wrong, unknown].map(|r| post("/pki/v1/enrol", &serde_json::to_string(&r).unwrap()));
    let mut stream = secured.connect(secured.anonymous(b"http/1.1"));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..600 {
        let begun = Instant::now();
        let reply = exchange(&mut stream, &requests[round % 2]);
        times[round % 2].push(begun.elapsed());
        assert_eq!(
            (reply.status, reply.text()),
            (403, "no such token, or the proof does not fit\n")
        );
    }
    let [wrong, unknown] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    });
    let ratio = wrong / unknown;
    assert!((0.85..1.18).contains(&ratio), "wrong secret {wrong} s, unknown token {unknown} s");
}
