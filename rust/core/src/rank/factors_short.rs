//! Factors of items in a byte each, of which four bits say who can enter the list of a user.
//!
//! One user's scores take as long as reading the factors of all items. So they are rounded to a
//! byte. Of all items its upper half is read, an eighth of the memory, in blocks of items side by
//! side, and of the items that are left the lower half, item after item. Factors of the user are
//! rounded to a byte as well, and scores are sums of integers. Rounding can move a score by no more
//! than ``|q.p - s c.t d| <= |q - s c| |p| + |s c| |p - t d|`` by the inequality of Cauchy and
//! Schwarz, with the integers c and d, and the scales s and t, of the user and of an item. Items
//! whose score stays below the list by this bound are left out, exactly; those that are left are
//! scored in full. Half a byte leaves a few in a hundred, if the items with the highest bounds are
//! looked at first, and a byte few more than there are on the list.

use std::array::from_fn;
use std::cmp::Ordering;
use std::mem::{replace, take};
use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2};

use super::half_bytes::{Arithmetic, Codes, ITEMS, LINE, Line, PIECE, Pair, Piece};
use super::select::not_below;
use crate::base::Result;
use crate::base::dispatch::{Kernel, dispatch, prefetch};
use crate::base::memory::{filled, with_room};

const SHORT: &str = "rounded factors of items";
const BOUNDS: &str = "bounds of the scores of some items";

/// More than is lost of a score where a product of scales is too small to be represented: 2^-150,
/// times a sum below 2^31.
const LOST: f32 = 3e-36;

/// Twice the number by which a factor in four bits, from 0 to 15, lies above what it stands for.
const TWICE_ABOVE: i32 = 15;

/// Blocks of the first part of the catalogue, and of the largest. Each part is twice as large as the
/// one before: the best of it are found first, and say who else of it can be on the list.
const FEWEST_BLOCKS: usize = 16;
const MOST_BLOCKS: usize = 128;

/// Items whose lower halves are on their way at once.
const ON_THEIR_WAY: usize = 16;

/// Factors of all items, rounded.
pub(super) struct ShortFactors {
    lines: Vec<Line>,
    blocks: Vec<Rounding>,
    /// Item after item.
    pieces: Vec<Piece>,
    n_items: usize,
}

/// How the items of a block were rounded. What a slack is, times the length of the user, a score
/// lies above what rounded factors give at most. It is infinite where a factor is not finite, and
/// then nothing is left out.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Rounding {
    /// What the lower halves count in.
    scales: [f32; ITEMS],
    /// Of the upper halves alone.
    slacks: [f32; ITEMS],
    /// Of the bytes, the largest.
    slack: f32,
    /// The largest length of rounded factors, and of the factors as they are.
    length: f32,
    longest: f32,
}

/// What a score does not fall below, and what it does not exceed.
#[derive(Clone, Copy, Default)]
pub(super) struct Bounds {
    pub(super) lower: f32,
    pub(super) upper: f32,
}

impl ShortFactors {
    /// Those of the items in `order`, in blocks of `ITEMS`; `lengths` of items do not ascend in it.
    pub(super) fn new(
        item_factors: ArrayView2<f32>,
        order: &[i32],
        lengths: &[f32],
    ) -> Result<Self> {
        let n_factors = item_factors.ncols();
        let (n_lines, n_pieces) = (n_factors.div_ceil(LINE), n_factors.div_ceil(PIECE));
        let n_blocks = order.len().div_ceil(ITEMS);
        let nothing = Rounding {
            scales: [0.0; ITEMS],
            slacks: [0.0; ITEMS],
            slack: 0.0,
            length: 0.0,
            longest: 0.0,
        };
        let of_all = |n: usize, each: usize| n.saturating_mul(each);
        let mut short = Self {
            lines: filled(of_all(n_blocks, n_lines), Line([[0; 2]; ITEMS]), SHORT)?,
            blocks: filled(n_blocks, nothing, SHORT)?,
            pieces: filled(of_all(order.len(), n_pieces), Piece([0; PIECE / 2]), SHORT)?,
            n_items: order.len(),
        };
        let mut bytes = filled(n_factors, 0, SHORT)?;
        for (nth, items) in order.chunks(ITEMS).enumerate() {
            let lines = &mut short.lines[nth * n_lines..(nth + 1) * n_lines];
            let block = &mut short.blocks[nth];
            block.longest = lengths[items[0] as usize];
            for (place, &item) in items.iter().enumerate() {
                let factors = item_factors.row(item as usize);
                let scale = scale(factors, 127.5);
                let at = nth * ITEMS + place;
                let pieces = &mut short.pieces[at * n_pieces..(at + 1) * n_pieces];
                for (k, (byte, &x)) in bytes.iter_mut().zip(factors).enumerate() {
                    // A number is never out of range; what is none becomes zero.
                    *byte = (x / scale + 127.5).round() as u8;
                    lines[k / LINE].0[place][k % 2] |= *byte >> 4 << (k % LINE / 2 * 4);
                    let low = (*byte & 15) << (k % PIECE / (PIECE / 2) * 4);
                    pieces[k / PIECE].0[k % (PIECE / 2)] |= low;
                }
                let whole = bytes.iter().map(|&byte| f64::from(byte) - 127.5);
                let whole = Rounded::of(factors, scale, whole);
                let upper = bytes.iter().map(|&byte| f64::from(byte >> 4) - 7.5);
                let upper = Rounded::of(factors, 16.0 * scale, upper);
                block.scales[place] = scale;
                block.slacks[place] = upper.slack(n_factors);
                block.slack = block.slack.max(whole.slack(n_factors));
                block.length = block.length.max(up(whole.length)).max(up(upper.length));
            }
        }
        Ok(short)
    }

