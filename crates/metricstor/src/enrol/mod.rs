//! `metricstor enrol`: gets a certificate and keeps it renewed in files.
//!
//! Invariant: the files always hold one whole pair, the last that was good; whatever fails is tried
//! again with the same key, which is safe by the server's promise.

mod request;

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, bail};
use metricstor_pki::{ClientFiles, EnrolmentToken, Identity, StoredCredentials, Subject, UnixTime};
use rustix::system::uname;

use self::request::Door;
use crate::cli::EnrolArgs;

/// How often the trusted roots are looked at, so that an exchange needs no waiting for renewals.
const BUNDLE_PERIOD: Duration = Duration::from_secs(3_600);
const RETRY_FIRST: Duration = Duration::from_secs(10);
const RETRY_MAX: Duration = Duration::from_secs(900);

pub fn enrol(args: &EnrolArgs) -> anyhow::Result<()> {
    let (token, url) = match args.token_and_url.as_slice() {
        [token] if token == "-" || EnrolmentToken::is_meant(token) => {
            bail!("give the server's URL behind the token: metricstor enrol TOKEN URL")
        }
        [url] => (None, url),
        [token, url] => (Some(read_token(token)?), url),
        _ => bail!("give a token and the server's URL"),
    };
    let files = ClientFiles::open(&args.output)?;
    let door = Door { url, files: &files };
    match files.current()? {
        None => {
            first(args, token.as_ref(), &door)?;
            reload(args);
            welcome(args, url, &files)?;
        }
        Some(_) if !args.once => say!("renewing what is in {}", args.output.display())?,
        Some(_) => {}
    }
    if args.once {
        return renew_if_due(args, &door);
    }
    keep(args, &door)
}

fn first(args: &EnrolArgs, token: Option<&EnrolmentToken>, door: &Door<'_>) -> anyhow::Result<()> {
    let name = match &args.name {
        Some(name) => name.clone(),
        None => machine_name(),
    };
    match token {
        Some(token) => door.enrol(token, &name),
        None => {
            let subject = Subject::new(args.kind, &name)?;
            door.wait_for_approval(&subject)
        }
    }
}

/// The first part of the host's name.
fn machine_name() -> String {
    let name = uname().nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// `-` is standard input: arguments can be seen by everybody on the machine.
fn read_token(text: &str) -> anyhow::Result<EnrolmentToken> {
    let mut line = text.to_owned();
    if text == "-" {
        line.clear();
        std::io::stdin().take(1024).read_to_string(&mut line)?;
    }
    Ok(EnrolmentToken::parse(&line)?)
}

fn current(door: &Door<'_>) -> anyhow::Result<StoredCredentials> {
    door.files.current()?.context("the files of the certificate are gone; enrol again")
}

fn renew_if_due(args: &EnrolArgs, door: &Door<'_>) -> anyhow::Result<()> {
    let held = current(door)?;
    if held.credentials.renewal_time(0.0)? <= UnixTime::now() || door.has_new_bundle(&held)? {
        door.renew(&held)?;
        reload(args);
    }
    Ok(())
}

/// Renews for ever: at two thirds of the certificate's life, or when the trusted roots change.
fn keep(args: &EnrolArgs, door: &Door<'_>) -> anyhow::Result<()> {
    let mut due = renewal_time(&current(door)?)?;
    let mut retry = RETRY_FIRST;
    loop {
        let left = Duration::from_secs(due.as_secs().saturating_sub(UnixTime::now().as_secs()));
        sleep(left.min(BUNDLE_PERIOD));
        let attempt = current(door).and_then(|held| {
            let is_due = due <= UnixTime::now();
            if !is_due && !door.has_new_bundle(&held)? {
                return Ok(None);
            }
            door.renew(&held)?;
            Ok(Some(renewal_time(&current(door)?)?))
        });
        match attempt {
            Ok(None) => retry = RETRY_FIRST,
            Ok(Some(next)) => {
                (due, retry) = (next, RETRY_FIRST);
                // Renewing goes on whoever reads this.
                let _ = say!("renewed");
                reload(args);
            }
            Err(error) => {
                let why = crate::sentence(&error);
                complain!("metricstor: not renewed, trying again in {retry:?}: {why}");
                sleep(retry);
                retry = (2 * retry).min(RETRY_MAX);
            }
        }
    }
}

fn renewal_time(held: &StoredCredentials) -> anyhow::Result<UnixTime> {
    // Random enough to spread a fleet that was enrolled at once.
    let random = RandomState::new().hash_one(0) as f64 / u64::MAX as f64;
    Ok(held.credentials.renewal_time(2.0 * random - 1.0)?)
}

/// The new pair is in place already: a command that fails is the program's trouble, not ours.
fn reload(args: &EnrolArgs) {
    let Some(command) = &args.reload else { return };
    match Command::new("sh").args(["-c", command]).status() {
        Ok(status) if status.success() => {}
        Ok(status) => complain!("metricstor: the reload command failed ({status}): {command}"),
        Err(error) => complain!("metricstor: the reload command cannot be run: {error}"),
    }
}

/// Says who we are now, and what to paste into a sender's configuration.
fn welcome(args: &EnrolArgs, url: &str, files: &ClientFiles) -> anyhow::Result<()> {
    let held = files.current()?.context("the files were removed while being written")?;
    let leaf = held.credentials.chain().first().context("the certificate chain is empty")?;
    let identity = Identity::from_certificate(leaf)?;
    let dir = absolute(&args.output)?.join("current");
    say!("This machine is {identity}; its files are in {}\n", dir.display())?;
    let url = url.trim_end_matches('/');
    let url = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    say!("remote_write:\n  - url: {url}/api/v1/write\n    tls_config:")?;
    for (name, file) in
        [("ca_file", "ca.crt"), ("cert_file", "client.crt"), ("key_file", "client.key")]
    {
        say!("      {name}: {}", crate::welcome::yaml(&dir.join(file)))?;
    }
    say!("      server_name: {}", crate::pki::common_name(identity.trust_domain.as_str()))?;
    if !args.once && std::io::stdout().is_terminal() {
        say!("\nKeep this running, or run it with --once every hour, to have it renewed.")?;
    }
    Ok(())
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
}
