//! Exponential and logarithm that the compiler can lay out side by side in vectors.
//!
//! Those of the standard library are calls, one number at a time, and may differ in the last bit
//! from one platform to the next. These are plain sums and products: the same bits everywhere.
//! Their relative error is below 1e-15, where f32 results need 6e-8.
//!
//! Method: exp by r = x - n ln 2 and its Taylor series; ln by a power of two and the series of
//! 2 artanh(f / (2 + f)).

use std::f64::consts::{LN_2, LOG2_E};

/// Added to a number below 2^51, it leaves the nearest integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// ln 2 in two parts, the first so short that its multiples are exact.
const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1 / 13! down to 1 / 0!.
const EXP_SERIES: [f64; 14] = {
    let mut series = [1.0; 14];
    let mut n = 1;
    while n < 14 {
        series[13 - n] = series[14 - n] / n as f64;
        n += 1;
    }
    series
};
/// 1 / 21 down to 1 / 1, odd numbers only.
const ARTANH_SERIES: [f64; 11] = {
    let mut series = [1.0; 11];
    let mut n = 0;
    while n < 11 {
        series[10 - n] = 1.0 / (2 * n + 1) as f64;
        n += 1;
    }
    series
};

/// e^x for x of at least zero; beyond 709 as for 709, near the largest number there is.
#[inline(always)]
#[must_use]
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.min(709.0);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut sum = EXP_SERIES[0];
    for c in &EXP_SERIES[1..] {
        sum = sum * r + c;
    }
    // The power of two goes straight to the exponent.
    f64::from_bits(sum.to_bits().wrapping_add(shifted.to_bits() << 52))
}

/// 1 / 6! down to 1 / 0!.
const EXP32_SERIES: [f32; 7] = [
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];
/// As [`ROUND`], for numbers below 2^22.
const ROUND32: f32 = 12_582_912.0;
const LN_2_HIGH32: f32 = 0.693_359_4;
const LN_2_LOW32: f32 = -2.121_944_4e-4;

/// e^x in single precision for x of at most zero, to 3e-7 of its value; below -87 as for -87.
#[inline(always)]
#[must_use]
pub(crate) fn exp32(x: f32) -> f32 {
    let x = x.max(-87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND32;
    let n = shifted - ROUND32;
    let r = (x - n * LN_2_HIGH32) - n * LN_2_LOW32;
    let mut sum = EXP32_SERIES[0];
    for c in &EXP32_SERIES[1..] {
        sum = sum * r + c;
    }
    f32::from_bits(sum.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// ln(1 + x) for x of at least zero.
#[inline(always)]
#[must_use]
pub(crate) fn ln_1p(x: f64) -> f64 {
    // The bits of sqrt(1/2): from there to sqrt 2 the exponent below is zero. Wrapping, because
    // what is infinite or no number may come along in a vector and be thrown away.
    let exponent = (1.0 + x).to_bits().wrapping_sub(0x3fe6_a09e_667f_3bcd) >> 52;
    let scale = f64::from_bits(1023u64.wrapping_sub(exponent) << 52);
    // (1 + x) scale - 1, without the rounding of 1 + x.
    let f = x * scale + (scale - 1.0);
    let z = f / (2.0 + f);
    let square = z * z;
    let mut sum = ARTANH_SERIES[0];
    for c in &ARTANH_SERIES[1..] {
        sum = sum * square + c;
    }
    // A small integer as a float, by the bits of 2^52: not every processor has the conversion.
    let exponent = f64::from_bits(exponent | 0x4330_0000_0000_0000) - 4_503_599_627_370_496.0;
    exponent * LN_2 + 2.0 * z * sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    fn points() -> impl Iterator<Item = f64> {
        let mut rng = Rng::at(3, 0, 0);
        let drawn = (0..20_000).map(move |_| 10f64.powf(rng.unit() * 14.0 - 12.0));
        drawn.chain([0.0, 1.0, 2f64.sqrt() - 1.0, 3.0, 1e-300, 708.9])
    }

    #[test]
    fn both_agree_with_the_standard_library() {
        for x in points() {
            let near = |ours: f64, theirs: f64, name: &str| {
                assert!(
                    (ours - theirs).abs() <= 1e-15 * theirs,
                    "{name} {x}: {ours} {theirs}"
                );
            };
            near(exp(x), x.exp(), "exp");
            near(ln_1p(x), x.ln_1p(), "ln_1p");
        }
    }

    #[test]
    fn single_precision_agrees_with_double() {
        for x in points().filter(|&x| x < 87.0) {
            let (ours, theirs) = (f64::from(exp32(-x as f32)), f64::from(-x as f32).exp());
            assert!(
                (ours - theirs).abs() <= 3e-7 * theirs,
                "{x}: {ours} {theirs}"
            );
        }
        assert!(exp32(-1e30) > 0.0 && exp32(f32::NEG_INFINITY) < 2e-38);
        assert_eq!(exp32(0.0), 1.0);
    }

    #[test]
    fn what_is_too_large_stays_finite() {
        assert!(exp(1e9).is_finite());
        assert!((ln_1p(1e300) - 300.0 * 10f64.ln()).abs() < 1e-12);
    }
}
