//! Factors of items in four bits and in a byte each, which say who can enter the list of a user.
//!
//! One user's scores take as long as reading the factors of all items. So they are rounded: to four
//! bits, an eighth of the memory, in blocks of items side by side, and for the items that are left
//! to a byte, item after item. Those of the user are rounded to one and to two bytes, and scores
//! are sums of integers. Rounding can move a score by no more than
//! ``|q.p - s c.t d| <= |q - s c| |p| + |s c| |p - t d|`` by the inequality of Cauchy and Schwarz,
//! with the integers c and d, and the scales s and t, of an item and of the user. Items whose score
//! stays below the list by this bound are left out, exactly; those that are left are scored in
//! full. Four bits leave a few in a hundred, a byte few more than there are on the list.

use std::array::from_fn;
use std::cmp::Ordering;

use ndarray::{ArrayView1, ArrayView2};

#[cfg(target_arch = "x86_64")]
use pulp::{bytemuck, i8x32, i16x8, i32x8, u8x32, x86::V3};

use super::select::not_below;
use crate::base::Result;
#[cfg(target_arch = "x86_64")]
use crate::base::dispatch::avx2;
use crate::base::dispatch::{Kernel, dispatch, prefetch};
use crate::base::memory::{filled, with_room};

const SHORT: &str = "rounded factors of items";

/// More than is lost of a score where a product of scales is too small to be represented: 2^-150,
/// times a sum below 2^31.
const LOST: f32 = 3e-36;

/// Items of a block: side by side they fill the registers.
const ITEMS: usize = 64;

/// Factors of a line: two in the low halves of an item's bytes, and the next two in the high ones.
const LINE: usize = 4;
/// Lines whose products, of at most 15 x 127 each, are added in 16 bits.
const TOGETHER: usize = 4;
/// Twice the number by which a factor in four bits, from 0 to 15, lies above what it stands for.
const TWICE_ABOVE: i32 = 15;

/// A line of the items of a block.
type Line = [[u8; 2]; ITEMS];
/// Two factors of a user, as often as they are multiplied at once.
type Pair = [[i8; 2]; 16];

/// Factors of all items, rounded.
pub(super) struct ShortFactors {
    lines: Vec<Line>,
    blocks: Vec<Halves>,
    /// Item after item.
    bytes: Vec<i8>,
    items: Vec<Rounding>,
}

/// How the items of a block were rounded to four bits.
#[derive(Clone, Copy)]
struct Halves {
    scales: [f32; ITEMS],
    slacks: [f32; ITEMS],
    /// The largest of the block: of rounded factors, and of the factors as they are.
    length: f32,
    longest: f32,
}

/// How factors were rounded.
#[derive(Clone, Copy, Default)]
struct Rounding {
    scale: f32,
    /// Of the rounded factors, rounded up.
    length: f32,
    /// A score lies above what rounded factors give by no more than this, times the length of the
    /// user.
    slack: f32,
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
        let n_lines = n_factors.div_ceil(LINE);
        let n_blocks = order.len().div_ceil(ITEMS);
        let nothing = Halves {
            scales: [0.0; ITEMS],
            slacks: [0.0; ITEMS],
            length: 0.0,
            longest: 0.0,
        };
        let mut short = Self {
            lines: filled(n_blocks.saturating_mul(n_lines), [[0; 2]; ITEMS], SHORT)?,
            blocks: filled(n_blocks, nothing, SHORT)?,
            bytes: with_room(order.len().saturating_mul(n_factors), SHORT)?,
            items: with_room(order.len(), SHORT)?,
        };
        for (nth, items) in order.chunks(ITEMS).enumerate() {
            let lines = &mut short.lines[nth * n_lines..(nth + 1) * n_lines];
            let block = &mut short.blocks[nth];
            block.longest = lengths[items[0] as usize];
            for (place, &item) in items.iter().enumerate() {
                let factors = item_factors.row(item as usize);
                let scale = scale(factors, 127.0);
                // A number is never out of range; what is none becomes zero.
                let bytes = factors.iter().map(|&x| (x / scale).round() as i8);
                short.bytes.extend(bytes);
                let bytes = &short.bytes[short.bytes.len() - n_factors..];
                let bytes = bytes.iter().copied().map(f64::from);
                short.items.push(Rounding::of(factors, scale, bytes));

                let scale = self::scale(factors, 7.5);
                for (k, &x) in factors.iter().enumerate() {
                    let code = (x / scale + 7.5).round().min(15.0) as u8;
                    lines[k / LINE][place][k % 2] |= code << shift(k);
                }
                let halves = (0..n_factors).map(|k| {
                    let code = lines[k / LINE][place][k % 2] >> shift(k) & 15;
                    f64::from(code) - 7.5
                });
                let rounding = Rounding::of(factors, scale, halves);
                block.scales[place] = rounding.scale;
                block.slacks[place] = rounding.slack;
                block.length = block.length.max(rounding.length);
            }
        }
        Ok(short)
    }

    /// Show the places of items whose score can reach a threshold to `take`, with their bounds, and
    /// in return be told the threshold from then on; the first is minus infinity.
    ///
    /// `longest` is the length of the user's factors, such that no score exceeds its product with
    /// that of an item.
    pub(super) fn scan(
        &self,
        user: &ShortUser,
        longest: f32,
        take: impl FnMut(usize, Bounds) -> f32,
    ) {
        let kernel = Scan {
            #[cfg(target_arch = "x86_64")]
            simd: avx2(),
            short: self,
            user,
            longest,
            take,
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = kernel.simd {
            return simd.vectorize(kernel);
        }
        dispatch(kernel);
    }

    fn bytes_of(&self, at: usize, n_factors: usize) -> &[i8] {
        &self.bytes[at * n_factors..(at + 1) * n_factors]
    }
}

