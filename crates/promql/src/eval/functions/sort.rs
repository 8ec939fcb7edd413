//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`: the order of an instant's result.

use super::{natural, text};
use crate::QueryError;
use crate::ast::Span;
use crate::eval::Evaluator;
use crate::eval::frame::{ABSENT, Frame, is_float};
use crate::eval::grid::Grid;
use crate::plan::Call;

impl<'a> Evaluator<'a> {
    pub(super) fn sort(
        &mut self,
        call: &'a Call,
        span: Span,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let mut frame = self.vector(&call.args[0], grid)?;
        if !grid.is_instant() {
            self.notes.sort_in_range_query(span);
        }
        let descending = call.function.name.ends_with("_desc");
        if call.function.name.starts_with("sort_by_label") {
            let labels: Vec<String> = call.args[1..].iter().map(text).collect();
            if grid.is_instant() {
                sort_by_labels(&mut frame, &labels, descending);
            }
            return Ok(frame);
        }
        for cell in frame.all_cells_mut().iter_mut().filter(|cell| !is_float(**cell)) {
            *cell = ABSENT;
        }
        frame.compact();
        if grid.is_instant() {
            sort_by_values(&mut frame, descending);
        }
        Ok(frame)
    }
}

/// NaN comes last in both directions.
fn sort_by_values(frame: &mut Frame, descending: bool) {
    let mut order: Vec<usize> = (0..frame.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (frame.column(a).cells[0], frame.column(b).cells[0]);
        let order = if descending { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
        order.unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
    });
    frame.arrange(&order);
}

fn sort_by_labels(frame: &mut Frame, labels: &[String], descending: bool) {
    let mut order: Vec<usize> = (0..frame.len()).collect();
    order.sort_by(|&a, &b| {
        let (a, b) = (&frame.heads[a].labels, &frame.heads[b].labels);
        let by_label = labels
            .iter()
            .map(|name| natural::compare(a.get(name).unwrap_or(""), b.get(name).unwrap_or("")))
            .find(|order| order.is_ne());
        let order = by_label.unwrap_or_else(|| a.cmp(b));
        if descending { order.reverse() } else { order }
    });
    frame.arrange(&order);
}
