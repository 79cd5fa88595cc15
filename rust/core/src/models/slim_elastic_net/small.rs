//! Coordinate descent on the small Gram matrix of a working set.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::problem::Problem;
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::{self, reserve};
use crate::base::{Progress, Result};
use crate::linalg::gram::{Entry, Gram};

/// Columns of the small Gram matrix come in multiples of this.
const LANES: usize = 16;
/// Changes of a sweep that is the last, in units of the violation that is allowed: each changes the
/// gradient of the coordinates before it.
const LAST: f64 = 0.5;
/// Sweeps between two looks at the cancel flag.
const SWEEPS: usize = 16;

/// The part of the Gram matrix that belongs to a working set, with its gradient and weights.
#[derive(Debug, Default)]
pub(super) struct Small {
    /// Number of items with entries in `gram`.
    loaded: usize,
    stride: usize,
    gram: Vec<f32>,
    diagonal: Vec<f64>,
    pub(super) gradient: Vec<f32>,
    pub(super) weights: Vec<f64>,
    /// Penalty of squares by coordinate.
    pub(super) ridge: Vec<f64>,
}

impl Small {
    pub(super) fn clear(&mut self) {
        self.loaded = 0;
    }

    /// Copy the entries of `set`, of which the first ones may be here already.
    pub(super) fn load<T: Entry>(
        &mut self,
        gram: &Gram<T>,
        diagonal: &[f64],
        set: &[u32],
        place: &[i32],
    ) -> Result<()> {
        let m = set.len();
        let stride = m.next_multiple_of(LANES);
        let more = (m * stride).saturating_sub(self.gram.len());
        reserve(&mut self.gram, more, "Gram matrix of a working set")?;
        match gram {
            Gram::Dense { n, values } => {
                self.make_room(m, stride);
                for a in self.loaded..m {
                    let from = &values[set[a] as usize * n..(set[a] as usize + 1) * n];
                    let row = &mut self.gram[a * stride..(a + 1) * stride];
                    // What lies above the diagonal follows by symmetry.
                    for (slot, &i) in row.iter_mut().zip(&set[..=a]) {
                        *slot = from[i as usize].into();
                    }
                    for b in 0..a {
                        self.gram[b * stride + a] = self.gram[a * stride + b];
                    }
                }
            }
            Gram::Sparse { n_head, head, .. } => {
                self.loaded = 0;
                self.make_room(m, stride);
                // The set ascends: items of the head come first.
                let whole = set.partition_point(|&i| (i as usize) < *n_head);
                for (a, &i) in set.iter().enumerate() {
                    let i = i as usize;
                    if a < whole {
                        let from = &head[i * n_head..(i + 1) * n_head];
                        let row = &mut self.gram[a * stride..(a + 1) * stride];
                        for (slot, &k) in row.iter_mut().zip(&set[..whole]) {
                            *slot = from[k as usize];
                        }
                        continue;
                    }
                    self.gram[a * stride + a] = diagonal[i] as f32;
                    let (columns, values) = gram.sparse_row(i);
                    for (&k, &v) in columns.iter().zip(values) {
                        if let Ok(b) = usize::try_from(place[k as usize]) {
                            self.gram[a * stride + b] = v;
                            self.gram[b * stride + a] = v;
                        }
                    }
                }
            }
        }
        self.loaded = m;
        self.stride = stride;
        self.diagonal.clear();
        self.diagonal
            .extend(set.iter().map(|&i| diagonal[i as usize]));
        self.gradient.clear();
        self.gradient.resize(stride, 0.0);
        self.weights.clear();
        self.weights.resize(m, 0.0);
        self.ridge.clear();
        self.ridge.resize(m, 0.0);
        Ok(())
    }