impl Rounding {
    /// Of factors to the codes times the scale. Not a number where a factor is none, and then
    /// nothing is left out.
    fn of(factors: ArrayView1<f32>, scale: f32, codes: impl Iterator<Item = f64>) -> Self {
        let Rounded { length, error } = Rounded::of(factors, scale, codes);
        // A sum of k products in single precision errs by no more than k / 2^24 of the product of
        // the lengths.
        let roundings = (factors.len() as f64 + 16.0) / f64::from(1 << 23);
        Self {
            scale,
            length: up(length),
            slack: up(error + roundings * (length + 2.0 * error)),
        }
    }
}

/// Of a factor in its byte.
fn shift(k: usize) -> usize {
    k % LINE / 2 * 4
}

/// Factors of a user, rounded.
#[derive(Default)]
pub(super) struct ShortUser {
    /// In a byte each, by line: beside the low halves of the items, and beside the high ones.
    lines: Vec<[Pair; 2]>,
    /// What is to be taken from twice a sum.
    above: i32,
    /// In two bytes each.
    codes: Vec<i16>,
    by_line: Coarse,
    by_code: Coarse,
    /// Of the factors themselves, rounded up.
    length: f32,
}

/// How the factors of a user were rounded.
#[derive(Clone, Copy, Default)]
struct Coarse {
    scale: f32,
    /// Length of the difference to what is rounded, rounded up.
    error: f32,
}

impl ShortUser {
    /// With room for so many factors.
    pub(super) fn new(n_factors: usize) -> Result<Self> {
        Ok(Self {
            lines: with_room(n_factors.div_ceil(LINE), SHORT)?,
            above: 0,
            codes: with_room(n_factors, SHORT)?,
            by_line: Coarse::default(),
            by_code: Coarse::default(),
            length: 0.0,
        })
    }

