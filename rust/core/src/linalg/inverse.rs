//! Inverse of a symmetric positive definite matrix in square tiles, on as many threads as there
//! are.
//!
//! Method: the symmetric sweep. For each block k of pivots, with `P = A_kk^-1` and `C` its column:
//! `A_ij -= C_i P C_j^T` elsewhere, `C` becomes `C P`, `A_kk` becomes `-P`; after all blocks the
//! matrix is `-A^-1`. A positive definite matrix needs no exchange of rows.
//!
//! Only the lower triangle is stored and computed: `n^3` operations, nearly all in products of
//! tiles, and `n^2 / 2` numbers. A tile is one sequential product at a time, so the bits do not
//! depend on the number of threads, and the cancel flag is looked at between tiles.

use faer::linalg::matmul::matmul;
use faer::linalg::solvers::DenseSolveCore;
use faer::traits::RealField;
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;

use crate::base::memory::{self, collected, with_room, zeros};
use crate::base::rows::par_map;
use crate::base::{Error, Progress, Result};

/// Side of a tile: its three operands stay in the second-level cache.
pub(crate) const TILE: usize = 256;

const SYMMETRIC: &str = "tiles of the matrix that is inverted";

/// The lower triangle of a symmetric matrix, tile by tile: (0, 0), (1, 0), (1, 1), (2, 0), ...
#[derive(Debug, Clone)]
pub(crate) struct Symmetric<T> {
    n: usize,
    tiles: Vec<Mat<T>>,
}

/// Row and column of a tile.
fn coordinates(at: usize) -> (usize, usize) {
    let mut row = ((2.0 * at as f64 + 0.25).sqrt() - 0.5) as usize;
    // The root may be off by one in the last place.
    while row * (row + 1) / 2 > at {
        row -= 1;
    }
    while (row + 1) * (row + 2) / 2 <= at {
        row += 1;
    }
    (row, at - row * (row + 1) / 2)
}

fn position(row: usize, col: usize) -> usize {
    row * (row + 1) / 2 + col
}

/// Rows of block `block` in a matrix of `n`.
pub(crate) fn rows_of(block: usize, n: usize) -> std::ops::Range<usize> {
    block * TILE..((block + 1) * TILE).min(n)
}

impl<T: RealField + Copy> Symmetric<T> {
    /// Rows come from `fill(i, buffer)`, which writes entries `0..=i` of row i.
    pub(crate) fn from_rows(
        n: usize,
        progress: &Progress,
        fill: impl Fn(usize, &mut [f64]) + Sync,
        convert: impl Fn(f64) -> T + Sync,
    ) -> Result<Self> {
        // The tiles, and what an inverse takes besides: a column of them twice.
        let numbers = n.saturating_mul(n / 2 + 3 * TILE);
        memory::check(numbers.saturating_mul(size_of::<T>()), SYMMETRIC)?;
        progress.start(n as u64);
        let blocks = par_map(n.div_ceil(TILE), |block| {
            let rows = rows_of(block, n);
            let mut tiles = with_room(block + 1, SYMMETRIC)?;
            for b in 0..=block {
                progress.check()?;
                tiles.push(Mat::<T>::zeros(rows.len(), rows_of(b, n).len()));
            }
            let mut buffer = zeros::<f64>(rows.end, SYMMETRIC)?;
            for i in rows.clone() {
                buffer[..=i].fill(0.0);
                fill(i, &mut buffer[..=i]);
                for (k, &x) in buffer[..=i].iter().enumerate() {
                    tiles[k / TILE][(i - rows.start, k % TILE)] = convert(x);
                }
                progress.advance(1)?;
            }
            // The tile on the diagonal is stored whole.
            let own = &mut tiles[block];
            for i in 0..rows.len() {
                for k in 0..i {
                    own[(k, i)] = own[(i, k)];
                }
            }
            Ok(tiles)
        })?;
        let mut tiles = with_room(blocks.iter().map(Vec::len).sum(), SYMMETRIC)?;
        tiles.extend(blocks.into_iter().flatten());
        Ok(Self { n, tiles })
    }

    pub(crate) fn add_diagonal(&mut self, value: T) {
        for block in 0..self.n.div_ceil(TILE) {
            let tile = &mut self.tiles[position(block, block)];
            for i in 0..tile.nrows() {
                tile[(i, i)] += value;
            }
        }
    }

    /// Tile (row, col) of the whole matrix.
    pub(crate) fn tile(&self, row: usize, col: usize) -> MatRef<'_, T> {
        if row >= col {
            self.tiles[position(row, col)].as_ref()
        } else {
            self.tiles[position(col, row)].as_ref().transpose()
        }
    }

    pub(crate) fn n(&self) -> usize {
        self.n
    }

    pub(crate) fn diagonal(&self) -> Result<Vec<T>> {
        let entry = |i| self.tile(i / TILE, i / TILE)[(i % TILE, i % TILE)];
        collected((0..self.n).map(entry), SYMMETRIC)
    }

    /// Replace the matrix by *minus* its inverse.
    pub(crate) fn invert(&mut self, progress: &Progress) -> Result<()> {
        let blocks = self.n.div_ceil(TILE);
        progress.start((blocks * self.tiles.len()) as u64);
        let one = T::from_f64_impl(1.0);
        let minus = T::from_f64_impl(-1.0);
        for k in 0..blocks {
            let pivot = self.tiles[position(k, k)]
                .as_ref()
                .llt(Side::Lower)
                .map_err(|_| Error::invalid("the matrix is not positive definite"))?
                .inverse();
            let column: Vec<Mat<T>> = (0..blocks).map(|i| self.tile(i, k).to_owned()).collect();
            let scaled: Vec<Mat<T>> = column
                .par_iter()
                .with_max_len(1)
                .map(|c| {
                    let mut out = Mat::zeros(c.nrows(), pivot.ncols());
                    matmul(&mut out, Accum::Replace, c, &pivot, one, Par::Seq);
                    out
                })
                .collect();
            self.tiles
                .par_iter_mut()
                .with_max_len(1)
                .enumerate()
                .try_for_each(|(at, tile)| {
                    let (i, j) = coordinates(at);
                    if i == k && j == k {
                        *tile = Mat::from_fn(pivot.nrows(), pivot.ncols(), |r, c| {
                            minus * pivot[(r, c)]
                        });
                    } else if j == k {
                        tile.copy_from(&scaled[i]);
                    } else if i == k {
                        tile.copy_from(scaled[j].transpose());
                    } else {
                        matmul(
                            tile,
                            Accum::Add,
                            &scaled[i],
                            column[j].transpose(),
                            minus,
                            Par::Seq,
                        );
                    }
                    progress.advance(1)
                })?;
        }
        Ok(())
    }
}
