//! Products with a dense matrix, each row to the same bits whatever the other rows are.
//!
//! Terms of an entry are added one after the other, in f32 and without fused multiplication: the
//! bits depend neither on the number of rows, as those of a BLAS do, nor on threads or processor.
//! Cost: a dense product reads the right side once for every [`ROWS`] rows, or for each of a few.

use ndarray::{Array2, ArrayView2, CowArray, Ix2};
use rayon::prelude::*;

use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::{self, zeros};
use crate::base::progress::is_small;
use crate::base::{CsrView, Error, Progress, Result};

/// Rows that share a packed tile of the right side.
const ROWS: usize = 32;
/// Rows so few that packing tiles for them takes longer than what it saves.
const FEW: usize = 8;
/// Rows whose sums are in registers, with `TILE` columns each.
const BLOCK: usize = 4;
const TILE: usize = 16;

const PRODUCT: &str = "products";

/// `left` times `right`.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shapes do not fit, `Cancelled`.
pub fn dense_product(
    left: ArrayView2<f32>,
    right: ArrayView2<f32>,
    progress: &Progress,
) -> Result<Array2<f32>> {
    let (n_rows, n_cols) = checked(left.dim(), right.dim())?;
    let (left, right) = (in_rows(&left)?, in_rows(&right)?);
    let depth = left.ncols();
    let left = left.as_slice().expect("row after row");
    let right = right.as_slice().expect("row after row");
    let mut out = zeros::<f32>(n_rows.saturating_mul(n_cols), PRODUCT)?;
    progress.start(n_rows as u64);
    if n_rows <= FEW && n_cols > 0 {
        out.par_chunks_mut(n_cols)
            .enumerate()
            .try_for_each(|(row, sums)| {
                let left = &left[row * depth..(row + 1) * depth];
                dispatch(Row { left, right, sums });
                progress.advance(1)
            })?;
        return Ok(Array2::from_shape_vec((n_rows, n_cols), out).expect("of this size"));
    }
    let chunk = ROWS * n_cols.max(1);
    out.par_chunks_mut(chunk)
        .enumerate()
        .try_for_each(|(nth, out)| {
            let mut tile = zeros::<[f32; TILE]>(depth, PRODUCT)?;
            for first in (0..n_cols).step_by(TILE) {
                progress.check()?;
                let width = TILE.min(n_cols - first);
                for (line, row) in tile.iter_mut().zip(right.chunks_exact(n_cols)) {
                    line[..width].copy_from_slice(&row[first..first + width]);
                }
                for (block, out) in out.chunks_mut(BLOCK * n_cols).enumerate() {
                    let row = nth * ROWS + block * BLOCK;
                    let sums = dispatch(Block {
                        rows: std::array::from_fn(|r| {
                            // Places beyond the last row repeat it; their sums are not read.
                            let at = (row + r).min(n_rows - 1) * depth;
                            &left[at..at + depth]
                        }),
                        tile: &tile,
                    });
                    for (out, sums) in out.chunks_exact_mut(n_cols).zip(&sums) {
                        out[first..first + width].copy_from_slice(&sums[..width]);
                    }
                }
            }
            progress.advance((out.len() / n_cols) as u64)
        })?;
    Ok(Array2::from_shape_vec((n_rows, n_cols), out).expect("of this size"))
}

struct Row<'a> {
    left: &'a [f32],
    right: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (&x, line) in self
            .left
            .iter()
            .zip(self.right.chunks_exact(self.sums.len()))
        {
            for (sum, &w) in self.sums.iter_mut().zip(line) {
                *sum += x * w;
            }
        }
    }
}

struct Block<'a> {
    rows: [&'a [f32]; BLOCK],
    tile: &'a [[f32; TILE]],
}

impl Kernel for Block<'_> {
    type Output = [[f32; TILE]; BLOCK];

    #[inline(always)]
    fn call(self) -> Self::Output {
        let mut sums = [[0f32; TILE]; BLOCK];
        let [a, b, c, d] = self.rows;
        for ((((line, &a), &b), &c), &d) in self.tile.iter().zip(a).zip(b).zip(c).zip(d) {
            for (sums, x) in sums.iter_mut().zip([a, b, c, d]) {
                for l in 0..TILE {
                    sums[l] += x * line[l];
                }
            }
        }
        sums
    }
}

/// `left` times `right`, plus `bias` in every row.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shapes do not fit, `Cancelled`.
pub fn sparse_product(
    left: CsrView,
    right: ArrayView2<f32>,
    bias: &[f32],
    progress: &Progress,
) -> Result<Array2<f32>> {
    let (n_rows, n_cols) = checked((left.n_rows(), left.n_cols()), right.dim())?;
    if bias.len() != n_cols {
        return Err(Error::invalid(format!(
            "bias has {} entries but right {n_cols} columns",
            bias.len()
        )));
    }
    let right = in_rows(&right)?;
    let right = right.as_slice().expect("row after row");
    let mut out = zeros::<f32>(n_rows.saturating_mul(n_cols), PRODUCT)?;
    progress.start(n_rows as u64);
    let fill = |(nth, out): (usize, &mut [f32])| {
        progress.check()?;
        for (r, sums) in out.chunks_exact_mut(n_cols.max(1)).enumerate() {
            dispatch(SparseRow {
                cells: left,
                row: nth * ROWS + r,
                right,
                sums,
            });
            for (sum, &b) in sums.iter_mut().zip(bias) {
                *sum += b;
            }
            progress.advance(1)?;
        }
        Ok(())
    };
    if n_rows <= ROWS {
        fill((0, &mut out))?;
    } else {
        let parts = out.par_chunks_mut(ROWS * n_cols.max(1));
        parts.enumerate().try_for_each(fill)?;
    }
    Ok(Array2::from_shape_vec((n_rows, n_cols), out).expect("of this size"))
}