    /// Show the places of items whose score can reach a threshold to `show`, with their bounds, and
    /// in return be told the threshold from then on; the first is minus infinity.
    ///
    /// About `wanted` items are shown before the threshold is what they make it. `longest` is the
    /// length of the user's factors, such that no score exceeds its product with that of an item.
    pub(super) fn scan(
        &self,
        user: &mut ShortUser,
        longest: f32,
        wanted: usize,
        show: impl FnMut(usize, Bounds) -> f32,
    ) {
        let mut part = take(&mut user.part);
        let kernel = Scan {
            arithmetic: Arithmetic::new(),
            short: self,
            user,
            part: &mut part,
            longest,
            wanted,
            show,
        };
        dispatch(kernel);
        user.part = part;
    }

    fn lower_halves(&self, at: usize, n_pieces: usize) -> &[Piece] {
        &self.pieces[at * n_pieces..(at + 1) * n_pieces]
    }
}

/// Factors of a user, rounded, and the memory of a scan.
#[derive(Default)]
pub(super) struct ShortUser {
    /// In a byte each, by line: beside the low halves of the items, and beside the high ones.
    lines: Vec<[Pair; 2]>,
    /// What is to be taken from twice a sum.
    above: i32,
    /// The same, one factor after the other.
    codes: Vec<Codes>,
    scale: f32,
    /// Length of the difference to what is rounded, rounded up.
    error: f32,
    /// Of the factors themselves, rounded up.
    length: f32,
    part: Part,
}

/// Scores and bounds of items by their upper halves, of some blocks in a row.
#[derive(Default)]
struct Part {
    sums: Vec<[i32; ITEMS]>,
    bounds: Vec<[f32; ITEMS]>,
    /// The highest bound of each block.
    highest: Vec<f32>,
    /// The same, to be reordered.
    sorted: Vec<f32>,
}

impl ShortUser {
    /// With room for so many factors.
    pub(super) fn new(n_factors: usize) -> Result<Self> {
        Ok(Self {
            lines: with_room(n_factors.div_ceil(LINE), SHORT)?,
            codes: with_room(n_factors.div_ceil(PIECE), SHORT)?,
            part: Part {
                sums: with_room(MOST_BLOCKS, BOUNDS)?,
                bounds: with_room(MOST_BLOCKS, BOUNDS)?,
                highest: with_room(MOST_BLOCKS, BOUNDS)?,
                sorted: with_room(MOST_BLOCKS, BOUNDS)?,
            },
            ..Self::default()
        })
    }

