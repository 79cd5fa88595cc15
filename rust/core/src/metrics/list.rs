//! The values of one list, out of the places of its hits.

use super::metric::Metric;
use crate::base::Result;
use crate::base::memory::{collected, with_room};

/// The discount of each rank, and the best sum that a number of hits can reach.
pub(super) struct Discounts {
    gain: Vec<f64>,
    ideal: Vec<f64>,
}

impl Discounts {
    pub(super) fn new(width: usize) -> Result<Self> {
        const DISCOUNTS: &str = "discounts of the ranks";
        let gains = (0..width).map(|r| 1.0 / (r as f64 + 2.0).log2());
        let gain: Vec<f64> = collected(gains, DISCOUNTS)?;
        let mut ideal = with_room(width + 1, DISCOUNTS)?;
        ideal.push(0.0);
        let mut sum = 0.0;
        for g in &gain {
            sum += g;
            ideal.push(sum);
        }
        Ok(Self { gain, ideal })
    }
}

/// Running sums along one list.
pub(super) struct Walk<'a> {
    discounts: &'a Discounts,
    n_test: usize,
    /// Test values, descending, as many as the list is long; empty if every value is one.
    best: &'a [f32],
    hits: usize,
    first_rank: usize,
    precisions: f64,
    gains: f64,
    graded: f64,
    reciprocals: f64,
    /// Pairs of a miss and a hit after it.
    inverted_pairs: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(n_test: usize, best: &'a [f32], discounts: &'a Discounts) -> Self {
        Self {
            discounts,
            n_test,
            best,
            hits: 0,
            first_rank: 0,
            precisions: 0.0,
            gains: 0.0,
            graded: 0.0,
            reciprocals: 0.0,
            inverted_pairs: 0,
        }
    }

    #[inline]
    /// Add a hit at a place, counted from 0, with its value in the test set.
    pub(super) fn add(&mut self, place: usize, value: f32) {
        let rank = place + 1;
        self.inverted_pairs += place - self.hits;
        self.hits += 1;
        if self.first_rank == 0 {
            self.first_rank = rank;
        }
        self.precisions += self.hits as f64 / rank as f64;
        self.gains += self.discounts.gain[place];
        self.graded += self.discounts.gain[place] * f64::from(value);
        self.reciprocals += 1.0 / rank as f64;
    }

    /// Whether every accuracy of this list is zero so far.
    #[inline]
    pub(super) fn nothing_found(&self) -> bool {
        self.hits == 0
    }

    /// A metric of the hits so far; `filled` places of the first `cutoff` hold an item, at least
    /// one.
    #[inline]
    pub(super) fn value(&self, metric: Metric, filled: usize, cutoff: usize) -> f64 {
        let hits = self.hits as f64;
        let reachable = self.n_test.min(filled);
        match metric {
            Metric::Precision => hits / filled as f64,
            Metric::Recall => hits / self.n_test as f64,
            Metric::Map => self.precisions / reachable as f64,
            Metric::MapTotal => self.precisions / self.n_test as f64,
            Metric::MapCutoff => self.precisions / cutoff as f64,
            Metric::Ndcg => self.gains / self.discounts.ideal[reachable],
            Metric::NdcgGraded if self.best.is_empty() => {
                self.gains / self.discounts.ideal[reachable]
            }
            Metric::NdcgGraded => {
                let best = self.best[..reachable].iter().zip(&self.discounts.gain);
                let ideal: f64 = best.map(|(&v, g)| f64::from(v) * g).sum();
                // Zero where every value of the user is.
                if ideal > 0.0 {
                    self.graded / ideal
                } else {
                    0.0
                }
            }
            Metric::Mrr if self.hits == 0 => 0.0,
            Metric::Mrr => 1.0 / self.first_rank as f64,
            Metric::Arhr => self.reciprocals,
            Metric::HitRate => f64::from(u8::from(self.hits > 0)),
            Metric::MeanHits => hits,
            Metric::RocAuc => {
                let misses = filled - self.hits;
                match (self.hits, misses) {
                    (_, 0) => 1.0,
                    (0, _) => 0.0,
                    (h, m) => (h * m - self.inverted_pairs) as f64 / (h as f64 * m as f64),
                }
            }
            Metric::PrecisionRecallMinDen => hits / reachable as f64,
            // Not of the hits: the caller has them from the items.
            Metric::Novelty | Metric::AveragePopularity => 0.0,
        }
    }
}
