//! Random sets of items for adversarial training: what a user is taken not to have chosen.
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
//! byte does for each. Weighted subsets by the smallest of exponential variables with the weights as
//! rates (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006). Draws by
//! inversion of the cumulative sums.
//! Deviation: none.
//! Cost: O(items) per row, with an eighth of a random number per item for the uniform law, one for
//! the weighted; memory a row of scratch per worker beside the batch that is written.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::rng::Rng;
use crate::rows::ScratchPool;
use crate::simd::widest;
use crate::sparse::CsrView;

/// What a sampled set depends on, beside the row it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Seed of the model.
    pub seed: u64,
    /// Which of its sets, an epoch for instance.
    pub stream: u64,
}

/// A batch of rows of `urm` with the share of their unobserved items to sample.
#[derive(Debug, Clone, Copy)]
pub struct Masks<'a> {
    urm: CsrView<'a>,
    rows: &'a [i64],
    ratio: f64,
    keep_observed: bool,
    key: Key,
}

impl<'a> Masks<'a> {
    /// Check rows and share; with `keep_observed` the cells of `urm` keep their values in the
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

    /// Put observed cells to what the caller wants of them.
    fn settle_observed(&self, row: usize, mask: &mut [f32]) {
        for (item, value) in self.urm.row(row) {
            mask[item] = if self.keep_observed { value } else { 0.0 };
        }
    }

