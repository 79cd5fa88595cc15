//! The product for binary profiles, on processors that add under masks of bits (AVX-512).
//!
//! Targets are scored one after the other, for 128 users at once, with all sums in
//! registers: a weight of the target is added under a mask with one bit for each user that has the
//! item. Only scores that enter a list are stored. Every weight is visited, held or not, so
//! this pays where the profiles of the users together hold much of the catalogue.

use pulp::{Simd, b16, bytemuck, f32x16, x86::V4};

use super::group::{Group, LANES};
use super::request::Request;
use crate::base::dispatch::{Kernel, avx512};
use crate::base::memory::zeros;
use crate::base::{CsrMatrix, CsrView, Progress, Result};

/// Groups scored together.
const TOGETHER: usize = 4;
/// Vectors of sums: with 8 of them in flight the adders are busy.
const VECTORS: usize = TOGETHER * LANES / 16;
/// Fewer users than this do not earn back the copy of the weights.
const FEW: usize = 1024;
/// Targets between two looks at the progress.
const BLOCK: usize = 1024;

/// Weights by target.
pub(super) struct MaskedProduct<'a> {
    simd: V4,
    weights: CsrMatrix,
    /// Number of weights of the requested targets.
    n_weights: usize,
    request: &'a Request<'a>,
}

impl<'a> MaskedProduct<'a> {
    /// None if the processor cannot, `left` has values other than one, `right` has none, or the
    /// users are few.
    pub(super) fn new(
        left: CsrView,
        right: CsrView,
        request: &'a Request<'a>,
        progress: &Progress,
    ) -> Result<Option<Self>> {
        let Some(simd) = avx512() else {
            return Ok(None);
        };
        let is_binary = left.values().is_none_or(|v| v.iter().all(|&x| x == 1.0));
        if request.users.len() < FEW || right.values().is_none() || !is_binary {
            return Ok(None);
        }
        let weights = right.transpose(progress)?;
        let n_weights = match request.same_candidates() {
            None => weights.view().nnz(),
            Some(c) => c.iter().map(|&i| weights.view().row_len(i as usize)).sum(),
        };
        Ok(Some(Self {
            simd,
            weights,
            n_weights,
            request,
        }))
    }

    /// Score all targets for groups of users, as many together as there are registers for, where
    /// that is faster than group by group, and mark those groups as done.
    pub(super) fn rank(
        &self,
        left: CsrView,
        right: CsrView,
        users: &[i64],
        groups: &mut [Group],
        progress: &Progress,
    ) -> Result<()> {
        for (groups, users) in groups
            .chunks_mut(TOGETHER)
            .zip(users.chunks(TOGETHER * LANES))
        {
            // A visit of a weight costs one group alone about what it costs all of them here.
            let visits: usize = groups.iter().map(|group| group.n_visits(right)).sum();
            if visits >= self.n_weights {
                self.rank_together(left, users, groups, progress)?;
            }
        }
        Ok(())
    }

    fn rank_together(
        &self,
        left: CsrView,
        users: &[i64],
        groups: &mut [Group],
        progress: &Progress,
    ) -> Result<()> {
        let mut held = zeros::<Held>(left.n_cols(), "items of users")?;
        for (at, &user) in users.iter().enumerate() {
            for &i in left.cols(user as usize) {
                held[i as usize][at / 16] |= 1 << (at % 16);
            }
        }
        // The candidates of all users, if there are any.
        let columns = self.request.columns(0);
        for first in (0..columns.len).step_by(BLOCK) {
            progress.check()?;
            let end = (first + BLOCK).min(columns.len);
            self.simd.vectorize(Visit {
                simd: self.simd,
                weights: self.weights.view(),
                held: &held,
                groups: &mut *groups,
                targets: (first..end).map(|column| columns.item(column)),
            });
        }
        for group in groups {
            group.is_done = true;
        }
        Ok(())
    }
}

/// One bit for each user that has an item.
type Held = [u16; VECTORS];

struct Visit<'a, T> {
    simd: V4,
    weights: CsrView<'a>,
    held: &'a [Held],
    groups: &'a mut [Group],
    targets: T,
}

impl<T: Iterator<Item = i32>> Kernel for Visit<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { simd, held, .. } = self;
        let (items, values) = (self.weights.indices(), self.weights.values().unwrap_or(&[]));
        for item in self.targets {
            let mut sums = [simd.splat_f32s(0.0); VECTORS];
            let range = self.weights.range(item as usize);
            for (&i, &w) in items[range.clone()].iter().zip(&values[range]) {
                let (w, held) = (simd.splat_f32s(w), held[i as usize]);
                for (sum, has) in sums.iter_mut().zip(held) {
                    *sum = simd.select_f32s(b16(has), simd.add_f32s(*sum, w), *sum);
                }
            }
            let scores: [[f32; LANES]; TOGETHER] = bytemuck::cast::<[f32x16; VECTORS], _>(sums);
            for (group, scores) in self.groups.iter_mut().zip(&scores) {
                group.offer(item, scores);
            }
        }
    }
}
