//! `metricstor ca`: what an administrator asks a running server to do to identities.

use std::io::{self, Write};

use anyhow::{Context, bail};
use metricstor_http::parse_duration;
use serde_json::{Value, json};

use crate::cli::{BearerCommand, CaArgs, CaCommand, Rotation, ServerArgs, TokenCommand};
use crate::client::Client;

const ADMIN: &str = "/api/v1/admin/pki";

pub fn ca(args: &CaArgs) -> anyhow::Result<()> {
    let client = Client::of(&args.server)?;
    match &args.command {
        CaCommand::Token(command) => token(&client, &args.server, command),
        CaCommand::Bearer(command) => bearer(&client, command),
        CaCommand::Pending => pending(&client),
        CaCommand::Approve { fingerprint } => {
            let answer = post(&client, &format!("/pending/{fingerprint}/approve"), &Value::Null)?;
            say!("{} is enrolled", text(&answer["subject"]))?;
            Ok(())
        }
        CaCommand::Deny { fingerprint } => {
            post(&client, &format!("/pending/{fingerprint}/deny"), &Value::Null)?;
            say!("{fingerprint} is denied")?;
            Ok(())
        }
        CaCommand::Identities => identities(&client),
        CaCommand::Revoke { identity, reason } => {
            let subject = subject(identity)?;
            let order = json!({ "subject": subject, "reason": reason });
            let answer = post(&client, "/revoke", &order)?;
            say!("{subject} is revoked; a new token lets it enrol anew")?;
            if answer["known"] == false {
                complain!(
                    "nothing was granted to {subject} before: if it is misspelt, see \
                     `metricstor ca identities`"
                );
            }
            Ok(())
        }
        CaCommand::Rotate { what, force } => rotate(&client, *what, *force),
        CaCommand::Bundle => print_text(&client, "/pki/v1/bundle"),
        CaCommand::Crl => print_text(&client, "/pki/v1/crl"),
    }
}

/// `kind/name` out of that or a SPIFFE URI.
pub fn subject(text: &str) -> anyhow::Result<String> {
    let short = match text.strip_prefix("spiffe://") {
        None => text,
        Some(rest) => rest.split_once('/').map_or("", |(_, subject)| subject),
    };
    let parsed = short.parse::<metricstor_pki::Subject>();
    let parsed = parsed.with_context(|| format!("{text:?} is not an identity like agent/web-1"))?;
    Ok(parsed.to_string())
}

fn token(client: &Client, server: &ServerArgs, command: &TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create { kind, name, uses, ttl } => {
            let seconds = seconds(ttl)?;
            let order =
                json!({ "kind": kind, "names": name, "uses": uses, "ttl_seconds": seconds });
            let answer = post(client, "/tokens", &order)?;
            say!("{}", text(&answer["token"]))?;
            // The one line is for machines; what to do with it is for people.
            let named = if name.contains('*') { "" } else { &format!(" --name {name}") };
            complain!(
                "\nWithin {ttl}, on the other machine, with this server's address as seen from there:\n  \
                 metricstor enrol TOKEN {}{named}",
                server.server
            );
            Ok(())
        }
        TokenCommand::List => list_tokens(client),
        TokenCommand::Revoke { id } => withdraw(client, id),
    }
}

fn bearer(client: &Client, command: &BearerCommand) -> anyhow::Result<()> {
    match command {
        BearerCommand::Create { identity, ttl } => {
            let order = json!({ "subject": subject(identity)?, "ttl_seconds": seconds(ttl)? });
            say!("{}", text(&post(client, "/bearers", &order)?["token"]))?;
            complain!("\nTo be sent as:  Authorization: Bearer TOKEN");
            Ok(())
        }
        BearerCommand::List => list_tokens(client),
        BearerCommand::Revoke { id } => withdraw(client, id),
    }
}

fn list_tokens(client: &Client) -> anyhow::Result<()> {
    let tokens = get(client, "/tokens")?;
    let rows = rows(&tokens).map(|token| {
        let uses = token["uses_left"].as_u64().map_or("-".to_owned(), |n| n.to_string());
        let used_by = token["used_by"].as_array().into_iter().flatten().map(text);
        let used_by = used_by.collect::<Vec<_>>().join(" ");
        [
            text(&token["id"]),
            text(&token["type"]),
            text(&token["for"]),
            text(&token["expires"]),
            uses,
            used_by,
        ]
    });
    table(["ID", "TYPE", "FOR", "EXPIRES", "USES LEFT", "USED BY"], rows)
}

