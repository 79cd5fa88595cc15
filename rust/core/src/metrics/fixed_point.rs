//! Sums of non-negative numbers that do not depend on the order of the summands.
//!
//! A number is added as a whole multiple of 2^-80 in 128 bits. Whole numbers add without rounding,
//! so the sum over shards is the sum over all, to the bit; the value of the sum is rounded once.
//!
//! Deviation: what lies below 2^-80, about 1e-24, is cut off. A double of 2^-28 or more has no such
//! part, and the value of the sum is then the correctly rounded one. Sums must stay below 2^47.

/// Binary places behind the point.
pub const PLACES: u32 = 80;

/// `value` in multiples of 2^-80.
#[inline]
#[must_use]
pub fn fixed(value: f64) -> i128 {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as i32;
    if exponent == 0 {
        return 0;
    }
    let mantissa = i128::from((bits & ((1 << 52) - 1)) | (1 << 52));
    let shift = exponent - 1075 + PLACES as i32;
    if shift >= 0 {
        mantissa << shift
    } else if shift > -64 {
        mantissa >> -shift
    } else {
        0
    }
}

/// The double nearest to a sum of such multiples.
#[must_use]
pub fn rounded(sum: i128) -> f64 {
    sum as f64 / (1u128 << PLACES) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn a_number_comes_back_as_it_was() {
        for value in [
            0.0,
            1.0,
            0.5,
            1.0 / 3.0,
            20.0,
            1e-6,
            123_456.789,
            2f64.powi(46),
        ] {
            assert_eq!(rounded(fixed(value)), value);
        }
        assert_eq!(fixed(1e-30), 0);
        assert_eq!(fixed(2f64.powi(-80)), 1);
    }

    #[test]
    fn order_does_not_matter_where_it_does_for_doubles() {
        let mut rng = Rng::at(2, 0, 0);
        let values: Vec<f64> = (0..5000).map(|_| rng.unit() * 3.0 + 1e-5).collect();
        let there: i128 = values.iter().map(|&v| fixed(v)).sum();
        let back: i128 = values.iter().rev().map(|&v| fixed(v)).sum();
        assert_eq!(there, back);
        let (a, b): (f64, f64) = (values.iter().sum(), values.iter().rev().sum());
        assert_ne!(a, b, "the example must be one that doubles get wrong");
        assert!((rounded(there) - a).abs() < 1e-8);
    }
}
