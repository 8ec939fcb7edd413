//! The commands about identities: the authority, enrolment, the policy.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use metricstor_pki::Kind;

use super::ServerArgs;

pub const CA_EXAMPLES: &str = "\
Examples:
  metricstor ca token create --kind agent --name 'web-*' --ttl 1h    one line for one machine
  metricstor ca token create --kind agent --name 'web-*' --uses 50   one line for fifty
  metricstor ca bearer create service/grafana --ttl 90d              for clients without certificates
  metricstor ca identities
  metricstor ca revoke agent/web-3 --reason stolen
  metricstor ca pending
  metricstor ca approve 1a2b-3c4d-5e6f-7a8b-9c0d
  metricstor ca rotate root                                          then, when all have renewed:
  metricstor ca rotate drop-old-roots
  metricstor ca bundle > ca.crt";

pub const ENROL_EXAMPLES: &str = "\
Examples:
  metricstor enrol TOKEN https://metrics.example:9101 --output /etc/metricstor-client
  metricstor enrol TOKEN https://metrics.example:9101 --once       get or renew the pair, then end
  metricstor enrol - https://metrics.example:9101 < token.txt      keeps the token out of `ps`
  metricstor enrol https://metrics.example:9101 --kind agent       without a token: an administrator
                                                                   compares the fingerprint
Files, the same paths for ever: DIR/current/{client.crt,client.key,ca.crt}";

pub const POLICY_EXAMPLES: &str = "\
Examples:
  metricstor policy check metricstor.yml
  metricstor policy can-i --config metricstor.yml --as agent/web-1 write 'up{job=\"node\"}'
  metricstor policy can-i --as spiffe://metricstor/service/grafana read    asks the running server";

#[derive(Debug, Args)]
pub struct CaArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: CaCommand,
}

#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Invitations: one line that makes a machine get its certificate
    #[command(subcommand)]
    Token(TokenCommand),
    /// Bearer tokens for clients that cannot renew certificates
    #[command(subcommand)]
    Bearer(BearerCommand),
    /// List who waits for approval
    Pending,
    /// Let in the applicant with this fingerprint
    Approve {
        /// As `pending` lists it, and as the applicant shows it
        fingerprint: String,
    },
    /// Turn away the applicant with this fingerprint
    Deny {
        /// As `pending` lists it
        fingerprint: String,
    },
    /// List who is enrolled or revoked
    Identities,
    /// Void all certificates and bearer tokens of an identity, within seconds
    Revoke {
        /// Like agent/web-3, or spiffe://metricstor/agent/web-3
        identity: String,
        /// Kept with the revocation
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Replace a key of the authority
    Rotate {
        /// Which key, or the end of the old ones
        #[arg(value_enum)]
        what: Rotation,
        /// Drop old roots although some identities do not know the new one: locks them out
        #[arg(long)]
        force: bool,
    },
    /// Print the trusted roots
    Bundle,
    /// Print the revocation lists
    Crl,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print its line, once
    Create {
        /// node, agent, user or service
        #[arg(long, default_value_t = Kind::Agent)]
        kind: Kind,
        /// A name, or a family of names like 'web-*'
        #[arg(long, value_name = "PATTERN")]
        name: String,
        /// How many machines may use it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// How long it can be used, at most 30d
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        ttl: String,
    },
    /// List tokens of both sorts
    List,
    /// Withdraw a token
    Revoke {
        /// Its second part, as `list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum BearerCommand {
    /// Make a bearer token and print it, once
    Create {
        /// Like service/grafana
        identity: String,
        /// How long it is valid, at most 400d
        #[arg(long, value_name = "DURATION", default_value = "90d")]
        ttl: String,
    },
    /// List tokens of both sorts
    List,
    /// Withdraw a bearer token
    Revoke {
        /// Its second part, as `list` shows it
        id: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rotation {
    /// A new issuing key; certificates of the old one stay valid
    Issuing,
    /// Add a root beside the old one, which stays trusted
    Root,
    /// End the trust in all roots but the newest
    DropOldRoots,
}

#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// The token (- reads it from standard input) and the server; without a token an administrator
    /// has to approve
    #[arg(value_names = ["TOKEN", "URL"], required = true, num_args = 1..=2)]
    pub token_and_url: Vec<String>,
    /// The name to have [default: this machine's]
    #[arg(long)]
    pub name: Option<String>,
    /// Without a token: node, agent, user or service
    #[arg(long, default_value_t = Kind::Agent)]
    pub kind: Kind,
    /// Keep the certificate, its key and the trusted roots here
    #[arg(long, value_name = "DIR", default_value = "metricstor-client")]
    pub output: PathBuf,
    /// Run this with `sh -c` after every renewal
    #[arg(long, value_name = "COMMAND")]
    pub reload: Option<String>,
    /// End when there is a certificate that is not due for renewal
    #[arg(long)]
    pub once: bool,
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Say whether an identity may do something, by which rule, and within which bounds
    CanI {
        #[command(flatten)]
        server: ServerArgs,
        /// The identity: agent/web-1 or spiffe://metricstor/agent/web-1
        #[arg(long = "as", value_name = "IDENTITY")]
        identity: String,
        /// Judge by this configuration file instead of asking the running server
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// write, read, rules, admin or peer
        verb: String,
        /// A series or selector: shows what is stored or found in its place
        selector: Option<String>,
    },
    /// Check the policy of a configuration file and list its rules
    Check {
        /// The configuration file
        #[arg(value_name = "FILE")]
        config: PathBuf,
    },
}
