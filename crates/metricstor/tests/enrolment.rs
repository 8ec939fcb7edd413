//! From a token to a renewed certificate in files, by the commands that people type.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

mod support;
use support::{Server, curl, wait_until};

/// `metricstor …` against this server, as its administrator.
fn ca(server: &Server, arguments: &[&str]) -> Output {
    metricstor(&["ca"])
        .args(arguments)
        .arg("--server")
        .arg(format!("https://{}", server.tls))
        .arg("--data-dir")
        .arg(server.dir.join("data"))
        .output()
        .unwrap()
}

fn metricstor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metricstor"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The output of a command that succeeded.
fn out(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

fn enrol(server: &Server, token: &str, dir: &Path, more: &[&str]) -> Command {
    let mut command = metricstor(&["enrol", token.trim()]);
    command.arg(format!("https://{}", server.tls)).arg("--output").arg(dir).args(more);
    command
}

/// curl with what enrolment left in `dir`; the status of the answer, 000 for none.
fn status_with(server: &Server, dir: &Path, arguments: &[&str], path: &str) -> String {
    let current = dir.join("current");
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "30", "--cacert"])
        .arg(current.join("ca.crt"))
        .arg("--cert")
        .arg(current.join("client.crt"))
        .arg("--key")
        .arg(current.join("client.key"))
        .args(arguments)
        .arg(format!("https://{}{path}", server.tls))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The most that the server ever says: no secret is among it.
const TALKATIVE: [(&str, &str); 1] = [("METRICSTOR_LOG_LEVEL", "trace")];

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_line_lets_a_machine_in_and_one_command_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &TALKATIVE);
    let token = out(ca(&server, &["token", "create", "--kind", "service", "--name", "dash-*"]));
    assert_eq!(token.lines().count(), 1, "one line to copy: {token}");
    let files = dir.path().join("client");
    let reloaded = dir.path().join("reloaded");
    let touch = format!("touch {}", reloaded.display());
    let more = ["--name", "dash-1", "--once", "--reload", &touch];
    let said = out(enrol(&server, &token, &files, &more).output().unwrap());
    assert!(said.contains("spiffe://metricstor/service/dash-1"), "{said}");
    assert!(said.contains("remote_write:") && said.contains("server_name:"), "{said}");
    assert!(reloaded.exists(), "the reload command ran");
    let query = "/api/v1/query?query=up";
    assert_eq!(status_with(&server, &files, &[], query), "200");
    // Again, as a timer would: nothing is due, nothing changes, no token is needed.
    let before = std::fs::read_link(files.join("current")).unwrap();
    out(enrol(&server, &token, &files, &more).output().unwrap());
    assert_eq!(std::fs::read_link(files.join("current")).unwrap(), before);
    // The token is used up for everybody else.
    let other = dir.path().join("other");
    let refused = enrol(&server, &token, &other, &["--name", "dash-2", "--once"]).output().unwrap();
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("the token has been used"), "{text}");

    let listed = out(ca(&server, &["identities"]));
    assert!(listed.contains("service/dash-1"), "{listed}");
    for (subject, is_known) in [("spiffe://metricstor/service/dash-1", true), ("agent/o", false)] {
        let revoked = ca(&server, &["revoke", subject]);
        let doubt = String::from_utf8_lossy(&revoked.stderr).contains("misspelt");
        assert_eq!(doubt, !is_known, "{subject}");
        assert!(out(revoked).contains(" is revoked"));
    }
    assert_eq!(status_with(&server, &files, &[], query), "000");
    let crl = out(ca(&server, &["crl"]));
    assert!(crl.contains("BEGIN X509 CRL"));
    // Neither the token nor any key is in the log.
    let secret = token.split('.').nth(2).unwrap();
    assert!(!server.log().contains(secret) && !server.log().contains("PRIVATE"));
}

#[test]
fn a_token_can_come_by_standard_input_and_be_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let make = || out(ca(&server, &["token", "create", "--name", "web-1", "--ttl", "10m"]));
    let token = make();
    let line = dir.path().join("token");
    std::fs::write(&line, &token).unwrap();
    let mut command = enrol(&server, "-", &dir.path().join("a"), &["--name", "web-1", "--once"]);
    let enrolled = command.stdin(std::fs::File::open(&line).unwrap()).output().unwrap();
    assert!(out(enrolled).contains("agent/web-1"));

    let token = make();
    let id = token.split('.').nth(1).unwrap();
    assert!(out(ca(&server, &["token", "list"])).contains(id));
    out(ca(&server, &["token", "revoke", id]));
    let more = ["--name", "web-1", "--once"];
    let refused = enrol(&server, &token, &dir.path().join("b"), &more).output().unwrap();
    assert!(!refused.status.success());
}

