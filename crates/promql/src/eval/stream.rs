//! Which expressions can be computed series by series, and how.

use metricstor_model::FloatHistogram;

use crate::QueryError;
use crate::ast::{RangeExtension, ValueType};
use crate::eval::Evaluator;
use crate::eval::calendar::Date;
use crate::eval::elementary;
use crate::eval::frame::Frame;
use crate::eval::grid::Grid;
use crate::eval::instant::Take;
use crate::eval::pipeline::{Intake, Pipeline};
use crate::eval::relabel::KINDS;
use crate::eval::scalar::Scalar;
use crate::eval::stage::{Operator, Stage};
use crate::plan::{Binary, Call, Kind, Node, RangeSelector, Selector};

/// The vector that a stage is applied to, if the expression is one.
pub(super) fn stage_input(node: &Node) -> Option<&Node> {
    let is_vector = |node: &&Node| node.value_type == ValueType::InstantVector;
    match &node.kind {
        Kind::Negate(inner) | Kind::Plus(inner) => Some(inner.as_ref()).filter(is_vector),
        Kind::Binary(binary) => match (binary.lhs.value_type, binary.rhs.value_type) {
            (ValueType::InstantVector, ValueType::Scalar) => Some(&binary.lhs),
            (ValueType::Scalar, ValueType::InstantVector) => Some(&binary.rhs),
            _ => None,
        },
        Kind::Call(call) if is_stage(call) => call.args.first(),
        _ => None,
    }
}

fn is_stage(call: &Call) -> bool {
    !call.args.is_empty()
        && (float_function(call.function.name).is_some()
            || date_function(call.function.name).is_some()
            || histogram_function(call.function.name).is_some()
            || matches!(
                call.function.name,
                "clamp" | "clamp_min" | "clamp_max" | "round" | "timestamp" | "start_timestamp"
            ))
}

fn float_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => elementary::log2,
        "log10" => elementary::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => elementary::asin,
        "acos" => elementary::acos,
        "atan" => f64::atan,
        "sinh" => elementary::sinh,
        "cosh" => elementary::cosh,
        "tanh" => f64::tanh,
        "asinh" => elementary::asinh,
        "acosh" => elementary::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

/// The part of a date that a function returns.
pub(super) fn date_function(name: &str) -> Option<fn(&Date) -> i64> {
    Some(match name {
        "days_in_month" => Date::days_in_month,
        "day_of_month" => |date| date.day,
        "day_of_week" => |date| date.day_of_week,
        "day_of_year" => |date| date.day_of_year,
        "hour" => |date| date.hour,
        "minute" => |date| date.minute,
        "month" => |date| date.month,
        "year" => |date| date.year,
        _ => return None,
    })
}

fn histogram_function(name: &str) -> Option<fn(&FloatHistogram) -> f64> {
    Some(match name {
        "histogram_count" => |h| h.count,
        "histogram_sum" => |h| h.sum,
        "histogram_avg" => FloatHistogram::mean,
        "histogram_stdvar" => FloatHistogram::variance,
        "histogram_stddev" => |h| h.variance().sqrt(),
        _ => return None,
    })
}

/// What a pipeline begins with.
fn selector_of(node: &Node) -> Option<&Selector> {
    match &node.kind {
        Kind::Selector(selector) => Some(selector),
        Kind::Call(call) if range_argument(call).is_some() => {
            range_argument(call).map(|(_, range)| &range.selector)
        }
        _ => stage_input(node).and_then(selector_of),
    }
}

/// The range selector of a range function, and its place among the arguments.
fn range_argument(call: &Call) -> Option<(usize, &RangeSelector)> {
    // `absent_over_time` has to see all series first.
    let of_series = call.function.name != "absent_over_time";
    call.args.iter().enumerate().find_map(|(i, arg)| match &arg.kind {
        Kind::Range(range) if of_series => Some((i, range)),
        _ => None,
    })
}

/// Instant selectors whose samples' times are asked for are read differently.
fn time_of_selector(call: &Call) -> Option<(Take, &Selector)> {
    let take = match call.function.name {
        "timestamp" => Take::Time,
        "start_timestamp" => Take::StartTime,
        _ => return None,
    };
    match &call.args.first()?.kind {
        Kind::Selector(selector) => Some((take, selector)),
        _ => None,
    }
}

impl<'a> Evaluator<'a> {
    /// Can the vector be computed series by series?
    pub(super) fn is_stream(&self, node: &Node, grid: Grid) -> bool {
        if node.once && !grid.is_instant() {
            return false;
        }
        match &node.kind {
            Kind::Selector(_) => true,
            Kind::Call(call) if time_of_selector(call).is_some() => true,
            Kind::Call(call) if range_argument(call).is_some() => true,
            _ => stage_input(node).is_some_and(|input| self.is_independent(input, grid)),
        }
    }

    /// Can what comes after it be computed series by series as well? Not if series may have to be
    /// refused or united because they became equal when they lost their names, types or units: for
    /// that, all have to be seen.
    pub(super) fn is_independent(&self, node: &Node, grid: Grid) -> bool {
        self.is_stream(node, grid)
            && (self.query.options.delayed_name_removal
                || matches!(node.kind, Kind::Selector(_))
                || selector_of(node).is_some_and(|selector| self.stay_apart(selector)))
    }

    /// Do the series differ without their names, types and units? They do where all have one name, and
    /// nothing else about the metric.
    fn stay_apart(&self, selector: &Selector) -> bool {
        let series = self.query.set(selector.selection);
        selector.name().is_some() && !KINDS.iter().any(|label| series.have_label(label))
    }

