//! `metricstor policy`: what the rules let whom do, before and while they are in force.

use std::path::Path;

use anyhow::{Context, bail};
use metricstor_model::{MatchOp, Matcher};
use metricstor_pki::{Grant, Identity, Policy, Subject, UnixTime, Verb};
use metricstor_promql::{ParseOptions, parse_selector};
use serde_json::Value;

use crate::ca::subject;
use crate::cli::{PolicyCommand, ServerArgs};
use crate::client::Client;
use crate::config::{Settings, from_file, policy as policy_of};

pub fn policy(command: &PolicyCommand) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Check { config } => check(config),
        PolicyCommand::CanI { server, identity, config, verb, selector } => {
            let subject = subject(identity)?;
            match config {
                Some(file) => judge(file, &subject, verb, selector.as_deref()),
                None if selector.is_some() => {
                    bail!("to see what becomes of a selector, name the file with --config FILE")
                }
                None => ask(server, &subject, verb),
            }
        }
    }
}

fn check(path: &Path) -> anyhow::Result<()> {
    let file = from_file(Some(path), std::env::vars_os())?;
    Settings::try_from(&file)?;
    let policy = policy_of(&file)?;
    if file.policy.is_none() {
        say!("{} has no policy: the built-in one holds", path.display())?;
    }
    for grant in policy.grants() {
        say!("{grant}")?;
    }
    Ok(())
}

fn judge(path: &Path, who: &str, verb: &str, selector: Option<&str>) -> anyhow::Result<()> {
    let file = from_file(Some(path), std::env::vars_os())?;
    let settings = Settings::try_from(&file)?;
    let policy: Policy = policy_of(&file)?;
    let who: Subject = who.parse()?;
    let verb = parse_verb(verb)?;
    let grant = match policy.decide(&who, verb) {
        Err(denial) => bail!("no: {denial}"),
        Ok(grant) => grant,
    };
    say!("yes: {grant}")?;
    if let Some(selector) = selector {
        let identity = Identity {
            subject: who,
            trust_domain: settings.trust_domain,
            not_before: UnixTime::now(),
            not_after: UnixTime::now(),
            serial: Vec::new(),
            key: metricstor_pki::Hex([0; 32]),
        };
        say!("{}", become_of(grant, &identity, verb, selector)?)?;
    }
    Ok(())
}

/// What is stored instead of a series, or found instead of a selection.
fn become_of(
    grant: &Grant,
    identity: &Identity,
    verb: Verb,
    selector: &str,
) -> anyhow::Result<String> {
    let mut matchers = parse_selector(selector, ParseOptions::default())?;
    let place =
        if grant.tenant().is_empty() { "" } else { &format!("tenant {}: ", grant.tenant()) };
    if verb == Verb::Write {
        for (name, value) in grant.stamps(identity) {
            matchers.retain(|matcher| matcher.name != name);
            matchers.push(Matcher::equal(name, &value));
        }
        return Ok(format!("stored as {place}{}", shown(&matchers)));
    }
    matchers.extend(grant.only().iter().cloned());
    Ok(format!("answered for {place}{}", shown(&matchers)))
}

fn shown(matchers: &[Matcher]) -> String {
    let one = |matcher: &Matcher| {
        let sign = match matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        format!("{}{sign}{:?}", matcher.name, matcher.value)
    };
    format!("{{{}}}", matchers.iter().map(one).collect::<Vec<_>>().join(", "))
}

fn ask(server: &ServerArgs, subject: &str, verb: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/admin/pki/policy/can-i?subject={subject}&verb={verb}");
    let answer = Client::of(server)?.get(&path)?.success()?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let why = answer["why"].as_str().context("the answer cannot be read")?;
    if answer["allowed"] == true {
        say!("yes: {why}")?;
        return Ok(());
    }
    bail!("no: {why}")
}

fn parse_verb(text: &str) -> anyhow::Result<Verb> {
    let verb = serde_json::from_value(text.into()).ok();
    verb.with_context(|| format!("{text:?} is no verb: write, read, rules, admin or peer"))
}
