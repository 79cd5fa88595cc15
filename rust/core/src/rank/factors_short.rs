//! Factors of items in a byte each, which say which items can enter the list of a user.
//!
//! One user's scores take as long as reading the factors of all items. So they are rounded to
//! bytes, a quarter of the memory, in blocks as in `factors_alone`, and each item keeps a bound on
//! how far the rounding can move a score: ``|q.p - s c.p| <= |q - s c| |p|`` by the inequality of
//! Cauchy and Schwarz, with the bytes c and the scale s of an item. Items whose score stays below
//! the list by this bound are left out, exactly; those that are left are scored in full.

use std::array::from_fn;

use ndarray::{ArrayView1, ArrayView2};
use pulp::{Simd, WithSimd};

use super::factors_alone::ITEMS;
use crate::base::Result;
use crate::base::memory::filled;

const SHORT: &str = "factors of items in bytes";

/// One factor of the items of a block.
type Codes = [i8; ITEMS];

/// Factors of all items in bytes.
pub(super) struct ShortFactors {
    n_factors: usize,
    codes: Vec<Codes>,
    blocks: Vec<Rounding>,
}

/// How the factors of a block were rounded.
#[derive(Clone, Copy)]
struct Rounding {
    scales: [f32; ITEMS],
    /// A score lies above what the bytes give by no more than this, times the length of the user.
    slacks: [f32; ITEMS],
}

impl ShortFactors {
    /// Those of the items in `order`, in blocks of `ITEMS`.
    pub(super) fn new(item_factors: ArrayView2<f32>, order: &[i32]) -> Result<Self> {
        let n_factors = item_factors.ncols();
        let n_blocks = order.len().div_ceil(ITEMS);
        let nothing = Rounding {
            scales: [0.0; ITEMS],
            slacks: [0.0; ITEMS],
        };
        let mut codes = filled(n_blocks.saturating_mul(n_factors), [0; ITEMS], SHORT)?;
        let mut blocks = filled(n_blocks, nothing, SHORT)?;
        for (nth, (items, block)) in order.chunks(ITEMS).zip(&mut blocks).enumerate() {
            let codes = &mut codes[nth * n_factors..(nth + 1) * n_factors];
            for (place, &item) in items.iter().enumerate() {
                let factors = item_factors.row(item as usize);
                let scale = factors.iter().fold(0f32, |most, x| most.max(x.abs())) / 127.0;
                for (line, &x) in codes.iter_mut().zip(factors) {
                    // A number is never out of range; what is none becomes zero.
                    line[place] = (x / scale).round() as i8;
                }
                block.scales[place] = scale;
                block.slacks[place] = slack(factors, scale, codes.iter().map(|line| line[place]));
            }
        }
        Ok(Self {
            n_factors,
            codes,
            blocks,
        })
    }

    /// What the scores of the items of a block do not exceed.
    pub(super) fn bounds<'a>(&'a self, nth: usize, user: &'a [f32], length: f32) -> Bounds<'a> {
        Bounds {
            codes: &self.codes[nth * self.n_factors..(nth + 1) * self.n_factors],
            rounding: &self.blocks[nth],
            user,
            length,
        }
    }
}

/// The distance between factors and their bytes, rounded up, with the roundings of both scores.
///
/// A sum of k products in single precision errs by no more than k / 2^24 of the product of the
/// lengths. Not a number where a factor is none, and then nothing is left out.
fn slack(factors: ArrayView1<f32>, scale: f32, codes: impl Iterator<Item = i8>) -> f32 {
    let (mut squares, mut errors) = (0.0, 0.0);
    for (&x, code) in factors.iter().zip(codes) {
        squares += f64::from(x).powi(2);
        errors += (f64::from(x) - f64::from(scale) * f64::from(code)).powi(2);
    }
    let error = errors.sqrt();
    let roundings = (factors.len() as f64 + 16.0) / f64::from(1 << 23);
    ((error + roundings * (squares.sqrt() + error)) as f32).next_up()
}

pub(super) struct Bounds<'a> {
    codes: &'a [Codes],
    rounding: &'a Rounding,
    user: &'a [f32],
    length: f32,
}

impl WithSimd for Bounds<'_> {
    type Output = [f32; ITEMS];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; ITEMS] {
        let mut sums = [0f32; ITEMS];
        for (&x, line) in self.user.iter().zip(self.codes) {
            let x = simd.splat_f32s(x);
            let codes = line.map(f32::from);
            let (codes, _) = S::as_simd_f32s(&codes);
            let (sums, _) = S::as_mut_simd_f32s(&mut sums);
            for (sum, &codes) in sums.iter_mut().zip(codes) {
                *sum = simd.mul_add_f32s(x, codes, *sum);
            }
        }
        let Rounding { scales, slacks } = self.rounding;
        // The least normal number is for products that are too small to be represented.
        from_fn(|at| sums[at] * scales[at] + self.length * slacks[at] + f32::MIN_POSITIVE)
    }
}
