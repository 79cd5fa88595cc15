//! Random sets of items for adversarial training: items assumed not to be chosen by a user.
//!
//! Three laws, all keyed by `(seed, stream, row)`, so that a set can be made again instead of being
//! kept, and is the same for any number of threads and any cut into batches:
//!
//! - [`mask_uniform`]: a uniform subset of given size of the items a row does not hold;
//! - [`mask_weighted`]: successive draws without replacement from them, in proportion to weights;
//! - [`draw_items`]: independent draws from all items in proportion to weights.
//!
//! Source: uniform subsets by independent coins whose number of heads is then corrected at random
//! places. Given the number of heads, which items show heads is exchangeable, and stays so while
//! random heads are added or taken away; hence the coins need not be fair to the last bit, and a
//! byte does for each. Weighted subsets by the smallest of exponential variables with the weights
//! as rates (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006). Draws by
//! inversion of the cumulative sums. Deviation: none. Cost: O(items) per row, with an eighth of a
//! random number per item for the uniform law, one for the weighted; memory a row of scratch per
//! worker besides the batch that is written.

use rayon::prelude::*;

use crate::base::dispatch::dispatch;
use crate::base::memory::{reserve, with_room};
use crate::base::rng::Rng;
use crate::base::rows::ScratchPool;
use crate::base::{CsrView, Error, Progress, Result};

const DRAWS: &str = "drawn items";

/// What a sampled set depends on, besides its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Seed of the model.
    pub seed: u64,
    /// Which of its sets, an epoch for instance.
    pub stream: u64,
}

/// A batch of rows of `urm` with the fraction of their unobserved items to sample.
#[derive(Debug, Clone, Copy)]
pub struct Masks<'a> {
    urm: CsrView<'a>,
    rows: &'a [i64],
    ratio: f64,
    keep_observed: bool,
    key: Key,
}

impl<'a> Masks<'a> {
    /// Check rows and fraction; with `keep_observed` the cells of `urm` keep their values in the
    /// masks, else they are zero.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if a row does not exist or `ratio` is not within 0..=1.
    pub fn try_new(
        urm: CsrView<'a>,
        rows: &'a [i64],
        ratio: f64,
        keep_observed: bool,
        key: Key,
    ) -> Result<Self> {
        if !(0.0..=1.0).contains(&ratio) {
            return Err(Error::invalid(format!(
                "ratio must be between 0 and 1, not {ratio}"
            )));
        }
        check_rows(rows, urm.n_rows())?;
        Ok(Self {
            urm,
            rows,
            ratio,
            keep_observed,
            key,
        })
    }

    /// How many items are sampled for a row: `floor(ratio * unobserved)`.
    #[must_use]
    pub fn size(&self, row: usize) -> usize {
        let unobserved = self.urm.n_cols() - self.urm.row_len(row);
        // The product of a whole number and 1.0 is exact, so the floor never exceeds the number.
        (unobserved as f64 * self.ratio) as usize
    }

    /// Set observed cells to their values or to zero.
    fn settle_observed(&self, row: usize, mask: &mut [f32]) {
        for (item, value) in self.urm.row(row) {
            mask[item] = if self.keep_observed { value } else { 0.0 };
        }
    }

    fn fill<S: Send>(
        &self,
        out: &mut [f32],
        progress: &Progress,
        scratch: impl Fn() -> Result<S> + Sync,
        work: impl Fn(&mut S, usize, usize, &mut [f32]) -> Result<()> + Sync,
    ) -> Result<()> {
        let n = self.urm.n_cols();
        if Some(out.len()) != self.rows.len().checked_mul(n) {
            return Err(Error::invalid(format!(
                "out has {} cells, which is not {} rows of {n} items",
                out.len(),
                self.rows.len()
            )));
        }
        progress.start(self.rows.len() as u64);
        let pool = ScratchPool::new(scratch);
        let mut done: Vec<Result<()>> = with_room(self.rows.len(), DRAWS)?;
        out.par_chunks_mut(n.max(1))
            .zip(self.rows)
            .enumerate()
            .map(|(place, (mask, &row))| {
                pool.with(|s| work(s, place, row as usize, mask))?;
                self.settle_observed(row as usize, mask);
                progress.advance(1)
            })
            .collect_into_vec(&mut done);
        done.into_iter().collect()
    }
}

