//! The system of one row, in the basis that makes the shared part the identity (or a diagonal).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::cholesky::llt::solve::solve_in_place;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par, Spec};
use pulp::{Simd, WithSimd};

use super::basis::{Shared, padded};
use super::params::{IalsParams, Solver};
use crate::base::dispatch::dispatch_simd;
use crate::base::memory::{filled, reserve, zeros};
use crate::base::{CsrView, Result};

const ROW: &str = "system of a row";

/// Rows of Z that one product of the exact solver takes in.
const BLOCK: usize = 512;

/// Solves rows one after the other; owns the memory that takes.
pub(super) struct RowSolver {
    k: usize,
    solver: Solver,
    /// Confidences minus one of the row's cells.
    weights: Vec<f32>,
    /// The diagonal that stands where the identity does when reg is the typical one.
    diagonal: Vec<f32>,
    residual: Vec<f32>,
    direction: Vec<f32>,
    image: Vec<f32>,
    partial: Vec<f32>,
    /// Scaled rows of Z, padded.
    gathered: Vec<f32>,
    /// The matrix to be factorised, column by column.
    matrix: Vec<f32>,
    small: Vec<f32>,
    stack: MemBuffer,
}

impl RowSolver {
    pub(super) fn new(k: usize, solver: Solver) -> Result<Self> {
        let kp = padded(k);
        let exact = solver == Solver::Cholesky;
        let scratch = cholesky_in_place_scratch::<f32>(k, Par::Seq, Spec::default());
        Ok(Self {
            k,
            solver,
            weights: Vec::new(),
            diagonal: filled(kp, 1.0, ROW)?,
            residual: zeros(kp, ROW)?,
            direction: zeros(kp, ROW)?,
            image: zeros(kp, ROW)?,
            partial: zeros(kp, ROW)?,
            gathered: zeros(if exact { BLOCK.max(k) * kp } else { 0 }, ROW)?,
            matrix: zeros(if exact { k * k } else { 0 }, ROW)?,
            small: zeros(if exact { k } else { 0 }, ROW)?,
            stack: MemBuffer::new(scratch),
        })
    }

    /// Solve for `row`; `t` holds the start and then the answer, a padded row in the basis.
    pub(super) fn solve(
        &mut self,
        rows: CsrView,
        row: usize,
        params: &IalsParams,
        shared: Shared,
        t: &mut [f32],
    ) -> Result<()> {
        let range = rows.range(row);
        self.weights.clear();
        reserve(&mut self.weights, range.len(), ROW)?;
        match rows.values() {
            None => self.weights.resize(range.len(), params.excess(1.0) as f32),
            Some(values) => self
                .weights
                .extend(values[range].iter().map(|&r| params.excess(r) as f32)),
        }
        if shared.reg != shared.typical {
            for (e, d) in self.diagonal.iter_mut().zip(shared.eigenvalues) {
                *e = ((d + shared.reg) / (d + shared.typical)) as f32;
            }
        }
        let cols = rows.cols(row);
        match self.solver {
            Solver::ConjugateGradient(steps) => {
                let Self {
                    weights,
                    diagonal,
                    residual,
                    direction,
                    image,
                    partial,
                    ..
                } = self;
                dispatch_simd(ConjugateGradient {
                    z: Rows {
                        z: shared.z,
                        cols,
                        weights,
                    },
                    steps,
                    diagonal,
                    residual,
                    direction,
                    image,
                    partial,
                    t,
                });
            }
            Solver::Cholesky if cols.len() < self.k => self.by_lemma(cols, shared.z, t),
            Solver::Cholesky => self.by_factor(cols, shared.z, t),
        }
        if shared.reg != shared.typical {
            self.diagonal.fill(1.0);
        }
        Ok(())
    }

