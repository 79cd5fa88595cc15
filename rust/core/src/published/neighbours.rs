//! Nearest neighbours with the cuts of the published figures, where equal similarities are many.
//!
//! Objective: the weights of [`neighbours`](crate::neighbours) to the bit that the GANMF paper's
//! evaluation framework gave them. Three things decide: the order of the candidates before a cut
//! that is not stable (see `order`), the precision of each step, and which of equal weights are
//! kept at the cut.
//!
//! Source: the evaluation framework of Ferrari Dacrema et al., RecSys 2019, in the state that the
//! authors of the GANMF paper ran. Deviation: none known; the figures of P3alpha and of ItemKNN
//! with cosine come out to the last digit on Last.fm, whose ties are the hardest.
//!
//! Cost: as the kernels in our own order, plus a sort for each row that has more candidates than
//! are kept.

use super::order::smallest;
use crate::base::memory::{collected, reserve, zeros};
use crate::base::rows::{RowWriter, build_rows};
use crate::base::topk::check_topk;
use crate::base::{CsrMatrix, CsrView, Progress, Result};
use crate::neighbours::similarity::{FromDistance, Kind};
use crate::neighbours::{KnnParams, SIZES};

/// Columns x columns; row j holds the neighbours of target j, as published.
///
/// # Errors
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a `topk` of zero, `Cancelled`.
pub fn neighbours(urm: CsrView, params: KnnParams, progress: &Progress) -> Result<CsrMatrix> {
    let KnnParams { topk, similarity } = params;
    check_topk(topk)?;
    let urm = if similarity.is_binary() {
        urm.without_values()
    } else {
        urm
    };
    let items = urm.transpose(progress)?;
    let size = |i| -> f64 { items.view().row(i).map(|(_, x)| f64::from(x).powi(2)).sum() };
    let sizes = collected((0..urm.n_cols()).map(size), SIZES)?;
    let roots = collected(sizes.iter().map(|n| n.sqrt()), SIZES)?;
    let shrink = similarity.shrink();
    let powers = |e: f64| collected(roots.iter().map(|r| r.powf(e)), SIZES);
    // Sums in the order in which they were added there, and coefficients in single precision where
    // they were: a tie hangs on the last bit.
    match similarity.kind() {
        Kind::Cosine { normalize: true } => {
            nearest(urm, items.view(), topk, progress, |co, i, j| {
                co / (roots[j] * roots[i] + shrink + 1e-6)
            })
        }
        Kind::Asymmetric {
            alpha,
            normalize: true,
        } => {
            let alpha = alpha as f32;
            let of_target = powers(f64::from(2.0 * alpha))?;
            let of_neighbour = powers(f64::from(2.0 * (1.0 - alpha)))?;
            nearest(urm, items.view(), topk, progress, |co, i, j| {
                co / (of_target[j] * of_neighbour[i] + shrink + 1e-6)
            })
        }
        Kind::Cosine { .. } | Kind::Asymmetric { .. } => {
            let divisor = if shrink == 0.0 { 1.0 } else { shrink };
            nearest(urm, items.view(), topk, progress, |co, _, _| co / divisor)
        }
        Kind::Jaccard => nearest(urm, items.view(), topk, progress, |co, i, j| {
            co / (sizes[j] + sizes[i] - co + shrink + 1e-6)
        }),
        Kind::Dice => nearest(urm, items.view(), topk, progress, |co, i, j| {
            co / (sizes[j] + sizes[i] + shrink + 1e-6)
        }),
        Kind::Tversky { alpha, beta } => {
            let (a, b) = (f64::from(alpha as f32), f64::from(beta as f32));
            nearest(urm, items.view(), topk, progress, |co, i, j| {
                co / (co + (sizes[j] - co) * a + (sizes[i] - co) * b + shrink + 1e-6)
            })
        }
        Kind::Euclidean {
            normalize,
            average,
            mode,
        } => {
            let distance = Distance {
                sizes: collected(sizes.iter().map(|&n| n as f32), SIZES)?,
                normalize,
                average: average.then_some(urm.n_rows() as f32),
                mode,
                shrink: shrink as f32,
            };
            closest(urm, items.view(), topk, &distance, progress)
        }
    }
}

