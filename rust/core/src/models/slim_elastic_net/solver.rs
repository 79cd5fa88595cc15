//! One target item: coordinate descent on a working set, with safe screening.
//!
//! With `c = G[:, j]` and the penalties times the number of users, the problem is
//! `min 1/2 w^T G w - c^T w + l1 |w|_1 + l2/2 |w|^2`, `w_j = 0`. Where several items equal each
//! other, `w_i` is the sum of their weights, which are the same at the minimum: k of them pay
//! `l2/2 w_i^2 / k`. The gradient `g = c - G w` is kept
//! in f64 for all candidates; a round chooses a working set, copies its small Gram matrix, descends
//! there, and brings `g` up to date from the weights that changed.
//!
//! Two safe rules keep the sets small. Where weights are positive and so is the data, `g <= c`: an
//! item with `c_i <= l1` never enters. Otherwise, and later, the gap between the objective and its
//! dual bounds how far the optimum can be, and what lies further below the threshold than that is
//! dropped (Fercoq, Gramfort, Salmon, "Mind the duality gap", ICML 2015).

use super::problem::Problem;
use super::small::{Small, SubtractRows};
use crate::base::dispatch::dispatch;
use crate::base::memory::{collected, filled, with_room, zeros};
use crate::base::{Progress, Result};
use crate::linalg::gram::{Entry, Gram, Popular};

/// Violation left in a working set that may still grow, in units of what is allowed in the last.
const LOOSE: f64 = 16.0;
/// Tolerance down to which the f32 sums of a working set need no second look in f64.
const TRUSTED: f64 = 1e-4;
/// Working set of the first round, and the least that a round may add.
const FIRST: usize = 64;
const LEAST: usize = 32;
/// Largest working set; its Gram matrix takes 4 bytes times the square.
pub(super) const CAP: usize = 2048;

const ITEMS: &str = "items of the working memory";

/// Memory of one worker, as long as the catalogue; clean between items.
#[derive(Debug)]
pub(super) struct Solver<'a, T> {
    data: &'a Popular,
    gram: &'a Gram<T>,
    /// `G_ii`.
    diagonal: &'a [f64],
    /// `G_jj` of the target.
    target_square: f64,
    /// One over the number of items that each distinct item stands for, the target left out.
    share: Vec<f64>,
    /// Gradient `c - G w` of every item that is known to be reached.
    gradient: Vec<f64>,
    /// Weights by item.
    weights: Vec<f64>,
    /// `c`, and which items it or the gradient reaches (sparse form only).
    correlation: Vec<f32>,
    is_reached: Vec<bool>,
    reached: Vec<u32>,
    /// Residual `x_j - X w` by user (sparse form only).
    residual: Vec<f64>,
    /// Place of an item in the working set, or -1.
    place: Vec<i32>,
    set: Vec<u32>,
    small: Small,
    candidates: Vec<u32>,
    order: Vec<(f64, u32)>,
    support: Vec<u32>,
}

impl<'a, T: Entry> Solver<'a, T> {
    pub(super) fn new(data: &'a Popular, gram: &'a Gram<T>, diagonal: &'a [f64]) -> Result<Self> {
        let n = diagonal.len();
        let shares = (0..n).map(|i| 1.0 / data.members(i).len() as f64);
        Ok(Self {
            data,
            gram,
            diagonal,
            target_square: 0.0,
            share: collected(shares, ITEMS)?,
            gradient: zeros(n, ITEMS)?,
            weights: zeros(n, ITEMS)?,
            correlation: zeros(n, ITEMS)?,
            is_reached: zeros(n, ITEMS)?,
            // No item comes in twice.
            reached: with_room(n, ITEMS)?,
            residual: zeros(data.users.view().n_rows(), "residuals of the users")?,
            place: filled(n, -1, ITEMS)?,
            set: with_room(CAP.min(n), ITEMS)?,
            small: Small::default(),
            candidates: with_room(n, ITEMS)?,
            order: with_room(n, ITEMS)?,
            support: with_room(n, ITEMS)?,
        })
    }

