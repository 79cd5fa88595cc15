//! Factors of users who were not fitted: training of their rows alone.

use ndarray::{Array2, ArrayView2};

use super::{BprMfParams, FIRST_SQUARES, NEGATIVE, Rule};
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::{joined, zeros};
use crate::base::rng::{Rng, bits};
use crate::base::rows::par_chunks;
use crate::base::{CsrView, Error, Progress, Result};
use crate::models::latent::outside;
use crate::models::latent::{Table, dot, sigmoid};

const FACTORS: &str = "factors";
const FOLD: u64 = 0xb9_0004;

/// Profiles per unit of work.
const ROWS: usize = 16;

/// Rows `p c` of profiles by `epochs` of BPR steps one triple at a time, the items standing still.
///
/// `constant` is c, one or zero. Draws belong to the place in the profile, so that the same profile
/// has the same factors whatever the others are. Profiles without items, or with all, have zeros.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain or another number of items,
/// [`Error::NonFinite`], `Cancelled`.
pub fn fold_in(
    profiles: CsrView,
    items: ArrayView2<f32>,
    constant: f32,
    epochs: usize,
    params: &BprMfParams,
    progress: &Progress,
) -> Result<Array2<f32>> {
    params.check()?;
    let items = Table::new("item_factors", items)?;
    if items.n_rows() != profiles.n_cols() {
        return Err(Error::invalid(format!(
            "profiles have {} columns, but there are factors of {} items",
            profiles.n_cols(),
            items.n_rows()
        )));
    }
    let (stride, width) = (items.stride(), items.width());
    let parts = par_chunks(
        profiles.n_rows(),
        ROWS,
        progress,
        || {
            Ok([
                zeros::<f32>(stride, FACTORS)?,
                zeros::<f32>(stride, FACTORS)?,
            ])
        },
        |[p, squares], range| {
            let mut out = zeros::<f32>(range.len() * width, FACTORS)?;
            for (row, out) in range.zip(out.chunks_exact_mut(width)) {
                p.fill(0.0);
                squares.fill(FIRST_SQUARES);
                p[width - 1] = constant;
                let profile = profiles.cols(row);
                if !profile.is_empty() && profile.len() < items.n_rows() {
                    for epoch in 0..epochs {
                        progress.check()?;
                        let key = bits(params.seed, FOLD, epoch as u64);
                        dispatch(Pass {
                            p: &mut *p,
                            squares: &mut *squares,
                            profile,
                            items: &items,
                            key,
                            params,
                        });
                    }
                }
                out.copy_from_slice(&p[..width]);
                if !out.iter().all(|x| x.is_finite()) {
                    return Err(Error::NonFinite(format!(
                        "the factors of profile {row} are not finite"
                    )));
                }
                progress.advance(1)?;
            }
            Ok(out)
        },
    )?;
    let all = joined(&parts, FACTORS)?;
    Ok(Array2::from_shape_vec((profiles.n_rows(), width), all).expect("one part per chunk"))
}

/// One epoch of one user.
struct Pass<'a> {
    p: &'a mut [f32],
    squares: &'a mut [f32],
    profile: &'a [i32],
    items: &'a Table,
    key: u64,
    params: &'a BprMfParams,
}

impl Kernel for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            p,
            squares,
            profile,
            items,
            key,
            params,
        } = self;
        let (rate, reg) = (params.learning_rate as f32, params.reg as f32);
        let last = items.width() - 1;
        let constant = p[last];
        for (place, &i) in profile.iter().enumerate() {
            let mut rng = Rng::at(key, NEGATIVE, place as u64);
            let mut j = outside(profile, items.n_rows(), &mut rng);
            let mut score = dot(p, items.row(j));
            for _ in 1..params.candidates {
                let other = outside(profile, items.n_rows(), &mut rng);
                let its = dot(p, items.row(other));
                if its > score {
                    (j, score) = (other, its);
                }
            }
            let (qi, qj) = (items.row(i as usize), items.row(j));
            let g = sigmoid(score - dot(p, qi));
            for k in 0..p.len() {
                let of_p = g * (qi[k] - qj[k]) - reg * p[k];
                p[k] += match params.rule {
                    Rule::Sgd => rate * of_p,
                    Rule::Adagrad => {
                        squares[k] += of_p * of_p;
                        rate * of_p / squares[k].sqrt()
                    }
                };
            }
            p[last] = constant;
        }
    }
}
