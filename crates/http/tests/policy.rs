//! What the policy stamps, hides and limits, over real mutual TLS.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use metricstor_http::Config;
use metricstor_pki::Credentials;
use support::secured::*;
use support::{NOW, Push, encoded};

const STAMPING: &str = r#"[
    {"who": "agent/*", "may": ["write"], "stamp": {"instance": "{name}"}},
    {"who": "user/*", "may": ["read", "write", "admin"]}]"#;

const TENANTS: &str = r#"[
    {"who": "agent/shop-*", "may": ["write"], "tenant": "shop"},
    {"who": "agent/bank-*", "may": ["write"], "tenant": "bank"},
    {"who": "service/shop", "may": ["read"], "tenant": "shop"},
    {"who": "service/bank", "may": ["read"], "tenant": "bank"},
    {"who": "service/auditor", "may": ["read"], "tenant": "bank", "read_tenants": ["shop"]},
    {"who": "user/*", "may": ["read", "write", "admin"]}]"#;

fn answer(secured: &Secured, who: &Credentials, path: &str) -> String {
    let reply = secured.ask(who, get(path));
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.text().to_owned()
}

fn query(text: &str) -> String {
    format!("/api/v1/query?time={}&query={}", NOW / 1000, encoded(text))
}

#[test]
fn by_default_a_sample_says_which_machine_pushed_it() {
    let secured = Secured::start();
    let (one, two, reader) =
        (secured.issue("agent/one"), secured.issue("agent/two"), secured.issue("user/reader"));
    for (who, agent) in [(&one, "two"), (&two, "two"), (&reader, "none")] {
        let forged = [("__name__", "up"), ("agent", agent)];
        assert_eq!(secured.ask(who, write(&forged)).status, 204);
    }
    let agents = answer(&secured, &reader, "/api/v1/label/agent/values?match[]=up");
    assert_eq!(agents, r#"{"status":"success","data":["none","one","two"]}"#);
}

#[test]
fn nobody_writes_another_machines_metrics() {
    let secured = Secured::with(Config::default(), policy(STAMPING));
    let (one, two, reader) =
        (secured.issue("agent/one"), secured.issue("agent/two"), secured.issue("user/reader"));
    let forged = [("__name__", "up"), ("instance", "two"), ("job", "x")];
    // Twice, because what was recognised before must be stamped too.
    for _ in 0..2 {
        assert_eq!(secured.ask(&one, write(&forged)).status, 204);
    }
    assert_eq!(secured.ask(&two, write(&[("__name__", "up")])).status, 204);
    let instances = answer(&secured, &reader, "/api/v1/label/instance/values");
    assert_eq!(instances, r#"{"status":"success","data":["one","two"]}"#);
    let found = answer(&secured, &reader, &query("up{job=\"x\"}"));
    assert!(found.contains(r#""instance":"one""#) && !found.contains("two"), "{found}");
}

/// Every way to read, and what must not be found in its answer.
fn ways_to_read() -> Vec<String> {
    let all = encoded("{__name__=~\".+\"}");
    let time = NOW / 1000;
    vec![
        query("{__name__=~\".+\"}"),
        query("count by (__name__, __tenant__) ({__name__=~\".+\"})"),
        query("sum without (instance) ({__name__=~\".+\"})"),
        query("{__tenant__!=\"\"}"),
        format!("/api/v1/query_range?query={all}&start={time}&end={time}&step=1"),
        format!("/api/v1/series?match[]={all}"),
        "/api/v1/labels".to_owned(),
        format!("/api/v1/labels?match[]={all}"),
        "/api/v1/label/__name__/values".to_owned(),
        "/api/v1/label/owner/values".to_owned(),
        "/api/v1/label/__tenant__/values".to_owned(),
        format!("/federate?match[]={all}"),
        "/api/v1/metadata".to_owned(),
        "/api/v1/status/tsdb?limit=100".to_owned(),
        format!("/api/v1/query_exemplars?query={all}"),
        "/api/v1/search/metric_names".to_owned(),
        "/api/v1/search/label_names".to_owned(),
        "/api/v1/search/label_values?label=owner".to_owned(),
        "/api/v1/search/label_values?label=__tenant__".to_owned(),
    ]
}

/// What remote read answers when asked for everything; texts in it stand as they are.
fn read_remotely(secured: &Secured, who: &Credentials) -> String {
    let mut query = vec![0x08, 0, 0x10];
    let mut end = NOW as u64 + 1;
    while end >= 0x80 {
        query.push(end as u8 | 0x80);
        end >>= 7;
    }
    query.push(end as u8);
    let matcher = [&[0x08, 2, 0x12, 8][..], b"__name__", &[0x1a, 2], b".+"].concat();
    query.extend_from_slice(&[0x1a, matcher.len() as u8]);
    query.extend_from_slice(&matcher);
    let message = [&[0x0a, query.len() as u8][..], &query].concat();
    let body = support::snappy(&message);
    let head = format!(
        "POST /api/v1/read HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\n\
         Content-Encoding: snappy\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let reply = secured.ask(who, [head.as_bytes(), &body].concat());
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    let answer = snap::raw::Decoder::new().decompress_vec(&reply.body).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn tenants_never_see_each_other() {
    let secured = Secured::with(Config::default(), policy(TENANTS));
    let push = |who: &str, owner: &str| {
        let metric = format!("{owner}_metric");
        let push = Push::default()
            .series(&[("__name__", &metric), ("owner", owner), (owner, "1")], &[(NOW, 1.0)])
            .metadata(&metric, "help", "");
        let request = write_with("", &push);
        assert_eq!(secured.ask(&secured.issue(who), request).status, 204);
    };
    push("agent/shop-1", "shop");
    push("agent/bank-1", "bank");
    push("user/common", "common");
    for (reader, own, others) in [
        ("service/shop", "shop", ["bank", "common"]),
        ("service/bank", "bank", ["shop", "common"]),
        ("user/reader", "common", ["shop", "bank"]),
    ] {
        let reader = secured.issue(reader);
        for path in ways_to_read() {
            let found = answer(&secured, &reader, &path);
            for other in others {
                assert!(!found.contains(other), "{own} finds {other} at {path}: {found}");
            }
            assert!(!found.contains("__tenant__"), "{path}: {found}");
        }
        assert!(answer(&secured, &reader, &ways_to_read()[0]).contains(own));
        let found = read_remotely(&secured, &reader);
        assert!(found.contains(own) && !found.contains("__tenant__"), "{found}");
        assert!(others.iter().all(|other| !found.contains(other)), "{own}: {found}");
    }
    // The server's own figures are for those who may see everything.
    assert_eq!(secured.ask(&secured.issue("service/shop"), get("/metrics")).status, 403);
    assert_eq!(secured.ask(&secured.issue("user/reader"), get("/metrics")).status, 200);
}

#[test]
fn a_grant_to_read_several_tenants_shows_which_is_which() {
    let secured = Secured::with(Config::default(), policy(TENANTS));
    for who in ["agent/shop-1", "agent/bank-1"] {
        let request = write(&[("__name__", "up"), ("job", "same")]);
        assert_eq!(secured.ask(&secured.issue(who), request).status, 204);
    }
    let auditor = secured.issue("service/auditor");
    let asking = |tenants: &str| {
        let path = query("up");
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: {tenants}\r\n\r\n");
        secured.ask(&auditor, head)
    };
    let both = asking("shop|bank");
    assert!(both.text().contains(r#""__tenant__":"shop""#), "{}", both.text());
    assert!(both.text().contains(r#""__tenant__":"bank""#), "{}", both.text());
    assert_eq!(asking("shop").text().matches("same").count(), 1);
    assert_eq!(asking("other").status, 403);
}

#[test]
fn a_tenant_header_gives_nothing_that_the_policy_does_not() {
    let secured = Secured::with(Config::default(), policy(TENANTS));
    let agent = secured.issue("agent/shop-1");
    let long = "x".repeat(300);
    for (tenant, expected) in [
        ("shop", 204),
        ("bank", 403),
        ("../../etc", 400),
        ("", 400),
        (&*long, 400),
        (".", 400),
        ("..", 400),
        ("shop|bank", 403),
        ("a\u{1}b", 400),
    ] {
        let push = Push::default().series(&[("__name__", "up")], &[(NOW, 1.0)]);
        let request = write_with(&format!("X-Scope-OrgID: {tenant}\r\n"), &push);
        let status = secured.ask(&agent, request).status;
        assert_eq!(status, expected, "{tenant:?}");
    }
    let forged = write(&[("__name__", "up"), ("__tenant__", "bank")]);
    assert_eq!(secured.ask(&secured.issue("user/forger"), forged).status, 400);
}

#[test]
fn forced_matchers_hold_at_every_way_to_read() {
    let secured = Secured::with(
        Config::default(),
        policy(
            r#"[{"who": "service/*", "may": ["read"], "only": ["env=\"prod\""]},
                {"who": "user/*", "may": ["read", "write"]}]"#,
        ),
    );
    let writer = secured.issue("user/writer");
    for (env, metric) in [("prod", "visible"), ("secret", "hidden")] {
        let labels = [("__name__", metric), ("env", env), ("owner", metric), (metric, "1")];
        let push = Push::default().series(&labels, &[(NOW, 1.0)]).metadata(metric, "help", "");
        assert_eq!(secured.ask(&writer, write_with("", &push)).status, 204);
    }
    let reader = secured.issue("service/grafana");
    for path in ways_to_read() {
        let found = answer(&secured, &reader, &path);
        assert!(!found.contains("hidden") && !found.contains("secret"), "{path}: {found}");
    }
    let found = read_remotely(&secured, &reader);
    assert!(found.contains("visible") && !found.contains("secret"), "{found}");
    let asked = answer(&secured, &reader, &query("{env=\"secret\"} or visible"));
    assert!(asked.contains("visible") && !asked.contains("secret"), "{asked}");
}

#[test]
fn an_identitys_own_limits_are_429_and_nobody_elses_business() {
    let secured = Secured::with(
        Config::default(),
        policy(
            r#"[{"who": "agent/few", "may": ["write"], "limits": {"active_series": 1}},
                {"who": "agent/slow", "may": ["write"], "limits": {"samples_per_second": 1}},
                {"who": "agent/short", "may": ["write"],
                 "limits": {"labels_per_series": 2, "label_value_bytes": 4}},
                {"who": "*", "may": ["write", "read"]}]"#,
        ),
    );
    let few = secured.issue("agent/few");
    assert_eq!(secured.ask(&few, write(&[("__name__", "a")])).status, 204);
    let refused = secured.ask(&few, write(&[("__name__", "b")]));
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.text().contains("limit of 1 active series"), "{}", refused.text());
    assert_eq!(secured.ask(&few, write(&[("__name__", "a")])).status, 204);

    let slow = secured.issue("agent/slow");
    let samples: Vec<(i64, f64)> = (0..10).map(|i| (NOW - i, 1.0)).collect();
    let push = Push::default().series(&[("__name__", "c")], &samples);
    assert_eq!(secured.ask(&slow, write_with("", &push)).status, 204);
    let refused = secured.ask(&slow, write_with("", &push));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("9"));

    let short = secured.issue("agent/short");
    let long_value = [("__name__", "a"), ("x", "12345")];
    let many = [("__name__", "a"), ("x", "1"), ("y", "1")];
    assert_eq!(secured.ask(&short, write(&long_value)).status, 400);
    assert_eq!(secured.ask(&short, write(&many)).status, 400);
    let free = secured.issue("agent/free");
    for labels in [&long_value[..], &many] {
        assert_eq!(secured.ask(&free, write(labels)).status, 204);
        // Known by now, and beyond this sender's own limits all the same.
        assert_eq!(secured.ask(&short, write(labels)).status, 400);
    }
}

#[test]
fn query_memory_is_bounded_per_identity() {
    let secured = Secured::with(
        Config::default(),
        policy(
            r#"[{"who": "service/small", "may": ["read"], "limits": {"query_memory_bytes": 1000}},
                {"who": "*", "may": ["read"]}]"#,
        ),
    );
    let path = query("sum_over_time((vector(1))[1h:1s])");
    let range = "/api/v1/query_range?query=vector(1)%2Btime()&start=0&end=10000&step=1";
    let (small, large) = (secured.issue("service/small"), secured.issue("service/large"));
    for path in [path.as_str(), range] {
        assert_eq!(secured.ask(&large, get(path)).status, 200);
        let refused = secured.ask(&small, get(path));
        assert_eq!(refused.status, 422, "{path}: {}", refused.text());
    }
}
