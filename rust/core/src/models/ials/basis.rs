//! The basis in which the part of the normal equations that all rows share is the identity.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use ndarray::{ArrayView2, Axis, Slice};

use crate::base::memory::{self, joined, with_room, zeros};
use crate::base::rows::par_chunks;
use crate::base::{Error, Progress, Result};

const FACTORS: &str = "factors";
const GRAM: &str = "Gram matrix of the factors";

/// Rows of factors that are turned at once.
const TILE: usize = 256;
/// Length of a padded row is a multiple of this, the widest vector of single precision.
const LANES: usize = 16;

/// The length of a row of `k` numbers, rounded up to whole vectors.
pub(super) const fn padded(k: usize) -> usize {
    k.div_ceil(LANES) * LANES
}

/// `Z = Y V (D + reg I)^-1/2` of the fixed factors Y, where `Y^T Y = V D V^T`.
pub(super) struct Basis {
    k: usize,
    reg: f64,
    /// D, eigenvalues of the Gram matrix.
    eigenvalues: Vec<f64>,
    /// Rows of Z, padded with zeros.
    z: Vec<f32>,
    /// `V (D + reg I)^1/2`: a row of factors times this is its row in the basis.
    into: Mat<f32>,
    /// `(D + reg I)^-1/2 V^T`, the way back.
    out: Mat<f32>,
}

/// Inputs that the systems of all rows share.
#[derive(Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) z: &'a [f32],
    pub(super) reg: f64,
    /// The reg that Z was made with.
    pub(super) typical: f64,
    pub(super) eigenvalues: &'a [f64],
}

impl Basis {
    pub(super) fn new(fixed: ArrayView2<f32>, reg: f64, progress: &Progress) -> Result<Self> {
        let k = fixed.ncols();
        let gram = gram(fixed, progress)?;
        let eigen = gram
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::NonFinite("the fixed factors have no finite Gram matrix".into()))?;
        let v = eigen.U();
        // Rounding can leave a tiny negative number where the true eigenvalue is zero.
        let eigenvalues: Vec<f64> = (0..k).map(|j| eigen.S()[j].max(0.0)).collect();
        let scale: Vec<f64> = eigenvalues.iter().map(|d| (d + reg).sqrt()).collect();
        if scale.iter().any(|s| !s.is_finite()) {
            return Err(Error::NonFinite("the fixed factors are not finite".into()));
        }
        let turn = Mat::from_fn(k, k, |i, j| v[(i, j)] / scale[j]);
        let kp = padded(k);
        let tiles = par_chunks(
            fixed.nrows(),
            TILE,
            progress,
            || Ok(()),
            |(), range| {
                let tile = to_f64(fixed, range.clone());
                let mut turned = Mat::<f64>::zeros(range.len(), k);
                matmul(&mut turned, Accum::Replace, &tile, &turn, 1.0, Par::Seq);
                let mut rows = zeros::<f32>(range.len() * kp, FACTORS)?;
                for (i, row) in rows.chunks_exact_mut(kp).enumerate() {
                    for (j, x) in row[..k].iter_mut().enumerate() {
                        *x = turned[(i, j)] as f32;
                    }
                }
                progress.advance(range.len() as u64)?;
                Ok(rows)
            },
        )?;
        Ok(Self {
            k,
            reg,
            z: joined(&tiles, FACTORS)?,
            into: Mat::from_fn(k, k, |i, j| (v[(i, j)] * scale[j]) as f32),
            out: Mat::from_fn(k, k, |i, j| (v[(j, i)] / scale[i]) as f32),
            eigenvalues,
        })
    }

    pub(super) fn row(&self, reg: f64) -> Shared<'_> {
        Shared {
            z: &self.z,
            reg,
            typical: self.reg,
            eigenvalues: &self.eigenvalues,
        }
    }

    /// Some rows of `factors` in this basis, into padded rows.
    pub(super) fn turn(
        &self,
        factors: ArrayView2<f32>,
        range: Range<usize>,
        turned: &mut [f32],
    ) -> Result<()> {
        let n = range.len();
        let some = factors.slice_axis(Axis(0), Slice::from(range));
        let mut tile = with_room(n * self.k, FACTORS)?;
        tile.extend(some.iter().copied());
        let tile = MatRef::from_row_major_slice(&tile, n, self.k);
        // Not `from_row_major_slice_with_stride_mut`: faer 0.24.4 swaps its strides and would write
        // beyond the slice.
        let turned =
            MatMut::from_column_major_slice_with_stride_mut(turned, self.k, n, padded(self.k))
                .transpose_mut();
        matmul(turned, Accum::Replace, tile, &self.into, 1.0, Par::Seq);
        Ok(())
    }

    /// Padded rows in this basis as factors.
    pub(super) fn out_of_basis(&self, turned: &[f32], factors: &mut [f32]) {
        let (k, kp) = (self.k, padded(self.k));
        let n = factors.len() / k;
        let turned = MatRef::from_row_major_slice_with_stride(turned, n, k, kp);
        let factors = MatMut::from_row_major_slice_mut(factors, n, k);
        matmul(factors, Accum::Replace, turned, &self.out, 1.0, Par::Seq);
    }
}

/// `Y^T Y`, its lower triangle, in f64; tiles are added in order, whatever the threads do.
pub(super) fn gram(factors: ArrayView2<f32>, progress: &Progress) -> Result<Mat<f64>> {
    let k = factors.ncols();
    // The partial sums, and what a decomposition takes besides its own copies.
    memory::check(k.saturating_mul(k).saturating_mul(24 * 8), GRAM)?;
    // A bounded number of partial sums, however many rows there are.
    let chunk = factors.nrows().div_ceil(16).max(TILE);
    let parts = par_chunks(
        factors.nrows(),
        chunk,
        progress,
        || Ok(()),
        |(), range| {
            let mut sum = Mat::<f64>::zeros(k, k);
            for start in range.clone().step_by(TILE) {
                let tile = to_f64(factors, start..(start + TILE).min(range.end));
                triangular::matmul(
                    &mut sum,
                    BlockStructure::TriangularLower,
                    Accum::Add,
                    tile.transpose(),
                    BlockStructure::Rectangular,
                    &tile,
                    BlockStructure::Rectangular,
                    1.0,
                    Par::Seq,
                );
                progress.advance(tile.nrows() as u64)?;
            }
            Ok(sum)
        },
    )?;
    let mut sum = Mat::<f64>::zeros(k, k);
    for part in &parts {
        sum += part;
    }
    Ok(sum)
}

fn to_f64(factors: ArrayView2<f32>, range: Range<usize>) -> Mat<f64> {
    let first = range.start;
    Mat::from_fn(range.len(), factors.ncols(), |i, j| {
        f64::from(factors[[first + i, j]])
    })
}