    /// Start with target `j` and all weights zero.
    pub(super) fn begin(&mut self, j: usize) {
        match self.gram {
            Gram::Dense { n, values } => {
                let row = &values[j * n..(j + 1) * n];
                for (slot, &c) in self.correlation.iter_mut().zip(row) {
                    *slot = c.into();
                }
                self.reached.clear();
                self.reached
                    .extend((0..*n as u32).filter(|&i| self.diagonal[i as usize] > 0.0));
                for (g, &c) in self.gradient.iter_mut().zip(row) {
                    *g = f64::from(c.into());
                }
            }
            Gram::Sparse { .. } => {
                let (items, users) = (self.data.items.view(), self.data.users.view());
                self.reached.clear();
                for (u, x) in items.row(j) {
                    for (k, y) in users.row(u) {
                        if !self.is_reached[k] {
                            self.is_reached[k] = true;
                            self.reached.push(k as u32);
                        }
                        self.gradient[k] += f64::from(x) * f64::from(y);
                    }
                }
                for &i in &self.reached {
                    self.correlation[i as usize] = self.gradient[i as usize] as f32;
                }
            }
        }
        // The target itself is no candidate; items equal to it are.
        let others = self.data.members(j).len() - 1;
        if others == 0 {
            self.correlation[j] = 0.0;
        } else {
            self.share[j] = 1.0 / others as f64;
        }
        self.target_square = self.diagonal[j];
        self.support.clear();
    }

    /// Leave the memory as it was found.
    pub(super) fn end(&mut self, j: usize) {
        self.share[j] = 1.0 / self.data.members(j).len() as f64;
        for &i in &self.support {
            self.weights[i as usize] = 0.0;
        }
        if matches!(self.gram, Gram::Sparse { .. }) {
            for &i in &self.reached {
                let at = i as usize;
                self.is_reached[at] = false;
                self.correlation[at] = 0.0;
                self.gradient[at] = 0.0;
            }
        }
    }

    /// Items with a weight, and the weights.
    pub(super) fn solution(&self) -> impl Iterator<Item = (u32, f64)> {
        self.support
            .iter()
            .map(|&i| (i, self.weights[i as usize]))
            .filter(|&(_, w)| w != 0.0)
    }

    /// Solve for target `j`, from the weights there are; false if `max_iter` came first.
    ///
    /// `last`: no further problem starts from these weights.
    pub(super) fn solve(
        &mut self,
        j: usize,
        p: Problem,
        last: bool,
        progress: &Progress,
    ) -> Result<bool> {
        let scale = self.reached.iter().fold(0f64, |most, &i| {
            most.max(f64::from(self.correlation[i as usize]).abs())
        });
        let limit = p.tol * scale;
        self.find_candidates(j, p);
        if matches!(self.gram, Gram::Sparse { .. }) && !self.support.is_empty() {
            self.refresh_gradient(j, p.positive);
        }
        self.choose_first(p);
        let mut sweeps = 0;
        // What the first rounds find only has to be good enough to choose the next set.
        let mut inner = LOOSE * limit;
        loop {
            if matches!(self.gram, Gram::Sparse { .. }) {
                self.sort_set();
            }
            self.small
                .load(self.gram, self.diagonal, &self.set, &self.place)?;
            for (at, &i) in self.set.iter().enumerate() {
                self.small.gradient[at] = self.gradient[i as usize] as f32;
                self.small.weights[at] = self.weights[i as usize];
                self.small.ridge[at] = p.l2 * self.share[i as usize];
            }
            let whole = self.set.len() >= self.candidates.len();
            if whole {
                inner = limit;
            }
            sweeps += self
                .small
                .descend(p, inner, p.max_iter - sweeps, progress)?;
            inner = limit;
            // Weights of either sign may reach items that are no candidates yet.
            let closed = p.positive || matches!(self.gram, Gram::Dense { .. });
            if whole && closed && last && p.tol >= TRUSTED {
                self.store_weights();
                self.release();
                return Ok(sweeps < p.max_iter);
            }
            self.update_gradient(j, p.positive, last)?;
            if sweeps >= p.max_iter {
                self.release();
                return Ok(false);
            }
            if !whole {
                self.screen(p);
            }
            if !self.widen(p, limit) {
                self.release();
                return Ok(true);
            }
        }
    }

