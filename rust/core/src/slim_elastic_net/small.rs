//! Coordinate descent on the small Gram matrix of a working set.

use crate::error::Result;
use crate::gram::{Entry, Gram};
use crate::progress::Progress;
use crate::simd::widest;
use crate::slim_elastic_net::solver::Problem;

/// Columns of the small Gram matrix come in multiples of this.
const LANES: usize = 16;
/// Sweeps between two looks at the cancel flag.
const SWEEPS: usize = 16;

/// The part of the Gram matrix that belongs to a working set, with its gradient and weights.
#[derive(Debug, Default)]
pub(super) struct Small {
    /// Items whose entries are in `gram`.
    loaded: usize,
    stride: usize,
    gram: Vec<f32>,
    diagonal: Vec<f64>,
    pub(super) gradient: Vec<f32>,
    pub(super) weights: Vec<f64>,
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
    ) {
        let m = set.len();
        let stride = m.next_multiple_of(LANES);
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

    /// Sweep until no coordinate misses its optimum by more than `limit`; the number of sweeps.
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
            progress.check()?;
            let stop = (sweeps + SWEEPS).min(max_sweeps);
            let done = widest(|| self.some_sweeps(p, limit, &mut all, &mut sweeps, stop));
            if done || sweeps >= max_sweeps {
                return Ok(sweeps);
            }
        }
    }

    /// Sweep up to number `stop`, over all coordinates (`all`) or those with a weight.
    ///
    /// A pass over everything follows whenever the coordinates with a weight have settled, and
    /// when it too finds nothing to do, the answer is true.
    #[inline(always)]
    fn some_sweeps(
        &mut self,
        p: Problem,
        limit: f64,
        all: &mut bool,
        sweeps: &mut usize,
        stop: usize,
    ) -> bool {
        let stride = self.stride;
        while *sweeps < stop {
            *sweeps += 1;
            let mut worst = 0f64;
            for k in 0..self.weights.len() {
                let old = self.weights[k];
                if old == 0.0 && !*all {
                    continue;
                }
                let square = self.diagonal[k];
                let pull = f64::from(self.gradient[k]) + square * old;
                let new = shrink(pull, p) / (square + p.l2);
                let change = new - old;
                if change != 0.0 {
                    worst = worst.max(change.abs() * (square + p.l2));
                    self.weights[k] = new;
                    let row = &self.gram[k * stride..(k + 1) * stride];
                    let change = change as f32;
                    for (slot, &x) in self.gradient.iter_mut().zip(row) {
                        *slot -= change * x;
                    }
                }
            }
            if worst <= limit {
                if *all {
                    return true;
                }
                *all = true;
            } else {
                *all = false;
            }
        }
        false
    }
}

/// The soft threshold.
#[inline(always)]
fn shrink(pull: f64, p: Problem) -> f64 {
    if pull > p.l1 {
        pull - p.l1
    } else if !p.positive && pull < -p.l1 {
        pull + p.l1
    } else {
        0.0
    }
}

/// What the optimality conditions miss at gradient `g` and weight `w`.
#[inline(always)]
pub(super) fn violation(g: f64, w: f64, p: Problem) -> f64 {
    if w > 0.0 {
        (g - p.l2 * w - p.l1).abs()
    } else if w < 0.0 {
        (g - p.l2 * w + p.l1).abs()
    } else if p.positive {
        (g - p.l1).max(0.0)
    } else {
        (g.abs() - p.l1).max(0.0)
    }
}

/// `gradient -= sum of factor times row`, eight rows in one pass over the gradient.
///
/// Eight products are added in f32 before they go into the f64 gradient: a relative error of one in
/// ten million of the change, in half the time.
#[inline(always)]
pub(super) fn subtract_rows<T: Entry>(
    gradient: &mut [f64],
    values: &[T],
    n: usize,
    of: &[(u32, f64)],
) {
    let len = gradient.len();
    let row = |i: u32| &values[i as usize * n..][..len];
    let mut eights = of.chunks_exact(8);
    for eight in &mut eights {
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
    for &(i, factor) in eights.remainder() {
        for (slot, &x) in gradient.iter_mut().zip(row(i)) {
            *slot -= factor * f64::from(x.into());
        }
    }
}