#[test]
fn without_a_token_an_administrator_compares_fingerprints() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let files = dir.path().join("client");
    let log = dir.path().join("enrol.log");
    let child = metricstor(&["enrol", &format!("https://{}", server.tls), "--name", "rack-7"])
        .args(["--once", "--output"])
        .arg(&files)
        .stdout(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let said = || std::fs::read_to_string(&log).unwrap();
    wait_until("the applicant's fingerprint", || said().contains("ca approve"));
    let said_there = said();
    let shown = said_there.split("ca approve ").nth(1).unwrap().trim();
    let listed = out(ca(&server, &["pending"]));
    assert!(listed.contains(shown) && listed.contains("agent/rack-7"), "{listed}");
    out(ca(&server, &["approve", shown]));
    wait_until("the approved applicant to end", || child.0.try_wait().unwrap().is_some());
    assert!(files.join("current/client.crt").exists(), "{}", said());
}

#[test]
fn a_bearer_token_reads_until_it_is_withdrawn() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(dir.path(), &TALKATIVE);
    let token = out(ca(&server, &["bearer", "create", "service/grafana", "--ttl", "1d"]));
    let authorization = format!("Authorization: Bearer {}", token.trim());
    let status = |headers: &[&str]| {
        let ca = server.dir.join("data/pki/ca.crt");
        let mut command = Command::new("curl");
        command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]).arg(ca);
        let url = format!("https://{}/api/v1/query?query=up", server.tls);
        String::from_utf8(command.args(headers).arg(url).output().unwrap().stdout).unwrap()
    };
    assert_eq!(status(&["-H", &authorization]), "200");
    assert_eq!(status(&[]), "401");
    out(ca(&server, &["bearer", "revoke", token.split('.').nth(1).unwrap()]));
    assert_eq!(status(&["-H", &authorization]), "401");
    assert!(!server.log().contains(token.trim().split('.').nth(2).unwrap()));
}

#[test]
fn health_needs_no_certificate_for_curl() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let url = |path: &str| format!("https://{}{path}", server.tls);
    let ca = server.dir.join("data/pki/ca.crt");
    let get = |path: &str| {
        let mut command = Command::new("curl");
        out(command.args(["-sS", "--cacert"]).arg(&ca).arg(url(path)).output().unwrap())
    };
    assert_eq!(get("/-/healthy"), "metricstor is healthy.\n");
    assert_eq!(get("/pki/v1/bundle"), std::fs::read_to_string(&ca).unwrap());
}

#[test]
fn a_root_is_exchanged_while_a_client_keeps_pushing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let token = out(ca(&server, &["token", "create", "--kind", "service", "--name", "dash-1"]));
    let files = dir.path().join("client");
    let more = ["--name", "dash-1", "--once"];
    out(enrol(&server, &token, &files, &more).output().unwrap());
    let query = "/api/v1/query?query=up";
    out(ca(&server, &["rotate", "root"]));
    assert_eq!(status_with(&server, &files, &[], query), "200", "the old files go on");
    let lagging = ca(&server, &["rotate", "drop-old-roots"]);
    assert!(String::from_utf8_lossy(&lagging.stderr).contains("service/dash-1"));
    out(enrol(&server, &token, &files, &more).output().unwrap());
    let bundle = std::fs::read_to_string(files.join("current/ca.crt")).unwrap();
    assert_eq!(bundle.matches("BEGIN").count(), 2, "a new root is fetched before renewal is due");
    out(ca(&server, &["rotate", "drop-old-roots"]));
    assert_eq!(status_with(&server, &files, &[], query), "200");
    out(ca(&server, &["rotate", "issuing"]));
    assert_eq!(status_with(&server, &files, &[], query), "200");
    assert!(curl(&server, &[], "/-/ready").status.success());
}

#[test]
fn a_socket_file_serves_the_servers_own_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("metricstor.sock");
    let setting = [("METRICSTOR_UNIX_SOCKET", path.to_str().unwrap())];
    for _ in 0..2 {
        // The second start finds what the killed first one left.
        let server = Server::start_with(dir.path(), &setting);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let unix = format!("unix:{}", path.display());
        let listed = metricstor(&["ca", "identities", "--server", &unix]).output().unwrap();
        assert!(out(listed).starts_with("IDENTITY"));
        server.kill();
    }
}

#[test]
fn a_kind_that_there_is_not_is_wrong_usage() {
    for command in [
        &["ca", "token", "create", "--name", "x", "--kind", "robot"][..],
        &["enrol", "https://a.example", "--kind", "robot"],
    ] {
        let refused = metricstor(command).output().unwrap();
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{text}");
        assert!(text.contains("one of node, agent, user, service"), "{text}");
    }
}

#[test]
fn a_token_without_a_server_is_not_taken_for_one() {
    for token in ["ms1.0102.0304.0506", "ms1", "-"] {
        let refused = metricstor(&["enrol", token]).output().unwrap();
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1));
        assert!(text.contains("URL") && !text.contains("0304"), "{text}");
    }
}

