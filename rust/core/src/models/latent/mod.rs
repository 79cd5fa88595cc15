//! What factorisations with an item bias share: tables of factors, gradients of a batch, profiles.
//!
//! A row of factors is followed by the bias: `q_1 .. q_K b` of an item, `p_1 .. p_K 1` of a user,
//! so that a score is one inner product, and the gradient of the bias comes with the others. The
//! last entry of a user never moves; where it is zero, so is every bias.

mod gradients;
mod profiles;
mod table;

pub(crate) use gradients::Gradients;
pub(crate) use profiles::{Profiles, outside, shuffle};
pub use table::Table;
pub(crate) use table::{add, dot};

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + e^-x)`, the logistic loss of the margin x, without overflow.
#[inline(always)]
pub(crate) fn logistic_loss(x: f32) -> f64 {
    let x = f64::from(x);
    (-x.abs()).exp().ln_1p() + (-x).max(0.0)
}
