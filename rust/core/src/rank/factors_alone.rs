//! Scores from factors, a user at a time: items side by side.
//!
//! The factors of 32 items lie side by side, factor by factor, so that their scores for a user are
//! added in registers, each in the order of the factors: the same bits as with users side by side.

use std::array::from_fn;

use ndarray::ArrayView2;
use pulp::{Simd, WithSimd};

use super::request::{Request, all_finite};
use super::select::Selector;

/// Items side by side: four AVX2 registers, enough to keep the adders busy.
pub(super) const ITEMS: usize = 32;

/// One factor of the items of a block.
pub(super) type Line = [f32; ITEMS];

/// Put the factors of up to `ITEMS` items side by side; places without an item stay as they are.
pub(super) fn pack(item_factors: ArrayView2<f32>, items: &[i32], lines: &mut [Line]) {
    for (place, &item) in items.iter().enumerate() {
        for (line, &x) in lines.iter_mut().zip(item_factors.row(item as usize)) {
            line[place] = x;
        }
    }
}

/// Score the items of a block for the user at a position of the request, and take the best.
///
/// Says whether all are finite.
pub(super) struct Block<'a> {
    pub(super) user: &'a [f32],
    pub(super) lines: &'a [Line],
    pub(super) items: &'a [i32],
    pub(super) request: &'a Request<'a>,
    pub(super) at: usize,
    pub(super) selector: &'a mut Selector,
}

impl WithSimd for Block<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let mut scores = [0.0; ITEMS];
        if S::as_simd_f32s(&scores).0.len() < 4 {
            product::<S, 2>(simd, self.user, self.lines, &mut scores);
        } else {
            product::<S, 4>(simd, self.user, self.lines, &mut scores);
        }
        let scores = &scores[..self.items.len()];
        // Items do not ascend: one with an equal score can displace another by its number.
        let threshold = self.selector.threshold();
        let above: u32 = scores.iter().map(|&s| u32::from(s >= threshold)).sum();
        if above > 0 {
            self.offer(scores);
        }
        all_finite(scores)
    }
}

impl Block<'_> {
    #[inline(never)]
    fn offer(self, scores: &[f32]) {
        for (&item, &score) in self.items.iter().zip(scores) {
            if score >= self.selector.threshold() && !self.request.leaves_out(self.at, item) {
                self.selector.push(item, score);
            }
        }
    }
}

/// Scores of the items of a block, `N` vectors of them at a time.
#[inline(always)]
fn product<S: Simd, const N: usize>(
    simd: S,
    user: &[f32],
    lines: &[Line],
    scores: &mut [f32; ITEMS],
) {
    let (scores, _) = S::as_mut_simd_f32s(scores);
    for (nth, scores) in scores.chunks_exact_mut(N).enumerate() {
        let mut sums = [simd.splat_f32s(0.0); N];
        for (&x, line) in user.iter().zip(lines) {
            let x = simd.splat_f32s(x);
            let items = &S::as_simd_f32s(line).0[nth * N..(nth + 1) * N];
            sums = from_fn(|at| simd.mul_add_f32s(items[at], x, sums[at]));
        }
        scores.copy_from_slice(&sums);
    }
}
