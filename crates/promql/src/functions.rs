//! The table of PromQL functions: names, argument types, arity. Semantics live in `eval`.

use crate::ast::ValueType;

/// One function of the language.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: &'static str,
    pub args: &'static [ValueType],
    /// 0: exactly `args`; n > 0: the last n arguments are optional; -1: any number of the last.
    pub variadic: i32,
    pub returns: ValueType,
    pub experimental: bool,
}
