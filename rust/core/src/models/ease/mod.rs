//! EASE: the linear item model with a closed form.
//!
//! Objective: `min_B |X - X B|^2 + l2 |B|^2` with zero diagonal; scores are `x B`. With
//! `P = (X^T X + l2 I)^-1` the answer is `B = I - P diag(1 / diag P)`. Where the diagonal may be up
//! to `d` instead of zero, `B = I - P diag(k / diag P)` with `k_j = max(l2 P_jj, 1 - d)`: a column
//! whose free solution `I - l2 P` keeps to the bound is that, another one ends at the bound.
//! Source: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019; Moon, Kim and
//! Lee, "It's enough: relaxing diagonal constraints in linear autoencoders", SIGIR 2023.
//! Deviation: with fewer users than items the dual form inverts `M^-1 = X X^T + l2 I`, users x
//! users, and needs only `P_jj = (1 - x_j^T M x_j) / l2` besides (the inversion lemma).
//!
//! Cost: `n^3` operations and `n^2 / 2` numbers for the inverse, n the shorter side, see
//! `linalg::inverse`. The primal form is computed in f32 where the condition number
//! of the matrix is at most [`CONDITION`], by the bound `1 + max row sum / l2`, in f64 otherwise;
//! the dual form always in f64, because `1 - x_j^T M x_j` cancels.

#[cfg(test)]
mod tests;

use faer::traits::RealField;
use rayon::prelude::*;

use crate::base::memory::{collected, joined, many_zeros, with_room};
use crate::base::rows::par_chunks;
use crate::base::{CsrView, Error, Progress, Result};
use crate::linalg::inverse::{Symmetric, TILE, rows_of};

const WEIGHTS: &str = "weights of EASE";

/// Bound of the condition number up to which f32 is used: the rounding errors of an inverse grow
/// with that number, here to the order of 1e-4 of the largest weight.
pub const CONDITION: f64 = 2e3;

/// The dual form of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Dual {
    /// M, users x users, row after row.
    pub inverse: Vec<f32>,
    /// Diagonal of P, by item.
    pub diagonal: Vec<f32>,
}

/// Entries `0..=i` of row i of `rows * rows^T`, where `cols` is its transpose.
fn product_row(rows: CsrView, cols: CsrView, i: usize, out: &mut [f64]) {
    for (u, x) in rows.row(i) {
        let x = f64::from(x);
        let range = cols.range(u);
        let some = cols.cols(u).partition_point(|&k| k as usize <= i);
        match cols.values() {
            None => {
                for &k in &cols.indices()[range][..some] {
                    out[k as usize] += x;
                }
            }
            Some(values) => {
                let values = &values[range.clone()];
                for (&k, &y) in cols.indices()[range][..some].iter().zip(values) {
                    out[k as usize] += x * f64::from(y);
                }
            }
        }
    }
}

fn check_l2(l2: f64) -> Result<()> {
    if l2.is_finite() && l2 > 0.0 {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "l2 must be finite and greater than 0, not {l2}"
        )))
    }
}

/// Factor of a column of `P / diag P` in `I - B`, from the entry of `diag P`.
fn kept(max_diagonal: f64, l2: f64, p: f64) -> f64 {
    if max_diagonal > 0.0 {
        (l2 * p).clamp(1.0 - max_diagonal, 1.0)
    } else {
        1.0
    }
}

/// Upper bound of the condition number of `X^T X + l2 I`.
fn condition(urm: CsrView, items: CsrView, l2: f64) -> Result<f64> {
    let total = |u| -> f64 { urm.row(u).map(|(_, x)| f64::from(x).abs()).sum() };
    let totals = collected((0..urm.n_rows()).map(total), "sums of the rows")?;
    let largest = (0..items.n_rows())
        .map(|i| {
            items
                .row(i)
                .map(|(u, x)| f64::from(x).abs() * totals[u])
                .sum::<f64>()
        })
        .fold(0.0, f64::max);
    Ok(1.0 + largest / l2)
}

/// The dense weights B, items x items, row after row; rows are the history items.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain, `Cancelled`.
pub fn fit_primal(
    urm: CsrView,
    l2: f64,
    max_diagonal: f64,
    progress: &Progress,
) -> Result<Vec<f32>> {
    check_l2(l2)?;
    if !(0.0..=1.0).contains(&max_diagonal) {
        return Err(Error::invalid(format!(
            "max_diagonal must be from 0 to 1, not {max_diagonal}"
        )));
    }
    let factor = |p| kept(max_diagonal, l2, p);
    let items = urm.transpose(progress)?;
    let items = items.view();
    if condition(urm, items, l2)? <= CONDITION {
        weights(
            primal_inverse(urm, items, l2, |x| x as f32, progress)?,
            f64::from,
            factor,
            progress,
        )
    } else {
        weights(
            primal_inverse(urm, items, l2, |x| x, progress)?,
            |x| x,
            factor,
            progress,
        )
    }
}