/// The `topk` of largest `weight(co, i, j)` for each target j among columns that share a row with
/// it.
fn nearest(
    urm: CsrView,
    items: CsrView,
    topk: usize,
    progress: &Progress,
    weight: impl Fn(f64, usize, usize) -> f64 + Sync,
) -> Result<CsrMatrix> {
    let n_items = urm.n_cols();
    build_rows(
        (n_items, n_items),
        progress,
        || Meeting::new(n_items),
        |meeting, j, out| {
            for (user, xj) in items.row(j) {
                meeting.reserve(urm.row_len(user))?;
                for (i, xi) in urm.row(user) {
                    if i != j {
                        meeting.add(i, f64::from(xi) * f64::from(xj));
                    }
                }
            }
            meeting.drain(|i, dot| weight(dot, i, j));
            meeting.push_best(topk, out)
        },
    )
}

/// Euclidean similarity in single precision.
struct Distance {
    sizes: Vec<f32>,
    normalize: bool,
    average: Option<f32>,
    mode: FromDistance,
    shrink: f32,
}

impl Distance {
    fn similarity(&self, dot: f32, i: usize, j: usize) -> f32 {
        let mut squared = self.sizes[i] + self.sizes[j] - 2.0 * dot;
        if self.normalize {
            squared /= self.sizes[j].sqrt() * self.sizes[i].sqrt();
        }
        if let Some(rows) = self.average {
            squared /= rows;
        }
        let d = squared.sqrt();
        let f = match self.mode {
            FromDistance::Lin => d,
            FromDistance::Log => (d + 1.0).ln(),
            FromDistance::Exp => d.exp(),
        };
        let similarity = 1.0 / (f + self.shrink + 1e-9);
        // An item without users has no normalised distance.
        if similarity.is_nan() { 0.0 } else { similarity }
    }
}

/// The `topk` nearest of all columns for each target.
fn closest(
    urm: CsrView,
    items: CsrView,
    topk: usize,
    distance: &Distance,
    progress: &Progress,
) -> Result<CsrMatrix> {
    let n_items = urm.n_cols();
    let topk = topk.min(n_items);
    build_rows(
        (n_items, n_items),
        progress,
        || Ok((zeros::<f32>(n_items, SIZES)?, zeros::<f32>(n_items, SIZES)?)),
        |(dots, negated), j, out| {
            dots.fill(0.0);
            for (user, xj) in items.row(j) {
                for (i, xi) in urm.row(user) {
                    dots[i] += xi * xj;
                }
            }
            for (i, slot) in negated.iter_mut().enumerate() {
                *slot = -distance.similarity(dots[i], i, j);
            }
            negated[j] = 0.0;
            let mut best = smallest(negated, topk - 1, topk)?;
            best.retain(|&i| negated[i] != 0.0);
            best.sort_unstable();
            out.reserve(best.len())?;
            for i in best {
                out.push(i as i32, -negated[i]);
            }
            Ok(())
        },
    )
}

/// Items in the order in which a walk over the users of the target met them.
struct Meeting {
    dots: Vec<f64>,
    met: Vec<usize>,
    /// Negated weights in the order of `met`, with a zero for every item that was not met.
    negated: Vec<f64>,
}

impl Meeting {
    fn new(n_items: usize) -> Result<Self> {
        Ok(Self {
            dots: zeros(n_items, SIZES)?,
            met: Vec::new(),
            negated: zeros(n_items, SIZES)?,
        })
    }

    /// Room for the items of a user, of whom no more can be new than there are.
    fn reserve(&mut self, items: usize) -> Result<()> {
        let left = self.dots.len() - self.met.len();
        reserve(&mut self.met, items.min(left), SIZES)
    }

    fn add(&mut self, item: usize, value: f64) {
        // A dot product of stored, positive values never returns to zero.
        if self.dots[item] == 0.0 {
            self.met.push(item);
        }
        self.dots[item] += value;
    }

    fn drain(&mut self, weight: impl Fn(usize, f64) -> f64) {
        self.negated.fill(0.0);
        for (&item, slot) in self.met.iter().zip(&mut self.negated) {
            *slot = -weight(item, self.dots[item]);
            self.dots[item] = 0.0;
        }
    }

    fn push_best(&mut self, topk: usize, out: &mut RowWriter) -> Result<()> {
        let kept = topk.min(self.met.len());
        let mut best = if kept < self.met.len() {
            smallest(&self.negated, kept - 1, kept)?
        } else {
            collected(0..kept, SIZES)?
        };
        best.retain(|&at| self.negated[at] != 0.0);
        best.sort_unstable_by_key(|&at| self.met[at]);
        out.reserve(best.len())?;
        for at in best {
            out.push(self.met[at] as i32, -self.negated[at] as f32);
        }
        self.met.clear();
        Ok(())
    }
}