/// Whether [`sparse_product`] takes no longer than starting a thread, and needs none.
#[must_use]
pub fn is_small_product(left: CsrView, n_cols: usize) -> bool {
    left.n_rows() <= ROWS && is_small(left.nnz().saturating_mul(n_cols))
}

struct SparseRow<'a> {
    cells: CsrView<'a>,
    row: usize,
    right: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for SparseRow<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let n_cols = self.sums.len();
        for (item, x) in self.cells.row(self.row) {
            let line = &self.right[item * n_cols..(item + 1) * n_cols];
            for (sum, &w) in self.sums.iter_mut().zip(line) {
                *sum += x * w;
            }
        }
    }
}

/// Row after row: as it is, or a copy.
fn in_rows<'a>(matrix: &'a ArrayView2<f32>) -> Result<CowArray<'a, f32, Ix2>> {
    if !matrix.is_standard_layout() {
        memory::check(matrix.len().saturating_mul(size_of::<f32>()), PRODUCT)?;
    }
    Ok(matrix.as_standard_layout())
}

/// Rows and columns of a product.
fn checked(left: (usize, usize), right: (usize, usize)) -> Result<(usize, usize)> {
    if left.1 != right.0 {
        return Err(Error::invalid(format!(
            "left is {} x {} but right {} x {}",
            left.0, left.1, right.0, right.1
        )));
    }
    Ok((left.0, right.1))
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, Slice};

    use super::*;
    use crate::base::CsrMatrix;
    use crate::base::rng::Rng;
    use crate::base::testing::on_threads;

    fn random(rows: usize, cols: usize, stream: u64) -> Array2<f32> {
        let mut rng = Rng::at(9, stream, 0);
        Array2::from_shape_fn((rows, cols), |_| rng.unit() as f32 - 0.5)
    }

    fn bits(matrix: &Array2<f32>) -> Vec<u32> {
        matrix.iter().map(|x| x.to_bits()).collect()
    }

    #[test]
    fn rows_have_the_bits_of_the_plain_sum_alone_and_together() {
        for (n, depth, m) in [
            (0, 3, 4),
            (1, 1, 1),
            (5, 17, 33),
            (70, 40, 16),
            (3, 0, 2),
            (4, 3, 0),
        ] {
            let (left, right) = (random(n, depth, 1), random(depth, m, 2));
            let plain = Array2::from_shape_fn((n, m), |(r, c)| {
                (0..depth).fold(0f32, |sum, k| sum + left[(r, k)] * right[(k, c)])
            });
            let of = |left: ArrayView2<f32>, threads| {
                on_threads(threads, || {
                    dense_product(left, right.view(), &Progress::new())
                })
                .expect("fits")
            };
            assert_eq!(bits(&of(left.view(), 1)), bits(&plain));
            assert_eq!(bits(&of(left.view(), 3)), bits(&plain));
            for r in 0..n {
                let alone = of(left.slice_axis(Axis(0), Slice::from(r..=r)), 1);
                let row = plain.index_axis(Axis(0), r).insert_axis(Axis(0)).to_owned();
                assert_eq!(bits(&alone), bits(&row));
            }
        }
    }

    #[test]
    fn a_sparse_left_side_adds_its_cells_in_order_and_the_bias_last() {
        let right = random(6, 19, 3);
        let bias: Vec<f32> = random(1, 19, 4).into_iter().collect();
        for values in [None, Some(vec![2.0, 0.5, 3.0])] {
            let left = CsrMatrix::try_new(6, vec![0, 2, 2, 3], vec![1, 5, 4], values.clone());
            let left = left.expect("valid");
            let x = values.unwrap_or(vec![1.0; 3]);
            let found = sparse_product(left.view(), right.view(), &bias, &Progress::new());
            let expected = Array2::from_shape_fn((3, 19), |(r, c)| {
                let sum = match r {
                    0 => x[0] * right[(1, c)] + x[1] * right[(5, c)],
                    1 => 0.0,
                    _ => x[2] * right[(4, c)],
                };
                sum + bias[c]
            });
            assert_eq!(found.expect("fits"), expected);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let (a, b) = (random(2, 3, 1), random(4, 2, 2));
        let error = dense_product(a.view(), b.view(), &Progress::new()).expect_err("refused");
        assert!(error.to_string().contains("left is 2 x 3 but right 4 x 2"));
        let none = CsrMatrix::try_new(4, vec![0], vec![], None).expect("valid");
        let error = sparse_product(none.view(), b.view(), &[0.0], &Progress::new());
        assert!(
            error
                .expect_err("refused")
                .to_string()
                .contains("bias has 1")
        );
    }
}