fn primal_inverse<T: RealField + Copy>(
    urm: CsrView,
    items: CsrView,
    l2: f64,
    of: impl Fn(f64) -> T + Sync,
    progress: &Progress,
) -> Result<Symmetric<T>> {
    let fill = |i: usize, row: &mut [f64]| product_row(items, urm, i, row);
    let mut gram = Symmetric::from_rows(urm.n_cols(), progress, fill, &of)?;
    gram.add_diagonal(of(l2));
    gram.invert(progress)?;
    Ok(gram)
}

/// `B_ij = -P_ij k_j / P_jj` and `B_jj = 1 - k_j`, from minus P.
fn weights<T: RealField + Copy>(
    inverse: Symmetric<T>,
    wide: impl Fn(T) -> f64 + Sync,
    factor: impl Fn(f64) -> f64 + Sync,
    progress: &Progress,
) -> Result<Vec<f32>> {
    let n = inverse.n();
    let diagonal = inverse.diagonal()?;
    let factors = collected(diagonal.iter().map(|&d| factor(-wide(d))), WEIGHTS)?;
    let scale = collected(
        diagonal.iter().zip(&factors).map(|(&d, k)| -k / wide(d)),
        WEIGHTS,
    )?;
    let mut out = many_zeros::<f32>(n.saturating_mul(n), WEIGHTS, progress)?;
    out.par_chunks_mut((TILE * n).max(1))
        .enumerate()
        .try_for_each(|(block, rows)| {
            for col in 0..n.div_ceil(TILE) {
                progress.check()?;
                let tile = inverse.tile(block, col);
                let columns = rows_of(col, n);
                for (r, row) in rows.chunks_mut(n).enumerate() {
                    let row = &mut row[columns.clone()];
                    for ((c, slot), &s) in row.iter_mut().enumerate().zip(&scale[columns.clone()]) {
                        *slot = (wide(tile[(r, c)]) * s) as f32;
                    }
                }
            }
            for (r, row) in rows.chunks_mut(n).enumerate() {
                let own = block * TILE + r;
                row[own] = (1.0 - factors[own]) as f32;
            }
            Ok(())
        })?;
    Ok(out)
}

/// The dual form.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain, `Cancelled`.
pub fn fit_dual(urm: CsrView, l2: f64, progress: &Progress) -> Result<Dual> {
    check_l2(l2)?;
    let items = urm.transpose(progress)?;
    let items = items.view();
    let n = urm.n_rows();
    let fill = |u: usize, row: &mut [f64]| product_row(urm, items, u, row);
    let mut tiles = Symmetric::from_rows(n, progress, fill, |x| x)?;
    tiles.add_diagonal(l2);
    tiles.invert(progress)?;
    let mut inverse = many_zeros::<f64>(n.saturating_mul(n), WEIGHTS, progress)?;
    inverse
        .par_chunks_mut((TILE * n).max(1))
        .enumerate()
        .try_for_each(|(block, rows)| {
            for col in 0..n.div_ceil(TILE) {
                progress.check()?;
                let tile = tiles.tile(block, col);
                for (r, row) in rows.chunks_mut(n).enumerate() {
                    for (c, slot) in row[rows_of(col, n)].iter_mut().enumerate() {
                        *slot = -tile[(r, c)];
                    }
                }
            }
            Ok(())
        })?;
    drop(tiles);
    let parts = par_chunks(
        items.n_rows(),
        64,
        progress,
        || Ok(()),
        |(), range| {
            let mut some = with_room(range.len(), WEIGHTS)?;
            for j in range {
                let mut quadratic = 0.0;
                for (u, x) in items.row(j) {
                    let row = &inverse[u * n..(u + 1) * n];
                    let x = f64::from(x);
                    // Below the diagonal twice, on it once.
                    let below: f64 = items
                        .row(j)
                        .take_while(|&(v, _)| v < u)
                        .map(|(v, y)| f64::from(y) * row[v])
                        .sum();
                    quadratic += x * (2.0 * below + x * row[u]);
                }
                some.push(((1.0 - quadratic) / l2) as f32);
                progress.advance(1)?;
            }
            Ok(some)
        },
    )?;
    let mut single = with_room(inverse.len(), WEIGHTS)?;
    for row in inverse.chunks(n.max(1)) {
        progress.check()?;
        single.extend(row.iter().map(|&x| x as f32));
    }
    Ok(Dual {
        inverse: single,
        diagonal: joined(&parts, WEIGHTS)?,
    })
}