    pub(super) fn start(&mut self, factors: &[f32]) {
        let all = ArrayView1::from(factors);
        // Sums of so many products fit into 32 bits, with `above` beside twice a sum.
        let most = |product: i32| (i32::MAX / product) as usize / factors.len().max(1);
        let most_bytes = most(3 * TWICE_ABOVE).min(i8::MAX as usize) as f32;
        let most_codes = most(127).min(i16::MAX as usize) as f32;

        let scale = scale(all, most_bytes);
        self.lines.clear();
        self.lines.extend(factors.chunks(LINE).map(|line| {
            let code = |k: usize| {
                line.get(k)
                    .map_or(0, |&x| (x / scale).round_ties_even() as i8)
            };
            [[[code(0), code(1)]; 16], [[code(2), code(3)]; 16]]
        }));
        let codes = self.lines.iter().flatten().flat_map(|pair| pair[0]);
        self.above = TWICE_ABOVE * codes.clone().map(i32::from).sum::<i32>();
        let rounded = Rounded::of(all, scale, codes.map(f64::from));
        self.by_line = Coarse {
            scale,
            error: up(rounded.error),
        };
        self.length = up(rounded.length + 2.0 * rounded.error);

        let scale = self::scale(all, most_codes);
        self.codes.clear();
        let codes = factors
            .iter()
            .map(|&x| (x / scale).round_ties_even() as i16);
        self.codes.extend(codes);
        let rounded = Rounded::of(all, scale, self.codes.iter().copied().map(f64::from));
        self.by_code = Coarse {
            scale,
            error: up(rounded.error),
        };
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
}

/// All blocks one after the other.
struct Scan<'a, F> {
    /// For instructions that multiply and add pairs, which the compiler does not find.
    #[cfg(target_arch = "x86_64")]
    simd: Option<V3>,
    short: &'a ShortFactors,
    user: &'a ShortUser,
    longest: f32,
    take: F,
}

impl<F: FnMut(usize, Bounds) -> f32> Kernel for Scan<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let mut threshold = f32::NEG_INFINITY;
        let mut before = (0, 0);
        for (nth, block) in self.short.blocks.iter().enumerate() {
            // Later items are no longer than the first of a block.
            if block.longest * self.longest < threshold {
                break;
            }
            let reaching = self.reaching(nth, threshold);
            // While the bytes of these are on their way, those of the block before.
            threshold = self.look_again(before, threshold);
            before = (nth, reaching);
        }
        self.look_again(before, threshold);
    }
}

impl<F: FnMut(usize, Bounds) -> f32> Scan<'_, F> {
    /// One bit for each item of a block whose score can reach the threshold by four bits; their
    /// bytes are then on their way to the processor.
    #[inline(always)]
    fn reaching(&self, nth: usize, threshold: f32) -> u64 {
        let Self { short, user, .. } = self;
        let n_lines = user.lines.len();
        let lines = &short.lines[nth * n_lines..(nth + 1) * n_lines];
        let block = &short.blocks[nth];
        let Coarse { scale, error } = user.by_line;
        let sums = self.sums(lines);
        let most = from_fn(|at| {
            let twice = (2 * sums[at] - user.above) as f32;
            let score = twice * (block.scales[at] * (scale / 2.0));
            score + user.length * block.slacks[at] + error * block.length + LOST
        });
        // A bound that is not a number leaves nothing out.
        let mut reaching = not_below(&most, threshold);
        // The last block may not be full.
        let left = short.items.len() - nth * ITEMS;
        if left < ITEMS {
            reaching &= (1 << left) - 1;
        }
        let mut bits = reaching;
        while bits != 0 {
            let place = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            prefetch(short.bytes_of(nth * ITEMS + place, user.codes.len()));
        }
        reaching
    }

    /// Inner products of the user and the items of a block, as they are in four bits from 0 to 15.
    #[inline(always)]
    fn sums(&self, lines: &[Line]) -> [i32; ITEMS] {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            return sums_of_pairs(simd, &self.user.lines, lines);
        }
        let mut sums = [0; ITEMS];
        for ([low, high], line) in self.user.lines.iter().zip(lines) {
            for (sum, items) in sums.iter_mut().zip(line) {
                for ((&byte, x), y) in items.iter().zip(low[0]).zip(high[0]) {
                    *sum +=
                        i32::from(byte & 15) * i32::from(x) + i32::from(byte >> 4) * i32::from(y);
                }
            }
        }
        sums
    }

    /// Take those of some items of a block that can reach the threshold by their bytes.
    #[inline(always)]
    fn look_again(&mut self, (nth, mut bits): (usize, u64), mut threshold: f32) -> f32 {
        while bits != 0 {
            let at = nth * ITEMS + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let bounds = self.bounds(at);
            if bounds.upper.partial_cmp(&threshold) != Some(Ordering::Less) {
                threshold = (self.take)(at, bounds);
            }
        }
        threshold
    }

    #[inline(always)]
    fn bounds(&self, at: usize) -> Bounds {
        let Self { short, user, .. } = self;
        let Coarse { scale, error } = user.by_code;
        let item = short.items[at];
        let bytes = short.bytes_of(at, user.codes.len());
        let score = self.product(bytes) as f32 * (item.scale * scale);
        let slack = user.length * item.slack + error * item.length + LOST;
        Bounds {
            lower: score - slack,
            upper: score + slack,
        }
    }

    #[inline(always)]
    fn product(&self, bytes: &[i8]) -> i32 {
        let (mut codes, mut bytes, mut sum) = (self.user.codes.as_slice(), bytes, 0);
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            let (vectors, rest) = codes.as_chunks::<16>();
            let (items, rest_of_items) = bytes.as_chunks::<16>();
            let mut sums = simd.splat_i32x8(0);
            for (&user, &item) in vectors.iter().zip(items) {
                let (item, user) = (bytemuck::cast(item), bytemuck::cast(user));
                let item = simd.convert_i8x16_to_i16x16(item);
                let products = simd.multiply_wrapping_add_adjacent_i16x16(item, user);
                sums = simd.wrapping_add_i32x8(sums, products);
            }
            let sums: [i32; 8] = bytemuck::cast(sums);
            (codes, bytes, sum) = (rest, rest_of_items, sums.iter().sum());
        }
        let products = codes.iter().zip(bytes);
        sum + products
            .map(|(&x, &y)| i32::from(x) * i32::from(y))
            .sum::<i32>()
    }
}

