//! One row of a sparse product at a time: a dense accumulator that remembers what it touched.
//!
//! Cost: memory proportional to the columns, once per worker; time proportional to the
//! contributions, because only touched columns are read and cleared.

use super::error::Result;
use super::memory::{reserve, zeros};
use super::topk::Scored;

const SUMS: &str = "sums by column";

/// Sums by column, in f64 so that the order of contributions hardly shows.
#[derive(Debug)]
pub struct Accumulator {
    sums: Vec<f64>,
    touched: Vec<i32>,
    is_touched: Vec<bool>,
}

impl Accumulator {
    /// An accumulator over `n_cols` columns.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](super::Error::OutOfMemory).
    pub fn new(n_cols: usize) -> Result<Self> {
        Ok(Self {
            sums: zeros(n_cols, SUMS)?,
            touched: Vec::new(),
            is_touched: zeros(n_cols, SUMS)?,
        })
    }

    /// Room for the columns that one row of another matrix holds; to be called before they are
    /// added.
    #[inline]
    pub fn reserve(&mut self, columns: usize) -> Result<()> {
        // No more columns than there are can be touched.
        let left = self.sums.len() - self.touched.len();
        reserve(&mut self.touched, columns.min(left), SUMS)
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
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](super::Error::OutOfMemory).
    pub fn drain_into(
        &mut self,
        out: &mut Vec<Scored>,
        weight: impl Fn(usize, f64) -> f32,
    ) -> Result<()> {
        out.clear();
        reserve(out, self.touched.len(), SUMS)?;
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
        Ok(())
    }
}
