//! Parameters of the objective and of the solver, and what follows from them.

use ndarray::ArrayView2;

use crate::base::error::{check_non_negative, check_positive};
use crate::base::memory::{collected, copied};
use crate::base::{CsrView, Error, Result};

/// How the weight of an interaction grows with its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Confidence {
    /// 1 + alpha r.
    Linear,
    /// 1 + alpha ln(1 + r / epsilon).
    Log {
        /// Greater than zero.
        epsilon: f64,
    },
}

/// How the system of a row is solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Solver {
    /// Exactly.
    Cholesky,
    /// By this many steps of conjugate gradient from the previous factors.
    ConjugateGradient(usize),
}

/// Parameters of the objective and of the solver.
#[derive(Debug, Clone, Copy)]
pub struct IalsParams {
    /// Scale of the confidences, at least zero.
    pub alpha: f64,
    /// Their form.
    pub confidence: Confidence,
    /// Strength of the penalty, greater than zero.
    pub reg: f64,
    /// Power of a row's total confidence that multiplies `reg`; zero for the same penalty
    /// everywhere.
    pub reg_exponent: f64,
    /// How rows are solved.
    pub solver: Solver,
}

impl IalsParams {
    pub(super) fn check(&self) -> Result<()> {
        let epsilon = match self.confidence {
            Confidence::Linear => 1.0,
            Confidence::Log { epsilon } => epsilon,
        };
        check_non_negative("alpha", self.alpha)?;
        check_positive("epsilon", epsilon)?;
        check_positive("reg", self.reg)?;
        check_non_negative("reg_exponent", self.reg_exponent)?;
        if self.solver == Solver::ConjugateGradient(0) {
            return Err(Error::invalid("cg_steps must be at least 1, not 0"));
        }
        Ok(())
    }

    /// Confidence minus one of a cell that holds `r`.
    #[inline]
    pub(super) fn excess(&self, r: f32) -> f64 {
        let r = f64::from(r);
        match self.confidence {
            Confidence::Linear => self.alpha * r,
            Confidence::Log { epsilon } => self.alpha * (r / epsilon).ln_1p(),
        }
    }

    /// Penalty of a row without cells over `n_cols` columns.
    pub(super) fn least_penalty(&self, n_cols: usize) -> f64 {
        self.reg * (n_cols as f64).powf(self.reg_exponent)
    }

    /// Penalty of each row of `rows`.
    pub(super) fn penalties(&self, rows: CsrView) -> Result<Penalties> {
        if self.reg_exponent == 0.0 {
            return Ok(Penalties::Same(self.reg));
        }
        let of_row = |row| {
            let excess: f64 = rows.row(row).map(|(_, r)| self.excess(r)).sum();
            self.reg * (rows.n_cols() as f64 + excess).powf(self.reg_exponent)
        };
        let regs = collected((0..rows.n_rows()).map(of_row), "penalties of the rows")?;
        Ok(Penalties::Each(regs))
    }
}

/// The penalty of each row.
pub(super) enum Penalties {
    Same(f64),
    Each(Vec<f64>),
}

impl Penalties {
    #[inline]
    pub(super) fn of_row(&self, row: usize) -> f64 {
        match self {
            Self::Same(reg) => *reg,
            Self::Each(regs) => regs[row],
        }
    }

    /// The one in the middle, by which the basis is scaled.
    pub(super) fn typical(&self) -> Result<f64> {
        match self {
            Self::Same(reg) => Ok(*reg),
            Self::Each(regs) if regs.is_empty() => Ok(1.0),
            Self::Each(regs) => {
                let mut sorted = copied(regs, "penalties of the rows")?;
                let middle = sorted.len() / 2;
                Ok(*sorted.select_nth_unstable_by(middle, f64::total_cmp).1)
            }
        }
    }
}

pub(super) fn check_shape(
    name: &str,
    factors: ArrayView2<f32>,
    shape: (usize, usize),
) -> Result<()> {
    if factors.dim() != shape {
        return Err(Error::invalid(format!(
            "{name} is {} x {}, not {} x {}",
            factors.nrows(),
            factors.ncols(),
            shape.0,
            shape.1
        )));
    }
    Ok(())
}
