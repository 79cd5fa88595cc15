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
use std::iter::from_fn as from_iter;

use ndarray::{ArrayView1, ArrayView2};

#[cfg(target_arch = "x86_64")]
use pulp::{bytemuck, i8x32, i16x8, u8x32, x86::V3};

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
pub(super) const ITEMS: usize = 64;

/// Factors of a line: two in the low halves of an item's bytes, and the next two in the high ones.
const LINE: usize = 4;
/// Lines whose products, of at most 15 x 127 each, are added in 16 bits.
const TOGETHER: usize = 4;
/// Twice the number by which a factor in four bits, from 0 to 15, lies above what it stands for.
const TWICE_ABOVE: i32 = 15;

/// A line of the items of a block.
type Line = [[u8; 2]; ITEMS];

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
    /// The largest of the block.
    length: f32,
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
    /// Those of the items in `order`, in blocks of `ITEMS`.
    pub(super) fn new(item_factors: ArrayView2<f32>, order: &[i32]) -> Result<Self> {
        let n_factors = item_factors.ncols();
        let n_lines = n_factors.div_ceil(LINE);
        let n_blocks = order.len().div_ceil(ITEMS);
        let nothing = Halves {
            scales: [0.0; ITEMS],
            slacks: [0.0; ITEMS],
            length: 0.0,
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

    /// One bit for each item of a block whose score can reach the threshold by four bits; their
    /// bytes are then on their way to the processor.
    pub(super) fn reaching(&self, nth: usize, user: &ShortUser, threshold: f32) -> u64 {
        vectorized(ByHalves {
            #[cfg(target_arch = "x86_64")]
            simd: avx2(),
            short: self,
            nth,
            user,
            threshold,
        })
    }

    /// Those of them whose score can by their bytes, and their bounds.
    pub(super) fn still_reaching(
        &self,
        nth: usize,
        reaching: u64,
        user: &ShortUser,
        threshold: f32,
        bounds: &mut [Bounds; ITEMS],
    ) -> u64 {
        if reaching == 0 {
            return 0;
        }
        vectorized(ByBytes {
            #[cfg(target_arch = "x86_64")]
            simd: avx2(),
            short: self,
            nth,
            reaching,
            user,
            threshold,
            bounds,
        })
    }

    fn bytes_of(&self, at: usize, n_factors: usize) -> &[i8] {
        &self.bytes[at * n_factors..(at + 1) * n_factors]
    }
}

/// Run a kernel that uses AVX2 itself where there is that, and plainly elsewhere.
#[inline]
fn vectorized<T>(kernel: impl Kernel<Output = T>) -> T {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = avx2() {
        return simd.vectorize(kernel);
    }
    dispatch(kernel)
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
pub(super) struct ShortUser {
    /// In a byte each, by line: beside the low halves of the items, and beside the high ones.
    lines: Vec<[[i8; 2]; 2]>,
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
            let code = |k: usize| line.get(k).map_or(0, |&x| (x / scale).round() as i8);
            [[code(0), code(1)], [code(2), code(3)]]
        }));
        let codes = self.lines.as_flattened().as_flattened();
        self.above = TWICE_ABOVE * codes.iter().copied().map(i32::from).sum::<i32>();
        let rounded = Rounded::of(all, scale, codes.iter().copied().map(f64::from));
        self.by_line = Coarse {
            scale,
            error: up(rounded.error),
        };
        self.length = up(rounded.length + 2.0 * rounded.error);

        let scale = self::scale(all, most_codes);
        self.codes.clear();
        let codes = factors.iter().map(|&x| (x / scale).round() as i16);
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

/// Which items of a block can reach the threshold by four bits.
struct ByHalves<'a> {
    /// For instructions that multiply and add pairs, which the compiler does not find.
    #[cfg(target_arch = "x86_64")]
    simd: Option<V3>,
    short: &'a ShortFactors,
    nth: usize,
    user: &'a ShortUser,
    threshold: f32,
}

impl Kernel for ByHalves<'_> {
    type Output = u64;

    #[inline(always)]
    fn call(self) -> u64 {
        let Self { short, user, .. } = self;
        let n_lines = user.lines.len();
        let lines = &short.lines[self.nth * n_lines..(self.nth + 1) * n_lines];
        let block = &short.blocks[self.nth];
        let Coarse { scale, error } = user.by_line;
        let sums = self.sums(lines);
        let most = from_fn(|at| {
            let twice = (2 * sums[at] - user.above) as f32;
            let score = twice * (block.scales[at] * (scale / 2.0));
            score + user.length * block.slacks[at] + error * block.length + LOST
        });
        // A bound that is not a number leaves nothing out.
        let mut reaching = not_below(&most, self.threshold);
        // The last block may not be full.
        let left = short.items.len() - self.nth * ITEMS;
        if left < ITEMS {
            reaching &= (1 << left) - 1;
        }
        for place in places(reaching) {
            prefetch(short.bytes_of(self.nth * ITEMS + place, user.codes.len()));
        }
        reaching
    }
}

impl ByHalves<'_> {
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
                for ((&byte, &x), &y) in items.iter().zip(low).zip(high) {
                    *sum +=
                        i32::from(byte & 15) * i32::from(x) + i32::from(byte >> 4) * i32::from(y);
                }
            }
        }
        sums
    }
}