    fn fill<S: Send>(
        &self,
        out: &mut [f32],
        progress: &Progress,
        scratch: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize, usize, &mut [f32]) -> Result<()> + Sync,
    ) -> Result<()> {
        let n = self.urm.n_cols();
        if out.len() != self.rows.len() * n {
            return Err(Error::invalid(format!(
                "out has {} cells but {} rows of {n} items need {}",
                out.len(),
                self.rows.len(),
                self.rows.len() * n
            )));
        }
        progress.start(self.rows.len() as u64);
        let pool = ScratchPool::new(scratch);
        let done: Vec<Result<()>> = out
            .par_chunks_mut(n.max(1))
            .zip(self.rows)
            .enumerate()
            .map(|(place, (mask, &row))| {
                pool.with(|s| work(s, place, row as usize, mask))?;
                self.settle_observed(row as usize, mask);
                progress.advance(1)
            })
            .collect();
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
/// `out` is row-major, one row of `n_cols` cells for each of the rows asked for.
///
/// # Errors
/// [`Error::InvalidArgument`] if `out` has another size; [`Error::Cancelled`].
pub fn mask_uniform(masks: &Masks, out: &mut [f32], progress: &Progress) -> Result<()> {
    masks.fill(
        out,
        progress,
        || (),
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
    masks.fill(out, progress, Vec::<u64>::new, |keys, place, row, mask| {
        let weights = &weights[place * n..(place + 1) * n];
        let rng = Rng::at(masks.key.seed, masks.key.stream, row as u64);
        keys.resize(n, 0);
        let unsound = widest(|| waiting_times(&rng, weights, keys));
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
/// from zero upwards, above the number of the item. Says whether a weight is not positive and finite.
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
    if counts.len() != rows.len() || weights.len() != rows.len() * n_items {
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
    let pool = ScratchPool::new(Vec::<f64>::new);
    let drawn: Vec<Result<Vec<i32>>> = weights
        .par_chunks(n_items)
        .zip(rows)
        .zip(counts)
        .map(|((weights, &row), &count)| {
            progress.advance(1)?;
            pool.with(|sums| draw_row(weights, row, count as usize, key, sums))
        })
        .collect();
    let mut items = Vec::with_capacity(counts.iter().sum::<i64>() as usize);
    for row in drawn {
        items.extend(row?);
    }
    Ok(items)
}

fn draw_row(
    weights: &[f32],
    row: i64,
    count: usize,
    key: Key,
    sums: &mut Vec<f64>,
) -> Result<Vec<i32>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let (total, unsound) = widest(|| piece_sums(weights, sums));
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
    Ok((0..count)
        .map(|_| find(weights, sums, rng.unit() * total))
        .collect())
}

/// Items that are summed before anybody looks for one of them.
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
mod tests {
    use super::*;
    use crate::sparse::CsrMatrix;

    const KEY: Key = Key { seed: 3, stream: 1 };

    fn urm(n_cols: usize, rows: &[&[i32]], values: Option<Vec<f32>>) -> CsrMatrix {
        let mut indptr = vec![0];
        for row in rows {
            indptr.push(indptr[indptr.len() - 1] + row.len() as i64);
        }
        CsrMatrix::try_new(n_cols, indptr, rows.concat(), values).expect("valid")
    }

    fn uniform(urm: &CsrMatrix, rows: &[i64], ratio: f64, key: Key) -> Vec<f32> {
        let masks = Masks::try_new(urm.view(), rows, ratio, false, key).expect("valid");
        let mut out = vec![f32::NAN; rows.len() * urm.view().n_cols()];
        mask_uniform(&masks, &mut out, &Progress::new()).expect("fills");
        out
    }

    #[test]
    fn exactly_the_floor_of_the_share_is_sampled_and_never_an_observed_item() {
        let n = 203;
        let full: Vec<i32> = (0..n).collect();
        let most: Vec<i32> = (0..n).filter(|i| i % 29 != 3).collect();
        let urm = urm(n as usize, &[&[], &[5], &[0, 100, 202], &most, &full], None);
        for ratio in [0.0, 1e-3, 0.02, 0.3, 0.5, 0.77, 0.995, 0.999, 1.0] {
            for (weighted, stream) in [(false, 0), (false, 1), (true, 0)] {
                let rows = [0, 1, 2, 3, 4];
                let key = Key { seed: 8, stream };
                let masks = Masks::try_new(urm.view(), &rows, ratio, false, key).expect("valid");
                let mut out = vec![f32::NAN; 5 * n as usize];
                if weighted {
                    let weights: Vec<f32> = (0..out.len()).map(|i| 1.0 + (i % 7) as f32).collect();
                    mask_weighted(&masks, &weights, &mut out, &Progress::new()).expect("fills");
                } else {
                    mask_uniform(&masks, &mut out, &Progress::new()).expect("fills");
                }
                for (row, mask) in out.chunks(n as usize).enumerate() {
                    let view = urm.view();
                    let observed = view.cols(row);
                    let unobserved = n as usize - observed.len();
                    let wanted = (unobserved as f64 * ratio).floor() as usize;
                    assert!(mask.iter().all(|&x| x == 0.0 || x == 1.0));
                    let ones = mask.iter().filter(|&&x| x == 1.0).count();
                    assert_eq!(ones, wanted, "ratio {ratio}, row {row}");
                    assert!(observed.iter().all(|&i| mask[i as usize] == 0.0));
                }
            }
        }
    }

    #[test]
    fn observed_cells_keep_their_values_when_asked_to() {
        let urm = urm(6, &[&[1, 4]], Some(vec![2.5, 3.0]));
        let masks = Masks::try_new(urm.view(), &[0], 0.0, true, KEY).expect("valid");
        let mut out = vec![9.0; 6];
        mask_uniform(&masks, &mut out, &Progress::new()).expect("fills");
        assert_eq!(out, [0.0, 2.5, 0.0, 0.0, 3.0, 0.0]);
    }

    /// Chi-squared of observed counts against expected ones.
    fn chi2(counts: &[f64], expected: &[f64]) -> f64 {
        counts
            .iter()
            .zip(expected)
            .map(|(c, e)| (c - e).powi(2) / e)
            .sum()
    }

    #[test]
    fn every_subset_is_equally_likely() {
        // 3 of 6 unobserved items: 20 subsets; the observed item 2 sits among them.
        let urm = urm(7, &[&[2]], None);
        let mut counts = std::collections::HashMap::new();
        let runs = 40_000u64;
        for stream in 0..runs {
            let mask = uniform(&urm, &[0], 0.5, Key { seed: 1, stream });
            let set = mask
                .iter()
                .fold(0u32, |set, &x| 2 * set + u32::from(x > 0.0));
            *counts.entry(set).or_insert(0.0) += 1.0;
        }
        assert_eq!(counts.len(), 20);
        let counts: Vec<f64> = counts.into_values().collect();
        // 99.99% of uniform ones stay below 50.8 with 19 degrees of freedom.
        let distance = chi2(&counts, &[runs as f64 / 20.0; 20]);
        assert!(distance < 50.8, "{distance}");
    }

    #[test]
    fn weighted_subsets_follow_successive_draws() {
        // Two of three items with weights 1, 2, 5, one after the other without replacement.
        let w = [1.0f64, 2.0, 5.0];
        let total: f64 = w.iter().sum();
        let pair = |a: usize, b: usize| {
            w[a] / total * w[b] / (total - w[a]) + w[b] / total * w[a] / (total - w[b])
        };
        let expected = [pair(1, 2), pair(0, 2), pair(0, 1)];
        let urm = urm(4, &[&[1]], None);
        let runs = 40_000u64;
        let mut without = [0.0; 3];
        for stream in 0..runs {
            let key = Key { seed: 2, stream };
            let masks = Masks::try_new(urm.view(), &[0], 0.7, false, key).expect("valid");
            let mut out = [0.0; 4];
            let weights = [1.0, f32::NAN, 2.0, 5.0];
            mask_weighted(&masks, &weights, &mut out, &Progress::new()).expect("fills");
            let left = [out[0], out[2], out[3]].iter().position(|&x| x == 0.0);
            without[left.expect("one is left out")] += 1.0;
        }
        let expected = expected.map(|p| p * runs as f64);
        // 99.99% stay below 18.4 with 2 degrees of freedom.
        assert!(chi2(&without, &expected) < 18.4, "{without:?} {expected:?}");
    }

    #[test]
    fn the_logarithm_is_one() {
        let mut x = 2f64.powi(-53);
        while x <= 1.0 {
            let near = [x, x * 1.3, x * 1.414_213_56, x * 1.999];
            for x in near {
                assert!((ln(x) - x.ln()).abs() <= 1e-10 * x.ln().abs(), "{x}");
            }
            x *= 2.0;
        }
        let close = 1.0 - 2f64.powi(-50);
        assert!((ln(close) / close.ln() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn draws_over_many_pieces_follow_their_weights() {
        let weights: Vec<f32> = (0..200).map(|i| (i % 4) as f32).collect();
        let runs = 150_000;
        let items = draw_items(&weights, 200, &[0], &[runs], KEY, &Progress::new()).expect("ok");
        let mut counts = vec![0.0; 200];
        for item in items {
            counts[item as usize] += 1.0;
        }
        let total: f32 = weights.iter().sum();
        let (seen, wanted): (Vec<f64>, Vec<f64>) = counts
            .iter()
            .zip(&weights)
            .filter(|(_, w)| **w > 0.0)
            .map(|(&c, &w)| (c, f64::from(w / total) * runs as f64))
            .unzip();
        assert_eq!(seen.iter().sum::<f64>(), runs as f64);
        // 99.99% stay below 221 with 149 degrees of freedom.
        assert!(chi2(&seen, &wanted) < 221.0);
    }

    #[test]
    fn draws_follow_their_weights() {
        let weights = [0.0f32, 1.0, 0.0, 2.0, 3.0, 0.0];
        let items = draw_items(&weights, 6, &[7], &[60_000], KEY, &Progress::new()).expect("draws");
        let mut counts = [0.0; 6];
        for item in items {
            counts[item as usize] += 1.0;
        }
        assert_eq!(counts[0] + counts[2] + counts[5], 0.0);
        let seen = [counts[1], counts[3], counts[4]];
        let distance = chi2(&seen, &[10_000.0, 20_000.0, 30_000.0]);
        assert!(distance < 18.4, "{counts:?}");
    }

    #[test]
    fn neither_threads_nor_batches_change_a_set() {
        let urm = urm(500, &[&[1, 3], &[], &[499], &[7]], None);
        let view = urm.view();
        let rows = [0, 1, 2, 3];
        let weights: Vec<f32> = (0..2000).map(|i| 1.0 + (i % 11) as f32).collect();
        let all = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("a pool")
                .install(|| {
                    let masks = Masks::try_new(view, &rows, 0.4, false, KEY).expect("valid");
                    let mut weighted = vec![0.0; 2000];
                    mask_weighted(&masks, &weights, &mut weighted, &Progress::new()).expect("ok");
                    let counts = [3, 0, 5, 1];
                    let drawn = draw_items(&weights, 500, &rows, &counts, KEY, &Progress::new());
                    (
                        uniform(&urm, &rows, 0.4, KEY),
                        weighted,
                        drawn.expect("draws"),
                    )
                })
        };
        let one = all(1);
        assert_eq!(one, all(2));
        assert_eq!(one, all(3));
        assert_eq!(one.0[1000..1500], uniform(&urm, &[2], 0.4, KEY));
        assert_ne!(one.0, uniform(&urm, &rows, 0.4, Key { seed: 3, stream: 2 }));
    }

    #[test]
    fn what_cannot_be_sampled_is_refused_by_name() {
        let urm = urm(3, &[&[0], &[]], None);
        let refused = |ratio, rows: &[i64]| {
            Masks::try_new(urm.view(), rows, ratio, false, KEY)
                .expect_err("refused")
                .to_string()
        };
        assert!(refused(1.5, &[0]).contains("ratio must be between 0 and 1, not 1.5"));
        assert!(refused(f64::NAN, &[0]).contains("not NaN"));
        assert!(refused(0.5, &[2]).contains("row 2 does not exist"));
        assert!(refused(0.5, &[-1]).contains("row -1 does not exist"));
        let masks = Masks::try_new(urm.view(), &[0, 1], 0.5, false, KEY).expect("valid");
        let progress = Progress::new();
        let message = mask_uniform(&masks, &mut [0.0; 5], &progress).expect_err("refused");
        assert!(message.to_string().contains("out has 5 cells"));
        let weights = [1.0, -1.0, 1.0, 1.0, 1.0, 1.0];
        let message = mask_weighted(&masks, &weights, &mut [0.0; 6], &progress).expect_err("no");
        assert!(message.to_string().contains("item 1 for row 0"));
        let draw = |weights: &[f32], counts: &[i64]| {
            draw_items(weights, 2, &[4], counts, KEY, &progress)
                .expect_err("refused")
                .to_string()
        };
        assert!(draw(&[0.0, 0.0], &[1]).contains("all weights of row 4 are zero"));
        assert!(draw(&[0.0, f32::NAN], &[1]).contains("item 1 for row 4"));
        assert!(draw(&[0.0, 1.0], &[-1]).contains("not -1"));
        assert!(draw(&[1.0], &[1]).contains("1 weights of 2 items"));
    }

    #[test]
    fn a_cancelled_run_stops() {
        let urm = urm(3, &[&[0]], None);
        let progress = Progress::new();
        progress.cancel();
        let masks = Masks::try_new(urm.view(), &[0], 0.5, false, KEY).expect("valid");
        let stopped = mask_uniform(&masks, &mut [0.0; 3], &progress);
        assert_eq!(stopped, Err(Error::Cancelled));
        let drawn = draw_items(&[1.0; 3], 3, &[0], &[1], KEY, &progress);
        assert_eq!(drawn, Err(Error::Cancelled));
    }
}
