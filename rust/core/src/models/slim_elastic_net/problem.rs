//! The penalised problem of one target item, and its optimality conditions.

/// What a problem is solved with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem {
    pub(super) l1: f64,
    pub(super) l2: f64,
    pub(super) positive: bool,
    /// Largest violation of the optimality conditions that is left, relative to `max |c|`.
    pub(super) tol: f64,
    /// Sweeps over a working set, in total.
    pub(super) max_iter: usize,
}

impl Problem {
    /// The soft threshold.
    #[inline(always)]
    pub(super) fn soft_threshold(self, pull: f64) -> f64 {
        if pull > self.l1 {
            pull - self.l1
        } else if !self.positive && pull < -self.l1 {
            pull + self.l1
        } else {
            0.0
        }
    }

    /// By how much weight `w` violates the optimality conditions; `g` is the gradient less the
    /// part of the squares.
    #[inline(always)]
    pub(super) fn violation(self, g: f64, w: f64) -> f64 {
        if w > 0.0 {
            (g - self.l1).abs()
        } else if w < 0.0 {
            (g + self.l1).abs()
        } else if self.positive {
            (g - self.l1).max(0.0)
        } else {
            (g.abs() - self.l1).max(0.0)
        }
    }
}
