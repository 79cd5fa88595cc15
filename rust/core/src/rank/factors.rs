//! Lists from factors: a blocked product whose scores never leave the cache.
//!
//! A score is the sum over the factors in ascending order, each term added by one fused
//! multiplication: the same bits in any tile, any batch and on any processor. A tile holds scores
//! of a few hundred items for a vector of users side by side; it is compared with what the lists
//! hold so far and forgotten.
//!
//! Items are taken by descending length of their factors. By the inequality of Cauchy and Schwarz
//! no score exceeds the product of two lengths, so once that falls below the worst score kept for
//! every user of a vector, the rest of the catalogue is left out: exactly, rounding included.
//! Factors trained on data with popular and rare items end early; where lengths are alike nothing
//! is lost.
//!
//! A few users, or users with candidates of their own, are scored one by one (`factors_alone`),
//! after a look at factors that are rounded (`factors_short`).

use std::array::from_fn;
use std::cmp::Ordering;
use std::mem;
use std::sync::OnceLock;

use ndarray::{ArrayView1, ArrayView2, Axis};
use pulp::{Simd, WithSimd};

use super::alone::{alone_size, is_alone};
use super::batches::{rank_batches, row};
use super::factors_alone::{Alone, ITEMS};
use super::factors_short::{Bounds, List, ShortFactors};
use super::request::{Filter, Lists, Request, check_users, not_finite};
use super::select::Lanes;
use crate::base::dispatch::dispatch_simd;
use crate::base::memory::{collected, copied, filled, with_room, zeros};
use crate::base::progress::is_small;
use crate::base::{Error, Progress, Result};

const INDEX: &str = "items by length of their factors";
const FACTORS: &str = "factors of users and items";

/// Users side by side: two AVX-512 registers.
const LANES: usize = 32;
/// Items of a panel: with `LANES` their sums fill the registers.
const PANEL: usize = 8;
/// Panels of a tile: packed factors of that many items stay in the second-level cache.
const TILE: usize = 32;
/// Users of a batch, for whom a tile of item factors is packed once.
const USERS: usize = 16 * LANES;

/// What lists from factors need of the items: their order by length, and for single users their
/// factors rounded, which are made when the first one comes.
pub struct FactorIndex {
    lengths: Vec<f32>,
    /// By descending length.
    order: Vec<i32>,
    short: OnceLock<ShortFactors>,
}

impl FactorIndex {
    /// O(items x factors).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error).
    pub fn new(item_factors: ArrayView2<f32>) -> Result<Self> {
        let lengths = collected(item_factors.rows().into_iter().map(length), INDEX)?;
        let mut order = collected(0..lengths.len() as i32, INDEX)?;
        order.sort_unstable_by(|&a, &b| longest_first(&lengths, a, b));
        Ok(Self {
            lengths,
            order,
            short: OnceLock::new(),
        })
    }

    /// Lists from factors: the score of a user and an item is the inner product of their rows.
    ///
    /// `item_factors` must be those that the index was made of.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the shapes do not fit, [`Error::NonFinite`], `Cancelled`.
    pub fn rank(
        &self,
        user_factors: ArrayView2<f32>,
        item_factors: ArrayView2<f32>,
        rows: Rows,
        request: &Request,
        progress: &Progress,
    ) -> Result<Lists> {
        if user_factors.ncols() != item_factors.ncols()
            || item_factors.nrows() != request.n_items
            || self.order.len() != request.n_items
        {
            return Err(Error::invalid(format!(
                "user_factors is {} x {} and item_factors {} x {}, but there are {} items",
                user_factors.nrows(),
                user_factors.ncols(),
                item_factors.nrows(),
                item_factors.ncols(),
                request.n_items
            )));
        }
        match rows {
            Rows::ByUser => check_users(request, user_factors.nrows(), "user_factors")?,
            Rows::ByPosition if user_factors.nrows() < request.users.len() => {
                return Err(Error::invalid(format!(
                    "user_factors has {} rows, but {} users are asked for",
                    user_factors.nrows(),
                    request.users.len()
                )));
            }
            Rows::ByPosition => {}
        }
        let users = Users {
            factors: user_factors,
            rows,
        };
        if is_alone(request) {
            self.rank_alone(users, item_factors, request, progress)
        } else {
            self.rank_together(users, item_factors, request, progress)
        }
    }

    /// Whether [`rank`](Self::rank) takes no longer than starting a thread, and needs none.
    #[must_use]
    pub fn is_small(&self, n_factors: usize, request: &Request) -> bool {
        is_alone(request) && is_small(work(n_factors, request))
    }

