use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
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
fn empty_files_and_files_of_comments_are_the_defaults() {
    for text in ["", "# nothing\n", "{}\n"] {
        let file = written(text);
        assert_eq!(from_file(Some(file.path()), []).unwrap(), File::default(), "{text:?}");
    }
}

#[test]
fn what_is_shown_is_read_back() {
    let shown = written(&File::default().to_yaml());
    assert_eq!(from_file(Some(shown.path()), []).unwrap(), File::default());
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    for (name, value) in [
        ("METRICSTOR_LISTEN", "nowhere"),
        ("METRICSTOR_LOOPBACK_HTTP", "192.0.2.1:9103"),
        ("METRICSTOR_LOG_LEVEL", "loud"),
        ("METRICSTOR_QUERY__CONCURRENCY", "0"),
        ("METRICSTOR_QUERY__TIMEOUT", "0s"),
        ("METRICSTOR_TLS__TRUST_DOMAIN", "Not A Domain"),
    ] {
        let file = from_file(None, env(&[(name, value)])).unwrap();
        let error = Settings::try_from(&file).unwrap_err().to_string();
        let setting = name["METRICSTOR_".len()..].to_lowercase().replace("__", ".");
        assert!(error.starts_with(&format!("setting {setting}: ")), "{error}");
    }
    assert!(Settings::try_from(&File::default()).is_ok());
}
