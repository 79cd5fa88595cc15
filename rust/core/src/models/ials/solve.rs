//! The system of one row, in the basis that makes the shared part the identity (or a diagonal).

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{
    LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::cholesky::llt::solve::solve_in_place;
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::traits::RealField;
use faer::{Accum, MatMut, MatRef, Par, Spec};
use pulp::{Simd, WithSimd};

use super::basis::{Shared, padded};
use super::params::{IalsParams, Solver};
use crate::base::dispatch::{Kernel, dispatch, dispatch_simd};
use crate::base::memory::{filled, reserve, zeros};
use crate::base::{CsrView, Error, Result};

const ROW: &str = "system of a row";

/// Rows of Z that one product of the exact solver takes in.
const BLOCK: usize = 512;

/// The largest weight up to which the exact solver works in single precision: what is lost grows
/// with the weights. Five stars under an alpha of 50 are below.
const LARGE: f32 = 256.0;
/// The largest that it takes: beyond, the ones of the identity drown in double precision, too.
const LARGEST: f32 = 1e12;

/// Solves rows one after the other; owns the memory that takes.
pub(super) struct RowSolver {
    solver: Solver,
    /// Confidences minus one of the row's cells.
    weights: Vec<f32>,
    /// The diagonal that stands where the identity does when reg is the typical one.
    diagonal: Vec<f32>,
    residual: Vec<f32>,
    direction: Vec<f32>,
    image: Vec<f32>,
    partial: Vec<f32>,
    exact: Exact<f32>,
    exact_wide: Exact<f64>,
}

impl RowSolver {
    pub(super) fn new(k: usize, solver: Solver) -> Result<Self> {
        let kp = padded(k);
        let exact = if solver == Solver::Cholesky { k } else { 0 };
        Ok(Self {
            solver,
            weights: Vec::new(),
            diagonal: filled(kp, 1.0, ROW)?,
            residual: zeros(kp, ROW)?,
            direction: zeros(kp, ROW)?,
            image: zeros(kp, ROW)?,
            partial: zeros(kp, ROW)?,
            exact: Exact::new(exact)?,
            exact_wide: Exact::new(exact)?,
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
            Solver::Cholesky => {
                let weights = &self.weights;
                let z = Rows {
                    z: shared.z,
                    cols,
                    weights,
                };
                let largest = weights.iter().fold(0f32, |a, &b| a.max(b));
                if largest <= LARGE {
                    self.exact.solve(z, &self.diagonal, t);
                } else if largest <= LARGEST {
                    self.exact_wide.solve(z, &self.diagonal, t);
                } else {
                    return Err(Error::NonFinite(format!(
                        "row {row} has a confidence of {largest:e}, too large for an exact solution"
                    )));
                }
            }
        }
        if shared.reg != shared.typical {
            self.diagonal.fill(1.0);
        }
        Ok(())
    }
}

/// The exact solver, in numbers of type T.
struct Exact<T> {
    k: usize,
    /// Scaled rows of Z, padded.
    gathered: Vec<T>,
    /// The matrix to be factorised, column by column.
    matrix: Vec<T>,
    scale: Vec<T>,
    sum: Vec<T>,
    small: Vec<T>,
    stack: MemBuffer,
}

impl<T: RealField + Copy + Default + Into<f64>> Exact<T> {
    fn new(k: usize) -> Result<Self> {
        let kp = padded(k);
        let scratch = cholesky_in_place_scratch::<T>(k, Par::Seq, Spec::default());
        Ok(Self {
            k,
            gathered: zeros(if k > 0 { BLOCK.max(k) * kp } else { 0 }, ROW)?,
            matrix: zeros(k * k, ROW)?,
            scale: zeros(kp, ROW)?,
            sum: zeros(kp, ROW)?,
            small: zeros(k, ROW)?,
            stack: MemBuffer::new(scratch),
        })
    }

    fn solve(&mut self, z: Rows, diagonal: &[f32], t: &mut [f32]) {
        self.sum.fill(T::zero());
        if z.cols.len() < self.k {
            self.by_lemma(z, diagonal);
        } else {
            self.by_factor(z, diagonal);
        }
        for (t, &x) in t.iter_mut().zip(&self.sum) {
            *t = x.into() as f32;
        }
    }

    /// Cholesky factor of `E + Z^T W Z`, K x K.
    fn by_factor(&mut self, z: Rows, diagonal: &[f32]) {
        let (k, kp) = (self.k, padded(self.k));
        let mut matrix = MatMut::from_column_major_slice_mut(&mut self.matrix, k, k);
        matrix.fill(T::zero());
        for (j, &e) in diagonal[..k].iter().enumerate() {
            matrix[(j, j)] = number(e);
        }
        self.scale.fill(T::one());
        for (cols, weights) in z.cols.chunks(BLOCK).zip(z.weights.chunks(BLOCK)) {
            dispatch(Gather {
                z: Rows { cols, weights, ..z },
                scale: &self.scale,
                coefficient: |w| T::one() + w,
                gathered: &mut self.gathered,
                sum: &mut self.sum,
            });
            let block = MatRef::from_column_major_slice_with_stride(
                &self.gathered[..cols.len() * kp],
                k,
                cols.len(),
                kp,
            );
            add_gram(matrix.as_mut(), block);
        }
        let rhs = MatMut::from_column_major_slice_mut(&mut self.sum[..k], k, 1);
        factor_and_solve(matrix, rhs, MemStack::new(&mut self.stack));
    }

    /// The inversion lemma: with `A = W^1/2 Z E^-1/2` and `b = E^-1/2 Z^T 1`,
    /// `t = E^-1/2 (b + A^T (I + A A^T)^-1 (W^1/2 1 - A b))`.
    ///
    /// With `Z^T c` as `b`, which is the same, large confidences would cancel and leave nothing.
    fn by_lemma(&mut self, z: Rows, diagonal: &[f32]) {
        let (k, kp, n) = (self.k, padded(self.k), z.cols.len());
        for (s, &e) in self.scale.iter_mut().zip(diagonal) {
            *s = number(1.0 / e.sqrt());
        }
        dispatch(Gather {
            z,
            scale: &self.scale,
            coefficient: |_| T::one(),
            gathered: &mut self.gathered,
            sum: &mut self.sum,
        });
        let mut matrix = MatMut::from_column_major_slice_mut(&mut self.matrix[..n * n], n, n);
        matrix.fill(T::zero());
        for j in 0..n {
            matrix[(j, j)] = T::one();
        }
        let gathered = &self.gathered[..n * kp];
        let block = MatRef::from_column_major_slice_with_stride(gathered, k, n, kp);
        add_gram(matrix.as_mut(), block.transpose());
        for (y, &w) in self.small.iter_mut().zip(z.weights) {
            *y = root(w);
        }
        let mut small = MatMut::from_column_major_slice_mut(&mut self.small[..n], n, 1);
        let mut sum = MatMut::from_column_major_slice_mut(&mut self.sum[..k], k, 1);
        let (add, par) = (Accum::Add, Par::Seq);
        matmul(&mut small, add, block.transpose(), &sum, -T::one(), par);
        factor_and_solve(matrix, small.as_mut(), MemStack::new(&mut self.stack));
        matmul(&mut sum, add, block, &small, T::one(), par);
        for (x, &s) in self.sum.iter_mut().zip(&self.scale) {
            *x *= s;
        }
    }
}

fn number<T: RealField>(x: f32) -> T {
    T::from_f64_impl(f64::from(x))
}

fn root<T: RealField>(x: f32) -> T {
    T::from_f64_impl(f64::from(x).sqrt())
}

/// `matrix += block block^T`, its lower triangle.
fn add_gram<T: RealField>(matrix: MatMut<T>, block: MatRef<T>) {
    triangular::matmul(
        matrix,
        BlockStructure::TriangularLower,
        Accum::Add,
        block,
        BlockStructure::Rectangular,
        block.transpose(),
        BlockStructure::Rectangular,
        T::one(),
        Par::Seq,
    );
}

/// The matrix is the identity plus a positive semidefinite one (or a positive diagonal plus one):
/// pivots are positive unless something was not finite, which the caller finds in the answer.
fn factor_and_solve<T: RealField>(mut matrix: MatMut<T>, mut rhs: MatMut<T>, stack: &mut MemStack) {
    let done = cholesky_in_place(
        matrix.as_mut(),
        LltRegularization::default(),
        Par::Seq,
        stack,
        Spec::default(),
    );
    if done.is_err() {
        rhs.fill(T::nan_impl());
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

/// Copy rows of Z, times sqrt(w) and `scale`, and add their `coefficient(w)` multiples to `sum`.
struct Gather<'a, T, C> {
    z: Rows<'a>,
    scale: &'a [T],
    coefficient: C,
    gathered: &'a mut [T],
    sum: &'a mut [T],
}

impl<T: RealField + Copy, C: Fn(T) -> T> Kernel for Gather<'_, T, C> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let kp = self.sum.len();
        let cells = self.z.cols.iter().zip(self.z.weights);
        for ((&col, &w), out) in cells.zip(self.gathered.chunks_exact_mut(kp)) {
            let z = &self.z.z[col as usize * kp..][..kp];
            let (root, c) = (root::<T>(w), (self.coefficient)(number(w)));
            let rest = self.sum.iter_mut().zip(z).zip(self.scale);
            for (o, ((sum, &z), &s)) in out.iter_mut().zip(rest) {
                let z = number::<T>(z) * s;
                *o = root * z;
                *sum += c * z;
            }
        }
    }
}
