//! Sums of gradients over a batch, of the rows that it touches and no others.

use super::Table;
use super::table::add;
use crate::base::Result;
use crate::base::memory::{filled, reserve};

const GRADIENTS: &str = "gradients of a batch";
const NONE: u32 = u32::MAX;

/// Sums by row of a table.
#[derive(Debug)]
pub(crate) struct Gradients {
    stride: usize,
    /// Where the sum of a row is, or `NONE`.
    slots: Vec<u32>,
    rows: Vec<u32>,
    sums: Vec<f32>,
}

impl Gradients {
    pub(crate) fn new(table: &Table) -> Result<Self> {
        Ok(Self {
            stride: table.stride(),
            slots: filled(table.n_rows(), NONE, GRADIENTS)?,
            rows: Vec::new(),
            sums: Vec::new(),
        })
    }

    /// Room for the gradients of so many further rows.
    pub(crate) fn reserve(&mut self, rows: usize) -> Result<()> {
        let rows = rows.min(self.slots.len());
        reserve(&mut self.rows, rows, GRADIENTS)?;
        reserve(&mut self.sums, rows * self.stride, GRADIENTS)
    }

    /// The sum of a row.
    #[inline(always)]
    pub(crate) fn of(&mut self, row: usize) -> &mut [f32] {
        let slot = self.slot(row);
        &mut self.sums[slot * self.stride..(slot + 1) * self.stride]
    }

    #[inline(always)]
    fn slot(&mut self, row: usize) -> usize {
        if self.slots[row] == NONE {
            self.slots[row] = self.rows.len() as u32;
            self.rows.push(row as u32);
            self.sums.resize(self.rows.len() * self.stride, 0.0);
        }
        self.slots[row] as usize
    }

    /// The sum of a row that was touched.
    #[inline(always)]
    pub(crate) fn get(&self, row: usize) -> &[f32] {
        let slot = self.slots[row] as usize;
        &self.sums[slot * self.stride..(slot + 1) * self.stride]
    }

    /// Add `factor * from` to the sum of a row.
    #[inline(always)]
    pub(crate) fn add(&mut self, row: usize, factor: f32, from: &[f32]) {
        add(self.of(row), factor, from);
    }

    /// Rows and their sums, in the order in which they were touched.
    #[inline(always)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let sums = self.sums.chunks_exact(self.stride);
        self.rows.iter().map(|&row| row as usize).zip(sums)
    }

    /// As [`iter`](Self::iter), to change the sums.
    #[inline(always)]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut [f32])> {
        let sums = self.sums.chunks_exact_mut(self.stride);
        self.rows.iter().map(|&row| row as usize).zip(sums)
    }

    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        for &row in &self.rows {
            self.slots[row as usize] = NONE;
        }
        self.rows.clear();
        self.sums.clear();
    }
}
