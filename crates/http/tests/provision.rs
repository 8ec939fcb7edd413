//! Enrolment, renewal and the authority's administration, through the front door.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use metricstor_pki::{
    ApplicantKey, ApprovalAnswer, EnrolAnswer, Enrolled, EnrolmentToken, Kind, TokenSpec, UnixTime,
    certificates_from_pem,
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
    // Issued in the second before the new root at least.
    std::thread::sleep(Duration::from_millis(1100));
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