    /// The pipeline of such a vector.
    pub(super) fn pipeline(
        &mut self,
        node: &'a Node,
        grid: Grid,
    ) -> Result<Pipeline<'a>, QueryError> {
        let (query, by_step) = (self.query, !self.reads.total_by_step.is_empty());
        let stopwatch = self.stopwatch();
        let pipeline = |selector, span, intake, nodes| {
            let stages = Vec::new();
            Pipeline { query, selector, span, grid, intake, stages, by_step, nodes, stopwatch }
        };
        match &node.kind {
            Kind::Selector(selector) => {
                let intake = match selector.extension {
                    RangeExtension::Smoothed => Intake::Smoothed,
                    _ if selector.totals_only => Intake::Instant(Take::Totals),
                    _ => Intake::Instant(Take::Sample),
                };
                return Ok(pipeline(selector, node.span, intake, vec![node.number]));
            }
            Kind::Call(call) => {
                if let Some((take, selector)) = time_of_selector(call) {
                    // A fixed time is the time of every step, whatever the step's.
                    let nodes = vec![call.args[0].number, node.number];
                    let mut pipeline = pipeline(selector, node.span, Intake::Instant(take), nodes);
                    if take == Take::StartTime && !self.query.options.start_timestamps {
                        pipeline.stages.push(Stage::Nothing);
                    }
                    return Ok(pipeline);
                }
                if let Some((at, range)) = range_argument(call) {
                    let scalars = self.other_arguments(call, at, grid)?;
                    let name = call.function.name;
                    let intake = Intake::Range { name, scalars, range: range.range };
                    let nodes = vec![call.args[at].number, node.number];
                    let pipeline = pipeline(&range.selector, call.args[0].span, intake, nodes);
                    pipeline.check()?;
                    return Ok(pipeline);
                }
            }
            _ => {}
        }
        let input = stage_input(node)
            .ok_or_else(|| QueryError::execution("unexpected expression inside a pipeline"))?;
        let mut pipeline = self.pipeline(input, grid)?;
        pipeline.stages.push(self.stage(node, grid)?);
        pipeline.nodes.push(node.number);
        Ok(pipeline)
    }

    /// The scalar arguments of a function besides argument `at`.
    pub(super) fn other_arguments(
        &mut self,
        call: &'a Call,
        at: usize,
        grid: Grid,
    ) -> Result<Vec<Scalar>, QueryError> {
        let others = call.args.iter().enumerate().filter(|(i, _)| *i != at);
        others.map(|(_, arg)| self.scalar(arg, grid)).collect()
    }

    /// Applies the stage that `node` is to its input, its operands being evaluated as written.
    pub(super) fn staged(
        &mut self,
        node: &'a Node,
        input: &'a Node,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let scalar_first = match &node.kind {
            Kind::Binary(binary) => binary.lhs.value_type == ValueType::Scalar,
            _ => false,
        };
        let (stage, mut frame) = if scalar_first {
            let stage = self.stage(node, grid)?;
            (stage, self.vector(input, grid)?)
        } else {
            let frame = self.vector(input, grid)?;
            (self.stage(node, grid)?, frame)
        };
        stage.apply(&mut frame, &grid, &mut self.notes);
        if !stage.drops_name() {
            return Ok(frame);
        }
        for head in &mut frame.heads {
            head.drop_name = true;
            if !self.query.options.delayed_name_removal {
                head.labels = stage.drops().from(&head.labels);
            }
        }
        self.settle_names(frame, grid, false)
    }

    fn stage(&mut self, node: &'a Node, grid: Grid) -> Result<Stage, QueryError> {
        match &node.kind {
            Kind::Negate(_) => Ok(Stage::Negate),
            Kind::Plus(_) => Ok(Stage::Same),
            Kind::Binary(binary) => self.operator(binary, node, grid),
            Kind::Call(call) => self.function_stage(call, grid),
            _ => Err(QueryError::execution("unexpected expression where a function belongs")),
        }
    }

    fn operator(
        &mut self,
        binary: &'a Binary,
        node: &Node,
        grid: Grid,
    ) -> Result<Stage, QueryError> {
        let scalar_first = binary.lhs.value_type == ValueType::Scalar;
        let scalar = if scalar_first { &binary.lhs } else { &binary.rhs };
        Ok(Stage::Operator(Operator {
            op: binary.op,
            scalar: self.scalar(scalar, grid)?,
            scalar_first,
            return_bool: binary.return_bool,
            span: node.span,
        }))
    }

    fn function_stage(&mut self, call: &'a Call, grid: Grid) -> Result<Stage, QueryError> {
        let name = call.function.name;
        let mut scalars = self.other_arguments(call, 0, grid)?.into_iter();
        let mut next = |default| scalars.next().unwrap_or(Scalar::Constant(default));
        if let Some(f) = float_function(name) {
            return Ok(Stage::Float(f));
        }
        if let Some(part) = date_function(name) {
            return Ok(Stage::Date(part));
        }
        if let Some(f) = histogram_function(name) {
            return Ok(Stage::Histogram(f));
        }
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        Ok(match name {
            "clamp" => Stage::Clamp { min: next(low), max: next(high) },
            "clamp_min" => Stage::Clamp { min: next(low), max: Scalar::Constant(high) },
            "clamp_max" => Stage::Clamp { min: Scalar::Constant(low), max: next(high) },
            "round" => Stage::Round(next(1.0)),
            "timestamp" => Stage::Time,
            _ => Stage::Nothing,
        })
    }
}
