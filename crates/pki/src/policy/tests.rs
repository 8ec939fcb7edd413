use proptest::prelude::*;

use super::*;
use crate::certificate::seconds_after_epoch;
use crate::hash::Hex;
use crate::identity::Identity;
use crate::pattern::NamePattern;
use crate::revocation::Revocations;

fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

fn parse(json: &str) -> Result<Policy, String> {
    let rules: Vec<Rule> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    Policy::new(&rules).map_err(|e| e.to_string())
}

fn policy(json: &str) -> Policy {
    parse(json).unwrap()
}

#[test]
fn the_first_rule_that_names_the_caller_decides() {
    let policy = policy(
        r#"[{"who": "agent/web-1", "may": ["read"]},
            {"who": ["agent/web-*", "agent/db-*"], "may": ["write"]},
            {"who": "agent/*", "may": ["write", "read"]}]"#,
    );
    for (who, verb, expected) in [
        ("agent/web-1", Verb::Read, Ok(1)),
        ("agent/web-1", Verb::Write, Err(Denial::Verb { rule: 1, verb: Verb::Write })),
        ("agent/web-2", Verb::Write, Ok(2)),
        ("agent/db-9", Verb::Read, Err(Denial::Verb { rule: 2, verb: Verb::Read })),
        ("agent/other", Verb::Read, Ok(3)),
        ("user/web-1", Verb::Read, Err(Denial::NoRule)),
        ("node/web-1", Verb::Peer, Err(Denial::NoRule)),
    ] {
        let decision = policy.decide(&subject(who), verb).map(|grant| grant.rule());
        assert_eq!(decision, expected, "{who} {verb}");
    }
}

#[test]
fn without_rules_nobody_may_do_anything() {
    let nothing = Policy::new(&[]).unwrap();
    assert_eq!(nothing.decide(&subject("user/admin"), Verb::Read).unwrap_err(), Denial::NoRule);
}

#[test]
fn by_default_people_do_everything_programs_read_and_machines_push() {
    let policy = Policy::default();
    let verbs = [Verb::Write, Verb::Read, Verb::Rules, Verb::Admin, Verb::Peer];
    for (who, expected) in [
        ("user/admin", [true, true, true, true, false]),
        ("service/grafana", [true, true, false, false, false]),
        ("agent/web-1", [true, false, false, false, false]),
        ("node/two", [false, false, false, false, true]),
    ] {
        let may = verbs.map(|verb| policy.decide(&subject(who), verb).is_ok());
        assert_eq!(may, expected, "{who}");
    }
}

