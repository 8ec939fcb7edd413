//! One budget of memory, shared by all that holds much of it: buffers of requests, the head, the
//! index, queries. What does not fit is refused with the reason, before the kernel has to kill.
//!
//! Floor 0 (pure): it counts bytes and allocates nothing.

mod budget;

pub use budget::{Budget, Exceeded, Permit};
