//! Factors of items in a byte each, which say which items can enter the list of a user.
//!
//! One user's scores take as long as reading the factors of all items. So they are rounded to
//! bytes, a quarter of the memory, in blocks as in `factors_alone`, those of the user to two bytes,
//! and scores are sums of integers. Rounding can move a score by no more than
//! ``|q.p - s c.t d| <= |q - s c| |p| + |s c| |p - t d|`` by the inequality of Cauchy and Schwarz,
//! with the integers c and d, and the scales s and t, of an item and of the user. Items whose score
//! stays below the list by this bound are left out, exactly; those that are left are scored in
//! full.

use std::array::from_fn;

use ndarray::{ArrayView1, ArrayView2};

#[cfg(target_arch = "x86_64")]
use pulp::{bytemuck, i8x16, i16x16, x86::V3};

use super::factors_alone::ITEMS;
use super::select::not_below;
use crate::base::Result;
#[cfg(target_arch = "x86_64")]
use crate::base::dispatch::avx2;
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::{filled, with_room};

const SHORT: &str = "factors of items in bytes";

/// More than is lost of a score where a product of scales is too small to be represented: 2^-150,
/// times a sum below 2^31.
const LOST: f32 = 3e-36;

/// Two factors of the items of a block, side by side, as processors multiply and add them.
type Codes = [[i8; 2]; ITEMS];

/// Factors of all items in bytes.
pub(super) struct ShortFactors {
    /// Of a block; the last one of an odd number of factors has a zero beside it.
    n_pairs: usize,
    codes: Vec<Codes>,
    blocks: Vec<Rounding>,
}

/// How the factors of a block were rounded.
#[derive(Clone, Copy)]
struct Rounding {
    scales: [f32; ITEMS],
    /// Lengths of the rounded factors, rounded up.
    lengths: [f32; ITEMS],
    /// A score lies above what the bytes give by no more than this, times the length of the user.
    slacks: [f32; ITEMS],
}

impl ShortFactors {
    /// Those of the items in `order`, in blocks of `ITEMS`.
    pub(super) fn new(item_factors: ArrayView2<f32>, order: &[i32]) -> Result<Self> {
        let n_pairs = item_factors.ncols().div_ceil(2);
        let n_blocks = order.len().div_ceil(ITEMS);
        let nothing = Rounding {
            scales: [0.0; ITEMS],
            lengths: [0.0; ITEMS],
            slacks: [0.0; ITEMS],
        };
        let mut codes = filled(n_blocks.saturating_mul(n_pairs), [[0; 2]; ITEMS], SHORT)?;
        let mut blocks = filled(n_blocks, nothing, SHORT)?;
        for (nth, (items, block)) in order.chunks(ITEMS).zip(&mut blocks).enumerate() {
            let codes = &mut codes[nth * n_pairs..(nth + 1) * n_pairs];
            for (place, &item) in items.iter().enumerate() {
                let factors = item_factors.row(item as usize);
                let scale = scale(factors, 127.0);
                for (k, &x) in factors.iter().enumerate() {
                    // A number is never out of range; what is none becomes zero.
                    codes[k / 2][place][k % 2] = (x / scale).round() as i8;
                }
                let rounded = codes.iter().flat_map(|line| line[place]).map(f64::from);
                let Rounded { length, error } = Rounded::of(factors, scale, rounded);
                block.scales[place] = scale;
                block.lengths[place] = up(length);
                // A sum of k products in single precision errs by no more than k / 2^24 of the
                // product of the lengths.
                let roundings = (factors.len() as f64 + 16.0) / f64::from(1 << 23);
                block.slacks[place] = up(error + roundings * (length + 2.0 * error));
            }
        }
        Ok(Self {
            n_pairs,
            codes,
            blocks,
        })
    }

    /// One bit for each item of a block whose score can reach the threshold.
    pub(super) fn reaching(&self, nth: usize, user: &ShortUser, threshold: f32) -> u64 {
        let codes = &self.codes[nth * self.n_pairs..(nth + 1) * self.n_pairs];
        let sums = sums(&user.codes, codes);
        dispatch(Reaching {
            sums: &sums,
            rounding: &self.blocks[nth],
            user,
            threshold,
        })
    }
}

