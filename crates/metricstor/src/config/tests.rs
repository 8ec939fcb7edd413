use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = written(
        "listen: 127.0.0.1:1\nlog_level: warn\nstorage:\n  retention: 30d\n  max_labels: 10\n",
    );
    let args = ServeArgs {
        config: Some(file.path().to_owned()),
        listen: Some("127.0.0.1:3".to_owned()),
        ..ServeArgs::default()
    };
    let environment = env(&[
        ("METRICSTOR_LISTEN", "127.0.0.1:2"),
        ("METRICSTOR_STORAGE__RETENTION", "100y"),
        ("METRICSTOR_TLS__HOST_NAMES", "[a.example, b.example]"),
        ("METRICSTOR_PROMQLTEST", "/somewhere"),
        ("PATH", "/bin"),
    ]);
    let loaded = load(&args, environment).unwrap();
    assert_eq!(loaded.listen, "127.0.0.1:3");
    assert_eq!(loaded.storage.retention.to_string(), "100y");
    assert_eq!(loaded.tls.host_names, ["a.example", "b.example"]);
    assert_eq!(loaded.storage.max_labels, 10);
    assert_eq!(loaded.log_level, "warn");
    assert_eq!(loaded.query, File::default().query);
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_likely_one() {
    let file = written("storage:\n  retentoin: 30d\nquery: {timeout: 1s}\n");
    let error = from_file(Some(file.path()), []).unwrap_err().to_string();
    let expected = "unknown setting storage.retentoin, did you mean storage.retention?";
    assert!(error.contains(expected), "{error}");
    let error = from_file(None, env(&[("METRICSTOR_STORAGE__RETENTOIN", "1d")])).unwrap_err();
    assert!(error.to_string().contains("did you mean METRICSTOR_STORAGE__RETENTION?"), "{error}");
    let error = from_file(None, env(&[("METRICSTOR_LISTN", "1d")])).unwrap_err();
    assert!(error.to_string().contains("did you mean METRICSTOR_LISTEN?"), "{error}");
    for name in ["METRICSTOR_RETENTION", "METRICSTOR_STORAGE_RETENTION"] {
        let error = from_file(None, env(&[(name, "1d")])).unwrap_err();
        assert!(
            error.to_string().contains("did you mean METRICSTOR_STORAGE__RETENTION?"),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_utf8_is_an_error_in_settings_only() {
    use std::os::unix::ffi::OsStringExt;
    let other = || OsString::from_vec(b"\xff".to_vec());
    let others = [("OTHER".into(), other()), (other(), "x".into())];
    assert_eq!(from_file(None, others).unwrap(), File::default());
    let error = from_file(None, [("METRICSTOR_LISTEN".into(), other())]).unwrap_err().to_string();
    assert!(error.contains("METRICSTOR_LISTEN: not UTF-8"), "{error}");
}

#[test]
fn a_wrong_value_is_an_error_that_says_what_to_write() {
    let file = written("listen: 127.0.0.1:9101\nstorage:\n  retention: soon\n");
    let error = from_file(Some(file.path()), []).unwrap_err().to_string();
    assert!(error.contains("write for example 30s"), "{error}");
    assert!(error.contains('3'), "the line is named: {error}");
    let error = from_file(None, env(&[("METRICSTOR_STORAGE__RETENTION", "15")])).unwrap_err();
    assert!(error.to_string().contains("METRICSTOR_STORAGE__RETENTION"), "{error}");
}

#[test]
fn messages_are_about_the_file_and_not_about_types() {
    for (text, said) in [
        ("storage:\n  max_labels: -1\n", "not a whole number of 0 or more"),
        ("enrolment: {requests_per_minute: many}\n", "not a whole number of 0 or more"),
        ("listen: a\nlisten: b\n", "duplicate mapping key: listen\n"),
    ] {
        let error = from_file(Some(written(text).path()), []).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn empty_files_and_files_of_comments_are_the_defaults() {
    for text in ["", "# nothing\n", "{}\n"] {
        let file = written(text);
        assert_eq!(from_file(Some(file.path()), []).unwrap(), File::default(), "{text:?}");
    }
}

#[test]
fn what_is_shown_is_read_back() {
    let settings = Settings::try_from(&File::default()).unwrap();
    for file in [File::default(), settings.in_effect(&File::default())] {
        let shown = written(&file.to_yaml());
        assert_eq!(from_file(Some(shown.path()), []).unwrap(), file);
    }
}

#[test]
fn what_is_left_open_is_shown_as_worked_out() {
    let file = from_file(None, env(&[("METRICSTOR_MEMORY__LIMIT", "64MiB")])).unwrap();
    let settings = Settings::try_from(&file).unwrap();
    let shown = settings.in_effect(&file);
    assert_eq!(shown.memory.block_cache.unwrap().to_string(), "4MiB");
    assert_eq!(shown.query.threads, Some(settings.engine.threads));
    let again = Settings::try_from(&shown).unwrap();
    assert_eq!(again.in_effect(&shown), shown);
}

/// Every key with its value, the sections opened.
fn flat(tree: &serde_json::Value, path: &str, found: &mut Vec<(String, serde_json::Value)>) {
    for (name, value) in tree.as_object().unwrap() {
        match value {
            serde_json::Value::Object(_) => flat(value, &format!("{path}{name}."), found),
            _ => found.push((format!("{path}{name}"), value.clone())),
        }
    }
}

#[test]
fn the_page_of_settings_has_every_key_with_its_default() {
    let mut known = Vec::new();
    flat(&File::default().tree(), "", &mut known);
    let rows = include_str!("../../settings.md").lines().filter_map(|line| {
        let (key, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((key, rest.split_once(" | ")?.0))
    });
    let mut rows: std::collections::BTreeMap<&str, &str> = rows.collect();
    for (key, value) in known {
        let told = rows.remove(key.as_str()).unwrap_or_else(|| panic!("{key} is not on the page"));
        let default = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        // What is left open is described in words.
        assert!(value.is_null() || told == default, "{key}: {told}, but {default}");
    }
    assert!(rows.is_empty(), "there are no settings {rows:?}");
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    for (name, value) in [
        ("METRICSTOR_LISTEN", "nowhere"),
        ("METRICSTOR_LOOPBACK_HTTP", "192.0.2.1:9103"),
        ("METRICSTOR_LOG_LEVEL", "loud"),
        ("METRICSTOR_QUERY__CONCURRENCY", "0"),
        ("METRICSTOR_QUERY__TIMEOUT", "0s"),
        ("METRICSTOR_QUERY__MAX_REGEX_MEMORY", "0"),
        ("METRICSTOR_MEMORY__LIMIT", "1"),
        ("METRICSTOR_MEMORY__BLOCK_CACHE", "1000000GB"),
        ("METRICSTOR_TLS__TRUST_DOMAIN", "Not A Domain"),
        ("METRICSTOR_TLS__CERTIFICATE_LIFE", "1h"),
        ("METRICSTOR_TLS__CERTIFICATE_LIFE", "826d"),
        ("METRICSTOR_TLS__CRL_URL", "ftp://a.example/crl"),
        ("METRICSTOR_TLS__CRL_URL", "http://a.example/c r l"),
    ] {
        let file = from_file(None, env(&[(name, value)])).unwrap();
        let error = Settings::try_from(&file).unwrap_err().to_string();
        let setting = name["METRICSTOR_".len()..].to_lowercase().replace("__", ".");
        assert!(error.starts_with(&format!("setting {setting}: ")), "{error}");
    }
    assert!(Settings::try_from(&File::default()).is_ok());
}

#[test]
fn a_querys_limits_reach_the_engine() {
    let limits = env(&[
        ("METRICSTOR_QUERY__MAX_LENGTH", "3kB"),
        ("METRICSTOR_QUERY__MAX_REGEX_MEMORY", "2MiB"),
    ]);
    let settings = Settings::try_from(&from_file(None, limits).unwrap()).unwrap();
    let syntax = settings.engine.syntax;
    assert_eq!((syntax.length_max, syntax.regex_memory_max), (3000, 2 << 20));
}

const WITH_POLICY: &str = "listen: 127.0.0.1:1
tls: {trust_domain: d.example, host_names: [a, b]}
policy:
  - who: [agent/web-*, agent/db]
    may: [write]
    stamp: {instance: \"{name}\"}
    limits: {active_series: 10}
  - &r {who: service/grafana, may: [read], only: ['env!=\"x\"']}
";

#[test]
fn a_policy_is_part_of_the_file_and_its_mistakes_are_named() {
    let file = from_file(Some(written(WITH_POLICY).path()), []).unwrap();
    assert_eq!(policy(&file).unwrap().grants().count(), 2);
    let wrong = WITH_POLICY.replace("env!=", "env!");
    let file = from_file(Some(written(&wrong).path()), []).unwrap();
    let error = Settings::try_from(&file).unwrap_err().to_string();
    assert!(error.starts_with("policy rule 2: only"), "{error}");
    let unknown = WITH_POLICY.replace("may: [read]", "may: [read], tennant: x");
    let error = from_file(Some(written(&unknown).path()), []).unwrap_err().to_string();
    assert!(error.contains("tennant"), "{error}");
}

/// `METRICSTOR_FUZZ_SECONDS=600` goes on for that long; METRICSTOR_FUZZ_SEED makes it other damage.
#[test]
fn a_damaged_file_is_refused_or_read() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let mut state = 7 + number("METRICSTOR_FUZZ_SEED").unwrap_or(0);
    let mut roll = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let characters = b" -:{}[]'\"&*!|>#%@,\n\t\\0aZ~?";
    let mut round = || {
        let mut bytes = WITH_POLICY.as_bytes().to_vec();
        for _ in 0..=roll(4) {
            let at = roll(bytes.len());
            match roll(4) {
                0 => bytes[at] = characters[roll(characters.len())],
                1 => bytes.insert(at, characters[roll(characters.len())]),
                2 => drop(bytes.remove(at)),
                _ => {
                    let piece = bytes[at..bytes.len().min(at + 20)].to_vec();
                    let to = roll(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
        }
        let Ok(text) = String::from_utf8(bytes) else { return };
        if let Ok(file) = parse(&text) {
            let _ = policy(&file).map_err(|error| error.to_string());
            let _ = Settings::try_from(&file).map_err(|error| error.to_string());
        }
    };
    (0..2_000).for_each(|_| round());
    if let Some(seconds) = number("METRICSTOR_FUZZ_SECONDS") {
        let start = std::time::Instant::now();
        while start.elapsed().as_secs() < seconds {
            round();
        }
    }
}