    /// Move what is loaded to rows of length `stride`, and clear the rest.
    fn make_room(&mut self, m: usize, stride: usize) {
        let (loaded, old) = (self.loaded, self.stride);
        if self.gram.len() < m * stride {
            self.gram.resize(m * stride, 0.0);
        }
        if stride != old {
            for a in (0..loaded).rev() {
                self.gram.copy_within(a * old..a * old + loaded, a * stride);
            }
        }
        for a in 0..loaded {
            self.gram[a * stride + loaded..(a + 1) * stride].fill(0.0);
        }
        self.gram[loaded * stride..m * stride].fill(0.0);
    }

    /// Sweep until no coordinate violates the optimality conditions by more than `limit`; the number
    /// of sweeps.
    ///
    /// Where sweeps make slow progress, because items resemble each other, the weights that there
    /// are now and then take a step to where they would be best if no sign changed.
    pub(super) fn descend(
        &mut self,
        p: Problem,
        limit: f64,
        max_sweeps: usize,
        progress: &Progress,
    ) -> Result<usize> {
        let mut sweeps = 0;
        let mut all = true;
        loop {
            let stop = (sweeps + self.patience()).min(max_sweeps);
            while sweeps < stop {
                progress.check()?;
                let part = stop.min(sweeps + SWEEPS);
                let Self {
                    stride,
                    gram,
                    diagonal,
                    gradient,
                    weights,
                    ridge,
                    ..
                } = self;
                let done = dispatch(Sweeps {
                    p,
                    limit,
                    all: &mut all,
                    done: &mut sweeps,
                    stop: part,
                    gram,
                    stride: *stride,
                    diagonal,
                    ridge,
                    gradient,
                    weights,
                });
                if done {
                    return Ok(sweeps);
                }
            }
            if sweeps >= max_sweeps {
                return Ok(sweeps);
            }
            self.jump(p)?;
        }
    }

    /// Sweeps before a jump, so that both take about the same time.
    fn patience(&self) -> usize {
        let n = self.weights.iter().filter(|&&w| w != 0.0).count();
        SWEEPS.max(n * n / (2 * self.weights.len()).max(1))
    }

    /// Go towards the minimum among weights of the same signs, as far as no sign changes.
    ///
    /// The objective is quadratic along the way, so it does not rise.
    fn jump(&mut self, p: Problem) -> Result<()> {
        let set: Vec<usize> = (0..self.weights.len())
            .filter(|&k| self.weights[k] != 0.0)
            .collect();
        let at = |a: usize, b: usize| f64::from(self.gram[a * self.stride + b]);
        let squares = 2 * size_of::<f64>() * set.len().pow(2);
        memory::check(squares, "matrix of the nonzero weights")?;
        let square = Mat::from_fn(set.len(), set.len(), |a, b| {
            at(set[a], set[b]) + if a == b { self.ridge[set[a]] } else { 0.0 }
        });
        // Not positive definite: sweeps alone must do.
        let Ok(factor) = square.llt(Side::Lower) else {
            return Ok(());
        };
        let slope = Mat::from_fn(set.len(), 1, |a, _| {
            let (k, w) = (set[a], self.weights[set[a]]);
            f64::from(self.gradient[k]) - self.ridge[k] * w - p.l1 * w.signum()
        });
        let step = factor.solve(&slope);
        let (mut part, mut first) = (1f64, None);
        for (a, &k) in set.iter().enumerate() {
            let reach = -self.weights[k] / step[(a, 0)];
            if reach > 0.0 && reach < part {
                (part, first) = (reach, Some(k));
            }
        }
        if !set
            .iter()
            .enumerate()
            .all(|(a, _)| step[(a, 0)].is_finite())
        {
            return Ok(());
        }
        for (a, &k) in set.iter().enumerate() {
            let old = self.weights[k];
            let new = if first == Some(k) {
                0.0
            } else {
                old + part * step[(a, 0)]
            };
            self.weights[k] = new;
            let row = &self.gram[k * self.stride..(k + 1) * self.stride];
            subtract(&mut self.gradient, row, (new - old) as f32);
        }
        Ok(())
    }
}

