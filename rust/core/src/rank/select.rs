//! The best `n` of scores that arrive block by block, for one user or for several side by side.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, _CMP_NLT_UQ};
use std::cmp::Ordering;

#[cfg(target_arch = "x86_64")]
use pulp::{
    bytemuck, f32x8, f32x16,
    x86::{V3, V4},
};

use super::request::Columns;
use crate::base::Result;
#[cfg(target_arch = "x86_64")]
use crate::base::dispatch::{avx2, avx512};
use crate::base::memory::with_room;
use crate::base::topk::{Scored, keep_top, sort_top};

/// Scores compared at once against the threshold of one user.
const BLOCK: usize = 32;

/// One bit for each score that is not below a threshold, one that is no number among them.
///
/// Where the processor has an instruction for it, which the compiler does not find.
#[inline(always)]
pub(super) fn not_below(scores: &[f32; 64], threshold: f32) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = avx512() {
        return not_below_512(simd, scores, threshold);
    } else if let Some(simd) = avx2() {
        return not_below_256(simd, scores, threshold);
    }
    not_below_plainly(scores, threshold)
}

#[inline(always)]
fn not_below_plainly(scores: &[f32; 64], threshold: f32) -> u64 {
    let mut bits = 0;
    for (at, &score) in scores.iter().enumerate() {
        let is_below = score.partial_cmp(&threshold) == Some(Ordering::Less);
        bits |= u64::from(!is_below) << at;
    }
    bits
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn not_below_256(simd: V3, scores: &[f32; 64], threshold: f32) -> u64 {
    let scores: &[f32x8; 8] = bytemuck::cast_ref(scores);
    let threshold: __m256 = bytemuck::cast(simd.splat_f32x8(threshold));
    scores.iter().rev().fold(0, |bits, &eight| {
        let passing = simd
            .avx
            ._mm256_cmp_ps::<_CMP_NLT_UQ>(bytemuck::cast(eight), threshold);
        bits << 8 | simd.avx._mm256_movemask_ps(passing) as u64
    })
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn not_below_512(simd: V4, scores: &[f32; 64], threshold: f32) -> u64 {
    let scores: &[f32x16; 4] = bytemuck::cast_ref(scores);
    let threshold = simd.splat_f32x16(threshold);
    scores.iter().rev().fold(0, |bits, &sixteen| {
        bits << 16 | u64::from(simd.cmp_not_lt_f32x16(sixteen, threshold).0)
    })
}

/// The best `n` so far, and the score that a newcomer has to beat.
pub(super) struct Selector {
    n: usize,
    limit: usize,
    threshold: f32,
    kept: Vec<Scored>,
}

impl Selector {
    /// For lists of `n` out of `n_columns`.
    pub(super) fn new(n: usize, n_columns: usize) -> Result<Self> {
        let n = n.min(n_columns);
        let limit = (4 * n).max(64);
        Ok(Self {
            n,
            limit,
            threshold: f32::NEG_INFINITY,
            kept: with_room(limit.min(n_columns) + BLOCK, "scores kept of a user")?,
        })
    }

    /// The same, whose threshold is never far behind, which costs more.
    pub(super) fn eager(n: usize, n_columns: usize) -> Result<Self> {
        let mut selector = Self::new(n, n_columns)?;
        selector.limit = selector.n + (selector.n / 2).max(4);
        Ok(selector)
    }

    /// Scan one user's `scores`, all columns in ascending order.
    ///
    /// Columns ascend, so a score equal to the threshold can never displace an earlier item.
    pub(super) fn scan(&mut self, scores: &[f32], columns: &Columns) {
        for (b, block) in scores.chunks(BLOCK).enumerate() {
            // A branch-free pass the compiler turns into a few vector comparisons.
            let above: u32 = block.iter().map(|&s| u32::from(s > self.threshold)).sum();
            if above == 0 {
                continue;
            }
            let start = b * BLOCK;
            for (at, &score) in block.iter().enumerate() {
                if score > self.threshold {
                    self.kept.push(Scored {
                        index: columns.item(start + at),
                        score,
                    });
                }
            }
            if self.kept.len() >= self.limit {
                self.shorten();
            }
        }
    }

    /// What a score has to exceed, or to equal where items do not ascend.
    pub(super) fn threshold(&self) -> f32 {
        self.threshold
    }

    /// How many more scores of zero a list could hold, those taken so far being all others.
    pub(super) fn room_for_zeros(&self) -> usize {
        let above = self.kept.iter().filter(|s| s.score > 0.0).count();
        self.n - above.min(self.n)
    }

    /// Add one score that passed the threshold; the threshold from now on.
    #[inline]
    pub(super) fn push(&mut self, index: i32, score: f32) -> f32 {
        self.kept.push(Scored { index, score });
        if self.kept.len() >= self.limit {
            self.shorten();
        }
        self.threshold
    }

    /// Keep the best, if there are more; the threshold is then that of the last of them.
    pub(super) fn shorten(&mut self) {
        // Of no more than these, none was selected, and the last may be the best.
        if self.kept.len() > self.n {
            keep_top(&mut self.kept, self.n);
            // The n-th best was selected to the last place.
            if let Some(last) = self.kept.last() {
                self.threshold = last.score;
            }
        }
    }

    /// Write the list, best first, over the padding in `items` and `scores`, and start afresh.
    pub(super) fn finish(&mut self, items: &mut [i32], scores: &mut [f32]) {
        sort_top(&mut self.kept, self.n);
        for ((item, score), s) in items.iter_mut().zip(scores).zip(&self.kept) {
            *item = s.index;
            // A zero is shown as it is, not as the minus zero some kernel left behind.
            *score = s.score + 0.0;
        }
        self.clear();
    }

    /// Start afresh.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
        self.threshold = f32::NEG_INFINITY;
    }
}

/// Selectors of `L` users whose scores lie side by side: one comparison serves all of them.
pub(super) struct Lanes<const L: usize> {
    selectors: Vec<Selector>,
    /// What a score must be at least to count for each lane.
    at_least: [f32; L],
}

impl<const L: usize> Lanes<L> {
    /// For lists of `n` out of `n_columns`.
    pub(super) fn new(n: usize, n_columns: usize) -> Result<Self> {
        let selectors = (0..L).map(|_| Selector::new(n, n_columns));
        Ok(Self {
            selectors: selectors.collect::<Result<_>>()?,
            at_least: [f32::MIN; L],
        })
    }

    /// Start afresh with `filled` users; the other lanes take nothing.
    pub(super) fn start(&mut self, filled: usize) {
        self.at_least = std::array::from_fn(|l| if l < filled { f32::MIN } else { f32::INFINITY });
    }

    /// What a score must be at least to enter the list of each lane.
    pub(super) fn at_least(&self) -> &[f32; L] {
        &self.at_least
    }

    /// Take the scores of `item` for all lanes, if one is good enough and its bit is not set in
    /// `left_out`, which is called only then.
    ///
    /// With `ASCENDING` items, a score equal to the worst kept one can never displace it; in any
    /// other order it can, by its number.
    #[inline(always)]
    pub(super) fn offer<const ASCENDING: bool>(
        &mut self,
        item: i32,
        scores: &[f32; L],
        left_out: impl FnOnce() -> u32,
    ) {
        let mut passing = 0u32;
        for l in 0..L {
            passing |= u32::from(scores[l] >= self.at_least[l]) << l;
        }
        if passing != 0 {
            self.push::<ASCENDING>(item, scores, passing & !left_out());
        }
    }

    #[cold]
    fn push<const ASCENDING: bool>(&mut self, item: i32, scores: &[f32; L], mut passing: u32) {
        while passing != 0 {
            let lane = passing.trailing_zeros() as usize;
            passing &= passing - 1;
            let threshold = self.selectors[lane].push(item, scores[lane]);
            if threshold > f32::NEG_INFINITY {
                self.at_least[lane] = if ASCENDING {
                    threshold.next_up()
                } else {
                    threshold
                };
            }
        }
    }

    /// Write the list of a lane over the padding, and start it afresh.
    pub(super) fn finish(&mut self, lane: usize, items: &mut [i32], scores: &mut [f32]) {
        self.selectors[lane].finish(items, scores);
    }
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::*;
    use crate::base::dispatch::dispatch;
    use crate::base::rng::Rng;

    #[test]
    fn what_is_not_below_is_that_of_the_definition_on_every_processor() {
        let special = [
            f32::NAN,
            -f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            0.0,
            -0.0,
        ];
        let mut rng = Rng::at(1, 0, 0);
        for _ in 0..200 {
            let mut any = || match (rng.unit() * 20.0) as usize {
                at if at < special.len() => special[at],
                at => (at as f32 - 13.0) / 4.0,
            };
            let (scores, threshold): ([f32; 64], _) = (from_fn(|_| any()), any());
            let passes = |score: f32| score >= threshold || score.is_nan() || threshold.is_nan();
            let wanted = (0..64).map(|at| u64::from(passes(scores[at])) << at).sum();
            let plain = not_below_plainly(&scores, threshold);
            assert_eq!(plain, wanted);
            assert_eq!(dispatch(|| not_below(&scores, threshold)), wanted);
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = avx2() {
                assert_eq!(dispatch(|| not_below_256(simd, &scores, threshold)), wanted);
            }
        }
    }
}
