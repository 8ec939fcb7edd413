//! Request parameters as Prometheus reads them: query string and form together, times, durations,
//! limits.

mod duration;
mod form;
mod time;

pub use duration::parse_duration;
pub(crate) use duration::{NANOSECONDS, parse_duration_parameter, parse_nanoseconds};
pub(crate) use form::{Form, parse_bool, read_form};
pub use time::{format_time, parse_time};