    /// Cholesky factor of `E + Z^T W Z`, K x K.
    fn by_factor(&mut self, cols: &[i32], z: &[f32], t: &mut [f32]) {
        let (k, kp) = (self.k, padded(self.k));
        let mut matrix = MatMut::from_column_major_slice_mut(&mut self.matrix, k, k);
        matrix.fill(0.0);
        for (j, &e) in self.diagonal[..k].iter().enumerate() {
            matrix[(j, j)] = e;
        }
        t.fill(0.0);
        for (cols, weights) in cols.chunks(BLOCK).zip(self.weights.chunks(BLOCK)) {
            dispatch_simd(Gather {
                z: Rows { z, cols, weights },
                scale: None,
                gathered: &mut self.gathered,
                rhs: t,
            });
            let block = MatRef::from_column_major_slice_with_stride(
                &self.gathered[..cols.len() * kp],
                k,
                cols.len(),
                kp,
            );
            triangular::matmul(
                matrix.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Add,
                block,
                BlockStructure::Rectangular,
                block.transpose(),
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
        }
        let rhs = MatMut::from_column_major_slice_mut(&mut t[..k], k, 1);
        factor_and_solve(matrix, rhs, MemStack::new(&mut self.stack));
    }

    /// The inversion lemma: with `A = W^1/2 Z E^-1/2` and `b = E^-1/2 Z^T c`,
    /// `t = E^-1/2 (b - A^T (I + A A^T)^-1 A b)`.
    fn by_lemma(&mut self, cols: &[i32], z: &[f32], t: &mut [f32]) {
        let (k, kp, n) = (self.k, padded(self.k), cols.len());
        let scale = &mut self.direction;
        for (s, e) in scale.iter_mut().zip(&self.diagonal) {
            *s = 1.0 / e.sqrt();
        }
        t.fill(0.0);
        dispatch_simd(Gather {
            z: Rows {
                z,
                cols,
                weights: &self.weights,
            },
            scale: Some(scale),
            gathered: &mut self.gathered,
            rhs: t,
        });
        let gathered = &self.gathered[..n * kp];
        let mut matrix = MatMut::from_column_major_slice_mut(&mut self.matrix[..n * n], n, n);
        matrix.fill(0.0);
        for j in 0..n {
            matrix[(j, j)] = 1.0;
        }
        let block = MatRef::from_column_major_slice_with_stride(gathered, k, n, kp);
        triangular::matmul(
            matrix.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            block.transpose(),
            BlockStructure::Rectangular,
            block,
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
        let small = &mut self.small[..n];
        dispatch_simd(Times { gathered, t, small });
        let rhs = MatMut::from_column_major_slice_mut(small, n, 1);
        factor_and_solve(matrix, rhs, MemStack::new(&mut self.stack));
        dispatch_simd(Subtract {
            gathered,
            small: &self.small[..n],
            t,
        });
        for (x, s) in t.iter_mut().zip(&*scale) {
            *x *= s;
        }
    }
}

/// The matrix is the identity plus a positive semidefinite one (or a positive diagonal plus one):
/// pivots are positive unless something was not finite, which the caller finds in the answer.
fn factor_and_solve(mut matrix: MatMut<f32>, mut rhs: MatMut<f32>, stack: &mut MemStack) {
    let regularization = LltRegularization::default();
    let done = cholesky_in_place(
        matrix.as_mut(),
        regularization,
        Par::Seq,
        stack,
        Spec::default(),
    );
    if done.is_err() {
        rhs.fill(f32::NAN);
        return;
    }
    solve_in_place(matrix.as_ref(), rhs, Par::Seq, stack);
}

/// The rows of Z that a row of the matrix touches, with their weights.
#[derive(Clone, Copy)]
struct Rows<'a> {
    z: &'a [f32],
    cols: &'a [i32],
    weights: &'a [f32],
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn vectors<S: Simd>(&self, col: i32, n: usize) -> &'a [S::f32s] {
        let kp = n * (size_of::<S::f32s>() / size_of::<f32>());
        &S::as_simd_f32s(&self.z[col as usize * kp..][..kp]).0[..n]
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[S::f32s], b: &[S::f32s]) -> f32 {
    let mut sum = simd.splat_f32s(0.0);
    for (&x, &y) in a.iter().zip(b) {
        sum = simd.mul_add_e_f32s(x, y, sum);
    }
    simd.reduce_sum_f32s(sum)
}

struct ConjugateGradient<'a> {
    z: Rows<'a>,
    steps: usize,
    diagonal: &'a [f32],
    residual: &'a mut [f32],
    direction: &'a mut [f32],
    image: &'a mut [f32],
    partial: &'a mut [f32],
    t: &'a mut [f32],
}