    pub(super) fn start(&mut self, factors: &[f32]) {
        let all = ArrayView1::from(factors);
        // Twice the sums of so many products fit into 32 bits, those of upper halves 16 times.
        let product = 2 * 17 * TWICE_ABOVE;
        let most = (i32::MAX / product) as usize / factors.len().max(1);
        let scale = scale(all, most.min(i8::MAX as usize) as f32);
        let code = |k: usize| {
            let factor = factors.get(k);
            factor.map_or(0, |&x| (x / scale).round_ties_even() as i8)
        };
        self.lines.clear();
        self.lines.extend((0..factors.len()).step_by(LINE).map(|k| {
            let pair = |k: usize| Pair([[code(k), code(k + 1)]; 32]);
            [pair(k), pair(k + 2)]
        }));
        self.codes.clear();
        let pieces = (0..factors.len()).step_by(PIECE);
        self.codes
            .extend(pieces.map(|from| Codes(from_fn(|k| code(from + k)))));
        let codes = self.codes.iter().flat_map(|codes| codes.0);
        self.above = TWICE_ABOVE * codes.clone().map(i32::from).sum::<i32>();
        let rounded = Rounded::of(all, scale, codes.map(f64::from));
        self.scale = scale;
        self.error = up(rounded.error);
        self.length = up(rounded.length + 2.0 * rounded.error);
    }
}

/// What a whole number stands for, such that the largest factor is the `most`-th.
fn scale(factors: ArrayView1<f32>, most: f32) -> f32 {
    factors.iter().fold(0f32, |most, x| most.max(x.abs())) / most
}

/// The next number in single precision.
fn up(x: f64) -> f32 {
    (x as f32).next_up()
}

/// Of rounded factors: their length, and that of the difference to the factors.
struct Rounded {
    length: f64,
    error: f64,
}

impl Rounded {
    fn of(factors: ArrayView1<f32>, scale: f32, codes: impl Iterator<Item = f64>) -> Self {
        let (mut squares, mut errors) = (0.0, 0.0);
        for (&x, code) in factors.iter().zip(codes) {
            let rounded = f64::from(scale) * code;
            squares += rounded.powi(2);
            errors += (f64::from(x) - rounded).powi(2);
        }
        Self {
            length: squares.sqrt(),
            error: errors.sqrt(),
        }
    }

    /// By how much a score of factors of the length 1 can lie above that of the rounded ones.
    fn slack(&self, n_factors: usize) -> f32 {
        // A sum of k products in single precision errs by no more than k / 2^24 of the product of
        // the lengths.
        let roundings = (n_factors as f64 + 16.0) / f64::from(1 << 23);
        let slack = up(self.error + roundings * (self.length + 2.0 * self.error));
        if slack.is_finite() {
            slack
        } else {
            f32::INFINITY
        }
    }
}

/// All blocks, a part of them after the other.
struct Scan<'a, F> {
    arithmetic: Arithmetic,
    short: &'a ShortFactors,
    user: &'a ShortUser,
    part: &'a mut Part,
    longest: f32,
    wanted: usize,
    show: F,
}

impl<F: FnMut(usize, Bounds) -> f32> Kernel for Scan<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let n_blocks = self.short.blocks.len();
        let (mut start, mut size, mut threshold) = (0, FEWEST_BLOCKS, f32::NEG_INFINITY);
        while start < n_blocks {
            let end = (start + size).min(n_blocks);
            self.bound(start..end, threshold);
            let (mut n_first, mut above) = (2 * self.wanted, None);
            loop {
                let mark = self.mark(n_first, above.is_none()).max(threshold);
                threshold = self.look_again(start, threshold, mark, above);
                if threshold >= mark {
                    break;
                }
                (n_first, above) = (4 * n_first, Some(mark));
            }
            if self.part.bounds.len() < end - start {
                break;
            }
            (start, size) = (end, (2 * size).min(MOST_BLOCKS));
        }
    }
}