fn check_rows(rows: &[i64], n_rows: usize) -> Result<()> {
    match rows.iter().find(|&&r| r < 0 || r as usize >= n_rows) {
        Some(row) => Err(Error::invalid(format!(
            "row {row} does not exist: numbers go from 0 to {}",
            n_rows as i64 - 1
        ))),
        None => Ok(()),
    }
}

/// Ones at `floor(ratio * unobserved)` unobserved items of each row, every such set equally likely.
///
/// `out` is row-major, one row of `n_cols` cells for each of the requested rows.
///
/// # Errors
/// [`Error::InvalidArgument`] if `out` has another size; [`Error::Cancelled`].
pub fn mask_uniform(masks: &Masks, out: &mut [f32], progress: &Progress) -> Result<()> {
    masks.fill(
        out,
        progress,
        || Ok(()),
        |(), _, row, mask| {
            let mut rng = Rng::at(masks.key.seed, masks.key.stream, row as u64);
            uniform_row(masks, row, &mut rng, mask);
            Ok(())
        },
    )
}

const OBSERVED: f32 = -1.0;

fn uniform_row(masks: &Masks, row: usize, rng: &mut Rng, mask: &mut [f32]) {
    let observed = masks.urm.cols(row);
    let unobserved = mask.len() - observed.len();
    let wanted = masks.size(row);
    if wanted == 0 || wanted == unobserved {
        mask.fill(f32::from(u8::from(wanted > 0)));
        return;
    }
    // A coin shows heads if its byte is below this.
    let heads = (256.0 * wanted as f64 / unobserved as f64).round() as u64;
    let mut count = 0u32;
    for cells in mask.chunks_mut(8) {
        let coins = rng.next_u64();
        for (at, cell) in cells.iter_mut().enumerate() {
            let head = (coins >> (8 * at)) & 0xff < heads;
            count += u32::from(head);
            *cell = f32::from(u8::from(head));
        }
    }
    for &item in observed {
        count -= u32::from(mask[item as usize] > 0.0);
        mask[item as usize] = OBSERVED;
    }
    let mut count = count as usize;
    // Each turn takes as many tries as cells there are for each cell that fits; over all turns
    // that is at worst n log n, and a few hundred as a rule.
    while count != wanted {
        let (from, to) = if count < wanted {
            (0.0, 1.0)
        } else {
            (1.0, 0.0)
        };
        let place = rng.below(mask.len() as u64) as usize;
        let cell = &mut mask[place];
        if *cell == from {
            *cell = to;
            count = if to > 0.0 { count + 1 } else { count - 1 };
        }
    }
}

/// As [`mask_uniform`], but items drawn one after the other in proportion to their weights.
///
/// `weights` is laid out as `out`; what it holds at observed items does not matter.
///
/// # Errors
/// [`Error::InvalidArgument`] if a size is wrong or a weight of an unobserved item is not positive
/// and finite; [`Error::Cancelled`].
pub fn mask_weighted(
    masks: &Masks,
    weights: &[f32],
    out: &mut [f32],
    progress: &Progress,
) -> Result<()> {
    if weights.len() != out.len() {
        return Err(Error::invalid(format!(
            "weights has {} cells but out has {}",
            weights.len(),
            out.len()
        )));
    }
    let n = masks.urm.n_cols();
    let scratch = || with_room::<u64>(n, DRAWS);
    masks.fill(out, progress, scratch, |keys, place, row, mask| {
        let weights = &weights[place * n..(place + 1) * n];
        let rng = Rng::at(masks.key.seed, masks.key.stream, row as u64);
        keys.resize(n, 0);
        let unsound = dispatch(|| waiting_times(&rng, weights, keys));
        if unsound {
            // Perhaps only where it does not matter.
            check_unobserved(masks.urm.cols(row), weights, row)?;
        }
        for &item in masks.urm.cols(row) {
            keys[item as usize] = u64::MAX;
        }
        let wanted = masks.size(row);
        mask.fill(0.0);
        if wanted > 0 && wanted < n {
            keys.select_nth_unstable(wanted - 1);
        }
        for key in &keys[..wanted] {
            mask[(key & 0xffff_ffff) as usize] = 1.0;
        }
        Ok(())
    })
}