/// Rows of Z whose products are added up before they join the rest: long sums lose less this way.
const RUN: usize = 256;

/// `out += sum of a_i z_i` with `a_i = coefficient(w_i, z_i . p)`.
#[inline(always)]
fn apply<S: Simd>(
    simd: S,
    rows: Rows,
    p: &[S::f32s],
    partial: &mut [S::f32s],
    out: &mut [S::f32s],
    coefficient: impl Fn(f32, f32) -> f32,
) {
    let n = p.len();
    let zero = simd.splat_f32s(0.0);
    let (partial, out) = (&mut partial[..n], &mut out[..n]);
    for (cols, weights) in rows.cols.chunks(RUN).zip(rows.weights.chunks(RUN)) {
        partial.fill(zero);
        let (fours, rest) = cols.as_chunks::<4>();
        let (weight_fours, weight_rest) = weights.as_chunks::<4>();
        for (c, w) in fours.iter().zip(weight_fours) {
            let z = c.map(|col| rows.vectors::<S>(col, n));
            let mut sums = [zero; 4];
            for v in 0..n {
                for (sum, z) in sums.iter_mut().zip(z) {
                    *sum = simd.mul_add_e_f32s(z[v], p[v], *sum);
                }
            }
            let mut a = [zero; 4];
            for ((a, sum), w) in a.iter_mut().zip(sums).zip(w) {
                *a = simd.splat_f32s(coefficient(*w, simd.reduce_sum_f32s(sum)));
            }
            for v in 0..n {
                let mut x = partial[v];
                for (a, z) in a.iter().zip(z) {
                    x = simd.mul_add_e_f32s(*a, z[v], x);
                }
                partial[v] = x;
            }
        }
        for (&col, &w) in rest.iter().zip(weight_rest) {
            let z = rows.vectors::<S>(col, n);
            let a = simd.splat_f32s(coefficient(w, dot(simd, z, p)));
            for (x, &z) in partial.iter_mut().zip(z) {
                *x = simd.mul_add_e_f32s(a, z, *x);
            }
        }
        for (x, &y) in out.iter_mut().zip(&*partial) {
            *x = simd.add_f32s(*x, y);
        }
    }
}

