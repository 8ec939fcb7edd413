//! The conversations with the server: enrolment, approval, renewal.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, bail};
use metricstor_pki::{
    ApplicantKey, ApprovalAnswer, ClientFiles, EnrolAnswer, EnrolmentToken, Identity, KeyHash,
    StoredCredentials, Subject, UnixTime, certificates_from_pem, enrolment_client, expired_client,
    unpinned_client,
};
use rustix::system::uname;
use rustls::ClientConfig;
use rustls::time_provider::DefaultTimeProvider;
use serde::Serialize;

use crate::client::{Answer, Client, client_config};

/// How often an applicant asks whether it was approved.
const APPROVAL_PERIOD: Duration = Duration::from_secs(5);

const TOO_MANY_REQUESTS: u16 = 429;
const BUSY_PERIOD: Duration = Duration::from_secs(60);

/// A server, and the files in which what it grants is kept.
pub struct Door<'a> {
    pub url: &'a str,
    pub files: &'a ClientFiles,
}

impl Door<'_> {
    /// Redeems a token; asked again after a lost answer, the server grants it again.
    pub fn enrol(&self, token: &EnrolmentToken, name: &str) -> anyhow::Result<()> {
        let _alone = self.files.lock()?;
        if self.files.current()?.is_some() {
            return Ok(()); // another process was faster
        }
        let key = self.files.applicant_key()?;
        let config = enrolment_client(token.root_pin, Arc::new(DefaultTimeProvider))?;
        let request = key.enrol(token, name);
        let answer = self
            .ask(config, "/pki/v1/enrol", &request)?
            .success()
            .with_context(|| format!("no certificate for {name:?} (another name: --name)"))?;
        self.keep(key, &answer, Some(&token.root_pin))
    }

    /// Waits until an administrator has compared fingerprints.
    pub fn wait_for_approval(&self, subject: &Subject) -> anyhow::Result<()> {
        let key = self.files.applicant_key()?;
        let machine = uname();
        let facts = BTreeMap::from([
            ("host".to_owned(), machine.nodename().to_string_lossy().into_owned()),
            ("system".to_owned(), machine.release().to_string_lossy().into_owned()),
        ]);
        let request = key.ask_approval(subject, facts);
        let mut trusted: Option<KeyHash> = None;
        loop {
            let time = Arc::new(DefaultTimeProvider);
            // Whoever was there first has to be there to the end.
            let config = match trusted {
                None => unpinned_client(time)?,
                Some(root) => enrolment_client(root, time)?,
            };
            let answer = self.ask(config, "/pki/v1/approval", &request)?;
            let root = answer.root.context("the server showed no root")?;
            let body = answer.success()?;
            match serde_json::from_slice(&body).context("the answer cannot be read")? {
                ApprovalAnswer::Approved(answer) => {
                    let _alone = self.files.lock()?;
                    if self.files.current()?.is_some() {
                        return Ok(()); // another process was faster
                    }
                    return self.accept(key, &answer, Some(&trusted.unwrap_or(root)));
                }
                ApprovalAnswer::Pending { fingerprint } => {
                    let own = key.approval_code(trusted.as_ref().unwrap_or(&root));
                    if own != fingerprint {
                        bail!(
                            "the server says {fingerprint}, but the fingerprint is {own}: somebody \
                             stands between this machine and the server"
                        );
                    }
                    if trusted.is_none() {
                        say!(
                            "{subject} waits for approval. If the server shows the same, run there:\n"
                        )?;
                        say!("  metricstor ca approve {own}\n")?;
                    }
                }
            }
            trusted = trusted.or(Some(root));
            sleep(APPROVAL_PERIOD);
        }
    }

    /// Trades the pair for a new one, also when its certificate has expired.
    pub fn renew(&self, held: &StoredCredentials) -> anyhow::Result<()> {
        let _alone = self.files.lock()?;
        let current = self.files.current()?.context("the files were removed meanwhile")?;
        if current.credentials.chain() != held.credentials.chain() {
            return Ok(()); // another process was faster
        }
        let key = self.files.applicant_key()?;
        let (credentials, bundle) = (&held.credentials, &held.trust_bundle);
        let leaf = credentials.chain().first().context("the certificate chain is empty")?;
        let identity = Identity::from_certificate(leaf)?;
        let (config, request) = if UnixTime::now() < identity.not_after {
            (client_config(credentials, bundle)?, key.renew())
        } else {
            let time = Arc::new(DefaultTimeProvider);
            let config = expired_client(bundle, &identity.trust_domain, time)?;
            (config, key.renew_expired(credentials)?)
        };
        let answer = self.ask(config, "/pki/v1/renew", &request)?.success()?;
        self.keep(key, &answer, None)
    }

    /// Has the server other roots than we know?
    pub fn has_new_bundle(&self, held: &StoredCredentials) -> anyhow::Result<bool> {
        let config = client_config(&held.credentials, &held.trust_bundle)?;
        let answer = Client::new(self.url, Some(config))?.get("/pki/v1/bundle")?.success()?;
        let bundle = certificates_from_pem(&answer).map_err(anyhow::Error::msg)?;
        Ok(bundle != held.trust_bundle)
    }

    fn ask(
        &self,
        config: ClientConfig,
        path: &str,
        request: &impl Serialize,
    ) -> anyhow::Result<Answer> {
        let body = serde_json::to_string(request)?;
        let client = Client::new(self.url, Some(config))?;
        loop {
            let answer = client.post_json(path, &body)?;
            if answer.status != TOO_MANY_REQUESTS {
                return Ok(answer);
            }
            // A rack that enrols at once comes from one address.
            complain!("metricstor: too many ask at once; asking again in a minute");
            sleep(BUSY_PERIOD);
        }
    }

    fn keep(&self, key: ApplicantKey, answer: &[u8], root: Option<&KeyHash>) -> anyhow::Result<()> {
        let answer = serde_json::from_slice(answer).context("the answer cannot be read")?;
        self.accept(key, &answer, root)
    }

    fn accept(
        &self,
        key: ApplicantKey,
        answer: &EnrolAnswer,
        root: Option<&KeyHash>,
    ) -> anyhow::Result<()> {
        let enrolled = key.accept(answer, root, UnixTime::now())?;
        Ok(self.files.publish(&enrolled)?)
    }
}
