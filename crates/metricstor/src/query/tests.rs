use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

const NOW: i64 = 1_735_693_200_000;

fn args(words: &[&str]) -> QueryArgs {
    let words = ["metricstor", "query"].iter().chain(words);
    match Cli::try_parse_from(words).unwrap().command {
        Command::Query(args) => args,
        other => panic!("{other:?}"),
    }
}

fn shown(output: Output, json: &str) -> String {
    let result = result::parse(200, json.as_bytes()).unwrap();
    let mut out = Vec::new();
    show(&mut out, output, &result.series, false).unwrap();
    String::from_utf8(out).unwrap()
}

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"__name__":"up","job":"a,\"b"},"value":[1735693200,"1"]},
    {"metric":{},"value":[1735693200,"NaN"]}]},"warnings":["careful"]}"#;
const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
    {"metric":{"__name__":"up"},"values":[[1735693200,"1"],[1735693260,"3"],[1735693320,"2"]]}]}}"#;

#[test]
fn a_query_without_times_is_instant_and_with_a_bound_a_range() {
    let (path, fields) = request(&args(&["up", "--time", "-1h"]), NOW).unwrap();
    assert_eq!(path, "/api/v1/query");
    assert_eq!(fields, [("query", "up".to_owned()), ("time", "1735689600.000".to_owned())]);
    let (path, fields) = request(&args(&["up", "--start", "-2h"]), NOW).unwrap();
    assert_eq!(path, "/api/v1/query_range");
    let expected = [
        ("query", "up"),
        ("start", "1735686000.000"),
        ("end", "1735693200.000"),
        ("step", "60.000"),
    ];
    assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
    assert!(request(&args(&["up", "--start", "yesterday"]), NOW).is_err());
    assert!(request(&args(&["up", "--time", "1", "--end", "2"]), NOW).is_err());
}

#[test]
fn a_vector_is_a_table_or_csv() {
    assert_eq!(shown(Output::Table, VECTOR), "up{job=\"a,\\\"b\"}  1\n{}               NaN\n");
    let csv =
        "series,timestamp,value\n\"up{job=\"\"a,\\\"\"b\"\"}\",1735693200,1\n{},1735693200,NaN\n";
    assert_eq!(shown(Output::Csv, VECTOR), csv);
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    assert_eq!(shown(Output::Table, empty), "(no series)\n");
}

#[test]
fn a_matrix_has_a_line_per_point() {
    let table = shown(Output::Table, MATRIX);
    assert!(table.starts_with("up{}\n  2025-01-01T01:00:00Z  1\n"), "{table}");
}

#[test]
fn a_graph_spans_its_values_and_survives_odd_ones() {
    let graph = shown(Output::Graph, MATRIX);
    assert!(graph.starts_with("         3 │"), "{graph}");
    assert!(graph.contains("━━ up{}"), "{graph}");
    assert_eq!(graph.lines().filter(|line| line.contains('│')).count(), 16);
    let nan = MATRIX.replace("\"1\"", "\"NaN\"").replace("\"3\"", "\"+Inf\"");
    let flat = shown(Output::Graph, &nan);
    assert_eq!(flat.matches("2 │").count(), 1, "one value, one label: {flat}");
    let times = MATRIX.replace("\"1\"", "\"1795775265.25\"").replace("\"2\"", "\"1795775901.5\"");
    let times = shown(Output::Graph, &times.replace("\"3\"", "\"1795777081.125\""));
    for label in ["1795777081 │", "1795776173 │", "1795775265 │"] {
        assert!(times.contains(label), "{times}");
    }
    assert_eq!(shown(Output::Graph, VECTOR).lines().count(), 19);
    let small = MATRIX.replace("\"1\"", "\"1e-10\"").replace("\"2\"", "\"2e-10\"");
    let small = shown(Output::Graph, &small.replace("\"3\"", "\"3e-10\""));
    for label in ["3.000e-10 │", "2.000e-10 │", "1.000e-10 │"] {
        assert!(small.contains(label), "{small}");
    }
    let none = VECTOR.replace("\"1\"", "\"NaN\"");
    assert_eq!(shown(Output::Graph, &none), "(nothing to draw)\n");
}

#[test]
fn an_error_is_told_in_the_servers_words() {
    let body = br#"{"status":"error","errorType":"bad_data","error":"no"}"#;
    assert_eq!(result::parse(400, body).unwrap_err().to_string(), "bad_data: no");
    let error = result::parse(502, b"<html>").unwrap_err();
    assert!(error.to_string().contains("answered 502"));
}

#[test]
fn an_explanation_is_a_tree_with_aligned_figures() {
    let selector = r#"{"operation":"range selector","expression":"x[5m]","series":12,"samples":48000,
        "bytes":768000,"once":false,"streamed":true,"seconds":0.0015,"operands":[]}"#;
    let number = r#"{"operation":"number","expression":"2","series":1,"samples":1,"bytes":8,
        "once":false,"streamed":false,"seconds":0,"operands":[]}"#;
    let root = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[],"explain":
        {{"operation":"*","expression":"","series":12,"samples":12,"bytes":96,"once":false,
        "streamed":false,"seconds":1.25,"operands":[{selector},{number}]}}}}}}"#
    );
    let result = result::parse(200, root.as_bytes()).unwrap();
    let mut out = Vec::new();
    explain::write(&mut out, result.explanation.as_ref().unwrap()).unwrap();
    let expected = "\
operation          series  samples    memory      time
*                      12       12      96 B    1.25 s
├─ range selector      12    48000  768.0 kB  1.500 ms  x[5m] (streamed)
└─ number                                               2
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let (_, fields) = request(&args(&["x", "--explain"]), NOW).unwrap();
    assert!(fields.contains(&("explain", "1".to_owned())));
}
