//! Who may do what, over real TLS.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metricstor_http::Config;
use metricstor_pki::{BearerSpec, ClientAuth, Policy, UnixTime};
use support::secured::*;
use support::{NOW, Push, Reply};

const ADMINISTER: &str =
    "POST /api/v1/admin/storage/compact HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_kind_of_identity_may_do_what_it_is_for() {
    let secured = Secured::start();
    for (kind, health, write_up, read, administer) in [
        ("user", 200, 204, 200, 204),
        ("service", 200, 204, 200, 403),
        ("agent", 200, 204, 403, 403),
        ("node", 200, 403, 403, 403),
    ] {
        let credentials = secured.issue(&format!("{kind}/somebody"));
        for (what, request, expected) in [
            ("health", HEALTH.as_bytes(), health),
            ("write", &write(&[("__name__", "up")]), write_up),
            ("read", READ.as_bytes(), read),
            ("administer", ADMINISTER.as_bytes(), administer),
        ] {
            assert_eq!(secured.ask(&credentials, request).status, expected, "{kind}: {what}");
        }
    }
}

#[test]
fn a_revoked_identity_is_refused_on_its_living_connection_and_at_the_door() {
    let secured = Secured::start();
    let credentials = secured.issue("user/leaver");
    let config = secured.client(&credentials);
    let mut stream = secured.connect(Arc::clone(&config));
    assert_eq!(exchange(&mut stream, READ).status, 200);
    revoke(&secured, "user/leaver");
    let reply = exchange(&mut stream, READ);
    assert_eq!((reply.status, reply.header("connection")), (403, Some("close")));
    assert!(is_refused(secured.connect(config)));
}

fn revoke(secured: &Secured, subject: &str) {
    let subject = subject.parse().unwrap();
    let mut registrar = secured.server.pki.registrar();
    registrar.revoke(&subject, "left", "user/admin", UnixTime::now()).unwrap();
}