/// An exponential variable with each weight as its rate: its bits, which are in the order of floats
/// from zero upwards, above the number of the item. Says whether a weight is not positive and
/// finite.
#[inline(always)]
fn waiting_times(rng: &Rng, weights: &[f32], keys: &mut [u64]) -> bool {
    let mut unsound = false;
    for (item, (key, &weight)) in keys.iter_mut().zip(weights).enumerate() {
        // From 2^-53 to 1: its logarithm is finite.
        let uniform = ((rng.ahead(item as u64) >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64);
        let waiting = (-ln(uniform) / f64::from(weight)) as f32;
        unsound |= !(weight > 0.0 && weight < f32::INFINITY);
        *key = (u64::from(waiting.to_bits()) << 32) | item as u64;
    }
    unsound
}

/// Natural logarithm of a normal number within 1e-10, without a branch or a call: an exponent and
/// the series of the inverse hyperbolic tangent.
#[inline(always)]
fn ln(x: f64) -> f64 {
    // The bits of sqrt(1/2), so that the mantissa comes out between it and sqrt(2).
    const HALF_ROOT: u64 = 0x3fe6_a09e_667f_3bcd;
    let bits = x.to_bits().wrapping_sub(HALF_ROOT);
    let exponent = f64::from((bits.cast_signed() >> 52) as i32);
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) + HALF_ROOT) - 1.0;
    let s = mantissa / (2.0 + mantissa);
    let z = s * s;
    let series = 1.0 / 9.0 + z * (1.0 / 11.0 + z * (1.0 / 13.0));
    let series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * series)));
    exponent * std::f64::consts::LN_2 + 2.0 * s * series
}

fn check_unobserved(observed: &[i32], weights: &[f32], row: usize) -> Result<()> {
    let mut observed = observed.iter().peekable();
    for (item, &weight) in weights.iter().enumerate() {
        let matters = observed.next_if(|&&o| o as usize == item).is_none();
        if matters && !(weight > 0.0 && weight.is_finite()) {
            return Err(Error::invalid(format!(
                "the weight of item {item} for row {row} must be positive and finite, not {weight}"
            )));
        }
    }
    Ok(())
}

/// Draw `counts[r]` items for row `rows[r]`, with replacement, in proportion to `weights`.
///
/// `weights` is row-major with `n_items` cells for each row; the answer holds the draws of the
/// first row, then those of the second and so on.
///
/// # Errors
/// [`Error::InvalidArgument`] if sizes do not fit, a count is negative, a weight is negative or not
/// finite, or all weights of a row are zero; [`Error::Cancelled`].
pub fn draw_items(
    weights: &[f32],
    n_items: usize,
    rows: &[i64],
    counts: &[i64],
    key: Key,
    progress: &Progress,
) -> Result<Vec<i32>> {
    if counts.len() != rows.len() || Some(weights.len()) != rows.len().checked_mul(n_items) {
        return Err(Error::invalid(format!(
            "there are {} rows, {} counts and {} weights of {n_items} items",
            rows.len(),
            counts.len(),
            weights.len()
        )));
    }
    if n_items == 0 || n_items > i32::MAX as usize {
        return Err(Error::invalid(format!(
            "weights must have between 1 and {} columns, not {n_items}",
            i32::MAX
        )));
    }
    if let Some(count) = counts.iter().find(|&&c| c < 0) {
        return Err(Error::invalid(format!(
            "counts must not be negative, not {count}"
        )));
    }
    progress.start(rows.len() as u64);
    let total = counts
        .iter()
        .fold(0usize, |n, &c| n.saturating_add(c as usize));
    let mut items = with_room(total, DRAWS)?;
    let pool = ScratchPool::new(|| Ok(Vec::new()));
    let mut drawn: Vec<Result<Vec<i32>>> = with_room(rows.len(), DRAWS)?;
    weights
        .par_chunks(n_items)
        .zip(rows)
        .zip(counts)
        .map(|((weights, &row), &count)| {
            progress.advance(1)?;
            pool.with(|sums| draw_row(weights, (row, count as usize), key, sums, progress))
        })
        .collect_into_vec(&mut drawn);
    for row in drawn {
        items.extend(row?);
    }
    Ok(items)
}

