//! The k-th largest of a row of scores, found with SIMD.
//!
//! Scores are not negative, so their bits have their order. The value of the k-th best is bracketed
//! by counting how many scores reach the middle of the bracket: a pass over a row that lies in
//! the first-level cache takes a fraction of what moving its elements would. The few that remain
//! are compared one by one.

use crate::base::dispatch::Kernel;

/// Scores compared at once.
const BLOCK: usize = 32;
/// Scores left in the bracket that are compared one by one.
const FEW: usize = 48;

/// What is kept of a row: scores with larger bits, and those with equal bits up to an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Bits of the smallest score that is kept; at least one, for zero is no score.
    pub(crate) bits: i32,
    /// The last of the equal ones.
    pub(crate) last: i32,
}

/// The cut that keeps the best `k` positive scores, of equal ones the first.
pub(crate) struct FindCut<'a> {
    pub(crate) scores: &'a [f32],
    pub(crate) k: usize,
    pub(crate) few: &'a mut Vec<(i32, i32)>,
}

impl Kernel for FindCut<'_> {
    type Output = Cut;

    #[inline(always)]
    fn call(self) -> Cut {
        let Self { scores, k, few } = self;
        let (mut low, most) = range(scores);
        let mut high = most + 1;
        let (mut reach_low, mut reach_high) = (reaching(scores, low), 0);
        if reach_low <= k {
            let last = i32::MAX;
            return Cut { bits: 1, last };
        }
        while reach_low - reach_high > FEW && high - low > 1 {
            let middle = low + (high - low) / 2;
            let reach = reaching(scores, middle);
            if reach > k {
                (low, reach_low) = (middle, reach);
            } else {
                (high, reach_high) = (middle, reach);
            }
            if reach == k {
                break;
            }
        }
        if reach_high == k {
            let last = i32::MAX;
            return Cut { bits: high, last };
        }
        few.clear();
        for_each(
            scores,
            |bits| (low..high).contains(&bits),
            |i| few.push((-(scores[i].to_bits() as i32), i as i32)),
        );
        // Equal ones already stand in order.
        let at = k - reach_high - 1;
        let (bits, last) = if high - low == 1 {
            few[at]
        } else {
            *few.select_nth_unstable(at).1
        };
        Cut { bits: -bits, last }
    }
}

/// Calls `take` with the index and the score of each of the scores that a cut keeps, in order.
pub(crate) struct ForEachKept<'a, F> {
    pub(crate) scores: &'a [f32],
    pub(crate) cut: Cut,
    pub(crate) take: F,
}

impl<F: FnMut(usize, f32)> Kernel for ForEachKept<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            scores,
            cut,
            mut take,
        } = self;
        for_each(
            scores,
            |bits| bits >= cut.bits,
            |i| {
                let score = scores[i];
                if score.to_bits() as i32 > cut.bits || i as i32 <= cut.last {
                    take(i, score);
                }
            },
        );
    }
}

/// As [`ForEachKept`] of the scores of one neighbour, each for a target with a cut of its own.
pub(crate) struct ForEachKeptByTarget<'a, F> {
    pub(crate) neighbour: usize,
    pub(crate) scores: &'a [f32],
    pub(crate) bits: &'a [i32],
    pub(crate) last: &'a [i32],
    pub(crate) take: F,
}

impl<F: FnMut(usize, f32)> Kernel for ForEachKeptByTarget<'_, F> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            neighbour,
            scores,
            bits,
            last,
            mut take,
        } = self;
        let own = neighbour as i32;
        let passes = |score: f32, bits: i32, last: i32| {
            score.to_bits() as i32 >= bits + i32::from(own > last)
        };
        let (s_blocks, s_rest) = scores.as_chunks::<BLOCK>();
        let (b_blocks, b_rest) = bits.as_chunks::<BLOCK>();
        let (l_blocks, l_rest) = last.as_chunks::<BLOCK>();
        for (at, ((s, b), l)) in s_blocks.iter().zip(b_blocks).zip(l_blocks).enumerate() {
            let mut mask = 0u32;
            for i in 0..BLOCK {
                mask |= u32::from(passes(s[i], b[i], l[i])) << i;
            }
            while mask != 0 {
                let i = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                take(at * BLOCK + i, s[i]);
            }
        }
        for (at, ((&s, &b), &l)) in s_rest.iter().zip(b_rest).zip(l_rest).enumerate() {
            if passes(s, b, l) {
                take(s_blocks.len() * BLOCK + at, s);
            }
        }
    }
}

/// Smallest and largest bits of the positive scores.
#[inline(always)]
fn range(scores: &[f32]) -> (i32, i32) {
    let (mut least, mut most) = (i32::MAX, 0);
    for score in scores {
        let bits = score.to_bits() as i32;
        least = least.min(if bits > 0 { bits } else { i32::MAX });
        most = most.max(bits);
    }
    (least, most)
}

/// How many scores have at least these bits.
#[inline(always)]
fn reaching(scores: &[f32], bits: i32) -> usize {
    // One running sum in 32 bits: nothing else becomes as few instructions.
    let mut count = 0u32;
    for score in scores {
        count += u32::from(score.to_bits() as i32 >= bits);
    }
    count as usize
}

/// Calls `take` with the index of each score whose bits pass, in order.
#[inline(always)]
fn for_each(scores: &[f32], passes: impl Fn(i32) -> bool, mut take: impl FnMut(usize)) {
    let (blocks, rest) = scores.as_chunks::<BLOCK>();
    for (b, block) in blocks.iter().enumerate() {
        let mut mask = 0u32;
        for i in 0..BLOCK {
            mask |= u32::from(passes(block[i].to_bits() as i32)) << i;
        }
        while mask != 0 {
            take(b * BLOCK + mask.trailing_zeros() as usize);
            mask &= mask - 1;
        }
    }
    for (i, score) in (blocks.len() * BLOCK..).zip(rest) {
        if passes(score.to_bits() as i32) {
            take(i);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dispatch::dispatch;
    use crate::base::rng::Rng;
    use crate::base::topk::{Scored, keep_top};

    fn kept(scores: &[f32], k: usize) -> Vec<usize> {
        let cut = dispatch(FindCut {
            scores,
            k,
            few: &mut Vec::new(),
        });
        let mut kept = Vec::new();
        dispatch(ForEachKept {
            scores,
            cut,
            take: |i, score| {
                assert_eq!(score, scores[i]);
                kept.push(i);
            },
        });
        kept
    }

    #[test]
    fn the_best_are_those_of_a_sort_however_many_are_equal() {
        let mut rng = Rng::at(6, 0, 0);
        for n in [1usize, 31, 32, 33, 700] {
            for distinct in [1, 2, 9, 1_000_000] {
                let scores: Vec<f32> = (0..n)
                    .map(|_| (rng.below(distinct) as f32 / 7.0).powi(5))
                    .collect();
                for k in [1, 2, 30, n / 2 + 1, n, n + 5] {
                    let mut sorted: Vec<Scored> = (0..n)
                        .map(|i| Scored {
                            index: i as i32,
                            score: scores[i],
                        })
                        .filter(|s| s.score > 0.0)
                        .collect();
                    keep_top(&mut sorted, k);
                    let mut expected: Vec<usize> =
                        sorted.iter().map(|s| s.index as usize).collect();
                    expected.sort_unstable();
                    assert_eq!(kept(&scores, k), expected, "{n} {distinct} {k}");
                }
            }
        }
    }
}