/// Factors of a user in two bytes each.
pub(super) struct ShortUser {
    codes: Vec<[i16; 2]>,
    scale: f32,
    /// Of the factors themselves, and of the difference to what is rounded; rounded up.
    length: f32,
    error: f32,
}

impl ShortUser {
    /// With room for so many factors.
    pub(super) fn new(n_factors: usize) -> Result<Self> {
        Ok(Self {
            codes: with_room(n_factors.div_ceil(2), SHORT)?,
            scale: 0.0,
            length: 0.0,
            error: 0.0,
        })
    }

    pub(super) fn start(&mut self, factors: &[f32]) {
        let all = ArrayView1::from(factors);
        // A sum of so many products fits into 32 bits.
        let most = (i32::MAX / 127) as usize / factors.len().max(1);
        self.scale = scale(all, most.min(i16::MAX as usize) as f32);
        let code = |x: f32| (x / self.scale).round() as i16;
        let pairs = factors.chunks(2);
        self.codes.clear();
        self.codes
            .extend(pairs.map(|pair| [code(pair[0]), pair.get(1).map_or(0, |&x| code(x))]));
        let codes = self.codes.iter().flatten().map(|&code| f64::from(code));
        let Rounded { length, error } = Rounded::of(all, self.scale, codes);
        self.length = up(length + 2.0 * error);
        self.error = up(error);
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

/// Of rounded factors: their length, and that of the difference to the factors. Not a number where
/// a factor is none, and then nothing is left out.
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

/// Inner products of the user and the items of a block.
#[inline]
fn sums(user: &[[i16; 2]], codes: &[Codes]) -> [i32; ITEMS] {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = avx2() {
        return simd.vectorize(Sums { simd, user, codes });
    }
    let mut sums = [0; ITEMS];
    for (&[x, y], line) in user.iter().zip(codes) {
        for (sum, &[a, b]) in sums.iter_mut().zip(line) {
            *sum += i32::from(x) * i32::from(a) + i32::from(y) * i32::from(b);
        }
    }
    sums
}

/// The same by an instruction that multiplies and adds pairs, which the compiler does not find.
#[cfg(target_arch = "x86_64")]
struct Sums<'a> {
    simd: V3,
    user: &'a [[i16; 2]],
    codes: &'a [Codes],
}

#[cfg(target_arch = "x86_64")]
impl Kernel for Sums<'_> {
    type Output = [i32; ITEMS];

    #[inline(always)]
    fn call(self) -> [i32; ITEMS] {
        let simd = self.simd;
        let mut sums = [simd.splat_i32x8(0); ITEMS / 8];
        for (&pair, line) in self.user.iter().zip(self.codes) {
            let user: i16x16 = bytemuck::cast(simd.splat_i32x8(bytemuck::cast(pair)));
            let line: &[i8x16; ITEMS / 8] = bytemuck::cast_ref(line);
            for (sum, &items) in sums.iter_mut().zip(line) {
                let items = simd.convert_i8x16_to_i16x16(items);
                let products = simd.multiply_wrapping_add_adjacent_i16x16(items, user);
                *sum = simd.wrapping_add_i32x8(*sum, products);
            }
        }
        bytemuck::cast(sums)
    }
}

struct Reaching<'a> {
    sums: &'a [i32; ITEMS],
    rounding: &'a Rounding,
    user: &'a ShortUser,
    threshold: f32,
}

impl Kernel for Reaching<'_> {
    type Output = u64;

    #[inline(always)]
    fn call(self) -> u64 {
        let ShortUser {
            scale,
            length,
            error,
            ..
        } = *self.user;
        let Rounding {
            scales,
            lengths,
            slacks,
        } = self.rounding;
        let bounds: [f32; ITEMS] = from_fn(|at| {
            let score = self.sums[at] as f32 * (scales[at] * scale);
            score + length * slacks[at] + error * lengths[at] + LOST
        });
        // A bound that is not a number leaves nothing out.
        not_below(&bounds, self.threshold)
    }
}
