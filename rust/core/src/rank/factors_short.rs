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
use std::mem::take;

use ndarray::{ArrayView1, ArrayView2};

use super::half_bytes::{Arithmetic, BYTES, Codes, ITEMS, LINE, Line, PIECE, Piece, Repeated};
use super::select::not_below;
use crate::base::Result;
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::{filled, with_room};

const SHORT: &str = "rounded factors of items";
const BOUNDS: &str = "bounds of the scores of some items";

/// More than is lost of a score where a product of scales is too small to be represented: 2^-150,
/// times a sum below 2^31.
const LOST: f32 = 3e-36;

/// Twice the number by which a factor in four bits, from 0 to 15, lies above what it stands for.
const TWICE_ABOVE: i32 = 15;

/// Blocks whose bounds are known before any item of them is looked at in full, and blocks whose
/// best items are looked at before that, so that no bounds are made of items that are too short.
const PART: usize = 512;
const FIRST: usize = 16;

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

/// What is shown the items whose score can reach its threshold, which is minus infinity at first.
pub(super) trait List {
    /// An item by its place in the order, with its bounds; the threshold from then on.
    fn show(&mut self, place: usize, bounds: Bounds) -> f32;

    /// The best have been shown, most likely; the threshold by their scores, if it is known.
    fn settle(&mut self) -> f32 {
        f32::NEG_INFINITY
    }
}

impl<F: FnMut(usize, Bounds) -> f32> List for F {
    fn show(&mut self, place: usize, bounds: Bounds) -> f32 {
        self(place, bounds)
    }
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
            lines: filled(of_all(n_blocks, n_lines), Line([[0; BYTES]; ITEMS]), SHORT)?,
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
                    lines[k / LINE].0[place][k % BYTES] |= *byte >> 4 << (k % LINE / BYTES * 4);
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

