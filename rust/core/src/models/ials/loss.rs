//! The value of the objective, so that answers of different solvers can be compared.

use ndarray::ArrayView2;

use super::basis::gram;
use super::params::{IalsParams, check_shape};
use crate::base::rows::par_chunks;
use crate::base::{CsrView, Progress, Result};

/// Rows per unit of work.
const ROWS: usize = 256;

/// The objective (see the [module](super)), in f64: O(nnz K + (users + items) K^2).
///
/// `items` is the transpose of `users`.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a parameter outside its domain or
/// shapes that do not fit, `Cancelled`.
pub fn loss(
    users: CsrView,
    items: CsrView,
    user_factors: ArrayView2<f32>,
    item_factors: ArrayView2<f32>,
    params: &IalsParams,
    progress: &Progress,
) -> Result<f64> {
    params.check()?;
    let k = user_factors.ncols();
    check_shape("user_factors", user_factors, (users.n_rows(), k))?;
    check_shape("item_factors", item_factors, (users.n_cols(), k))?;

    // Every cell as if it were empty: the squares of all scores.
    let (gx, gy) = (gram(user_factors, progress)?, gram(item_factors, progress)?);
    let mut all = 0.0;
    for j in 0..k {
        all += gx[(j, j)] * gy[(j, j)];
        all += 2.0 * (j + 1..k).map(|i| gx[(i, j)] * gy[(i, j)]).sum::<f64>();
    }
    // What stored cells cost more than that.
    let stored = par_chunks(
        users.n_rows(),
        ROWS,
        progress,
        || Ok(()),
        |(), range| {
            progress.advance(range.len() as u64)?;
            let cells = range.flat_map(|u| users.row(u).map(move |(i, r)| (u, i, r)));
            Ok(cells
                .map(|(u, i, r)| {
                    let score: f64 = user_factors
                        .row(u)
                        .iter()
                        .zip(item_factors.row(i))
                        .map(|(&x, &y)| f64::from(x) * f64::from(y))
                        .sum();
                    (1.0 + params.excess(r)) * (1.0 - score).powi(2) - score * score
                })
                .sum::<f64>())
        },
    )?;
    let penalty = |rows: CsrView, factors: ArrayView2<f32>| -> Result<f64> {
        let regs = params.penalties(rows)?;
        let of_row = |(row, x): (usize, ndarray::ArrayView1<f32>)| {
            regs.of_row(row) * x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>()
        };
        Ok(factors.rows().into_iter().enumerate().map(of_row).sum())
    };
    Ok(all
        + stored.iter().sum::<f64>()
        + penalty(users, user_factors)?
        + penalty(items, item_factors)?)
}
