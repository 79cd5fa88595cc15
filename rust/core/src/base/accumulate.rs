//! One row of a sparse product at a time: a dense accumulator that remembers what it touched.
//!
//! Cost: memory proportional to the columns, once per worker; time proportional to the
//! contributions, because only touched columns are read and cleared.

use super::topk::Scored;

/// Sums by column, in f64 so that the order of contributions hardly shows.
#[derive(Debug)]
pub struct Accumulator {
    sums: Vec<f64>,
    touched: Vec<i32>,
    is_touched: Vec<bool>,
}

impl Accumulator {
    /// An accumulator over `n_cols` columns.
    #[must_use]
    pub fn new(n_cols: usize) -> Self {
        Self {
            sums: vec![0.0; n_cols],
            touched: Vec::new(),
            is_touched: vec![false; n_cols],
        }
    }

    /// Add `value` to `col`.
    #[inline]
    pub fn add(&mut self, col: i32, value: f64) {
        let c = col as usize;
        if !self.is_touched[c] {
            self.is_touched[c] = true;
            self.touched.push(col);
        }
        self.sums[c] += value;
    }

    /// Put `weight(column, sum)` of every touched column into `out` and start afresh.
    pub fn drain_into(&mut self, out: &mut Vec<Scored>, weight: impl Fn(usize, f64) -> f32) {
        out.clear();
        for &col in &self.touched {
            let c = col as usize;
            out.push(Scored {
                index: col,
                score: weight(c, self.sums[c]),
            });
            self.sums[c] = 0.0;
            self.is_touched[c] = false;
        }
        self.touched.clear();
    }
}
