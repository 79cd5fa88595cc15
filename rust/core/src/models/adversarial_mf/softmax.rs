//! Draws from a user's softmax over all items, the sum of blocks and the draws in one pass.
//!
//! Scores of one user are computed side by side from the columns of the item factors. Uniform
//! numbers are sorted, so that all draws of a user are found in one walk over the sums.

use crate::base::Result;
use crate::base::memory::zeros;
use crate::base::vector_math::exp32;

const SCORES: &str = "scores of a user";

/// Items whose weights are summed together.
pub(super) const BLOCK: usize = 64;

/// Length of a row of scores for so many items.
pub(super) const fn padded(n_items: usize) -> usize {
    n_items.next_multiple_of(BLOCK)
}

/// `e^(score - largest)` of all items of a user, zero beyond the last item.
#[derive(Debug)]
pub(super) struct Softmax {
    pub(super) weights: Vec<f32>,
    blocks: Vec<f64>,
    /// Sum of the weights.
    pub(super) total: f64,
}

impl Softmax {
    pub(super) fn new(n_items: usize) -> Result<Self> {
        Ok(Self {
            weights: zeros(padded(n_items), SCORES)?,
            blocks: zeros(padded(n_items) / BLOCK, SCORES)?,
            total: 0.0,
        })
    }

    /// Weights for the scores of a user, times `scale`; `excluded` items weigh nothing.
    #[inline(always)]
    pub(super) fn fill(
        &mut self,
        user: &[f32],
        columns: &[f32],
        n_items: usize,
        scale: f32,
        excluded: &[i32],
    ) {
        let length = self.weights.len();
        self.weights.fill(0.0);
        for (&p, column) in user.iter().zip(columns.chunks_exact(length)) {
            let p = scale * p;
            for (w, &q) in self.weights.iter_mut().zip(column) {
                *w += p * q;
            }
        }
        for &item in excluded {
            self.weights[item as usize] = f32::NEG_INFINITY;
        }
        let mut largest = [f32::NEG_INFINITY; 16];
        let scores = &self.weights[..n_items];
        for part in scores.chunks(16) {
            for (l, &w) in part.iter().enumerate() {
                largest[l] = if w > largest[l] { w } else { largest[l] };
            }
        }
        let largest = largest.iter().fold(f32::NEG_INFINITY, |m, &x| m.max(x));
        for w in &mut self.weights[..n_items] {
            *w = exp32(*w - largest);
        }
        self.weights[n_items..].fill(0.0);
        for &item in excluded {
            self.weights[item as usize] = 0.0;
        }
        self.total = 0.0;
        for (sum, block) in self.blocks.iter_mut().zip(self.weights.chunks_exact(BLOCK)) {
            let mut lanes = [0.0f64; 8];
            for part in block.chunks_exact(8) {
                for l in 0..8 {
                    lanes[l] += f64::from(part[l]);
                }
            }
            *sum = lanes.iter().sum();
            self.total += *sum;
        }
    }

    /// The item that each of some ascending numbers in [0, 1) falls on.
    #[inline(always)]
    pub(super) fn find(&self, uniforms: &[f64], mut found: impl FnMut(usize)) {
        let (mut block, mut before) = (0, 0.0);
        for &u in uniforms {
            let target = u * self.total;
            while block + 1 < self.blocks.len() && before + self.blocks[block] <= target {
                before += self.blocks[block];
                block += 1;
            }
            let (mut sum, mut item) = (before, None);
            let start = block * BLOCK;
            for (at, &w) in self.weights[start..start + BLOCK].iter().enumerate() {
                sum += f64::from(w);
                if w > 0.0 {
                    item = Some(start + at);
                    if sum > target {
                        break;
                    }
                }
            }
            // Rounding may leave the target beyond the last weight of the block.
            found(item.unwrap_or_else(|| self.last()));
        }
    }

    fn last(&self) -> usize {
        self.weights.iter().rposition(|&w| w > 0.0).unwrap_or(0)
    }
}
