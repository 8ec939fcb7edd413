//! The command line. Everything that is set rarely lives in the configuration file instead.

mod pki;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use pki::{BearerCommand, CaArgs, CaCommand, EnrolArgs, PolicyCommand, Rotation, TokenCommand};

const EXAMPLES: &str = "\
Examples:
  metricstor serve                                  data in ./metricstor-data, mutual TLS on 127.0.0.1:9101
  metricstor serve --data-dir /var/lib/metricstor --listen 0.0.0.0:9101
  metricstor serve --config metricstor.yml
  METRICSTOR_STORAGE__RETENTION=100y metricstor serve
  metricstor check-config metricstor.yml
  metricstor ca token create --kind agent --name 'web-*' --ttl 1h
  metricstor enrol TOKEN https://metrics.example:9101
  metricstor query 'rate(requests_total[5m])' --start -6h -o graph";

const QUERY_EXAMPLES: &str = "\
Examples:
  metricstor query up
  metricstor query 'sum by (job) (rate(requests_total[5m]))' --start -6h --step 1m -o graph
  metricstor query up --time 2025-01-31T12:00:00Z -o json --server http://127.0.0.1:9103";

/// A store for pushed metrics: mutual TLS, durable before acknowledged, PromQL as Prometheus
/// answers it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take samples and answer queries
    #[command(after_help = EXAMPLES)]
    Serve(ServeArgs),
    /// Ask a running server
    #[command(after_help = QUERY_EXAMPLES)]
    Query(QueryArgs),
    /// Invite, approve and revoke identities; rotate the authority's keys
    #[command(after_help = pki::CA_EXAMPLES)]
    Ca(CaArgs),
    /// Get a certificate from a server and keep it renewed in files
    #[command(after_help = pki::ENROL_EXAMPLES)]
    Enrol(EnrolArgs),
    /// Ask what the policy lets whom do
    #[command(subcommand, after_help = pki::POLICY_EXAMPLES)]
    Policy(PolicyCommand),
    /// Check a configuration file (and the METRICSTOR_… environment) without starting anything
    CheckConfig(CheckConfigArgs),
    /// Check something that was written for this server
    #[command(subcommand)]
    Check(Check),
    /// Describe a chunk file and verify every byte of it
    Inspect(InspectArgs),
}

#[derive(Debug, Subcommand)]
pub enum Check {
    /// Parse a PromQL expression and print it in canonical layout
    #[command(after_help = "Examples:\n  metricstor check promql 'sum by (job) (rate(a[5m]))'")]
    Promql {
        /// The expression
        #[arg(value_name = "EXPR")]
        expr: String,
    },
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
    Csv,
    Graph,
}

#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The PromQL expression
    #[arg(value_name = "EXPR")]
    pub expr: String,
    /// Evaluate at this time: Unix seconds, RFC 3339, or before now like -1h [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub time: Option<String>,
    /// Evaluate over a range that starts here [default: an hour before the end]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub start: Option<String>,
    /// The range's end [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub end: Option<String>,
    /// The range's step [default: 120 steps]
    #[arg(long, value_name = "DURATION")]
    pub step: Option<String>,
    /// Show how the answer is worked out instead: each operation with series, samples, memory, time
    #[arg(long)]
    pub explain: bool,
    /// How to show the answer
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Apart, as clap would mix them with a subcommand's own options.
const SERVER: &str = "Server";

/// A running server, and who asks it.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server to ask: https://…, http://127.0.0.1:… or unix:/path
    #[arg(
        long,
        visible_alias = "url",
        value_name = "URL",
        default_value = "https://127.0.0.1:9101",
        global = true,
        help_heading = SERVER
    )]
    pub server: String,
    /// Prove to be the administrator with the files in this data directory
    #[arg(
        long,
        value_name = "DIR",
        default_value = "metricstor-data",
        global = true,
        help_heading = SERVER
    )]
    pub data_dir: PathBuf,
    /// Trust this authority instead of DIR/pki/ca.crt
    #[arg(long, value_name = "FILE", global = true, help_heading = SERVER)]
    pub ca: Option<PathBuf>,
    /// Show this certificate instead of DIR/pki/admin.crt
    #[arg(long, value_name = "FILE", global = true, help_heading = SERVER)]
    pub cert: Option<PathBuf>,
    /// Its key, instead of DIR/pki/admin.key
    #[arg(long, value_name = "FILE", global = true, help_heading = SERVER)]
    pub key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A chunk file: DIR/shards/…/chunks/….mc
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// List the series too
    #[arg(long)]
    pub series: bool,
}

#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Read settings from this YAML file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep everything in this directory [default: ./metricstor-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen here, with mutual TLS [default: 127.0.0.1:9101]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Also listen here without TLS, for tools on this machine; whoever connects is the
    /// administrator, so only loopback addresses are taken
    #[arg(long, value_name = "ADDR")]
    pub loopback_http: Option<String>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The file to check
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print the settings in effect, defaults and environment included
    #[arg(long)]
    pub print: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn unexplained(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        let arguments = command.get_arguments().filter(|argument| argument.get_help().is_none());
        found.extend(arguments.map(|argument| format!("{path}: {}", argument.get_id())));
        command.get_subcommands().for_each(|command| unexplained(command, &path, found));
    }

    #[test]
    fn every_argument_is_explained() {
        let mut found = Vec::new();
        unexplained(&Cli::command(), "", &mut found);
        assert!(found.is_empty(), "{found:?}");
    }
}
