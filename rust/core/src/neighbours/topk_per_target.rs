//! The `k` best neighbours of every target, out of pairs that arrive in panels.
//!
//! Each pair of a panel is a candidate twice: its larger rank for the target of the smaller, and
//! the other way round. Each target keeps a bounded buffer of candidates, cut back to the best `k`
//! when it is full; from then on the worst of them is what a candidate must reach. That is turned
//! into the overlap it takes, a linear function, so that whole rows are compared with SIMD and only
//! what may pass is scored, in f64, exactly.
//!
//! The order among candidates is total, so the best `k` depend neither on the order of arrival
//! nor on the number of threads.

use rayon::prelude::*;

use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::{self, collected, copied, filled, zeros};
use crate::base::rows::build_rows;
use crate::base::{CsrMatrix, Progress, Result};
use crate::neighbours::pair_counts::panel::{Panel, Sink, Sum};
use crate::neighbours::similarity::PreparedSimilarity;

/// Targets per unit of parallel work: their floors stay in the first-level cache.
const STRIPE: usize = 1024;
/// Overlaps compared at once.
const BLOCK: usize = 32;

const BUFFERS: &str = "buffers of neighbours";

/// A candidate as one number, smallest first in the order of a ranking.
#[inline]
pub(crate) fn sort_key(score: f32, column: u32) -> u64 {
    // Scores are positive, and the bits of positive floats have their order.
    u64::from(!score.to_bits()) << 32 | u64::from(column)
}

#[inline]
fn score_of(key: u64) -> f32 {
    f32::from_bits(!((key >> 32) as u32))
}

/// Candidate buffers of all targets, by rank.
pub(crate) struct TopkPerTarget<'a> {
    measure: &'a PreparedSimilarity,
    columns: Vec<u32>,
    k: usize,
    floors: Floors,
    kept: Vec<Vec<u64>>,
    slopes: Vec<f32>,
    bases: Vec<f32>,
}

/// Floors for one measure, with weights and offsets of the neighbours, by rank.
struct Floors {
    weights: Vec<f32>,
    offsets: Vec<f32>,
    /// The largest weight and the largest offset.
    heaviest: f64,
    largest: f64,
}

impl<'a> TopkPerTarget<'a> {
    /// Empty buffers; `columns` holds the column of each rank.
    ///
    /// # Errors
    /// [`Error::NonFinite`](crate::Error::NonFinite) if single precision cannot hold the floors.
    pub(crate) fn new(measure: &'a PreparedSimilarity, columns: &[u32], k: usize) -> Result<Self> {
        measure.check_range()?;
        let n = columns.len();
        let by_rank = |f: &dyn Fn(usize) -> f64| {
            collected(columns.iter().map(|&c| f(c as usize) as f32), BUFFERS)
        };
        let weights = by_rank(&|c| measure.weight(c))?;
        let offsets = by_rank(&|c| measure.offset(c))?;
        let largest = |v: &[f32]| v.iter().fold(0f32, |a, &b| a.max(b));
        let floors = Floors {
            heaviest: f64::from(largest(&weights)),
            largest: f64::from(largest(&offsets)),
            weights,
            offsets,
        };
        let empty = measure.no_floor();
        Ok(Self {
            measure,
            columns: copied(columns, BUFFERS)?,
            k: k.min(n.max(1)),
            floors,
            kept: filled(n, Vec::new(), BUFFERS)?,
            slopes: filled(n, empty.slope, BUFFERS)?,
            bases: filled(n, empty.base, BUFFERS)?,
        })
    }

