//! Counter-based random numbers: every draw is a pure function of `(seed, stream, position)`.
//!
//! Objective: the same seed gives the same bits whatever the number of threads and whatever the
//! order in which rows are visited. There is no state to share, so there is nothing to schedule.
//!
//! Source: the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014, variant 13 of Stafford), applied to each word of the key in turn.
//! Deviation: keyed by three words instead of walked as a sequence.
//! Cost: three multiply-xorshift rounds per key, one per further draw.

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The 64 random bits that belong to `(seed, stream, position)`.
#[inline]
#[must_use]
pub const fn bits(seed: u64, stream: u64, position: u64) -> u64 {
    let a = mix(seed.wrapping_add(GOLDEN));
    let b = mix(a ^ stream.wrapping_add(GOLDEN.wrapping_mul(2)));
    mix(b ^ position.wrapping_add(GOLDEN.wrapping_mul(3)))
}

/// A short sequence of draws that starts at `(seed, stream, position)`.
///
/// Make one per row; never share one between rows.
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The sequence that belongs to `(seed, stream, position)`.
    #[must_use]
    pub const fn at(seed: u64, stream: u64, position: u64) -> Self {
        Self {
            state: bits(seed, stream, position),
        }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// The bits that the `n`-th call from now of [`next_u64`](Self::next_u64) would give (the next
    /// one for 0), computed directly: iterations of a loop over these are independent.
    #[inline(always)]
    #[must_use]
    pub fn ahead(&self, n: u64) -> u64 {
        mix(self
            .state
            .wrapping_add(GOLDEN.wrapping_mul(n.wrapping_add(1))))
    }

    /// Uniform in `[0, 1)` with 53 random bits.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `0..bound` without bias (Lemire's multiplication with rejection).
    ///
    /// A `bound` of zero returns zero.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let mut wide = u128::from(self.next_u64()) * u128::from(bound);
        if (wide as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (wide as u64) < threshold {
                wide = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (wide >> 64) as u64
    }

    /// Standard normal (Box and Muller, 1958; the second value of the pair is not kept).
    #[inline]
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.unit();
        let v = self.unit();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_every_part_of_the_key() {
        let base = bits(1, 2, 3);
        assert_eq!(base, bits(1, 2, 3));
        assert_ne!(base, bits(0, 2, 3));
        assert_ne!(base, bits(1, 3, 2));
        assert_ne!(base, bits(1, 2, 4));
    }

    #[test]
    fn looking_ahead_sees_the_draws_to_come() {
        let mut rng = Rng::at(5, 6, 7);
        let seen: Vec<u64> = (0..4).map(|n| rng.ahead(n)).collect();
        let drawn: Vec<u64> = (0..4).map(|_| rng.next_u64()).collect();
        assert_eq!(seen, drawn);
    }

    #[test]
    fn below_is_uniform_over_its_range() {
        let mut rng = Rng::at(7, 0, 0);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[rng.below(7) as usize] += 1;
        }
        // Chi-squared with 6 degrees of freedom: 99.99% of true uniforms stay below 27.9.
        let chi2: f64 = counts
            .iter()
            .map(|&c| (f64::from(c) - 10_000.0).powi(2) / 10_000.0)
            .sum();
        assert!(chi2 < 27.9, "{counts:?}");
    }

    #[test]
    fn consecutive_positions_are_not_correlated() {
        let unit = |p| Rng::at(3, 1, p).unit() - 0.5;
        let n = 100_000;
        let corr: f64 = (0..n).map(|p| unit(p) * unit(p + 1)).sum::<f64>() / n as f64 * 12.0;
        assert!(corr.abs() < 0.02, "{corr}");
    }
}