impl WithSimd for ConjugateGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let diagonal = S::as_simd_f32s(self.diagonal).0;
        let residual = S::as_mut_simd_f32s(self.residual).0;
        let direction = S::as_mut_simd_f32s(self.direction).0;
        let image = S::as_mut_simd_f32s(self.image).0;
        let partial = S::as_mut_simd_f32s(self.partial).0;
        let t = S::as_mut_simd_f32s(self.t).0;
        let n = t.len();
        let (diagonal, residual) = (&diagonal[..n], &mut residual[..n]);
        let (direction, image) = (&mut direction[..n], &mut image[..n]);

        // r = Z^T (c - W Z t) - E t, where c = 1 + w.
        for ((r, &e), &t) in residual.iter_mut().zip(diagonal).zip(&*t) {
            *r = simd.neg_f32s(simd.mul_f32s(e, t));
        }
        apply(simd, self.z, t, partial, residual, |w, dot| {
            1.0 + w * (1.0 - dot)
        });
        // Preconditioned by E, which is the identity unless reg differs between rows.
        let mut norm = 0.0;
        for v in 0..n {
            direction[v] = simd.div_f32s(residual[v], diagonal[v]);
        }
        norm += dot(simd, residual, direction);
        for step in 1..=self.steps {
            if norm <= f32::MIN_POSITIVE {
                break;
            }
            for v in 0..n {
                image[v] = simd.mul_f32s(diagonal[v], direction[v]);
            }
            apply(simd, self.z, direction, partial, image, |w, dot| w * dot);
            let length = norm / dot(simd, direction, image);
            let along = simd.splat_f32s(length);
            for v in 0..n {
                t[v] = simd.mul_add_e_f32s(along, direction[v], t[v]);
            }
            if step == self.steps {
                break;
            }
            let back = simd.splat_f32s(-length);
            let mut sum = simd.splat_f32s(0.0);
            for v in 0..n {
                residual[v] = simd.mul_add_e_f32s(back, image[v], residual[v]);
                image[v] = simd.div_f32s(residual[v], diagonal[v]);
                sum = simd.mul_add_e_f32s(residual[v], image[v], sum);
            }
            let next = simd.reduce_sum_f32s(sum);
            let keep = simd.splat_f32s(next / norm);
            for v in 0..n {
                direction[v] = simd.mul_add_e_f32s(keep, direction[v], image[v]);
            }
            norm = next;
        }
    }
}

/// Copy rows of Z, times sqrt(w) and `scale`, and add their `(1 + w)` multiples to `rhs`.
struct Gather<'a> {
    z: Rows<'a>,
    scale: Option<&'a [f32]>,
    gathered: &'a mut [f32],
    rhs: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rhs = S::as_mut_simd_f32s(self.rhs).0;
        let gathered = S::as_mut_simd_f32s(self.gathered).0;
        let n = rhs.len();
        let cells = self.z.cols.iter().zip(self.z.weights);
        for ((&col, &w), out) in cells.zip(gathered.chunks_exact_mut(n)) {
            let z = self.z.vectors::<S>(col, n);
            let (root, c) = (simd.splat_f32s(w.sqrt()), simd.splat_f32s(1.0 + w));
            if let Some(scale) = self.scale {
                let scale = S::as_simd_f32s(scale).0;
                for (((o, r), &z), &s) in out.iter_mut().zip(&mut *rhs).zip(z).zip(scale) {
                    let z = simd.mul_f32s(z, s);
                    *o = simd.mul_f32s(root, z);
                    *r = simd.mul_add_e_f32s(c, z, *r);
                }
            } else {
                for ((o, r), &z) in out.iter_mut().zip(&mut *rhs).zip(z) {
                    *o = simd.mul_f32s(root, z);
                    *r = simd.mul_add_e_f32s(c, z, *r);
                }
            }
        }
    }
}

/// `small = A t`, rows of A in `gathered`.
struct Times<'a> {
    gathered: &'a [f32],
    t: &'a [f32],
    small: &'a mut [f32],
}

impl WithSimd for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let t = S::as_simd_f32s(self.t).0;
        let rows = S::as_simd_f32s(self.gathered).0.chunks_exact(t.len());
        for (y, row) in self.small.iter_mut().zip(rows) {
            *y = dot(simd, row, t);
        }
    }
}

/// `t -= A^T small`, rows of A in `gathered`.
struct Subtract<'a> {
    gathered: &'a [f32],
    small: &'a [f32],
    t: &'a mut [f32],
}

impl WithSimd for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let t = S::as_mut_simd_f32s(self.t).0;
        let rows = S::as_simd_f32s(self.gathered).0.chunks_exact(t.len());
        for (&y, row) in self.small.iter().zip(rows) {
            let y = simd.splat_f32s(-y);
            for (t, &z) in t.iter_mut().zip(row) {
                *t = simd.mul_add_e_f32s(y, z, *t);
            }
        }
    }
}