    /// The best `k` of each target: row j holds the neighbours of target j.
    pub(crate) fn finish(mut self, progress: &Progress) -> Result<CsrMatrix> {
        let n = self.columns.len();
        let k = self.k;
        self.kept.par_iter_mut().try_for_each(|buffer| {
            progress.check()?;
            if buffer.len() > k {
                buffer.select_nth_unstable(k - 1);
                buffer.truncate(k);
            }
            buffer.sort_unstable_by_key(|&key| key as u32);
            Ok(())
        })?;
        let mut rank_of = zeros::<u32>(n, BUFFERS)?;
        for (rank, &c) in self.columns.iter().enumerate() {
            rank_of[c as usize] = rank as u32;
        }
        build_rows(
            (n, n),
            progress,
            || Ok(()),
            |(), j, out| {
                let kept = &self.kept[rank_of[j] as usize];
                out.reserve(kept.len())?;
                for &key in kept {
                    out.push(key as u32 as i32, score_of(key));
                }
                Ok(())
            },
        )
    }
}

/// Read by all threads.
#[derive(Clone, Copy)]
struct Shared<'a> {
    measure: &'a PreparedSimilarity,
    columns: &'a [u32],
    floors: &'a Floors,
    k: usize,
}

/// The buffers of consecutive targets, borrowed by one thread.
struct TargetRange<'a> {
    shared: Shared<'a>,
    /// Rank of the first target.
    first: usize,
    kept: &'a mut [Vec<u64>],
    slopes: &'a mut [f32],
    bases: &'a mut [f32],
    /// Why no more candidates are taken.
    failed: Result<()>,
}

type Slices<'a> = (&'a mut [Vec<u64>], (&'a mut [f32], &'a mut [f32]));

impl<'a> TargetRange<'a> {
    fn new(shared: Shared<'a>, first: usize, (kept, (slopes, bases)): Slices<'a>) -> Self {
        Self {
            shared,
            first,
            kept,
            slopes,
            bases,
            failed: Ok(()),
        }
    }
}

impl TargetRange<'_> {
    /// Rank `i` may be a neighbour of rank `j`.
    #[inline(never)]
    fn offer(&mut self, i: usize, j: usize, overlap: f64) {
        let Shared {
            measure,
            columns,
            floors,
            k,
        } = self.shared;
        let (ci, cj) = (columns[i], columns[j]);
        let score = measure.score(overlap, ci as usize, cj as usize);
        // Not larger than zero: no neighbour. NaN cannot come from finite sums.
        if score <= 0.0 {
            return;
        }
        let at = j - self.first;
        let buffer = &mut self.kept[at];
        if buffer.capacity() == 0 {
            match memory::with_room(k + k / 2 + 32, BUFFERS) {
                Ok(room) => *buffer = room,
                Err(error) => self.failed = Err(error),
            }
        }
        if self.failed.is_err() {
            return;
        }
        buffer.push(sort_key(score, ci));
        if buffer.len() == buffer.capacity() {
            let (_, &mut worst, _) = buffer.select_nth_unstable(k - 1);
            buffer.truncate(k);
            let worst = score_of(worst);
            let floor = measure.floor(worst, cj as usize, floors.heaviest, floors.largest);
            self.slopes[at] = floor.slope;
            self.bases[at] = floor.base;
        }
    }
}

/// Offer the smaller ranks to target `t`, given its row of sums.
struct OfferRow<'a, 'b, T> {
    to: &'a mut TargetRange<'b>,
    t: usize,
    row: &'a [T],
}

impl<T: Sum> Kernel for OfferRow<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { to, t, row } = self;
        let at = t - to.first;
        let floors = to.shared.floors;
        for start in (0..row.len()).step_by(BLOCK) {
            let len = BLOCK.min(row.len() - start);
            let (slope, base) = (to.slopes[at], to.bases[at]);
            let sums = &row[start..start + len];
            let weights = &floors.weights[start..start + len];
            let offsets = &floors.offsets[start..start + len];
            let mut passing = reaching(sums, weights, offsets, |w, o| slope * w + (base + o));
            while passing != 0 {
                let l = passing.trailing_zeros() as usize;
                passing &= passing - 1;
                to.offer(start + l, t, sums[l].to_f64());
            }
        }
    }
}

