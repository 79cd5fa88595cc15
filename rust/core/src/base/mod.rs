//! What every kernel stands on: errors, progress, random numbers, vectors, sparse matrices.

pub mod accumulate;
pub mod cell_order;
pub mod csr_builder;
pub mod dispatch;
pub mod error;
pub mod memory;
pub mod progress;
pub mod rng;
pub mod rows;
pub mod sparse;
#[cfg(test)]
pub(crate) mod testing;
pub mod topk;
pub(crate) mod vector_math;

pub use error::{Error, Result};
pub use progress::Progress;
pub use sparse::{CsrMatrix, CsrView};