    /// One user after the other.
    fn rank_alone(
        &self,
        users: Users,
        item_factors: ArrayView2<f32>,
        request: &Request,
        progress: &Progress,
    ) -> Result<Lists> {
        let n_factors = item_factors.ncols();
        let n_columns = request.most_columns();
        let short = match request.filter.candidates {
            None => Some(self.short(item_factors)?),
            Some(_) => None,
        };
        rank_batches(
            request,
            progress,
            alone_size(request, work(n_factors, request)),
            |_| 0,
            || Alone::new(request, item_factors, n_columns),
            |alone, positions, lists| {
                for (nth, &at) in positions.iter().enumerate() {
                    progress.check()?;
                    let user = users.of(request, at);
                    alone.start(user);
                    if let Some(short) = short {
                        self.offer_all(alone, short, length(user), request, at);
                    } else if let Some(items) = request.columns(at).candidates {
                        for items in items.chunks(ITEMS) {
                            alone.offer(items.iter().copied(), request, at);
                        }
                    }
                    if !alone.is_finite {
                        return Err(not_finite(request.users[at]));
                    }
                    let place = row(nth, request.n);
                    let (items, scores) = (&mut lists.items, &mut lists.scores);
                    let selector = &mut alone.selector;
                    selector.finish(&mut items[place.clone()], &mut scores[place]);
                }
                Ok(())
            },
        )
    }

    /// Score the items that can enter the list of a user.
    fn offer_all(
        &self,
        alone: &mut Alone,
        short: &ShortFactors,
        longest: f32,
        request: &Request,
        at: usize,
    ) {
        // Apart, since the rest changes while it is read.
        let mut rounded = mem::take(&mut alone.short);
        alone.lower.clear();
        let list = Reached {
            order: &self.order,
            alone,
            request,
            at,
        };
        short.scan(&mut rounded, longest, request.n, list);
        alone.short = rounded;
        alone.offer_reaching(request, at);
    }

    fn short(&self, item_factors: ArrayView2<f32>) -> Result<&ShortFactors> {
        if let Some(short) = self.short.get() {
            return Ok(short);
        }
        let short = ShortFactors::new(item_factors, &self.order, &self.lengths)?;
        Ok(self.short.get_or_init(|| short))
    }

    /// Users side by side.
    fn rank_together(
        &self,
        users: Users,
        item_factors: ArrayView2<f32>,
        request: &Request,
        progress: &Progress,
    ) -> Result<Lists> {
        let lengths = &self.lengths;
        let some;
        let mut items = self.order.as_slice();
        if let Some(candidates) = request.same_candidates() {
            let mut sorted = copied(candidates, INDEX)?;
            sorted.sort_unstable_by(|&a, &b| longest_first(lengths, a, b));
            some = sorted;
            items = &some;
        }
        let n_factors = item_factors.ncols();
        let rearranged;
        let factors = if let Some(factors) = item_factors.as_slice() {
            factors
        } else {
            let mut rows = with_room(item_factors.len(), INDEX)?;
            rows.extend(item_factors.iter().copied());
            rearranged = rows;
            &rearranged
        };
        rank_batches(
            request,
            progress,
            USERS,
            |_| 0,
            || Scratch::new(request, items.len(), n_factors),
            |scratch, positions, lists| {
                let groups = positions.len().div_ceil(LANES);
                for (group, positions) in scratch.groups.iter_mut().zip(positions.chunks(LANES)) {
                    group.start(request, positions, users);
                }
                for tile in items.chunks(TILE * PANEL) {
                    progress.check()?;
                    if scratch.groups[..groups].iter().all(|group| group.is_done) {
                        break;
                    }
                    dispatch_simd(Tile {
                        scratch: &mut *scratch,
                        items: tile,
                        lengths,
                        item_factors: factors,
                        n_factors,
                        groups,
                    });
                }
                let mut nth = 0;
                for (group, positions) in scratch.groups.iter_mut().zip(positions.chunks(LANES)) {
                    group.check_finite(request, positions)?;
                    for lane in 0..positions.len() {
                        let at = row(nth, request.n);
                        let (items, scores) = (&mut lists.items, &mut lists.scores);
                        group
                            .lanes
                            .finish(lane, &mut items[at.clone()], &mut scores[at]);
                        nth += 1;
                    }
                    group.forget_left_out(request, positions);
                }
                Ok(())
            },
        )
    }
}

fn longest_first(lengths: &[f32], a: i32, b: i32) -> Ordering {
    let by_length = lengths[b as usize].total_cmp(&lengths[a as usize]);
    by_length.then(a.cmp(&b))
}

/// Items of the list of the user at a position of the request, as far as they are known.
struct Reached<'a, 'b> {
    order: &'a [i32],
    alone: &'a mut Alone<'b>,
    request: &'a Request<'a>,
    at: usize,
}