/// See [`Scan::sums`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sums_of_pairs(simd: V3, user: &[[Pair; 2]], lines: &[Line]) -> [i32; ITEMS] {
    let mut sums = [[simd.splat_i32x8(0); 2]; ITEMS / 16];
    let (parts_of_user, rest_of_user) = user.as_chunks::<TOGETHER>();
    let (parts, rest) = lines.as_chunks::<TOGETHER>();
    for (user, lines) in parts_of_user.iter().zip(parts) {
        add_pairs(simd, user, lines, &mut sums);
    }
    add_pairs(simd, rest_of_user, rest, &mut sums);
    bytemuck::cast(sums)
}

/// Add the products of so few lines that 16 bits hold their sums.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn add_pairs(simd: V3, user: &[[Pair; 2]], lines: &[Line], sums: &mut [[i32x8; 2]; ITEMS / 16]) {
    let low = simd.splat_u8x32(15);
    let mut parts = [simd.splat_i16x16(0); ITEMS / 16];
    for (&pairs, line) in user.iter().zip(lines) {
        let [first, second]: [i8x32; 2] = bytemuck::cast(pairs);
        let line: &[u8x32; ITEMS / 16] = bytemuck::cast_ref(line);
        for (part, &items) in parts.iter_mut().zip(line) {
            let high = simd.shr_const_u16x16::<4>(bytemuck::cast(items));
            let high = simd.and_u8x32(bytemuck::cast(high), low);
            let items = simd.and_u8x32(items, low);
            for (items, user) in [(items, first), (high, second)] {
                let items = bytemuck::cast(items);
                let products = simd.multiply_saturating_add_adjacent_i8x32(items, user);
                *part = simd.wrapping_add_i16x16(*part, products);
            }
        }
    }
    for (sums, part) in sums.iter_mut().zip(parts) {
        let halves: [i16x8; 2] = bytemuck::cast(part);
        for (sum, half) in sums.iter_mut().zip(halves) {
            *sum = simd.wrapping_add_i32x8(*sum, simd.convert_i16x8_to_i32x8(half));
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
        short.scan(&rounded, f32::INFINITY, |at, bounds| {
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
        let items = factors(256, 4, 0.0, 6);
        let order: Vec<i32> = (0..256).collect();
        let lengths: Vec<f32> = (0..256)
            .map(|at| if at < 192 { 1.0 } else { 0.5 })
            .collect();
        let short = ShortFactors::new(items.view(), &order, &lengths).expect("memory");
        let mut rounded = ShortUser::new(4).expect("memory");
        rounded.start(&[1.0; 4]);
        let mut last = 0;
        short.scan(&rounded, 1.0, |at, _| {
            last = last.max(at);
            -0.25
        });
        assert!(last >= 192);
        let mut rest = Vec::new();
        short.scan(&rounded, 1.0, |at, _| {
            rest.push(at);
            0.75
        });
        assert!(rest.iter().all(|&at| at < 192));
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