/// Sweeps up to number `stop`, over all coordinates (`all`) or those with a weight.
///
/// A pass over everything follows whenever the coordinates with a weight have settled, and when it
/// too finds nothing to do and leaves no violation above `limit`, the answer is true.
struct Sweeps<'a> {
    p: Problem,
    limit: f64,
    all: &'a mut bool,
    done: &'a mut usize,
    stop: usize,
    gram: &'a [f32],
    stride: usize,
    diagonal: &'a [f64],
    ridge: &'a [f64],
    gradient: &'a mut [f32],
    weights: &'a mut [f64],
}

impl Kernel for Sweeps<'_> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let Self {
            p,
            limit,
            gram,
            stride,
            gradient,
            weights,
            ..
        } = self;
        let n = weights.len();
        let (diagonal, ridge) = (&self.diagonal[..n], &self.ridge[..n]);
        let mut all = *self.all;
        while *self.done < self.stop {
            *self.done += 1;
            let mut worst = 0f64;
            for k in 0..n {
                let old = weights[k];
                if old == 0.0 && !all {
                    continue;
                }
                let square = diagonal[k];
                let pull = f64::from(gradient[k]) + square * old;
                let size = square + ridge[k];
                let shrunk = p.soft_threshold(pull);
                if shrunk == 0.0 && old == 0.0 {
                    continue;
                }
                let new = shrunk / size;
                let change = new - old;
                if change != 0.0 {
                    worst = worst.max(change.abs() * size);
                    weights[k] = new;
                    subtract(gradient, &gram[k * stride..(k + 1) * stride], change as f32);
                }
            }
            if worst <= LAST * limit {
                let violated = |k: usize| {
                    let slope = f64::from(gradient[k]) - ridge[k] * weights[k];
                    p.violation(slope, weights[k]) > limit
                };
                // Without a change another sweep would find the same.
                if all && (worst == 0.0 || !(0..n).any(violated)) {
                    *self.all = true;
                    return true;
                }
                all = true;
            } else {
                all = false;
            }
        }
        *self.all = all;
        false
    }
}

/// `gradient -= factor * row`.
///
/// Element by element: written in groups of lanes, the compiler gathers the lanes of many groups.
#[inline(always)]
fn subtract(gradient: &mut [f32], row: &[f32], factor: f32) {
    for (slot, &x) in gradient.iter_mut().zip(row) {
        *slot -= factor * x;
    }
}

/// `gradient -= sum of factor times row`, eight rows in one pass over the gradient.
///
/// Eight products are added in f32 before they go into the f64 gradient: a relative error of one in
/// ten million of the change, in half the time.
pub(super) struct SubtractRows<'a, T> {
    pub(super) gradient: &'a mut [f64],
    pub(super) values: &'a [T],
    /// Length of a row of `values`, at least that of `gradient`.
    pub(super) n: usize,
    /// Rows and their factors.
    pub(super) of: &'a [(u32, f64)],
}

impl<T: Entry> Kernel for SubtractRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            gradient,
            values,
            n,
            of,
        } = self;
        let len = gradient.len();
        let row = |i: u32| &values[i as usize * n..][..len];
        let (eights, rest) = of.as_chunks::<8>();
        for eight in eights {
            let rows: [&[T]; 8] = std::array::from_fn(|r| row(eight[r].0));
            let factors: [f32; 8] = std::array::from_fn(|r| eight[r].1 as f32);
            for (at, slot) in gradient.iter_mut().enumerate() {
                let mut sum = 0f32;
                for r in 0..8 {
                    sum += factors[r] * rows[r][at].into();
                }
                *slot -= f64::from(sum);
            }
        }
        for &(i, factor) in rest {
            for (slot, &x) in gradient.iter_mut().zip(row(i)) {
                *slot -= factor * f64::from(x.into());
            }
        }
    }
}
