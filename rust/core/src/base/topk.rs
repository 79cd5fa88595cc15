//! The order of a ranking, and the best `k` of many.
//!
//! Scores descend under `f32::total_cmp`; equal scores are ordered by the smaller index. The order
//! is total, so the answer is unique whatever the algorithm and whatever the order of arrival.

use std::cmp::Ordering;

use super::error::{Error, Result};

/// An index with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Item (or neighbour) number.
    pub index: i32,
    /// Its score; kernels refuse non-finite ones before they get here.
    pub score: f32,
}

impl Scored {
    /// Best first: the higher score, then the smaller index. Minus zero equals zero.
    #[inline]
    #[must_use]
    pub fn rank_order(&self, other: &Self) -> Ordering {
        // Adding positive zero turns -0.0 into 0.0, so that the sign of zero breaks no tie.
        (other.score + 0.0)
            .total_cmp(&(self.score + 0.0))
            .then(self.index.cmp(&other.index))
    }
}

/// Refuse a number of kept entries of zero.
pub(crate) fn check_topk(topk: usize) -> Result<()> {
    if topk == 0 {
        return Err(Error::invalid("topk must be at least 1, not 0"));
    }
    Ok(())
}

/// Keep the best `k` entries, in no particular order: O(len).
pub fn keep_top(entries: &mut Vec<Scored>, k: usize) {
    if k == 0 {
        entries.clear();
    } else if entries.len() > k {
        entries.select_nth_unstable_by(k - 1, Scored::rank_order);
        entries.truncate(k);
    }
}

/// Keep the best `k` entries, best first: O(len + k log k).
pub fn sort_top(entries: &mut Vec<Scored>, k: usize) {
    keep_top(entries, k);
    entries.sort_unstable_by(Scored::rank_order);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_smaller_index_and_signed_zeros_are_equal() {
        let mut e: Vec<Scored> = [(5, 0.0), (2, -0.0), (1, 3.0), (7, 3.0), (0, -1.0)]
            .map(|(index, score)| Scored { index, score })
            .to_vec();
        sort_top(&mut e, 4);
        let order: Vec<i32> = e.iter().map(|s| s.index).collect();
        assert_eq!(order, [1, 7, 2, 5]);
    }

    #[test]
    fn keeping_none_or_more_than_there_are_is_fine() {
        let one = Scored {
            index: 3,
            score: 1.0,
        };
        let mut e = vec![one];
        sort_top(&mut e, 9);
        assert_eq!(e, [one]);
        sort_top(&mut e, 0);
        assert!(e.is_empty());
    }
}