#[test]
fn a_grant_carries_tenants_stamps_matchers_and_limits() {
    let policy = policy(
        r#"[{"who": "agent/*", "may": ["write", "read"], "tenant": "shop", "read_tenants": ["infra"],
             "stamp": {"instance": "{name}", "via": "{kind}@{trust_domain}!", "env": "prod"},
             "only": ["env=\"prod\"", " job =~ \"web\\\\..*\"", "x!=\"\"", "y!~\"a|b\""],
             "limits": {"samples_per_second": 1000}}]"#,
    );
    let identity = Identity {
        subject: subject("agent/web-1"),
        trust_domain: "d.example".parse().unwrap(),
        not_before: seconds_after_epoch(0),
        not_after: seconds_after_epoch(10),
        serial: vec![1],
        key: Hex([0; 32]),
    };
    let grant = policy.decide(&identity.subject, Verb::Write).unwrap();
    assert_eq!(grant.tenant(), "shop");
    assert!(grant.reads_tenant("shop") && grant.reads_tenant("infra"));
    assert!(!grant.reads_tenant("") && !grant.reads_tenant("bank"));
    let stamps = grant.stamps(&identity);
    let expected = [("env", "prod"), ("instance", "web-1"), ("via", "agent@d.example!")];
    assert_eq!(stamps, expected.map(|(name, value)| (name, value.to_owned())));
    let matches: Vec<bool> = grant
        .only()
        .iter()
        .map(|m| m.matches(if m.name == "env" { "prod" } else { "web.1" }))
        .collect();
    assert_eq!(matches, [true, true, true, true]);
    assert!(!grant.only()[1].matches("web1"));
    assert_eq!(grant.limits().samples_per_second, Some(1_000));
    assert_eq!(grant.limits().active_series, None);
    let text = grant.to_string();
    for part in [
        "rule 1, agent/*: may write, read",
        "shop",
        "infra",
        "instance=\"{name}\"",
        "job=~",
        "samples_per_second 1000",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn every_mistake_is_named_with_its_rule_and_field() {
    let long = "x".repeat(300);
    let rule = |fields: &str| {
        format!(
            r#"[{{"who": "*", "may": ["read"]}}, {{"who": "agent/a", "may": ["read"], {fields}}}]"#
        )
    };
    for (json, expected) in [
        (rule(r#""tenant": "../../etc""#), "policy rule 2: tenant"),
        (rule(r#""tenant": """#), "policy rule 2: tenant"),
        (rule(r#""tenant": "..""#), "policy rule 2: tenant"),
        (rule(r#""tenant": "a\u0000b""#), "policy rule 2: tenant"),
        (rule(&format!(r#""tenant": "{long}""#)), "policy rule 2: tenant"),
        (rule(r#""read_tenants": ["ok", "a b"]"#), "policy rule 2: read_tenants"),
        (rule(r#""stamp": {"": "x"}"#), "policy rule 2: stamp"),
        (rule(r#""stamp": {"__name__": "x"}"#), "policy rule 2: stamp"),
        (rule(r#""stamp": {"a": ""}"#), "policy rule 2: stamp"),
        (rule(r#""stamp": {"a": "{nane}"}"#), "unknown placeholder \"nane\""),
        (rule(r#""stamp": {"a": "{name"}"#), "a { without }"),
        (rule(r#""only": ["env"]"#), "policy rule 2: only"),
        (rule(r#""only": ["env=prod"]"#), "not a quoted string"),
        (rule(r#""only": ["=\"x\""]"#), "label name is missing"),
        (rule(r#""only": ["a=~\"(\""]"#), "policy rule 2: only"),
        (rule(r#""only": ["{a=\"b\"}"]"#), "policy rule 2: only"),
        (rule(r#""may_not": 1"#), "unknown field `may_not`"),
        (rule(r#""limits": {"sample_rate": 1}"#), "unknown field `sample_rate`"),
        (r#"[{"who": "agent", "may": ["read"]}]"#.into(), "there is no /"),
        (r#"[{"who": "robot/a", "may": ["read"]}]"#.into(), "kind: one of"),
        (r#"[{"who": "agent/a*b*", "may": ["read"]}]"#.into(), "policy rule 1: who"),
        (r#"[{"who": [], "may": ["read"]}]"#.into(), "policy rule 1: who"),
        (r#"[{"who": "agent/a", "may": []}]"#.into(), "policy rule 1: may"),
        (r#"[{"who": "agent/a", "may": ["fly"]}]"#.into(), "unknown variant `fly`"),
        (r#"[{"may": ["read"]}]"#.into(), "missing field `who`"),
    ] {
        let error = parse(&json).expect_err(&json);
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn the_guard_refuses_the_revoked_the_expired_and_the_denied_and_follows_changes() {
    let revocations = Arc::new(Revocations::default());
    let guard = Guard::new(Policy::default(), revocations.clone());
    let identity = Identity {
        subject: subject("agent/a"),
        trust_domain: "d".parse().unwrap(),
        not_before: seconds_after_epoch(1_000),
        not_after: seconds_after_epoch(2_000),
        serial: vec![1],
        key: Hex([0; 32]),
    };
    let admit = |verb, now| guard.admit(&identity, verb, seconds_after_epoch(now)).map(|_| ());
    assert_eq!(admit(Verb::Write, 1_500), Ok(()));
    assert_eq!(admit(Verb::Write, 2_000), Err(NotAdmitted::Expired));
    let denied = admit(Verb::Read, 1_500).unwrap_err();
    assert!(!denied.ends_connection() && NotAdmitted::Expired.ends_connection());
    guard.replace_policy(policy(r#"[{"who": "agent/a", "may": ["read"]}]"#));
    assert_eq!(admit(Verb::Read, 1_500), Ok(()));
    assert!(admit(Verb::Write, 1_500).is_err());
    revocations.publish([(subject("agent/a"), seconds_after_epoch(1_300))].into());
    assert_eq!(admit(Verb::Read, 1_500), Err(NotAdmitted::Revoked));
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!['a', 'b', '-']), 1..5)
        .prop_map(|characters| characters.into_iter().collect())
}

fn pattern() -> impl Strategy<Value = String> {
    let part = || prop::sample::select(vec!["", "a", "b", "ab", "aa", "a-b", "b-"]);
    prop_oneof![name(), (part(), part()).prop_map(|(prefix, suffix)| format!("{prefix}*{suffix}"))]
}

proptest! {
    /// The index finds what trying every rule in turn finds.
    #[test]
    fn the_index_agrees_with_trying_all_rules(
        patterns in prop::collection::vec(pattern(), 0..40),
        names in prop::collection::vec(name(), 20)
    ) {
        let rules: Vec<Rule> = patterns
            .iter()
            .map(|p| Rule { who: vec![format!("agent/{p}")], may: vec![Verb::Read], ..Rule::default() })
            .collect();
        let policy = Policy::new(&rules).unwrap();
        for name in names {
            let matches = |p: &String| p.parse::<NamePattern>().unwrap().matches(&name);
            let expected = patterns.iter().position(matches).map(|position| position + 1);
            let found = policy.grant(&subject(&format!("agent/{name}"))).map(|grant| grant.rule());
            prop_assert_eq!(found, expected, "{}", name);
        }
    }

    /// Whatever the configuration holds, building a policy ends in a policy or an error.
    #[test]
    fn any_texts_in_a_rule_are_judged_without_a_panic(
        who in any::<String>(), tenant in any::<String>(), name in any::<String>(),
        value in ".{0,40}", only in prop_oneof![any::<String>(), "[a={}!~\"\\\\]{0,12}"]
    ) {
        let rule = Rule {
            who: vec![who, "agent/*".to_owned()],
            may: vec![Verb::Read],
            tenant: Some(tenant),
            stamp: [(name, value)].into(),
            only: vec![only],
            ..Rule::default()
        };
        let _ = Policy::new(&[rule]).map_err(|e| e.to_string());
    }
}
