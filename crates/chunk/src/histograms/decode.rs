//! Reading the histograms of a chunk, within the caller's bound of memory.

use std::sync::Arc;

use metricstor_model::FloatHistogram;

use super::hint_from_code;
use super::shape::Shape;
use crate::varint::Input;
use crate::{DecodeError, ints, values};

/// The histograms with their positions (strictly ascending, below `samples`).
///
/// Fails with `TooLarge` before more than `limit` bytes are allocated for them.
pub fn decode(
    bytes: &[u8],
    samples: usize,
    limit: usize,
) -> Result<Vec<(usize, Arc<FloatHistogram>)>, DecodeError> {
    let mut input = Input::new(bytes);
    let count = input.count(samples, "number of histograms")?;
    let positions = positions(&mut input, count, samples)?;
    let shapes = (0..input.count(count, "number of layouts")?)
        .map(|_| Shape::read(&mut input))
        .collect::<Result<Vec<_>, _>>()?;
    let members = members(&mut input, count, shapes.len())?;
    let size: usize = shapes
        .iter()
        .zip(&members)
        .map(|(shape, members)| shape.histogram_size().saturating_mul(members.len()))
        .fold(0, usize::saturating_add);
    if size > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    let mut histograms = vec![FloatHistogram::default(); count];
    for (shape, members) in shapes.iter().zip(&members) {
        members.iter().for_each(|&i| histograms[i] = shape.histogram());
    }
    for (histogram, hint) in histograms.iter_mut().zip(ints(&mut input, count)?) {
        histogram.counter_reset_hint = hint_from_code(hint)?;
    }
    let fields: [fn(&mut FloatHistogram) -> &mut f64; 3] =
        [|h| &mut h.zero_count, |h| &mut h.count, |h| &mut h.sum];
    let mut column = Vec::new();
    for field in fields {
        values(&mut input, count, &mut column)?;
        histograms.iter_mut().zip(&column).for_each(|(h, &value)| *field(h) = value);
    }
    for (shape, members) in shapes.iter().zip(&members) {
        for bucket in 0..shape.buckets() {
            values(&mut input, members.len(), &mut column)?;
            for (&i, &value) in members.iter().zip(&column) {
                match bucket < shape.positive_buckets {
                    true => histograms[i].positive_buckets.push(value),
                    false => histograms[i].negative_buckets.push(value),
                }
            }
        }
    }
    Ok(positions.into_iter().zip(histograms.into_iter().map(Arc::new)).collect())
}

fn positions(
    input: &mut Input<'_>,
    count: usize,
    samples: usize,
) -> Result<Vec<usize>, DecodeError> {
    let positions = ints(input, count)?;
    let ascending = positions.windows(2).all(|pair| pair[0] < pair[1]);
    let inside = positions.first().is_none_or(|&first| first >= 0)
        && positions.last().is_none_or(|&last| last < samples as i64);
    if !ascending || !inside {
        return Err(DecodeError::Invalid("position of a histogram"));
    }
    Ok(positions.into_iter().map(|position| position as usize).collect())
}

/// For each shape the histograms that have it.
fn members(
    input: &mut Input<'_>,
    count: usize,
    shapes: usize,
) -> Result<Vec<Vec<usize>>, DecodeError> {
    let mut members = vec![Vec::new(); shapes];
    for (i, shape) in ints(input, count)?.into_iter().enumerate() {
        let shape = usize::try_from(shape).ok().and_then(|shape| members.get_mut(shape));
        shape.ok_or(DecodeError::Invalid("layout of a histogram"))?.push(i);
    }
    Ok(members)
}

fn ints(input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, DecodeError> {
    let order = ints::Order::from_code(input.byte()?)?;
    let bytes = sized(input)?;
    let mut out = Vec::with_capacity(count);
    ints::decode(bytes, order, count, 0..count, |block| out.extend_from_slice(block))?;
    Ok(out)
}

/// Replaces `out` by the next column.
fn values(input: &mut Input<'_>, count: usize, out: &mut Vec<f64>) -> Result<(), DecodeError> {
    out.clear();
    values::decode(sized(input)?, count, 0..count, out)
}

fn sized<'a>(input: &mut Input<'a>) -> Result<&'a [u8], DecodeError> {
    let size = input.count(input.rest().len(), "size of a column")?;
    input.take(size)
}