impl List for Reached<'_, '_> {
    #[inline(always)]
    fn show(&mut self, place: usize, bounds: Bounds) -> f32 {
        let item = self.order[place];
        // Scores that are not finite are found and refused, on the list or not.
        if bounds.upper.is_finite() && self.request.leaves_out(self.at, item) {
            return self.alone.threshold();
        }
        self.alone.wait(item, bounds, self.request, self.at)
    }

    fn settle(&mut self) -> f32 {
        self.alone.offer_reaching(self.request, self.at);
        self.alone.threshold()
    }
}

/// Which row of user factors belongs to a user of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// That of the user's number.
    ByUser,
    /// That of the user's position in the request.
    ByPosition,
}

#[derive(Clone, Copy)]
struct Users<'a> {
    factors: ArrayView2<'a, f32>,
    rows: Rows,
}

impl<'a> Users<'a> {
    fn of(&self, request: &Request, at: usize) -> ArrayView1<'a, f32> {
        let row = match self.rows {
            Rows::ByUser => request.users[at] as usize,
            Rows::ByPosition => at,
        };
        self.factors.index_axis_move(Axis(0), row)
    }
}

/// Multiplications for all users.
fn work(n_factors: usize, request: &Request) -> usize {
    let columns = 0..request.users.len();
    columns.map(|at| request.columns(at).len).sum::<usize>() * n_factors
}

/// The memory of one worker.
struct Scratch {
    groups: Vec<Group>,
    /// Item factors of a tile, panel after panel, factor by factor.
    panels: Vec<[f32; PANEL]>,
}

impl Scratch {
    fn new(request: &Request, n_columns: usize, n_factors: usize) -> Result<Self> {
        let groups = (USERS / LANES).min(request.users.len().div_ceil(LANES));
        let groups = (0..groups).map(|_| Group::new(request, n_columns, n_factors));
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
            panels: filled(TILE.saturating_mul(n_factors), [0.0; PANEL], FACTORS)?,
        })
    }
}

/// Score the items of a tile for the first `groups` groups.
struct Tile<'a> {
    scratch: &'a mut Scratch,
    items: &'a [i32],
    lengths: &'a [f32],
    /// Row after row.
    item_factors: &'a [f32],
    n_factors: usize,
    groups: usize,
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Scratch { groups, panels } = self.scratch;
        let n_factors = self.n_factors;
        for (nth, items) in self.items.chunks(PANEL).enumerate() {
            let panel = &mut panels[nth * n_factors..(nth + 1) * n_factors];
            // Places without an item repeat the last one; their scores are not read.
            let rows: [&[f32]; PANEL] = from_fn(|r| {
                let item = items[r.min(items.len() - 1)] as usize;
                &self.item_factors[item * n_factors..(item + 1) * n_factors]
            });
            for (k, line) in panel.iter_mut().enumerate() {
                *line = from_fn(|r| rows[r][k]);
            }
        }
        for group in &mut groups[..self.groups] {
            for (nth, items) in self.items.chunks(PANEL).enumerate() {
                // Later items are no longer than the first of a panel.
                group.is_done |= !group.can_reach(simd, self.lengths[items[0] as usize]);
                if group.is_done {
                    break;
                }
                let panel = &panels[nth * n_factors..(nth + 1) * n_factors];
                let scores = product(simd, panel, &group.factors);
                for (&item, scores) in items.iter().zip(&scores) {
                    group.offer(simd, item, scores);
                }
            }
        }
    }
}

/// Users side by side.
struct Group {
    /// Their factors, factor by factor.
    factors: Vec<[f32; LANES]>,
    /// Lengths of their factors.
    lengths: [f32; LANES],
    /// Whether no further item can enter a list.
    is_done: bool,
    /// One bit a user for each item that is left out.
    left_out: Vec<u32>,
    lanes: Lanes<LANES>,
    /// Stays zero while every score is finite.
    zeros: [f32; LANES],
}

impl Group {
    fn new(request: &Request, n_columns: usize, n_factors: usize) -> Result<Self> {
        let Filter { seen, excluded, .. } = request.filter;
        let leaves_out = seen.is_some() || excluded.is_some();
        Ok(Self {
            factors: filled(n_factors, [0.0; LANES], FACTORS)?,
            lengths: [0.0; LANES],
            is_done: false,
            left_out: zeros(if leaves_out { request.n_items } else { 0 }, INDEX)?,
            lanes: Lanes::new(request.n, n_columns)?,
            zeros: [0.0; LANES],
        })
    }

