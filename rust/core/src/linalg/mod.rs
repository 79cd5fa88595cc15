//! Gram matrices and inverses of symmetric matrices.

pub(crate) mod gram;
pub(crate) mod inverse;