    /// Show the items whose score can reach the threshold of a list.
    ///
    /// About `wanted` of them are shown before the threshold is what they make it. `longest` is the
    /// length of the user's factors, such that no score exceeds its product with that of an item.
    pub(super) fn scan(&self, user: &mut ShortUser, longest: f32, wanted: usize, list: impl List) {
        let mut part = take(&mut user.part);
        let kernel = Scan {
            arithmetic: Arithmetic::new(),
            short: self,
            user,
            part: &mut part,
            longest,
            wanted,
            list,
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
    lines: Vec<[Repeated; 2]>,
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
    /// Number of the first block.
    start: usize,
    sums: Vec<[i32; ITEMS]>,
    bounds: Vec<[f32; ITEMS]>,
    /// The highest bound of each block.
    highest: Vec<f32>,
    /// The same, to be reordered.
    sorted: Vec<f32>,
    /// One bit for each item that has been looked at, or is none.
    done: Vec<u64>,
    /// Items that can reach the threshold by their upper half, by place.
    reaching: Vec<u32>,
}

impl ShortUser {
    /// With room for so many factors.
    pub(super) fn new(n_factors: usize) -> Result<Self> {
        Ok(Self {
            lines: with_room(n_factors.div_ceil(LINE), SHORT)?,
            codes: with_room(n_factors.div_ceil(PIECE), SHORT)?,
            part: Part {
                start: 0,
                sums: with_room(PART, BOUNDS)?,
                bounds: with_room(PART, BOUNDS)?,
                highest: with_room(PART, BOUNDS)?,
                sorted: with_room(PART, BOUNDS)?,
                done: with_room(PART, BOUNDS)?,
                reaching: with_room(PART * ITEMS, BOUNDS)?,
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
        self.codes.clear();
        self.codes
            .resize(factors.len().div_ceil(PIECE), Codes([0; PIECE]));
        for (codes, factors) in self.codes.iter_mut().zip(factors.chunks(PIECE)) {
            dispatch(|| {
                for (code, x) in codes.0.iter_mut().zip(factors) {
                    *code = (x / scale).round_ties_even() as i8;
                }
            });
        }
        self.lines.clear();
        self.lines.extend((0..factors.len()).step_by(LINE).map(|k| {
            let codes = &self.codes[k / PIECE].0[k % PIECE..];
            [0, BYTES].map(|from| Repeated([from_fn(|at| codes[from + at]); 16]))
        }));
        let codes = self.codes.iter().flat_map(|codes| codes.0);
        self.above = TWICE_ABOVE * codes.clone().map(i32::from).sum::<i32>();
        let rounded = Rounded::of(all, scale, codes.map(f64::from));
        self.scale = scale;
        self.error = up(rounded.error);
        self.length = up(rounded.length + 2.0 * rounded.error);
    }
}

/// The largest of numbers: half of them beside the other half, and so on.
#[inline(always)]
fn highest(mut numbers: [f32; ITEMS]) -> f32 {
    let mut n = ITEMS;
    while n > 1 {
        n /= 2;
        let (first, second) = numbers.split_at_mut(n);
        for (x, &y) in first.iter_mut().zip(&second[..n]) {
            *x = if y > *x { y } else { *x };
        }
    }
    numbers[0]
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
struct Scan<'a, L> {
    arithmetic: Arithmetic,
    short: &'a ShortFactors,
    user: &'a ShortUser,
    part: &'a mut Part,
    longest: f32,
    wanted: usize,
    list: L,
}

impl<L: List> Kernel for Scan<'_, L> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let n_blocks = self.short.blocks.len();
        let mut threshold = f32::NEG_INFINITY;
        for start in (0..n_blocks).step_by(PART) {
            let end = (start + PART).min(n_blocks);
            self.part.clear(start);
            if start == 0 {
                self.bound(FIRST.min(end), threshold);
                let mark = self.mark(self.first());
                threshold = self.look_again(threshold, mark);
            }
            self.bound(end, threshold);
            let mut n_first = self.first();
            loop {
                let mark = self.mark(n_first).max(threshold);
                threshold = self.look_again(threshold, mark);
                threshold = self.list.settle().max(threshold);
                if threshold >= mark {
                    break;
                }
                // Either the best were found among the first, or most of these are left out.
                let is_found = threshold > f32::NEG_INFINITY;
                n_first = if is_found {
                    usize::MAX
                } else {
                    4 * n_first + 1
                };
            }
            if self.part.end() < end {
                break;
            }
        }
    }
}

impl Part {
    fn clear(&mut self, start: usize) {
        self.start = start;
        self.sums.clear();
        self.bounds.clear();
        self.highest.clear();
        self.done.clear();
    }

    fn end(&self) -> usize {
        self.start + self.bounds.len()
    }
}

impl<L: List> Scan<'_, L> {
    /// Bounds of the items of further blocks by four bits, up to the first block that is too short.
    #[inline(always)]
    fn bound(&mut self, end: usize, threshold: f32) {
        let Self { short, user, .. } = *self;
        let n_lines = user.lines.len();
        for nth in self.part.end()..end {
            let block = &short.blocks[nth];
            // Later items are no longer than the first of a block.
            if block.longest * self.longest < threshold {
                break;
            }
            let lines = &short.lines[nth * n_lines..(nth + 1) * n_lines];
            let sums = self.arithmetic.sums(&user.lines, lines);
            let slack = user.error * block.length + LOST;
            let mut bounds = [0.0; ITEMS];
            for (at, bound) in bounds.iter_mut().enumerate() {
                let score = self.score(16 * (2 * sums[at] - user.above), block.scales[at]);
                let sum = score + (user.length * block.slacks[at] + slack);
                // What is not a number leaves nothing out.
                *bound = if sum.is_nan() { f32::INFINITY } else { sum };
            }
            self.part.sums.push(sums);
            self.part.bounds.push(bounds);
            self.part.highest.push(highest(bounds));
            // The last block may not be full.
            let n = (short.n_items - nth * ITEMS).min(ITEMS);
            self.part
                .done
                .push(u64::MAX.checked_shl(n as u32).unwrap_or(0));
        }
    }

    /// Of twice the sum of products.
    #[inline(always)]
    fn score(&self, twice: i32, scale: f32) -> f32 {
        twice as f32 * (scale * (self.user.scale / 2.0))
    }

    /// Blocks with so many of the best items that these make a list, most likely.
    fn first(&self) -> usize {
        (2 * self.wanted).min(self.part.highest.len().saturating_sub(1))
    }

    /// A bound that more than so many items reach, minus infinity if there are not so many blocks.
    #[inline(always)]
    fn mark(&mut self, n: usize) -> f32 {
        let Part {
            highest, sorted, ..
        } = &mut *self.part;
        if n >= highest.len() {
            return f32::NEG_INFINITY;
        }
        sorted.clear();
        sorted.extend_from_slice(highest);
        *sorted.select_nth_unstable_by(n, |a, b| b.total_cmp(a)).1
    }

    /// Take the items of the part that can reach the threshold by their bytes, of those whose bound
    /// by four bits is not below a mark.
    #[inline(always)]
    fn look_again(&mut self, mut threshold: f32, mark: f32) -> f32 {
        let Self { short, user, .. } = *self;
        let n_pieces = user.codes.len();
        let mut reaching = take(&mut self.part.reaching);
        reaching.clear();
        let part = &mut *self.part;
        for (nth, (bounds, done)) in part.bounds.iter().zip(&mut part.done).enumerate() {
            if part.highest[nth] < mark {
                continue;
            }
            let mut bits = not_below(bounds, mark) & !*done;
            *done |= bits;
            while bits != 0 {
                reaching.push((nth * ITEMS) as u32 + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        let first = part.start * ITEMS;
        for (nth, &place) in reaching.iter().enumerate() {
            if let Some(&later) = reaching.get(nth + ON_THEIR_WAY) {
                let pieces = short.lower_halves(first + later as usize, n_pieces);
                self.arithmetic.prefetch(pieces);
            }
            threshold = self.take(place as usize, threshold);
        }
        self.part.reaching = reaching;
        threshold
    }

    /// Take an item of the part if it can reach the threshold by its bytes.
    #[inline(always)]
    fn take(&mut self, place: usize, threshold: f32) -> f32 {
        let Self { short, user, .. } = *self;
        let (nth, within) = (place / ITEMS, place % ITEMS);
        if self.part.bounds[nth][within] < threshold {
            return threshold;
        }
        let at = self.part.start * ITEMS + place;
        let block = &short.blocks[self.part.start + nth];
        let pieces = short.lower_halves(at, user.codes.len());
        let lower = self.arithmetic.product(&user.codes, pieces);
        let twice = 16 * (2 * self.part.sums[nth][within] - user.above) + (2 * lower - user.above);
        let score = self.score(twice, block.scales[within]);
        let slack = user.length * block.slack + user.error * block.length + LOST;
        let bounds = Bounds {
            lower: score - slack,
            upper: score + slack,
        };
        if bounds.upper.partial_cmp(&threshold) == Some(Ordering::Less) {
            return threshold;
        }
        self.list.show(at, bounds)
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
        short.scan(
            &mut rounded,
            f32::INFINITY,
            20,
            |at: usize, bounds: Bounds| {
                shown.push((at, bounds));
                threshold
            },
        );
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
        let (n, n_long) = (64 * FIRST + 256, 64 * FIRST + 192);
        let items = factors(n, 4, 0.0, 6);
        let order: Vec<i32> = (0..n as i32).collect();
        let lengths: Vec<f32> = (0..n)
            .map(|at| if at < n_long { 1.0 } else { 0.5 })
            .collect();
        let short = ShortFactors::new(items.view(), &order, &lengths).expect("memory");
        let mut rounded = ShortUser::new(4).expect("memory");
        rounded.start(&[1.0; 4]);
        let mut last = 0;
        short.scan(&mut rounded, 1.0, 20, |at: usize, _: Bounds| {
            last = last.max(at);
            -0.25
        });
        assert!(last >= n_long);
        let mut rest = Vec::new();
        short.scan(&mut rounded, 1.0, 20, |at: usize, _: Bounds| {
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