/// Which of some items of a block can reach the threshold by their bytes.
struct ByBytes<'a> {
    /// As in `ByHalves`.
    #[cfg(target_arch = "x86_64")]
    simd: Option<V3>,
    short: &'a ShortFactors,
    nth: usize,
    reaching: u64,
    user: &'a ShortUser,
    threshold: f32,
    bounds: &'a mut [Bounds; ITEMS],
}

impl Kernel for ByBytes<'_> {
    type Output = u64;

    #[inline(always)]
    fn call(self) -> u64 {
        let Self { short, user, .. } = self;
        let Coarse { scale, error } = user.by_code;
        let mut reaching = 0;
        for place in places(self.reaching) {
            let at = self.nth * ITEMS + place;
            let item = short.items[at];
            let bytes = short.bytes_of(at, user.codes.len());
            let score = self.product(bytes) as f32 * (item.scale * scale);
            let slack = user.length * item.slack + error * item.length + LOST;
            let upper = score + slack;
            self.bounds[place] = Bounds {
                lower: score - slack,
                upper,
            };
            let is_below = upper.partial_cmp(&self.threshold) == Some(Ordering::Less);
            reaching |= u64::from(!is_below) << place;
        }
        reaching
    }
}

impl ByBytes<'_> {
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

/// Places of the bits that are set, ascending.
#[inline(always)]
pub(super) fn places(mut bits: u64) -> impl Iterator<Item = usize> {
    from_iter(move || {
        let place = bits.trailing_zeros() as usize;
        (bits != 0).then(|| {
            bits &= bits - 1;
            place
        })
    })
}

/// See [`ByHalves::sums`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn sums_of_pairs(simd: V3, user: &[[[i8; 2]; 2]], lines: &[Line]) -> [i32; ITEMS] {
    let low = simd.splat_u8x32(15);
    let mut sums = [[simd.splat_i32x8(0); 2]; ITEMS / 16];
    for (user, lines) in user.chunks(TOGETHER).zip(lines.chunks(TOGETHER)) {
        let mut parts = [simd.splat_i16x16(0); ITEMS / 16];
        for (&codes, line) in user.iter().zip(lines) {
            let [first, second] = codes
                .map(|pair| -> i8x32 { bytemuck::cast(simd.splat_i16x16(bytemuck::cast(pair))) });
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
    bytemuck::cast(sums)
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

    #[test]
    fn scores_lie_within_their_bounds_and_reaching_items_are_found() {
        for (n_factors, spread) in [
            (1, 0.0),
            (3, 1.0),
            (16, 0.0),
            (61, 3.0),
            (128, 0.0),
            (130, 15.0),
        ] {
            let (items, users) = (
                factors(150, n_factors, spread, 1),
                factors(5, n_factors, spread, 2),
            );
            let order: Vec<i32> = (0..150).rev().collect();
            let short = ShortFactors::new(items.view(), &order).expect("memory");
            let mut rounded = ShortUser::new(n_factors).expect("memory");
            let mut bounds = [Bounds::default(); ITEMS];
            for user in users.rows() {
                rounded.start(&user.to_vec());
                let score = |at: usize| -> f32 {
                    let item = items.row(order[at] as usize);
                    item.iter()
                        .zip(user)
                        .fold(0.0, |sum, (&x, &y)| x.mul_add(y, sum))
                };
                for at in 0..150 {
                    let (nth, place, score) = (at / ITEMS, at % ITEMS, score(at));
                    for threshold in [f32::NEG_INFINITY, score] {
                        let reaching = short.reaching(nth, &rounded, threshold);
                        let still =
                            short.still_reaching(nth, reaching, &rounded, threshold, &mut bounds);
                        assert_eq!(still >> place & 1, 1, "{n_factors} factors, item {at}");
                        let Bounds { lower, upper } = bounds[place];
                        assert!(lower <= score && score <= upper, "{lower} {score} {upper}");
                    }
                }
            }
        }
    }

    #[test]
    fn few_items_reach_what_the_best_do() {
        let (items, users) = (factors(64, 128, 0.0, 3), factors(8, 128, 0.0, 4));
        let order: Vec<i32> = (0..64).collect();
        let short = ShortFactors::new(items.view(), &order).expect("memory");
        let mut rounded = ShortUser::new(128).expect("memory");
        let mut bounds = [Bounds::default(); ITEMS];
        for user in users.rows() {
            rounded.start(&user.to_vec());
            let best = items.dot(&user).fold(f32::MIN, |best, &x| best.max(x));
            let by_halves = short.reaching(0, &rounded, best);
            let by_bytes = short.still_reaching(0, by_halves, &rounded, best, &mut bounds);
            assert!(by_halves.count_ones() <= 32 && by_bytes.count_ones() <= 4);
        }
    }

    #[test]
    fn what_is_not_a_number_reaches_everything() {
        let mut items = factors(3, 5, 0.0, 5);
        items[[1, 2]] = f32::NAN;
        items[[2, 0]] = f32::INFINITY;
        let short = ShortFactors::new(items.view(), &[0, 1, 2]).expect("memory");
        let mut rounded = ShortUser::new(5).expect("memory");
        let mut bounds = [Bounds::default(); ITEMS];
        rounded.start(&[1.0; 5]);
        let reaching = short.reaching(0, &rounded, f32::MAX);
        let still = short.still_reaching(0, reaching, &rounded, f32::MAX, &mut bounds);
        assert_eq!(still & 0b110, 0b110);
        assert!(!bounds[1].upper.is_finite() && !bounds[2].upper.is_finite());
    }
}