#[test]
fn an_idle_connection_of_a_revoked_identity_is_closed_within_five_seconds() {
    let secured = Secured::start();
    let mut stream = secured.connect(secured.client(&secured.issue("agent/stolen")));
    assert_eq!(exchange(&mut stream, HEALTH).status, 200);
    revoke(&secured, "agent/stolen");
    let start = Instant::now();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "nothing is sent, only closed");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn an_http_2_connection_of_a_revoked_identity_is_closed_within_five_seconds() {
    let secured = Secured::start();
    let mut config = (*secured.client(&secured.issue("agent/stolen"))).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let mut stream = secured.connect(Arc::new(config));
    // The preface and empty settings; the server answers with its own.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "a frame of settings");
    revoke(&secured, "agent/stolen");
    let start = Instant::now();
    let mut rest = Vec::new();
    // Closed without a farewell, perhaps.
    let _ = stream.read_to_end(&mut rest);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_connection_ends_with_its_certificate() {
    let secured = Secured::start();
    // Certificates are valid from five minutes before they are issued.
    let life = Duration::from_secs(2);
    let mut stream = secured.connect(secured.client(&secured.issue_for("agent/brief", Some(life))));
    assert_eq!(exchange(&mut stream, HEALTH).status, 200);
    let start = Instant::now();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_connection_ends_when_it_is_old() {
    let mut config = Config::default();
    config.connections.max_age = Duration::from_millis(100);
    let secured = Secured::with(config, Policy::default());
    let mut stream = secured.connect(secured.client(&secured.issue("agent/loyal")));
    assert_eq!(exchange(&mut stream, HEALTH).status, 200);
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn without_a_certificate_there_is_health_and_nothing_else() {
    let secured = Secured::start();
    let reply = secured.ask_anonymously(HEALTH);
    assert_eq!((reply.status, reply.text()), (200, "metricstor is healthy.\n"));
    let writing = write(&[("__name__", "up")]);
    for request in [
        READ.as_bytes(),
        &writing,
        ADMINISTER.as_bytes(),
        get("/metrics").as_bytes(),
        get("/api/v1/status/config").as_bytes(),
        get("/federate?match[]=up").as_bytes(),
        get("/api/v1/admin/pki/tokens").as_bytes(),
    ] {
        let reply = secured.ask_anonymously(request);
        assert_eq!(reply.status, 401, "{}", String::from_utf8_lossy(request));
        assert!(reply.text().contains("metricstor enrol"), "the next step is named");
    }
    for path in ["/-/ready", "/nothing", "/api/v1/write"] {
        assert_eq!(secured.ask_anonymously(get(path)).status, 401, "{path}");
    }
}

#[test]
fn by_setting_the_handshake_already_requires_a_certificate_and_enrolment_has_its_own_door() {
    let secured = Secured::with_door(Config::default(), Policy::default(), ClientAuth::Required);
    assert!(is_refused(secured.connect(secured.anonymous(b"http/1.1"))));
    assert!(is_refused(secured.connect(secured.anonymous(b"h2"))));
    let mut enrolling = secured.connect(secured.anonymous(b"metricstor-enrol/1"));
    assert_eq!(exchange(&mut enrolling, get("/pki/v1/bundle")).status, 200);
    assert_eq!(exchange(&mut enrolling, READ).status, 401);
}

#[test]
fn a_bearer_token_is_its_identity_until_it_is_withdrawn_or_the_identity_revoked() {
    let secured = Secured::start();
    let spec = BearerSpec {
        subject: "service/grafana".parse().unwrap(),
        lifetime: Duration::from_secs(3600),
    };
    let make = || {
        let mut registrar = secured.server.pki.registrar();
        registrar.create_bearer(&spec, "user/admin", UnixTime::now()).unwrap()
    };
    let (first, second) = (make(), make());
    let asking = |path: &str, token: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        secured.ask_anonymously(request).status
    };
    let read = "/api/v1/query?query=up";
    assert_eq!(asking(read, &first.reveal()), 200);
    assert_eq!(asking("/api/v1/admin/pki/tokens", &first.reveal()), 403);
    assert_eq!(asking(read, "msb1.0011223344556677.00"), 401);
    assert_eq!(asking(read, &first.reveal().replace("msb1", "ms1")), 401);
    secured.server.pki.registrar().withdraw(first.id, "user/admin", UnixTime::now()).unwrap();
    assert_eq!(asking(read, &first.reveal()), 401);
    assert_eq!(asking(read, &second.reveal()), 200);
    revoke(&secured, "service/grafana");
    assert_eq!(asking(read, &second.reveal()), 403);
}

#[test]
fn strangers_and_plain_http_are_turned_away() {
    let (secured, other) = (Secured::start(), Secured::start());
    let credentials = other.issue("user/admin");
    assert!(is_refused(secured.connect(secured.client(&credentials))), "another authority");

    let mut plain = secured.server.connect();
    plain.write_all(HEALTH.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The alert may be followed by a reset.
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "plain HTTP on the TLS port");

    let admin = secured.issue("user/admin");
    assert_eq!(secured.ask(&admin, HEALTH).status, 200, "the server goes on");
}

#[test]
fn a_handshake_that_does_not_end_is_cut() {
    let mut config = Config::default();
    config.connections.handshake_timeout = Duration::from_millis(50);
    let secured = Secured::with(config, Policy::default());
    let mut silent = secured.server.connect();
    let mut nothing = Vec::new();
    let _ = silent.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
}

#[test]
fn a_changed_policy_holds_for_the_next_request_of_a_living_connection() {
    let secured = Secured::start();
    let mut stream = secured.connect(secured.client(&secured.issue("agent/a")));
    let push = Push::default().series(&[("__name__", "up")], &[(NOW, 1.0)]);
    assert_eq!(exchange(&mut stream, write_with("", &push)).status, 204);
    let read_only = policy(r#"[{"who": "agent/a", "may": ["read"]}]"#);
    secured.server.pki.guard().replace_policy(read_only);
    assert_eq!(exchange(&mut stream, write_with("", &push)).status, 403);
    assert_eq!(exchange(&mut stream, READ).status, 200);
    let _: Reply = exchange(&mut stream, HEALTH);
}

#[test]
fn strangers_push_out_strangers_and_nobody_who_is_known() {
    let mut config = Config::default();
    config.connections.strangers = 2;
    let secured = Secured::with(config, Policy::default());
    let connected = |config| {
        let mut stream = secured.connect(config);
        assert_eq!(exchange(&mut stream, HEALTH).status, 200);
        stream
    };
    let mut known = connected(secured.client(&secured.issue("agent/a")));
    let [mut oldest, mut second, mut third] =
        [(); 3].map(|()| connected(secured.anonymous(b"http/1.1")));
    assert!(matches!(oldest.read(&mut [0]), Ok(0) | Err(_)), "closed without being asked");
    for stream in [&mut second, &mut third, &mut known] {
        assert_eq!(exchange(stream, HEALTH).status, 200);
    }
    let page = secured.ask(&secured.issue("user/admin"), get("/metrics"));
    let metrics = page.text();
    assert!(metrics.contains(r#"refused_total{reason="strangers_limit"}"#), "{metrics}");
}

#[test]
fn strangers_push_out_no_client_whose_bearer_token_is_valid_not_even_in_a_request() {
    let mut config = Config::default();
    config.connections.strangers = 2;
    let secured = Secured::with(config, Policy::default());
    let subject = "agent/a".parse().unwrap();
    let spec = BearerSpec { subject, lifetime: Duration::from_secs(3600) };
    let now = UnixTime::now();
    let token = secured.server.pki.registrar().create_bearer(&spec, "user/admin", now).unwrap();
    let headers = |token: &str| {
        format!("Authorization: Bearer {token}\r\nExpect: 100-continue\r\nX-Filler: 1\r\n")
    };
    let push = Push::default().series(&[("__name__", "up")], &[(NOW, 1.0)]);
    let request = write_with(&headers(&token.reveal()), &push);
    let body_at = request.len() - push.body().len();
    let mut stream = secured.connect(secured.anonymous(b"http/1.1"));
    stream.write_all(&request[..body_at]).unwrap();
    let mut go_on = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"), "the token was judged: {go_on:?}");
    let flood = || {
        let flood = [(); 4].map(|()| {
            let mut stranger = secured.connect(secured.anonymous(b"http/1.1"));
            assert_eq!(exchange(&mut stranger, HEALTH).status, 200);
            stranger
        });
        let [mut oldest, ..] = flood;
        assert!(matches!(oldest.read(&mut [0]), Ok(0) | Err(_)), "the flood takes its own places");
    };
    flood();
    assert_eq!(exchange(&mut stream, &request[body_at..]).status, 204);
    flood();
    let wrong = write_with(&headers("msb1.0011223344556677.00").replace("Expect", "X-No"), &push);
    assert_eq!(exchange(&mut stream, wrong).status, 401, "and is known all the same");
}