impl<F: FnMut(usize, Bounds) -> f32> Scan<'_, F> {
    /// Bounds of the items of some blocks by four bits, up to the first block that is too short.
    #[inline(always)]
    fn bound(&mut self, blocks: Range<usize>, threshold: f32) {
        let Self { short, user, .. } = *self;
        let n_lines = user.lines.len();
        self.part.sums.clear();
        self.part.bounds.clear();
        self.part.highest.clear();
        for nth in blocks {
            let block = &short.blocks[nth];
            // Later items are no longer than the first of a block.
            if block.longest * self.longest < threshold {
                break;
            }
            let lines = &short.lines[nth * n_lines..(nth + 1) * n_lines];
            let sums = self.arithmetic.sums(&user.lines, lines);
            let slack = user.error * block.length + LOST;
            let bounds = from_fn(|at| {
                let score = self.score(16 * (2 * sums[at] - user.above), block.scales[at]);
                let bound = score + (user.length * block.slacks[at] + slack);
                // What is not a number leaves nothing out.
                if bound.is_nan() { f32::INFINITY } else { bound }
            });
            let (parts, _) = bounds.as_chunks::<16>();
            let highest = parts.iter().fold([f32::NEG_INFINITY; 16], |highest, part| {
                from_fn(|at| {
                    if part[at] > highest[at] {
                        part[at]
                    } else {
                        highest[at]
                    }
                })
            });
            self.part.sums.push(sums);
            self.part.bounds.push(bounds);
            let highest = highest.into_iter().fold(f32::NEG_INFINITY, f32::max);
            self.part.highest.push(highest);
        }
    }

    /// Of twice the sum of products.
    #[inline(always)]
    fn score(&self, twice: i32, scale: f32) -> f32 {
        twice as f32 * (scale * (self.user.scale / 2.0))
    }

    /// A bound that more than so many items reach.
    #[inline(always)]
    fn mark(&mut self, n: usize, is_first: bool) -> f32 {
        let Part {
            highest, sorted, ..
        } = &mut *self.part;
        if highest.is_empty() || n >= highest.len() && !is_first {
            return f32::NEG_INFINITY;
        }
        sorted.clear();
        sorted.extend_from_slice(highest);
        let n = n.min(highest.len() - 1);
        *sorted.select_nth_unstable_by(n, |a, b| b.total_cmp(a)).1
    }

    /// Take the items of the part that can reach the threshold by their bytes, of those whose bound
    /// by four bits is `low` or above, and below `high`.
    #[inline(always)]
    fn look_again(&mut self, start: usize, mut threshold: f32, low: f32, high: Option<f32>) -> f32 {
        let n_pieces = self.user.codes.len();
        let mut waiting = [(0, 0, 0f32); ON_THEIR_WAY];
        let mut n_waiting = 0;
        for nth in 0..self.part.bounds.len() {
            if self.part.highest[nth] < low {
                continue;
            }
            let bounds = &self.part.bounds[nth];
            let mut bits = not_below(bounds, low);
            if let Some(high) = high {
                bits &= !not_below(bounds, high);
            }
            // The last block may not be full.
            let left = self.short.n_items - (start + nth) * ITEMS;
            if left < ITEMS {
                bits &= (1 << left) - 1;
            }
            while bits != 0 {
                let place = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let at = (start + nth) * ITEMS + place;
                prefetch(self.short.lower_halves(at, n_pieces));
                let (sum, bound) = (self.part.sums[nth][place], self.part.bounds[nth][place]);
                let first = replace(&mut waiting[n_waiting % ON_THEIR_WAY], (at, sum, bound));
                n_waiting += 1;
                if n_waiting > ON_THEIR_WAY {
                    threshold = self.take(first, threshold);
                }
            }
        }
        for nth in n_waiting.saturating_sub(ON_THEIR_WAY)..n_waiting {
            threshold = self.take(waiting[nth % ON_THEIR_WAY], threshold);
        }
        threshold
    }

    /// Take an item if it can reach the threshold by its bytes.
    #[inline(always)]
    fn take(&mut self, (at, sum, bound): (usize, i32, f32), threshold: f32) -> f32 {
        if bound < threshold {
            return threshold;
        }
        let bounds = self.bounds(at, sum);
        if bounds.upper.partial_cmp(&threshold) == Some(Ordering::Less) {
            return threshold;
        }
        (self.show)(at, bounds)
    }

    /// By the bytes of an item, whose upper halves have a sum.
    #[inline(always)]
    fn bounds(&self, at: usize, sum: i32) -> Bounds {
        let Self { short, user, .. } = self;
        let block = &short.blocks[at / ITEMS];
        let pieces = short.lower_halves(at, user.codes.len());
        let lower = self.arithmetic.product(&user.codes, pieces);
        let twice = 16 * (2 * sum - user.above) + (2 * lower - user.above);
        let score = self.score(twice, block.scales[at % ITEMS]);
        let slack = user.length * block.slack + user.error * block.length + LOST;
        Bounds {
            lower: score - slack,
            upper: score + slack,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::base::rng::Rng;

    /// Factors of one item a row, of sizes that differ by `spread` orders of magnitude.
    fn factors(rows: usize, n_factors: usize, spread: f32, seed: u64) -> Array2<f32> {
        let mut rng = Rng::at(seed, 0, 0);
        let mut uniform = move || rng.unit() as f32 - 0.5;
        Array2::from_shape_simple_fn((rows, n_factors), || {
            let size = 10f32.powf(2.0 * spread * uniform());
            size * uniform()
        })
    }

    /// Items that are shown at a threshold which stays, with their bounds.
    fn shown(short: &ShortFactors, user: &[f32], threshold: f32) -> Vec<(usize, Bounds)> {
        let mut rounded = ShortUser::new(user.len()).expect("memory");
        rounded.start(user);
        let mut shown = Vec::new();
        short.scan(&mut rounded, f32::INFINITY, 20, |at, bounds| {
            shown.push((at, bounds));
            threshold
        });
        shown
    }

    #[test]
    fn scores_lie_within_their_bounds_and_reaching_items_are_shown() {
        for (k, spread) in [
            (1, 0.0),
            (3, 1.0),
            (16, 0.0),
            (61, 3.0),
            (128, 0.0),
            (130, 15.0),
        ] {
            let (items, users) = (factors(300, k, spread, 1), factors(5, k, spread, 2));
            let order: Vec<i32> = (0..300).rev().collect();
            let short = ShortFactors::new(items.view(), &order, &[1.0; 300]).expect("memory");
            for user in users.rows() {
                let score = |at: usize| -> f32 {
                    let item = items.row(order[at] as usize);
                    item.iter()
                        .zip(user)
                        .fold(0.0, |sum, (&x, &y)| x.mul_add(y, sum))
                };
                let all = shown(&short, &user.to_vec(), f32::NEG_INFINITY);
                assert_eq!(all.len(), 300);
                for (at, Bounds { lower, upper }) in all {
                    let score = score(at);
                    assert!(lower <= score && score <= upper, "{lower} {score} {upper}");
                }
                // Those of the first blocks are shown before there is a threshold.
                let median = score(150);
                let found: Vec<usize> = shown(&short, &user.to_vec(), median)
                    .into_iter()
                    .map(|(at, _)| at)
                    .collect();
                for at in (0..300).filter(|&at| score(at) >= median) {
                    assert!(found.contains(&at), "{k} factors, item {at}");
                }
            }
        }
    }

    #[test]
    fn few_items_reach_what_the_best_do() {
        let (items, users) = (factors(1280, 128, 0.0, 3), factors(8, 128, 0.0, 4));
        let order: Vec<i32> = (0..1280).collect();
        let short = ShortFactors::new(items.view(), &order, &[1.0; 1280]).expect("memory");
        for user in users.rows() {
            let best = items.dot(&user).fold(f32::MIN, |best, &x| best.max(x));
            let found = shown(&short, &user.to_vec(), best);
            // Two blocks are looked at before the first answer.
            assert!(found.iter().filter(|(at, _)| *at >= 128).count() <= 4);
        }
    }

    #[test]
    fn shorter_items_than_could_reach_are_not_looked_at() {
        let (n, n_long) = (64 * FEWEST_BLOCKS + 256, 64 * FEWEST_BLOCKS + 192);
        let items = factors(n, 4, 0.0, 6);
        let order: Vec<i32> = (0..n as i32).collect();
        let lengths: Vec<f32> = (0..n)
            .map(|at| if at < n_long { 1.0 } else { 0.5 })
            .collect();
        let short = ShortFactors::new(items.view(), &order, &lengths).expect("memory");
        let mut rounded = ShortUser::new(4).expect("memory");
        rounded.start(&[1.0; 4]);
        let mut last = 0;
        short.scan(&mut rounded, 1.0, 20, |at, _| {
            last = last.max(at);
            -0.25
        });
        assert!(last >= n_long);
        let mut rest = Vec::new();
        short.scan(&mut rounded, 1.0, 20, |at, _| {
            rest.push(at);
            0.75
        });
        assert!(rest.iter().all(|&at| at < n_long));
    }

    #[test]
    fn what_is_not_a_number_is_shown_at_any_threshold() {
        let mut items = factors(200, 5, 0.0, 5);
        items[[198, 2]] = f32::NAN;
        items[[199, 0]] = f32::INFINITY;
        let order: Vec<i32> = (0..200).collect();
        let short = ShortFactors::new(items.view(), &order, &[f32::INFINITY; 200]).expect("memory");
        let found = shown(&short, &[1.0; 5], f32::MAX);
        for wanted in [198, 199] {
            let bounds = found.iter().find(|(at, _)| *at == wanted).expect("shown").1;
            assert!(!bounds.upper.is_finite());
        }
    }
}