#[test]
fn renewing_goes_on_whoever_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let token = out(ca(&server, &["token", "create", "--kind", "service", "--name", "dash-1"]));
    let files = dir.path().join("client");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let more = ["--name", "dash-1", "--once", "--reload", "false"];
    let status = enrol(&server, &token, &files, &more).stderr(full).status().unwrap();
    assert!(status.success(), "{status}");
    let mut keeper = metricstor(&["enrol", &format!("https://{}", server.tls), "--output"]);
    let mut keeper = Killed(keeper.arg(&files).stdout(Stdio::piped()).spawn().unwrap());
    // It is at work once it says so.
    keeper.0.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", keeper.0.id())).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let broken_pipe = 1 << (13 - 1);
    assert_ne!(u64::from_str_radix(ignored.trim(), 16).unwrap() & broken_pipe, 0, "{ignored}");
}

/// `enrol` again and again, its server killed a little later each time: whoever asks once more with the
/// same token and files gets in, and there is one identity.
#[test]
fn a_server_killed_in_the_middle_of_an_enrolment_costs_one_more_try() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path());
    for round in 0..8_u64 {
        let name = format!("web-{round}");
        let token = out(ca(&server, &["token", "create", "--kind", "service", "--name", &name]));
        let files = dir.path().join(&name);
        let more = ["--name", &*name, "--once"];
        let mut first = Killed(enrol(&server, &token, &files, &more).spawn().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(6 * round)); // where the kill falls
        server = server.restarted();
        first.0.wait().unwrap();
        out(enrol(&server, &token, &files, &more).output().unwrap());
        assert_eq!(status_with(&server, &files, &[], "/api/v1/query?query=up"), "200", "{name}");
    }
    let listed = out(ca(&server, &["identities"]));
    for round in 0..8 {
        assert_eq!(listed.matches(&format!("service/web-{round} ")).count(), 1, "{listed}");
    }
}

#[test]
fn with_the_root_offline_everything_goes_on_but_its_own_exchange() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let pki = dir.path().join("data/pki");
    let (here, away) = (pki.join("root-1.pem"), dir.path().join("root-1.pem"));
    std::fs::rename(&here, &away).unwrap();
    let server = server.restarted();
    let token = out(ca(&server, &["token", "create", "--kind", "service", "--name", "dash-1"]));
    let files = dir.path().join("client");
    let more = ["--name", "dash-1", "--once"];
    out(enrol(&server, &token, &files, &more).output().unwrap());
    assert_eq!(status_with(&server, &files, &[], "/api/v1/query?query=up"), "200");
    let refused = ca(&server, &["rotate", "issuing"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("root-<n>.pem"), "{text}");
    assert_eq!(status_with(&server, &files, &[], "/api/v1/query?query=up"), "200", "as before");
    std::fs::rename(&away, &here).unwrap();
    let server = server.restarted();
    out(ca(&server, &["rotate", "issuing"]));
    assert_eq!(status_with(&server, &files, &[], "/api/v1/query?query=up"), "200");
}

#[test]
fn a_revoked_administrator_is_out_until_its_key_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    assert!(curl(&server, &["-f"], "/api/v1/admin/pki/tokens").status.success());
    out(ca(&server, &["revoke", "user/admin"]));
    let is_out = |server: &Server| {
        let refused = ca(server, &["identities"]);
        !refused.status.success() && !curl(server, &["-f"], "/-/healthy").status.success()
    };
    assert!(is_out(&server));
    let server = server.restarted();
    assert!(is_out(&server), "a start un-revokes nobody");
    for name in ["admin.key", "admin.crt"] {
        std::fs::remove_file(dir.path().join("data/pki").join(name)).unwrap();
    }
    let server = server.restarted();
    assert!(out(ca(&server, &["identities"])).contains("user/admin"));
}

/// A timer and a service that do the same work on the same files.
#[test]
fn several_enrols_on_one_directory_do_not_disturb_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path());
    let token = out(ca(&server, &["token", "create", "--kind", "service", "--name", "dash-1"]));
    let files = dir.path().join("client");
    let more = ["--name", "dash-1", "--once"];
    let at_once = || {
        let started: Vec<_> = (0..4)
            .map(|_| Killed(enrol(&server, &token, &files, &more).spawn().unwrap()))
            .collect();
        for mut child in started {
            assert!(child.0.wait().unwrap().success());
        }
        assert_eq!(status_with(&server, &files, &[], "/api/v1/query?query=up"), "200");
    };
    at_once();
    // Certificates tell seconds apart.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    out(ca(&server, &["rotate", "root"]));
    at_once();
    assert!(!server.log().contains("not the latest"), "{}", server.log());
}