    /// Everything that may get a weight.
    fn find_candidates(&mut self, j: usize, p: Problem) {
        let Self {
            candidates,
            reached,
            correlation,
            weights,
            ..
        } = self;
        let has_equals = self.data.members(j).len() > 1;
        candidates.clear();
        candidates.extend(reached.iter().copied().filter(|&i| {
            let at = i as usize;
            let may_enter = !p.positive || f64::from(correlation[at]) > p.l1;
            (at != j || has_equals) && (may_enter || weights[at] != 0.0)
        }));
    }

    /// What the optimality conditions miss at item `i`, in units of the gradient.
    #[inline]
    fn violation(&self, i: u32, p: Problem) -> f64 {
        let i = i as usize;
        let w = self.weights[i];
        p.violation(self.gradient[i] - p.l2 * self.share[i] * w, w)
    }

    /// The weights there are, and the items that the target resembles most.
    fn choose_first(&mut self, p: Problem) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        for &i in &self.candidates {
            let at = i as usize;
            let size = (self.diagonal[at] + p.l2 * self.share[at]).sqrt();
            let weight = if self.weights[at] == 0.0 { 0.0 } else { 1e9 };
            order.push((weight + self.violation(i, p) / size, i));
        }
        let room = if order.len() <= FIRST + LEAST {
            order.len()
        } else {
            FIRST.max(self.support.len() + LEAST).min(CAP)
        };
        keep_largest(&mut order, room);
        self.set.clear();
        for &(_, i) in &order {
            self.enter(i);
        }
        self.order = order;
    }

    fn enter(&mut self, i: u32) {
        self.place[i as usize] = self.set.len() as i32;
        self.set.push(i);
    }

    /// The sparse form is copied again in each round and needs ascending items.
    fn sort_set(&mut self) {
        self.set.sort_unstable();
        for (at, &i) in self.set.iter().enumerate() {
            self.place[i as usize] = at as i32;
        }
    }

    fn release(&mut self) {
        for &i in &self.set {
            self.place[i as usize] = -1;
        }
        self.set.clear();
        self.small.clear();
    }

    /// Take over the weights of the working set.
    fn store_weights(&mut self) {
        for (at, &i) in self.set.iter().enumerate() {
            let new = self.small.weights[at];
            let old = std::mem::replace(&mut self.weights[i as usize], new);
            if old == 0.0 && new != 0.0 {
                self.support.push(i);
            }
        }
        let weights = &self.weights;
        self.support.retain(|&i| weights[i as usize] != 0.0);
    }

    /// Take over the weights of the working set and what they change in the gradient.
    fn update_gradient(&mut self, j: usize, positive: bool, last: bool) -> Result<()> {
        match self.gram {
            Gram::Dense { n, values } => {
                let mut changes: Vec<(u32, f64)> = with_room(self.set.len(), ITEMS)?;
                for (at, &i) in self.set.iter().enumerate() {
                    let change = self.small.weights[at] - self.weights[i as usize];
                    if change != 0.0 {
                        changes.push((i, change));
                    }
                }
                self.store_weights();
                // Candidates are the popular items, as a rule; later problems may have more.
                let most = self.candidates.iter().max().map_or(0, |&i| i as usize + 1);
                let gradient = &mut self.gradient[..if last { most } else { *n }];
                dispatch(SubtractRows {
                    gradient,
                    values,
                    n: *n,
                    of: &changes,
                });
            }
            Gram::Sparse { .. } => {
                self.store_weights();
                self.refresh_gradient(j, positive);
            }
        }
        Ok(())
    }

    /// The gradient of all candidates, from the residual of the users.
    ///
    /// Weights of either sign also reach items that share no user with the target, but share one
    /// with an item that has a weight: those become candidates here.
    fn refresh_gradient(&mut self, j: usize, positive: bool) {
        let (items, users) = (self.data.items.view(), self.data.users.view());
        for (u, x) in items.row(j) {
            self.residual[u] += f64::from(x);
        }
        for &i in &self.support {
            let w = self.weights[i as usize];
            for (u, x) in items.row(i as usize) {
                self.residual[u] -= w * f64::from(x);
                if !positive {
                    for &k in users.cols(u) {
                        if !self.is_reached[k as usize] {
                            self.is_reached[k as usize] = true;
                            self.reached.push(k as u32);
                            self.candidates.push(k as u32);
                        }
                    }
                }
            }
        }
        for &i in &self.candidates {
            self.gradient[i as usize] = items
                .row(i as usize)
                .map(|(u, x)| self.residual[u] * f64::from(x))
                .sum();
        }
        for &i in self.support.iter().chain([&(j as u32)]) {
            for &u in items.cols(i as usize) {
                self.residual[u as usize] = 0.0;
            }
        }
    }

    /// Drop candidates that the duality gap proves to have no weight.
    fn screen(&mut self, p: Problem) {
        // With the residual r, the dual point is s (r, -sqrt(l2) w); all of it follows from c, g,
        // w.
        let (mut cw, mut gw, mut ww, mut l1_norm) = (0.0, 0.0, 0.0, 0.0);
        for &i in &self.support {
            let i = i as usize;
            let w = self.weights[i];
            cw += f64::from(self.correlation[i]) * w;
            gw += self.gradient[i] * w;
            ww += self.share[i] * w * w;
            l1_norm += w.abs();
        }
        let mut most = 0f64;
        for &i in &self.candidates {
            let at = i as usize;
            let slope = self.gradient[at] - p.l2 * self.share[at] * self.weights[at];
            most = most.max(if p.positive { slope } else { slope.abs() });
        }
        // Up to the constant |x_j|^2 = t, which cancels: |r|^2 = t - 2 cw + (cw - gw).
        let penalty = p.l2 * ww;
        let primal = |t: f64| 0.5 * (t - cw - gw + penalty) + p.l1 * l1_norm;
        let t = self.target_square;
        let square = t - cw - gw + penalty;
        if square <= 0.0 || p.l1 <= 0.0 {
            return;
        }
        let best = (t - cw) / square;
        let s = if most > 0.0 {
            best.min(p.l1 / most)
        } else {
            best
        };
        let dual = s * (t - cw) - 0.5 * s * s * square;
        let radius = (2.0 * (primal(t) - dual).max(0.0)).sqrt();
        let Self {
            candidates,
            gradient,
            weights,
            diagonal,
            place,
            share,
            ..
        } = self;
        candidates.retain(|&i| {
            let at = i as usize;
            if place[at] >= 0 || weights[at] != 0.0 {
                return true;
            }
            let slope = s * gradient[at];
            let slope = if p.positive { slope } else { slope.abs() };
            slope + radius * (diagonal[at] + p.l2 * share[at]).sqrt() >= p.l1
        });
    }

    /// Let the worst violators in; false if there is none.
    fn widen(&mut self, p: Problem, limit: f64) -> bool {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        let mut outside = 0;
        let mut violated = false;
        for &i in &self.candidates {
            let miss = self.violation(i, p);
            violated |= miss > limit;
            if self.place[i as usize] < 0 {
                outside += 1;
                order.push((
                    miss / (self.diagonal[i as usize] + p.l2 * self.share[i as usize]).sqrt(),
                    i,
                ));
            }
        }
        if violated {
            let step = LEAST.max(self.set.len());
            // When nearly all that is left fits, one round with all of it ends the search.
            let room = if outside <= step / 8 { outside } else { step };
            if self.set.len() + room > CAP {
                self.replace_set(p, &mut order);
                order.clear();
            } else {
                if room < outside {
                    order.retain(|&(miss, _)| miss > 0.0);
                }
                keep_largest(&mut order, room);
            }
            for &(_, i) in &order {
                self.enter(i);
            }
        }
        self.order = order;
        violated
    }

    /// A full working set makes room: the worst violators of all, whatever was in it before.
    fn replace_set(&mut self, p: Problem, worst: &mut Vec<(f64, u32)>) {
        self.release();
        worst.clear();
        worst.extend(self.candidates.iter().map(|&i| (self.violation(i, p), i)));
        keep_largest(worst, CAP);
        for &(_, i) in &*worst {
            self.enter(i);
        }
    }
}

/// Keep the `n` largest; equal ones by the smaller item, so that the choice is unique.
fn keep_largest(of: &mut Vec<(f64, u32)>, n: usize) {
    if n == 0 {
        of.clear();
    } else if of.len() > n {
        of.select_nth_unstable_by(n - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        of.truncate(n);
    }
    of.sort_unstable_by_key(|&(_, i)| i);
}
