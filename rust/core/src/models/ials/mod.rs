//! Weighted matrix factorisation by implicit alternating least squares (WRMF, iALS).
//!
//! Objective: with p = 1 on stored cells and 0 elsewhere, and confidences c = 1 + alpha r or
//! 1 + alpha ln(1 + r / epsilon) on stored cells and 1 elsewhere,
//! `sum over all cells of c (p - x_u . y_i)^2 + sum_u reg_u |x_u|^2 + sum_i reg_i |y_i|^2`,
//! where reg of a row is `reg * (sum of its confidences over all columns)^reg_exponent`.
//! A half-step minimises over one side with the other fixed, row by row:
//! `x = (Y^T Y + Y_u^T (C - I) Y_u + reg_u I)^-1 Y_u^T c`.
//!
//! Source: Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM
//! 2008; conjugate gradient as in Takacs, Pilaszy, Tikk, "Applications of the conjugate gradient
//! method for implicit feedback collaborative filtering", RecSys 2011; the exponent as in Rendle,
//! Krichene, Zhang, Koren, "Revisiting the performance of iALS on item recommendation benchmarks",
//! RecSys 2022 (there `reg (n_u + alpha0 I)^nu`, which is the same up to a constant factor).
//!
//! Deviation: all rows are solved in the basis that makes the shared part the identity. With
//! `Y^T Y = V D V^T` and `Z = Y V (D + reg I)^-1/2` the matrix of a row is `I + Z_u^T (C - I) Z_u`.
//! Its eigenvalues lie between 1 and the largest confidence, because rows of Z have leverages of at
//! most one: a few steps of conjugate gradient from the previous factors suffice, no step touches
//! a K x K matrix, and single precision is enough. Where reg differs from row to row the identity
//! becomes a diagonal. The exact solver uses a Cholesky factor of the K x K matrix, or, for rows
//! with fewer than K cells, of the n x n matrix of the inversion lemma; rows of large confidences
//! are solved in double precision.
//!
//! Cost of a half-step: O(columns K^2) for the basis; O(nnz K) per step of conjugate gradient;
//! exactly, O(n K min(n, K) + min(n, K)^3) for a row of n cells. Memory: one copy of the fixed
//! factors.

mod basis;
mod loss;
mod params;
mod solve;

use ndarray::{Array2, ArrayView2};

use crate::base::memory::{joined, zeros};
use crate::base::rows::par_chunks;
use crate::base::{CsrView, Error, Progress, Result};

pub use loss::loss;
pub use params::{Confidence, IalsParams, Solver};

use basis::{Basis, padded};
use params::check_shape;
use solve::RowSolver;

const FACTORS: &str = "factors";

/// Rows per unit of work.
const ROWS: usize = 64;

/// Factors of the rows of `rows`, given those of its columns.
///
/// `start` holds the previous factors of the rows, from which conjugate gradient sets out; without
/// it (and for the exact solver) that is zero. Empty rows get zeros.
///
/// # Errors
/// [`Error::InvalidArgument`] for a parameter outside its domain, shapes that do not fit or
/// negative values, [`Error::NonFinite`] also for a confidence above 1e12 that is to be solved
/// exactly, `Cancelled`.
pub fn half_step(
    rows: CsrView,
    fixed: ArrayView2<f32>,
    start: Option<ArrayView2<f32>>,
    params: &IalsParams,
    progress: &Progress,
) -> Result<Array2<f32>> {
    params.check()?;
    rows.check_non_negative()?;
    let k = fixed.ncols();
    check_shape("fixed", fixed, (rows.n_cols(), k))?;
    if k == 0 {
        return Err(Error::invalid("factors must have at least one column"));
    }
    if let Some(start) = start {
        check_shape("start", start, (rows.n_rows(), k))?;
    }
    let penalties = params.penalties(rows)?;
    // An exact row has the same bits whatever the other rows are.
    let (typical, together) = match params.solver {
        Solver::Cholesky => (params.least_penalty(rows.n_cols()), 1),
        Solver::ConjugateGradient(_) => (penalties.typical()?, ROWS),
    };
    let basis = Basis::new(fixed, typical, progress)?;
    let kp = padded(k);
    let start = match params.solver {
        Solver::Cholesky => None,
        Solver::ConjugateGradient(_) => start,
    };

    let parts = par_chunks(
        rows.n_rows(),
        ROWS,
        progress,
        || RowSolver::new(k, params.solver),
        |solver, range| {
            let mut solved = zeros::<f32>(range.len() * kp, FACTORS)?;
            if let Some(start) = start {
                basis.turn(start, range.clone(), &mut solved)?;
            }
            for (row, t) in range.clone().zip(solved.chunks_exact_mut(kp)) {
                if rows.row_len(row) == 0 {
                    t.fill(0.0);
                } else {
                    solver.solve(rows, row, params, basis.row(penalties.of_row(row)), t)?;
                }
                progress.advance(1)?;
            }
            let mut out = zeros::<f32>(range.len() * k, FACTORS)?;
            for (t, out) in solved
                .chunks(together * kp)
                .zip(out.chunks_mut(together * k))
            {
                basis.out_of_basis(t, out);
            }
            match out.iter().position(|x| !x.is_finite()) {
                Some(at) => Err(Error::NonFinite(format!(
                    "the factors of row {} are not finite",
                    range.start + at / k
                ))),
                None => Ok(out),
            }
        },
    )?;
    let all = joined(&parts, FACTORS)?;
    Ok(Array2::from_shape_vec((rows.n_rows(), k), all).expect("one part per chunk of rows"))
}

#[cfg(test)]
mod tests;