    fn start(&mut self, request: &Request, positions: &[usize], users: Users) {
        self.factors.fill([0.0; LANES]);
        self.lengths = [0.0; LANES];
        self.is_done = false;
        self.zeros = [0.0; LANES];
        self.lanes.start(positions.len());
        for (lane, &at) in positions.iter().enumerate() {
            let user = users.of(request, at);
            for (line, &x) in self.factors.iter_mut().zip(user) {
                line[lane] = x;
            }
            self.lengths[lane] = length(user);
            for item in request.left_out(at) {
                self.left_out[item as usize] |= 1 << lane;
            }
        }
    }

    /// Whether an item of this length could enter the list of one user at least.
    ///
    /// A length that is not a number could, so that its scores are made and refused.
    #[inline(always)]
    fn can_reach<S: Simd>(&self, simd: S, item: f32) -> bool {
        let (at_least, _) = S::as_simd_f32s(self.lanes.at_least());
        let (lengths, _) = S::as_simd_f32s(&self.lengths);
        let item = simd.splat_f32s(item);
        let width = size_of::<S::f32s>() / size_of::<f32>();
        let mut can = false;
        for (&at_least, &length) in at_least.iter().zip(lengths) {
            let short = simd.less_than_f32s(simd.mul_f32s(item, length), at_least);
            can |= simd.first_true_m32s(simd.not_m32s(short)) < width;
        }
        can
    }

    #[inline(always)]
    fn offer<S: Simd>(&mut self, simd: S, item: i32, scores: &[f32; LANES]) {
        let (vectors, _) = S::as_simd_f32s(scores);
        let (at_least, _) = S::as_simd_f32s(self.lanes.at_least());
        let (zeros, _) = S::as_mut_simd_f32s(&mut self.zeros);
        let nothing = simd.splat_f32s(0.0);
        let width = size_of::<S::f32s>() / size_of::<f32>();
        let mut passing = false;
        for ((&scores, &at_least), zeros) in vectors.iter().zip(at_least).zip(zeros) {
            *zeros = simd.mul_add_f32s(scores, nothing, *zeros);
            let good = simd.greater_than_or_equal_f32s(scores, at_least);
            passing |= simd.first_true_m32s(good) < width;
        }
        // Hardly ever is one good enough.
        if passing {
            let left_out = &self.left_out;
            let left_out = || left_out.get(item as usize).copied().unwrap_or(0);
            self.lanes.offer::<false>(item, scores, left_out);
        }
    }

    fn check_finite(&self, request: &Request, positions: &[usize]) -> Result<()> {
        match positions.iter().zip(&self.zeros).find(|&(_, &z)| z != 0.0) {
            Some((&at, _)) => Err(not_finite(request.users[at])),
            None => Ok(()),
        }
    }

    fn forget_left_out(&mut self, request: &Request, positions: &[usize]) {
        for &at in positions {
            for item in request.left_out(at) {
                self.left_out[item as usize] = 0;
            }
        }
    }
}

/// Length of a row, rounded up so far that the product of two lengths bounds every computed score.
///
/// Adding k products in single precision errs by no more than k / 2^24 of that product; half of it
/// goes to each side, and a little for the roundings of the bound itself.
fn length(row: ArrayView1<f32>) -> f32 {
    let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
    let slack = 1.0 + (row.len() as f64 + 16.0) / f64::from(1 << 24);
    (squares.sqrt() * slack) as f32
}

/// Scores of the items of a panel for the users of a group.
///
/// Two vectors of users at a time: with those of a panel, their sums fill the registers.
#[inline(always)]
fn product<S: Simd>(
    simd: S,
    panel: &[[f32; PANEL]],
    users: &[[f32; LANES]],
) -> [[f32; LANES]; PANEL] {
    let mut scores = [[0f32; LANES]; PANEL];
    let vectors = LANES * size_of::<f32>() / size_of::<S::f32s>();
    for at in (0..vectors).step_by(2) {
        let mut sums = [[simd.splat_f32s(0.0); 2]; PANEL];
        for (items, users) in panel.iter().zip(users) {
            let (users, _) = S::as_simd_f32s(users);
            let (left, right) = (users[at], users[at + 1]);
            for (sums, &item) in sums.iter_mut().zip(items) {
                let item = simd.splat_f32s(item);
                sums[0] = simd.mul_add_f32s(item, left, sums[0]);
                sums[1] = simd.mul_add_f32s(item, right, sums[1]);
            }
        }
        for (scores, sums) in scores.iter_mut().zip(sums) {
            let (scores, _) = S::as_mut_simd_f32s(scores);
            scores[at] = sums[0];
            scores[at + 1] = sums[1];
        }
    }
    scores
}
