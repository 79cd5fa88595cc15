//! Sums over common rows for pairs of columns: streamed in panels, or stored for many fits.

mod bits;
pub(crate) mod panel;
mod ranked;
pub mod stored;
pub(crate) mod stream;