/// Offer rank `t` to consecutive targets; `row` holds its sums with them.
struct OfferColumn<'a, 'b, T> {
    to: &'a mut TargetRange<'b>,
    t: usize,
    row: &'a [T],
}

impl<T: Sum> Kernel for OfferColumn<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { to, t, row } = self;
        let (weight, offset) = (to.shared.floors.weights[t], to.shared.floors.offsets[t]);
        for start in (0..row.len()).step_by(BLOCK) {
            let len = BLOCK.min(row.len() - start);
            let sums = &row[start..start + len];
            let slopes = &to.slopes[start..start + len];
            let bases = &to.bases[start..start + len];
            let mut passing = reaching(sums, slopes, bases, |s, b| s * weight + (b + offset));
            while passing != 0 {
                let l = passing.trailing_zeros() as usize;
                passing &= passing - 1;
                to.offer(t, to.first + start + l, sums[l].to_f64());
            }
        }
    }
}

/// Bit l is set if sum l is at least `floor(a[l], b[l])`.
#[inline(always)]
fn reaching<T: Sum>(sums: &[T], a: &[f32], b: &[f32], floor: impl Fn(f32, f32) -> f32) -> u32 {
    let mut mask = 0;
    if let (Ok(sums), Ok(a), Ok(b)) = (
        <&[T; BLOCK]>::try_from(sums),
        <&[f32; BLOCK]>::try_from(a),
        <&[f32; BLOCK]>::try_from(b),
    ) {
        for l in 0..BLOCK {
            mask |= u32::from(sums[l].to_f32() >= floor(a[l], b[l])) << l;
        }
    } else {
        for (l, ((sum, &a), &b)) in sums.iter().zip(a).zip(b).enumerate() {
            mask |= u32::from(sum.to_f32() >= floor(a, b)) << l;
        }
    }
    mask
}

impl<T: Sum> Sink<T> for TopkPerTarget<'_> {
    fn absorb(&mut self, panel: &Panel<T>) -> Result<()> {
        let Self {
            measure,
            columns,
            k,
            floors,
            kept,
            slopes,
            bases,
        } = self;
        let shared = Shared {
            measure,
            columns,
            floors,
            k: *k,
        };
        let (first, end) = (panel.first, panel.first + panel.rows);
        kept[first..end]
            .par_chunks_mut(1)
            .zip(
                slopes[first..end]
                    .par_chunks_mut(1)
                    .zip(bases[first..end].par_chunks_mut(1)),
            )
            .enumerate()
            .try_for_each(|(b, slices)| {
                let mut target = TargetRange::new(shared, first + b, slices);
                dispatch(OfferRow {
                    to: &mut target,
                    t: first + b,
                    row: panel.row(b),
                });
                target.failed
            })?;
        kept[..end]
            .par_chunks_mut(STRIPE)
            .zip(
                slopes[..end]
                    .par_chunks_mut(STRIPE)
                    .zip(bases[..end].par_chunks_mut(STRIPE)),
            )
            .with_max_len(1)
            .enumerate()
            .try_for_each(|(s, slices)| {
                let start = s * STRIPE;
                let mut targets = TargetRange::new(shared, start, slices);
                for b in 0..panel.rows {
                    let row = panel.row(b);
                    if let Some(row) = row.get(start..row.len().min(start + STRIPE)) {
                        dispatch(OfferColumn {
                            to: &mut targets,
                            t: first + b,
                            row,
                        });
                    }
                }
                targets.failed
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_a_ranking() {
        let mut keys = [
            sort_key(0.5, 3),
            sort_key(2.0, 9),
            sort_key(0.5, 1),
            sort_key(1e-40, 0),
        ];
        keys.sort_unstable();
        let columns: Vec<u32> = keys.iter().map(|&k| k as u32).collect();
        assert_eq!(columns, [9, 1, 3, 0]);
        assert_eq!(score_of(keys[0]), 2.0);
    }
}
