//! The operations of a plan by name, and their operands.

use super::{Aggregate, Kind, Node};

impl Node {
    /// What is done here, without the operands.
    pub fn operation(&self) -> String {
        match &self.kind {
            Kind::Number(_) => "number".to_owned(),
            Kind::Text(_) | Kind::Bytes(_) => "string".to_owned(),
            Kind::Selector(_) => "selector".to_owned(),
            Kind::Range(_) => "range selector".to_owned(),
            Kind::Matchers(_) => "matchers".to_owned(),
            Kind::Subquery(_) => "subquery".to_owned(),
            Kind::Negate(_) => "-".to_owned(),
            Kind::Plus(_) => "+".to_owned(),
            Kind::Binary(binary) => binary.op.symbol().to_owned(),
            Kind::Aggregate(aggregate) => aggregate.operation(),
            Kind::Call(call) => call.function.name.to_owned(),
        }
    }

    /// In the order in which they are written.
    pub fn operands(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Subquery(subquery) => vec![&subquery.inner],
            Kind::Negate(inner) | Kind::Plus(inner) => vec![inner],
            Kind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            Kind::Aggregate(aggregate) => {
                aggregate.param.iter().chain([&aggregate.inner]).collect()
            }
            Kind::Call(call) => call.args.iter().collect(),
            Kind::Number(_)
            | Kind::Text(_)
            | Kind::Bytes(_)
            | Kind::Selector(_)
            | Kind::Range(_)
            | Kind::Matchers(_) => Vec::new(),
        }
    }
}

impl Aggregate {
    fn operation(&self) -> String {
        let name = self.op.name();
        if self.grouping.is_empty() && !self.without {
            return name.to_owned();
        }
        let modifier = if self.without { "without" } else { "by" };
        format!("{name} {modifier} ({})", self.grouping.join(", "))
    }
}
