//! Rows of factors in single precision, padded to whole vectors.

use ndarray::{Array2, ArrayView2};

use crate::base::memory::{with_room, zeros};
use crate::base::{Error, Result};

const FACTORS: &str = "factors";

/// Numbers that are added side by side: a sum has the same bits on every processor.
const LANES: usize = 8;

/// A matrix whose rows begin at multiples of a whole vector; the padding holds zeros.
#[derive(Debug, Clone)]
pub struct Table {
    width: usize,
    stride: usize,
    values: Vec<f32>,
}

impl Table {
    /// A copy of a matrix.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if it has no columns, [`Error::NonFinite`],
    /// [`Error::OutOfMemory`].
    pub fn new(name: &str, of: ArrayView2<f32>) -> Result<Self> {
        let (n, width) = of.dim();
        if width == 0 {
            return Err(Error::invalid(format!("{name} has no columns")));
        }
        if let Some(at) = of.iter().position(|x| !x.is_finite()) {
            return Err(Error::NonFinite(format!(
                "{name} is not finite in row {}",
                at / width
            )));
        }
        let stride = width.next_multiple_of(LANES);
        let mut values = zeros(n.saturating_mul(stride), FACTORS)?;
        for (to, from) in values.chunks_exact_mut(stride).zip(of.rows()) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        Ok(Self {
            width,
            stride,
            values,
        })
    }

    /// The same shape, every entry `value`, the padding too.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn like(&self, value: f32) -> Result<Self> {
        let mut values = with_room(self.values.len(), FACTORS)?;
        values.resize(self.values.len(), value);
        Ok(Self { values, ..*self })
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.values.len() / self.stride
    }

    /// Columns without padding.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Columns with padding.
    #[inline(always)]
    #[must_use]
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// A row with its padding.
    #[inline(always)]
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.stride..(row + 1) * self.stride]
    }

    /// A row with its padding, which must stay zero.
    #[inline(always)]
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.values[row * self.stride..(row + 1) * self.stride]
    }

    /// Another padding, for what is divided by.
    pub(crate) fn fill_padding(&mut self, value: f32) {
        for row in self.values.chunks_exact_mut(self.stride) {
            row[self.width..].fill(value);
        }
    }

    /// Two different rows.
    #[inline(always)]
    pub(crate) fn two_mut(&mut self, a: usize, b: usize) -> (&mut [f32], &mut [f32]) {
        let stride = self.stride;
        let (low, high) = self.values.split_at_mut(a.max(b) * stride);
        let least = a.min(b) * stride;
        let (low, high) = (&mut low[least..least + stride], &mut high[..stride]);
        if a < b { (low, high) } else { (high, low) }
    }

    /// The columns as rows, each of `length` entries, those beyond the rows zero.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn columns(&self, length: usize) -> Result<Vec<f32>> {
        let mut columns = zeros(self.width * length, FACTORS)?;
        for (i, row) in self.values.chunks_exact(self.stride).enumerate() {
            for k in 0..self.width {
                columns[k * length + i] = row[k];
            }
        }
        Ok(columns)
    }

    /// What [`columns`](Self::columns) gave, in place.
    pub(crate) fn set_columns(&mut self, columns: &[f32], length: usize) {
        for (i, row) in self.values.chunks_exact_mut(self.stride).enumerate() {
            for (k, x) in row[..self.width].iter_mut().enumerate() {
                *x = columns[k * length + i];
            }
        }
    }

    /// The matrix without padding.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming the row, [`Error::OutOfMemory`].
    pub fn to_array(&self, name: &str) -> Result<Array2<f32>> {
        let mut values = with_room(self.n_rows() * self.width, FACTORS)?;
        for (r, row) in self.values.chunks_exact(self.stride).enumerate() {
            if !row.iter().all(|x| x.is_finite()) {
                return Err(Error::NonFinite(format!(
                    "{name} is not finite in row {r}: lower the learning rate"
                )));
            }
            values.extend_from_slice(&row[..self.width]);
        }
        let shape = (self.n_rows(), self.width);
        Ok(Array2::from_shape_vec(shape, values).expect("as many entries as the shape has"))
    }
}

/// Inner product of two padded rows.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for l in 0..LANES {
            sums[l] += a[l] * b[l];
        }
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

/// `to += factor * from`.
#[inline(always)]
pub(crate) fn add(to: &mut [f32], factor: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn columns_and_rows_come_back() {
        let matrix = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let mut table = Table::new("factors", matrix.view()).unwrap();
        let columns = table.columns(4).unwrap();
        assert_eq!(columns[..4], [1.0, 4.0, 0.0, 0.0]);
        table.row_mut(1)[0] = 9.0;
        table.set_columns(&columns, 4);
        assert_eq!(table.to_array("factors").unwrap(), matrix);
    }

    #[test]
    fn two_rows_are_the_rows_asked_for() {
        let mut table = Table::new("factors", array![[1.0], [2.0], [3.0]].view()).unwrap();
        let (a, b) = table.two_mut(2, 0);
        assert_eq!((a[0], b[0]), (3.0, 1.0));
        let (a, b) = table.two_mut(0, 1);
        assert_eq!((a[0], b[0]), (1.0, 2.0));
    }

    #[test]
    fn what_is_not_finite_is_refused_by_its_row() {
        let bad = array![[1.0], [f32::NAN]];
        let error = Table::new("item_factors", bad.view()).unwrap_err();
        assert_eq!(error.to_string(), "item_factors is not finite in row 1");
    }
}
