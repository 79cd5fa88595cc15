//! Alias tables: draws from a discrete distribution in constant time.
//!
//! Source: Walker, "An efficient method for generating discrete random variables with general
//! distributions", 1977; built as in Vose, "A linear algorithm for generating random numbers with a
//! given distribution", 1991.

use crate::base::Result;
use crate::base::memory::zeros;
use crate::base::rng::Rng;

const TABLES: &str = "alias tables";

#[derive(Debug)]
pub(super) struct Alias {
    /// Probability of a place, and who has the rest of it.
    keep: Vec<f32>,
    other: Vec<u32>,
    small: Vec<u32>,
    large: Vec<u32>,
    excess: Vec<f64>,
}

impl Alias {
    pub(super) fn new(n: usize) -> Result<Self> {
        Ok(Self {
            keep: zeros(n, TABLES)?,
            other: zeros(n, TABLES)?,
            small: zeros(n, TABLES)?,
            large: zeros(n, TABLES)?,
            excess: zeros(n, TABLES)?,
        })
    }

    /// The table of some weights, of which there are as many as in [`new`](Self::new).
    pub(super) fn fill(&mut self, weights: &[f32], total: f64) {
        self.small.clear();
        self.large.clear();
        let scale = weights.len() as f64 / total;
        for (at, &w) in weights.iter().enumerate() {
            self.excess[at] = f64::from(w) * scale;
            let list = if self.excess[at] < 1.0 {
                &mut self.small
            } else {
                &mut self.large
            };
            list.push(at as u32);
        }
        while let (Some(&less), Some(&more)) = (self.small.last(), self.large.last()) {
            self.small.pop();
            let (l, m) = (less as usize, more as usize);
            self.keep[l] = self.excess[l] as f32;
            self.other[l] = more;
            self.excess[m] -= 1.0 - self.excess[l];
            if self.excess[m] < 1.0 {
                self.large.pop();
                self.small.push(more);
            }
        }
        for &rest in self.small.iter().chain(&self.large) {
            self.keep[rest as usize] = 1.0;
            self.other[rest as usize] = rest;
        }
    }

    #[inline(always)]
    pub(super) fn draw(&self, rng: &mut Rng) -> usize {
        let place = rng.below(self.keep.len() as u64) as usize;
        if rng.unit() < f64::from(self.keep[place]) {
            place
        } else {
            self.other[place] as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_as_frequent_as_their_weights() {
        let weights = [0.0f32, 3.0, 1.0, 0.5, 5.5];
        let mut alias = Alias::new(5).unwrap();
        for _ in 0..2 {
            alias.fill(&weights, 10.0);
        }
        let mut counts = [0; 5];
        let mut rng = Rng::at(4, 0, 0);
        for _ in 0..100_000 {
            counts[alias.draw(&mut rng)] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!((f64::from(*count) - 10_000.0 * f64::from(weight)).abs() < 600.0);
        }
        assert_eq!(counts[0], 0);
    }
}
