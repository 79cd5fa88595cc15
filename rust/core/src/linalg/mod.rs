//! Gram matrices, inverses of symmetric matrices, and products with dense matrices.

pub(crate) mod gram;
pub(crate) mod inverse;
pub mod product;
