//! Counts among the most popular columns, from rows of bits.
//!
//! The bits of eight columns are interleaved word by word, so that eight counts advance side by
//! side in the lanes of a vector and no sum across lanes is needed. Ones are counted through a tree
//! of carry-save adders (R. Harley and H. Seal; W. Mula, N. Kurz, D. Lemire, "Faster population
//! counts using AVX2 instructions", 2018), which turns most of the counting into bit logic: the
//! instruction that counts ones is missing from the baseline of AVX-512 and from AVX2.

use rayon::prelude::*;

use super::ranked::{Rank, Ranked};
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::filled;
use crate::base::{Progress, Result};

const LANES: usize = 8;
/// Words of each column taken at once: those of a few groups stay in the first-level cache.
const WORDS: usize = 128;
/// Words that one tree of adders takes.
const TREE: usize = 16;

type Lanes = [u64; LANES];

/// Nanoseconds per step of a walk, and per word of eight pairs of bit rows; only their ratio
/// matters, and roughly.
const STEP: f64 = 0.8;
const WORD: f64 = 0.6;

/// How many of the most popular columns are better counted by bits, given the steps of each.
pub(super) fn head_size(work: &[u64], n_rows: usize) -> usize {
    let words = n_rows.div_ceil(64) as f64;
    // The saving falls with the rank and the cost rises, but not strictly: the last to gain counts.
    let gains = |t: usize| work[t] as f64 * STEP > t as f64 / LANES as f64 * words * WORD;
    (0..work.len())
        .rev()
        .find(|&t| gains(t))
        .map_or(0, |t| t + 1)
}

/// Bit rows of the first columns.
pub(super) struct HeadBits {
    n: usize,
    words: usize,
    bits: Vec<Lanes>,
}

impl HeadBits {
    pub(super) fn new<R: Rank>(
        ranked: &Ranked<R>,
        n: usize,
        n_rows: usize,
        progress: &Progress,
    ) -> Result<Self> {
        let words = n_rows.div_ceil(64).next_multiple_of(TREE);
        let mut bits = filled(n.div_ceil(LANES) * words, [0u64; LANES], "rows of bits")?;
        bits.par_chunks_mut(words.max(1))
            .enumerate()
            .try_for_each(|(group, bits)| {
                for lane in 0..LANES.min(n - group * LANES) {
                    progress.check()?;
                    for &row in ranked.members(group * LANES + lane) {
                        bits[row as usize / 64][lane] |= 1 << (row % 64);
                    }
                }
                Ok(())
            })?;
        Ok(Self { n, words, bits })
    }

    fn group(&self, g: usize) -> &[Lanes] {
        &self.bits[g * self.words..][..self.words]
    }

    /// Counts of the columns from `first` on with all before them, a row of `n` each.
    pub(super) fn fill(&self, first: usize, out: &mut [f32], progress: &Progress) -> Result<()> {
        out.par_chunks_mut(LANES * self.n)
            .with_max_len(1)
            .enumerate()
            .try_for_each(|(g, out)| {
                let own = first / LANES + g;
                let mut counts = filled(own + 1, [[0u64; LANES]; LANES], "counts of pairs")?;
                for start in (0..self.words).step_by(WORDS) {
                    progress.check()?;
                    let chunk = start..(start + WORDS).min(self.words);
                    let a = &self.group(own)[chunk.clone()];
                    for (other, counts) in counts.iter_mut().enumerate() {
                        let b = &self.group(other)[chunk.clone()];
                        dispatch(AddCounts { a, b, counts });
                    }
                }
                for (lane, row) in out.chunks_mut(self.n).enumerate() {
                    for (other, counts) in counts.iter().enumerate() {
                        let at = other * LANES;
                        for (slot, &count) in row[at..].iter_mut().zip(&counts[lane]) {
                            *slot = count as f32;
                        }
                    }
                }
                Ok(())
            })
    }
}

#[inline(always)]
fn and(a: u64, b: &Lanes) -> Lanes {
    std::array::from_fn(|l| a & b[l])
}

/// Sum and carry of three bits each.
#[inline(always)]
fn adder(a: &mut Lanes, b: Lanes, c: Lanes) -> Lanes {
    let carry = std::array::from_fn(|l| (a[l] & b[l]) | (c[l] & (a[l] ^ b[l])));
    *a = std::array::from_fn(|l| a[l] ^ b[l] ^ c[l]);
    carry
}

#[inline(always)]
fn ones(x: Lanes) -> Lanes {
    std::array::from_fn(|l| u64::from(x[l].count_ones()))
}

/// Add to `counts[i][j]` the common ones of lane i of `a` and lane j of `b`.
struct AddCounts<'a> {
    a: &'a [Lanes],
    b: &'a [Lanes],
    counts: &'a mut [Lanes; LANES],
}

impl Kernel for AddCounts<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (lane, counts) in self.counts.iter_mut().enumerate() {
            let [mut s1, mut s2, mut s4, mut s8, mut s16] = [[0u64; LANES]; 5];
            for (a, b) in self.a.chunks_exact(TREE).zip(self.b.chunks_exact(TREE)) {
                let a: &[Lanes; TREE] = a.try_into().expect("whole trees");
                let b: &[Lanes; TREE] = b.try_into().expect("whole trees");
                let word = |w: usize| and(a[w][lane], &b[w]);
                let mut four = [[0u64; LANES]; 4];
                for (q, four) in four.iter_mut().enumerate() {
                    let x = adder(&mut s1, word(4 * q), word(4 * q + 1));
                    let y = adder(&mut s1, word(4 * q + 2), word(4 * q + 3));
                    *four = adder(&mut s2, x, y);
                }
                let x = adder(&mut s4, four[0], four[1]);
                let y = adder(&mut s4, four[2], four[3]);
                let sixteen = ones(adder(&mut s8, x, y));
                s16 = std::array::from_fn(|l| s16[l] + sixteen[l]);
            }
            let (c1, c2, c4, c8) = (ones(s1), ones(s2), ones(s4), ones(s8));
            for (l, count) in counts.iter_mut().enumerate() {
                *count += c1[l] + 2 * c2[l] + 4 * c4[l] + 8 * c8[l] + 16 * s16[l];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn counts_are_those_of_single_bits() {
        let mut rng = Rng::at(1, 0, 0);
        let mut words = |n: usize| -> Vec<Lanes> {
            (0..n)
                .map(|_| std::array::from_fn(|_| rng.below(u64::MAX)))
                .collect()
        };
        let (mut a, b) = (words(3 * TREE), words(3 * TREE));
        a[7] = [u64::MAX; LANES];
        let mut counts = [[1u64; LANES]; LANES];
        dispatch(AddCounts {
            a: &a,
            b: &b,
            counts: &mut counts,
        });
        for i in 0..LANES {
            for j in 0..LANES {
                let plain: u32 = a
                    .iter()
                    .zip(&b)
                    .map(|(x, y)| (x[i] & y[j]).count_ones())
                    .sum();
                assert_eq!(counts[i][j], u64::from(plain) + 1);
            }
        }
    }

    #[test]
    fn the_head_ends_where_walking_is_cheaper() {
        assert_eq!(head_size(&[], 100), 0);
        // One word of rows: nearly any walk costs more. Many rows, short walks: none does.
        assert_eq!(head_size(&[0, 10, 10, 0], 60), 3);
        assert_eq!(head_size(&[0, 10, 10, 0], 1_000_000), 0);
    }
}