fn withdraw(client: &Client, id: &str) -> anyhow::Result<()> {
    client.request("DELETE", &format!("{ADMIN}/tokens/{id}"), "text/plain", "")?.success()?;
    say!("{id} is withdrawn")?;
    Ok(())
}

fn pending(client: &Client) -> anyhow::Result<()> {
    let waiting = get(client, "/pending")?;
    let rows = rows(&waiting).map(|one| {
        let facts = one["facts"].as_object().into_iter().flatten();
        let facts: Vec<String> =
            facts.map(|(name, value)| format!("{name}={}", text(value))).collect();
        [text(&one["fingerprint"]), text(&one["subject"]), text(&one["since"]), facts.join(" ")]
    });
    table(["FINGERPRINT", "WANTS TO BE", "SINCE", "SAYS ABOUT ITSELF"], rows)
}

fn identities(client: &Client) -> anyhow::Result<()> {
    let known = get(client, "/identities")?;
    let rows = rows(&known).map(|one| {
        let revoked = one["revoked"].as_str().map_or(String::new(), |why| format!("revoked {why}"));
        let field = |name: &str| text(&one[name]);
        [field("subject"), field("enrolled"), field("renewed"), field("expires"), revoked]
    });
    table(["IDENTITY", "ENROLLED", "RENEWED", "EXPIRES", ""], rows)
}

fn rotate(client: &Client, what: Rotation, force: bool) -> anyhow::Result<()> {
    if force && what != Rotation::DropOldRoots {
        bail!("--force is for drop-old-roots only");
    }
    let (path, next) = match what {
        Rotation::Issuing => ("/rotate/issuing", "a new issuing key is in use; nothing else to do"),
        Rotation::Root => (
            "/rotate/root",
            "a new root is trusted beside the old one; when all identities have renewed \
             (`metricstor enrol` does within the hour), run: metricstor ca rotate drop-old-roots",
        ),
        Rotation::DropOldRoots if force => {
            ("/rotate/drop-old-roots?force=true", "old roots are gone")
        }
        Rotation::DropOldRoots => ("/rotate/drop-old-roots", "old roots are gone"),
    };
    post(client, path, &Value::Null)?;
    say!("{next}")?;
    Ok(())
}

fn print_text(client: &Client, path: &str) -> anyhow::Result<()> {
    Ok(io::stdout().write_all(&client.get(path)?.success()?)?)
}

fn get(client: &Client, path: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&client.get(&format!("{ADMIN}{path}"))?.success()?)?)
}

fn post(client: &Client, path: &str, order: &Value) -> anyhow::Result<Value> {
    let body = if order.is_null() { String::new() } else { order.to_string() };
    let answer = client.post_json(&format!("{ADMIN}{path}"), &body)?.success()?;
    Ok(serde_json::from_slice(&answer)?)
}

fn seconds(duration: &str) -> anyhow::Result<i64> {
    let ms = parse_duration(duration).filter(|ms| *ms >= 1000);
    Ok(ms.with_context(|| format!("{duration:?} is no duration like 1h or 90d"))? / 1000)
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    // What applicants say about themselves reaches a terminal here.
    let printable = |c: char| if c.is_control() { '?' } else { c };
    value.as_str().map_or("-".to_owned(), |text| text.chars().map(printable).collect())
}

fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> anyhow::Result<()> {
    let all: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width =
        |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &all {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        say!("{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_named_short_or_as_uris() {
        for text in ["agent/web-1", "spiffe://metricstor/agent/web-1"] {
            assert_eq!(subject(text).unwrap(), "agent/web-1");
        }
        for text in ["web-1", "spiffe://metricstor", "robot/x", "agent/a b", "agent/x/y"] {
            assert!(subject(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lifetimes_are_durations() {
        assert_eq!(seconds("1h").unwrap(), 3600);
        assert_eq!(seconds("90d").unwrap(), 90 * 86_400);
        assert!(seconds("soon").is_err());
        assert!(seconds("1ms").is_err());
    }

    #[test]
    fn what_strangers_say_cannot_move_the_cursor() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\n")), "a?[2Jb?");
    }
}
