//! `label_replace` and `label_join`: the labels of series, whatever their samples.

use metricstor_model::{Labels, METRIC_NAME};
use regex_automata::meta::{Config, Regex};
use regex_automata::util::captures::Captures;
use regex_automata::util::syntax;

use super::text;
use crate::QueryError;
use crate::eval::Evaluator;
use crate::eval::frame::Frame;
use crate::eval::grid::Grid;
use crate::eval::relabel::unite;
use crate::plan::{Call, Kind, Node};

/// The longest value that a label can be given, in bytes.
const VALUE_SIZE_MAX: usize = 64 << 10;

/// Largest compiled regular expression, in bytes.
const REGEX_SIZE_MAX: usize = 8 << 20;

/// A label's name; fails if it is none.
fn label_name(node: &Node, what: &str) -> Result<String, QueryError> {
    let name = text(node);
    if name.is_empty() || matches!(node.kind, Kind::Bytes(_)) {
        return Err(QueryError::execution(format!("invalid {what}: {name}")));
    }
    Ok(name)
}

fn with_label(labels: &Labels, name: &str, value: &str) -> Result<Labels, QueryError> {
    if labels.get(name).unwrap_or("") == value {
        return Ok(labels.clone());
    }
    let others = labels.iter().filter(|(other, _)| *other != name);
    Labels::from_pairs(others.chain([(name, value)]))
        .map_err(|error| QueryError::execution(error.to_string()))
}

impl<'a> Evaluator<'a> {
    pub(super) fn label_replace(
        &mut self,
        call: &'a Call,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let pattern = text(&call.args[4]);
        let regex = Regex::builder()
            .configure(Config::new().nfa_size_limit(Some(REGEX_SIZE_MAX)))
            .syntax(syntax::Config::new().dot_matches_new_line(true))
            .build(&format!("^(?:{pattern})$"))
            .map_err(|_| {
                let text = format!("invalid regular expression in label_replace(): {pattern}");
                QueryError::execution(text)
            })?;
        // It stands while the operand is evaluated, which may be another `label_replace`.
        let mut claim = self.query.budget.claim();
        claim.grow(regex.memory_usage())?;
        let target = label_name(&call.args[1], "destination label name in label_replace()")?;
        let (replacement, source) = (text(&call.args[2]), text(&call.args[3]));
        let mut captures = regex.create_captures();
        self.relabelled(&call.args[0], grid, &target, |labels| {
            let value = labels.get(&source).unwrap_or("");
            regex.captures(value, &mut captures);
            captures.is_match().then(|| expand(&replacement, value, &captures)).transpose()
        })
    }

    pub(super) fn label_join(&mut self, call: &'a Call, grid: Grid) -> Result<Frame, QueryError> {
        let sources = call.args[3..]
            .iter()
            .map(|arg| label_name(arg, "source label name in label_join()"))
            .collect::<Result<Vec<String>, _>>()?;
        let target = label_name(&call.args[1], "destination label name in label_join()")?;
        let separator = text(&call.args[2]);
        self.relabelled(&call.args[0], grid, &target, |labels| {
            let values: Vec<&str> =
                sources.iter().map(|source| labels.get(source).unwrap_or("")).collect();
            let size: usize = values.iter().map(|value| value.len() + separator.len()).sum();
            if size > VALUE_SIZE_MAX { Err(too_long()) } else { Ok(Some(values.join(&separator))) }
        })
    }

    /// Gives every series the value found for its `target` label, if any.
    fn relabelled(
        &mut self,
        input: &'a Node,
        grid: Grid,
        target: &str,
        mut value: impl FnMut(&Labels) -> Result<Option<String>, QueryError>,
    ) -> Result<Frame, QueryError> {
        let mut frame = self.vector(input, grid)?;
        for i in 0..frame.len() {
            self.query.interrupt.check()?;
            let head = &mut frame.heads[i];
            if let Some(value) = value(&head.labels)? {
                let before = head.labels.size();
                head.labels = with_label(&head.labels, target, &value)?;
                let grown = head.labels.size().saturating_sub(before);
                if target == METRIC_NAME {
                    head.drop_name = false;
                }
                frame.charge(grown)?;
            }
        }
        unite(frame)
    }
}

/// Fills the groups of a match into a template: `$1`, `$name`, `${name}`; `$$` is a dollar.
fn expand(template: &str, value: &str, captures: &Captures) -> Result<String, QueryError> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        if out.len() > VALUE_SIZE_MAX {
            return Err(too_long());
        }
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = group_name(after) {
            // A number with a zero before it is a name.
            let is_number = name == "0" || !name.starts_with('0');
            let span = match name.parse::<usize>() {
                Ok(index) if is_number => captures.get_group(index),
                _ => captures.get_group_by_name(name),
            };
            out.push_str(span.map_or("", |span| &value[span.range()]));
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    if out.len() > VALUE_SIZE_MAX { Err(too_long()) } else { Ok(out) }
}

fn too_long() -> QueryError {
    let detail = format!("a label's value would be longer than {VALUE_SIZE_MAX} bytes");
    QueryError::Limit { name: "label_value_max", detail }
}

/// The name of a group right after the dollar, and what follows.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let braced = text.strip_prefix('{');
    let start = braced.unwrap_or(text);
    let end = start.find(|c: char| !is_word(c)).unwrap_or(start.len());
    let (name, after) = start.split_at(end);
    if name.is_empty() {
        return None;
    }
    match braced {
        Some(_) => Some((name, after.strip_prefix('}')?)),
        None => Some((name, after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_as_in_go() {
        let regex = Regex::new("^(a+)(?P<rest>.*)$").unwrap();
        let mut captures = regex.create_captures();
        regex.captures("aab", &mut captures);
        for (template, expected) in [
            ("$1-$rest$01-${00}", "aa-b-"),
            ("${1}x$1x", "aax"),
            ("$$1", "$1"),
            ("$", "$"),
            ("${1", "${1"),
        ] {
            assert_eq!(expand(template, "aab", &captures).unwrap(), expected, "{template}");
        }
    }
}
