//! Takes a changed policy over while the server runs: at SIGHUP, and when the file changes.
//!
//! Invariant: a file that cannot be used changes nothing but a metric and the log.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metricstor_http::{Counter, Gauge, Labelled, Registry};
use metricstor_pki::Provisioner;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::cli::ServeArgs;
use crate::config::{ConfigError, File, Settings, load, policy};

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(1);

pub struct PolicyWatch {
    args: ServeArgs,
    /// The settings that were last read and found usable.
    file: File,
    pki: Arc<Provisioner>,
    hangup: Signal,
    reloads: Labelled<Counter>,
    succeeded: Gauge,
    rules: Gauge,
}

/// What changes when a file is written or another takes its place.
type Version = Option<(u64, u64, u64, i64, i64)>;

impl PolicyWatch {
    pub fn new(
        args: &ServeArgs,
        file: File,
        pki: Arc<Provisioner>,
        registry: &Registry,
    ) -> anyhow::Result<Self> {
        let watch = Self {
            args: args.clone(),
            pki,
            hangup: signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?,
            reloads: registry.counters(
                "metricstor_policy_reloads_total",
                "Times the configuration was read again for its policy, by result.",
                &["result"],
            ),
            succeeded: registry.gauge(
                "metricstor_policy_last_reload_successful",
                "1 if the policy in the file is in force, 0 if the file cannot be used.",
            ),
            rules: registry.gauge(
                "metricstor_policy_rules",
                "Rules of the policy in the configuration; 0: the built-in one holds.",
            ),
            file,
        };
        watch.succeeded.set(1);
        watch.rules.set(rules(&watch.file));
        // Shown from the start, so that an alert can tell "never" from "not there".
        watch.reloads.with(&["failure"]);
        Ok(watch)
    }

    /// Follows the file for ever.
    pub async fn follow(mut self) {
        let mut seen = self.version();
        loop {
            let asked = tokio::select! {
                _ = self.hangup.recv() => true,
                () = sleep(PERIOD) => false,
            };
            let now = self.version();
            if asked || now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    fn reload(&mut self) {
        let outcome = self.take_over();
        let result = if outcome.is_ok() { "success" } else { "failure" };
        self.reloads.with(&[result]).inc();
        self.succeeded.set(i64::from(outcome.is_ok()));
        if let Err(error) = outcome {
            tracing::error!(target: "audit", %error, "the changed configuration cannot be used; the policy in force stays");
        }
    }

    fn take_over(&mut self) -> Result<(), ConfigError> {
        let file = load(&self.args, std::env::vars_os())?;
        Settings::try_from(&file)?;
        if file.policy != self.file.policy {
            self.pki.guard().replace_policy(policy(&file)?);
            self.rules.set(rules(&file));
            tracing::warn!(target: "audit", rules = rules(&file), "policy changed");
        }
        let others = |file: &File| File { policy: None, ..file.clone() };
        if others(&file) != others(&self.file) {
            tracing::warn!("settings other than the policy take effect at the next start");
        }
        self.file = file;
        Ok(())
    }

    fn version(&self) -> Version {
        let found = std::fs::metadata(self.args.config.as_deref().unwrap_or(Path::new(""))).ok()?;
        Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    }
}

fn rules(file: &File) -> i64 {
    file.policy.as_ref().map_or(0, |rules| i64::try_from(rules.len()).unwrap_or(i64::MAX))
}
