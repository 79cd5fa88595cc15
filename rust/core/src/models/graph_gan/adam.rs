//! Adam on the rows of a table of which a batch touches few.
//!
//! Every row moves in every step, by its decaying first moment, as Adam's moments of all rows do in
//! the published code. The steps of a row that no batch touches follow from nothing but the row, so
//! they are made up for when it is next looked at. Once a step moves no entry, no later one does:
//! the first moment falls faster than the root of the second; what remains is the moments' decay.

use ndarray::{Array2, ArrayView2};

use crate::base::memory::{filled, reserve};
use crate::base::{Error, Result};
use crate::models::latent::{Gradients, Table};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f32 = 1e-8;
const STEPS: &str = "steps of the optimiser";

/// A table, its moments and the number of steps so far.
#[derive(Debug)]
pub struct AdamState<M> {
    /// Rows of factors.
    pub table: M,
    /// Running means of gradients and of their squares.
    pub moments: [M; 2],
    /// Steps that were taken.
    pub steps: u64,
}

/// A table in training.
#[derive(Debug)]
pub(super) struct Adam {
    pub(super) table: Table,
    moments: [Table; 2],
    learning_rate: f64,
    steps: u64,
    /// Bias-corrected rates of the steps since `settled`.
    rates: Vec<f32>,
    /// By row, how many of these it has made.
    made: Vec<u32>,
    pub(super) sums: Gradients,
}

impl Adam {
    /// # Errors
    /// [`Error::InvalidArgument`] if moments do not fit the table or are negative,
    /// [`Error::NonFinite`], [`Error::OutOfMemory`].
    pub(super) fn new(
        name: &str,
        learning_rate: f64,
        from: &AdamState<ArrayView2<f32>>,
    ) -> Result<Self> {
        let table = Table::new(name, from.table)?;
        for moment in &from.moments {
            if moment.dim() != from.table.dim() {
                return Err(Error::invalid(format!("the moments do not fit {name}")));
            }
        }
        if from.moments[1].iter().any(|&x| x < 0.0) {
            return Err(Error::invalid(format!(
                "a mean of squares of {name} is negative"
            )));
        }
        let [first, second] = from.moments;
        Ok(Self {
            moments: [Table::new(name, first)?, Table::new(name, second)?],
            learning_rate,
            steps: from.steps,
            rates: Vec::new(),
            made: filled(table.n_rows(), 0, STEPS)?,
            sums: Gradients::new(&table)?,
            table,
        })
    }

    /// All rows must have been settled.
    pub(super) fn state(&self, name: &str) -> Result<AdamState<Array2<f32>>> {
        let [first, second] = &self.moments;
        Ok(AdamState {
            table: self.table.to_array(name)?,
            moments: [first.to_array(name)?, second.to_array(name)?],
            steps: self.steps,
        })
    }

    /// Make up for the steps that a row has missed.
    #[inline(always)]
    pub(super) fn catch_up(&mut self, row: usize) {
        let missed = &self.rates[self.made[row] as usize..];
        if missed.is_empty() {
            return;
        }
        self.made[row] = self.rates.len() as u32;
        let [first, second] = &mut self.moments;
        let (x, m, v) = (
            self.table.row_mut(row),
            first.row_mut(row),
            second.row_mut(row),
        );
        let n = x.len();
        let (m, v) = (&mut m[..n], &mut v[..n]);
        for (nth, &rate) in missed.iter().enumerate() {
            let mut moved = 0;
            for k in 0..n {
                m[k] *= BETA_1 as f32;
                v[k] *= BETA_2 as f32;
                let next = x[k] - rate * m[k] / (v[k].sqrt() + EPSILON);
                moved |= next.to_bits() ^ x[k].to_bits();
                x[k] = next;
            }
            if moved == 0 {
                let rest = (missed.len() - nth - 1) as i32;
                let (of_m, of_v) = (BETA_1.powi(rest) as f32, BETA_2.powi(rest) as f32);
                for k in 0..n {
                    m[k] *= of_m;
                    v[k] *= of_v;
                }
                return;
            }
        }
    }

    /// A step by `sums`, which are emptied; rows with a sum have caught up.
    #[inline(always)]
    pub(super) fn step(&mut self) -> Result<()> {
        self.steps += 1;
        let t = self.steps.min(i32::MAX as u64) as i32;
        let corrected = (1.0 - BETA_2.powi(t)).sqrt() / (1.0 - BETA_1.powi(t));
        let rate = (self.learning_rate * corrected) as f32;
        reserve(&mut self.rates, 1, STEPS)?;
        self.rates.push(rate);
        let [first, second] = &mut self.moments;
        for (row, g) in self.sums.iter() {
            self.made[row] = self.rates.len() as u32;
            let (x, m, v) = (
                self.table.row_mut(row),
                first.row_mut(row),
                second.row_mut(row),
            );
            for k in 0..x.len() {
                m[k] = BETA_1 as f32 * m[k] + (1.0 - BETA_1) as f32 * g[k];
                v[k] = BETA_2 as f32 * v[k] + (1.0 - BETA_2) as f32 * g[k] * g[k];
                x[k] -= rate * m[k] / (v[k].sqrt() + EPSILON);
            }
        }
        self.sums.clear();
        Ok(())
    }

    /// Make up for all that any row has missed.
    #[inline(always)]
    pub(super) fn settle(&mut self) {
        for row in 0..self.made.len() {
            self.catch_up(row);
        }
        self.made.fill(0);
        self.rates.clear();
    }
}
