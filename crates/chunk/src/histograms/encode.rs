//! Writing the histograms of a chunk.

use std::sync::Arc;

use metricstor_model::FloatHistogram;

use super::hint_code;
use super::shape::Shape;
use crate::ints;
use crate::values::{self, Packing};
use crate::varint::put_varint;

/// Appends the histograms with their positions (ascending).
pub fn encode(histograms: &[(usize, Arc<FloatHistogram>)], out: &mut Vec<u8>) {
    let column = |f: fn(&FloatHistogram) -> f64| histograms.iter().map(move |(_, h)| f(h));
    let (shapes, members) = shapes(histograms);
    put_varint(out, histograms.len() as u64);
    put_ints(histograms.iter().map(|(position, _)| *position as i64), out);
    put_varint(out, shapes.len() as u64);
    shapes.iter().for_each(|shape| shape.put(out));
    let mut shape_of = vec![0; histograms.len()];
    for (shape, members) in members.iter().enumerate() {
        members.iter().for_each(|&i| shape_of[i] = shape as i64);
    }
    put_ints(shape_of.into_iter(), out);
    put_ints(histograms.iter().map(|(_, h)| hint_code(h.counter_reset_hint)), out);
    put_values(column(|h| h.zero_count), out);
    put_values(column(|h| h.count), out);
    put_values(column(|h| h.sum), out);
    for (shape, members) in shapes.iter().zip(&members) {
        let members = members.iter().map(|&i| &*histograms[i].1);
        for bucket in 0..shape.positive_buckets {
            put_values(members.clone().map(|h| h.positive_buckets[bucket]), out);
        }
        for bucket in 0..shape.negative_buckets {
            put_values(members.clone().map(|h| h.negative_buckets[bucket]), out);
        }
    }
}

/// The distinct shapes in order of appearance, and which histograms have each.
fn shapes(histograms: &[(usize, Arc<FloatHistogram>)]) -> (Vec<Shape>, Vec<Vec<usize>>) {
    let (mut shapes, mut members) = (Vec::<Shape>::new(), Vec::<Vec<usize>>::new());
    for (i, (_, histogram)) in histograms.iter().enumerate() {
        // Mostly the newest: a series' layout grows, it seldom returns.
        match shapes.iter().rposition(|shape| shape.fits(histogram)) {
            Some(shape) => members[shape].push(i),
            None => {
                shapes.push(Shape::of(histogram));
                members.push(vec![i]);
            }
        }
    }
    (shapes, members)
}

fn put_ints(ints: impl Iterator<Item = i64>, out: &mut Vec<u8>) {
    let mut encoded = Vec::new();
    let order = ints::encode(&ints.collect::<Vec<_>>(), &mut encoded);
    out.push(order as u8);
    put_sized(&encoded, out);
}

fn put_values(values: impl Iterator<Item = f64>, out: &mut Vec<u8>) {
    let mut encoded = Vec::new();
    values::encode(&values.collect::<Vec<_>>(), Packing::Fast, &mut encoded);
    put_sized(&encoded, out);
}

fn put_sized(encoded: &[u8], out: &mut Vec<u8>) {
    put_varint(out, encoded.len() as u64);
    out.extend_from_slice(encoded);
}
