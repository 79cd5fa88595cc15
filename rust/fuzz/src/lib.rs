//! What the fuzz targets share: matrices that are valid, of any shape and content.

use arbitrary::{Arbitrary, Result, Unstructured};
use ganmf_core::base::sparse::Duplicates;
use ganmf_core::{CsrMatrix, Progress};

/// Longest side of a matrix.
pub const SIDE: usize = 40;

/// A valid matrix whose values, if it has any, are any finite numbers from zero on.
#[derive(Debug)]
pub struct Matrix(pub CsrMatrix);

impl<'a> Arbitrary<'a> for Matrix {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let shape = (u.int_in_range(0..=SIDE)?, u.int_in_range(0..=SIDE)?);
        Self::of_shape(shape, u)
    }
}

impl Matrix {
    /// One of this shape.
    pub fn of_shape((n_rows, n_cols): (usize, usize), u: &mut Unstructured<'_>) -> Result<Self> {
        let n = if n_rows * n_cols == 0 {
            0
        } else {
            u.int_in_range(0..=300)?
        };
        let (mut rows, mut cols, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..n {
            rows.push(u.int_in_range(0..=n_rows - 1)? as i32);
            cols.push(u.int_in_range(0..=n_cols - 1)? as i32);
            values.push(value(u)?);
        }
        let values = bool::arbitrary(u)?.then_some(values.as_slice());
        let (shape, first) = ((n_rows, n_cols), Duplicates::First);
        let matrix = CsrMatrix::from_coo(shape, &rows, &cols, values, first, &Progress::new());
        Ok(Self(matrix.expect("all of it is in range")))
    }
}

/// A finite number from zero on: small ones as a rule, any bits now and then.
pub fn value(u: &mut Unstructured<'_>) -> Result<f32> {
    let any = f32::from_bits(u32::arbitrary(u)?);
    Ok(match u8::arbitrary(u)? {
        0 if any.is_finite() => any.abs(),
        small => f32::from(small % 8),
    })
}