fn draw_row(
    weights: &[f32],
    (row, count): (i64, usize),
    key: Key,
    sums: &mut Vec<f64>,
    progress: &Progress,
) -> Result<Vec<i32>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    sums.clear();
    reserve(sums, weights.len().div_ceil(PIECE), DRAWS)?;
    let (total, unsound) = dispatch(|| piece_sums(weights, sums));
    if unsound {
        let item = weights.iter().position(|&w| !(w >= 0.0 && w.is_finite()));
        let item = item.unwrap_or(0);
        return Err(Error::invalid(format!(
            "the weight of item {item} for row {row} must be at least 0 and finite, not {}",
            weights[item]
        )));
    }
    if total <= 0.0 {
        return Err(Error::invalid(format!("all weights of row {row} are zero")));
    }
    let mut rng = Rng::at(key.seed, key.stream, row as u64);
    let mut items = with_room(count, DRAWS)?;
    for at in 0..count {
        progress.look(at)?;
        items.push(find(weights, sums, rng.unit() * total));
    }
    Ok(items)
}

/// Items per partial sum, searched before single items.
const PIECE: usize = 64;
const LANES: usize = 8;

/// Cumulative sums at the ends of pieces of the weights; the last one, and whether a weight is
/// negative or not finite.
#[inline(always)]
fn piece_sums(weights: &[f32], sums: &mut Vec<f64>) -> (f64, bool) {
    sums.clear();
    let (mut total, mut unsound) = (0.0, false);
    for piece in weights.chunks(PIECE) {
        let mut lanes = [0.0f64; LANES];
        let (whole, rest) = piece.as_chunks::<LANES>();
        for some in whole {
            for (lane, &weight) in lanes.iter_mut().zip(some) {
                unsound |= !(0.0..f32::INFINITY).contains(&weight);
                *lane += f64::from(weight);
            }
        }
        for (lane, &weight) in lanes.iter_mut().zip(rest) {
            unsound |= !(0.0..f32::INFINITY).contains(&weight);
            *lane += f64::from(weight);
        }
        total += lanes.iter().sum::<f64>();
        sums.push(total);
    }
    (total, unsound)
}

/// The first item whose cumulative sum exceeds `place`; one of weight zero never does first.
fn find(weights: &[f32], sums: &[f64], place: f64) -> i32 {
    let piece = sums
        .partition_point(|&sum| sum <= place)
        .min(sums.len() - 1);
    let mut sum = if piece == 0 { 0.0 } else { sums[piece - 1] };
    let start = piece * PIECE;
    let mut last = start;
    for (at, &weight) in weights[start..].iter().take(PIECE).enumerate() {
        sum += f64::from(weight);
        if weight > 0.0 {
            last = start + at;
            if sum > place {
                break;
            }
        }
    }
    // Where rounding leaves no item, the last one of the piece that has a weight.
    last as i32
}

#[cfg(test)]
mod tests;
