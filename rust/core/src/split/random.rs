//! Cells held out at random: a share or a number of them, or in folds.

use super::labels::{CHUNK, Chooser, LABELS, Size, choose, label_rows};
use crate::base::memory::zeros;
use crate::base::rng::Rng;
use crate::base::{CsrView, Error, Progress, Result};

/// Keep the draws of these rules apart from those of others under the same seed.
const HOLDOUT: u64 = 0x686f_6c64;
const LEAVE: u64 = 0x6c65_6176;
const FOLD: u64 = 0x666f_6c64;

/// Label 1 for what is held out: `size` of every user's cells, or of all cells together.
///
/// Per user, one cell at least is held out and one at least is not; of a user with a single cell
/// nothing is held out. Over all cells nothing is promised to a user.
///
/// # Errors
/// [`Error::InvalidArgument`] if `size` is out of range, or there are fewer than two cells to
/// choose from; [`Error::Cancelled`].
pub fn holdout(
    urm: CsrView<'_>,
    size: Size,
    per_user: bool,
    seed: u64,
    progress: &Progress,
) -> Result<Vec<u8>> {
    size.check("test_size")?;
    if per_user {
        return label_rows(urm, progress, |row, labels| {
            let mut rng = Rng::at(seed, HOLDOUT, row as u64);
            choose(&mut rng, size.out_of(labels.len()), 1, labels);
            Ok(())
        });
    }
    let n = urm.nnz();
    if let Size::Count(count) = size
        && count >= n
    {
        return Err(Error::invalid(format!(
            "test_size is {count}, but urm has {n} interactions and one must remain"
        )));
    }
    let mut labels = zeros(n, LABELS)?;
    progress.start(n as u64);
    // One draw after the other, since each depends on how many were taken before; the rows only
    // say how far to go between two looks at the cancel flag.
    let mut rng = Rng::at(seed, HOLDOUT, u64::MAX);
    let mut chooser = Chooser::new(size.out_of(n), n);
    for piece in labels.chunks_mut(CHUNK * 64) {
        for slot in piece.iter_mut() {
            *slot = u8::from(chooser.next(&mut rng));
        }
        progress.advance(piece.len() as u64)?;
    }
    Ok(labels)
}

/// Label 1 for `k` cells of every user who has more than `k`; the others keep all of theirs.
///
/// # Errors
/// [`Error::InvalidArgument`] if `k` is zero; [`Error::Cancelled`].
pub fn leave_k_out(urm: CsrView<'_>, k: usize, seed: u64, progress: &Progress) -> Result<Vec<u8>> {
    Size::Count(k).check("k")?;
    label_rows(urm, progress, |row, labels| {
        if labels.len() > k {
            choose(&mut Rng::at(seed, LEAVE, row as u64), k, 1, labels);
        }
        Ok(())
    })
}

/// The fold of every cell, `0..n_folds`; sizes differ by one at most, per user or over all cells.
///
/// # Errors
/// [`Error::InvalidArgument`] if `n_folds` is not in 2..=255; [`Error::Cancelled`].
pub fn k_fold(
    urm: CsrView<'_>,
    n_folds: usize,
    per_user: bool,
    seed: u64,
    progress: &Progress,
) -> Result<Vec<u8>> {
    if !(2..=255).contains(&n_folds) {
        return Err(Error::invalid(format!(
            "n_splits must be between 2 and 255, not {n_folds}"
        )));
    }
    if per_user {
        return label_rows(urm, progress, |row, labels| {
            let mut rng = Rng::at(seed, FOLD, row as u64);
            let mut deal = Deal::new(labels.len(), n_folds, &mut rng);
            for slot in labels {
                *slot = deal.next(&mut rng);
            }
            Ok(())
        });
    }
    let mut labels = zeros(urm.nnz(), LABELS)?;
    progress.start(labels.len() as u64);
    let mut rng = Rng::at(seed, FOLD, u64::MAX);
    let mut deal = Deal::new(labels.len(), n_folds, &mut rng);
    for piece in labels.chunks_mut(CHUNK * 64) {
        for slot in piece.iter_mut() {
            *slot = deal.next(&mut rng);
        }
        progress.advance(piece.len() as u64)?;
    }
    Ok(labels)
}

/// Deals folds out so that each comes as often as it should and every order is equally likely.
struct Deal {
    left: [u64; 256],
    to_come: u64,
}

impl Deal {
    /// Which folds get one more than the others is drawn, or the first would always be larger.
    fn new(n: usize, n_folds: usize, rng: &mut Rng) -> Self {
        let mut left = [0; 256];
        left[..n_folds].fill((n / n_folds) as u64);
        let first = rng.below(n_folds as u64) as usize;
        for extra in 0..n % n_folds {
            left[(first + extra) % n_folds] += 1;
        }
        Self {
            left,
            to_come: n as u64,
        }
    }

    fn next(&mut self, rng: &mut Rng) -> u8 {
        let mut draw = rng.below(self.to_come);
        self.to_come -= 1;
        let mut fold = 0;
        while draw >= self.left[fold] {
            draw -= self.left[fold];
            fold += 1;
        }
        self.left[fold] -= 1;
        fold as u8
    }
}

#[cfg(test)]
mod tests {
    use super::super::labels::testing::{count, per_row, stairs};
    use super::*;
    use crate::base::testing::on_threads;

    fn refusal(result: Result<Vec<u8>>) -> String {
        result.expect_err("must be refused").to_string()
    }

    #[test]
    fn a_share_per_user_is_rounded_and_leaves_something_on_both_sides() {
        let urm = stairs(60);
        for share in [0.01, 0.2, 0.5, 0.99] {
            let labels =
                holdout(urm.view(), Size::Fraction(share), true, 3, &Progress::new()).unwrap();
            for (n, held) in per_row(&urm, &labels, 1).into_iter().enumerate() {
                let wanted = (n as f64 * share).round() as usize;
                let expected = if n < 2 { 0 } else { wanted.clamp(1, n - 1) };
                assert_eq!(held, expected, "{n} items, share {share}");
            }
        }
    }

    #[test]
    fn a_count_per_user_is_met_where_it_can_be() {
        let urm = stairs(20);
        let labels = holdout(urm.view(), Size::Count(3), true, 3, &Progress::new()).unwrap();
        for (n, held) in per_row(&urm, &labels, 1).into_iter().enumerate() {
            assert_eq!(held, n.saturating_sub(1).min(3));
        }
        let labels = leave_k_out(urm.view(), 3, 3, &Progress::new()).unwrap();
        for (n, held) in per_row(&urm, &labels, 1).into_iter().enumerate() {
            assert_eq!(held, if n > 3 { 3 } else { 0 });
        }
    }

    #[test]
    fn over_all_cells_the_number_is_exact_and_spread_evenly() {
        let urm = stairs(200);
        let n = urm.view().nnz();
        let labels = holdout(urm.view(), Size::Fraction(0.3), false, 5, &Progress::new()).unwrap();
        let held = count(&labels, 1);
        assert_eq!(held, (n as f64 * 0.3 + 0.5) as usize);
        let first_half = count(&labels[..n / 2], 1);
        // Hypergeometric with a standard deviation of 32.
        assert!(
            first_half.abs_diff(held / 2) < 160,
            "{first_half} of {held}"
        );
        let counted = holdout(urm.view(), Size::Count(7), false, 5, &Progress::new()).unwrap();
        assert_eq!(count(&counted, 1), 7);
    }

    #[test]
    fn folds_are_balanced_per_user_and_over_all() {
        let urm = stairs(50);
        let labels = k_fold(urm.view(), 4, true, 1, &Progress::new()).unwrap();
        for fold in 0..4 {
            for (n, there) in per_row(&urm, &labels, fold).into_iter().enumerate() {
                assert!(there == n / 4 || there == n.div_ceil(4), "{there} of {n}");
            }
        }
        let labels = k_fold(urm.view(), 4, false, 1, &Progress::new()).unwrap();
        let n = urm.view().nnz();
        for fold in 0..4 {
            let there = count(&labels, fold);
            assert!(there == n / 4 || there == n.div_ceil(4), "{there} of {n}");
        }
    }

    #[test]
    fn no_fold_is_larger_than_the_others_on_average() {
        let indptr = (0..=3000).map(|u| 5 * u).collect();
        let indices = (0..3000).flat_map(|_| 0..5).collect();
        let urm = crate::CsrMatrix::try_new(5, indptr, indices, None).expect("valid");
        let labels = k_fold(urm.view(), 4, true, 1, &Progress::new()).unwrap();
        for fold in 0..4 {
            let there = count(&labels, fold);
            // One of five cells is dealt at random: a standard deviation of 24.
            assert!(there.abs_diff(3750) < 120, "{there}");
        }
    }

    #[test]
    fn thread_count_does_not_change_the_labels_but_the_seed_does() {
        let urm = stairs(2500);
        let all = |threads, seed| {
            on_threads(threads, || {
                let p = Progress::new();
                [
                    holdout(urm.view(), Size::Fraction(0.2), true, seed, &p).unwrap(),
                    leave_k_out(urm.view(), 2, seed, &p).unwrap(),
                    k_fold(urm.view(), 5, true, seed, &p).unwrap(),
                    holdout(urm.view(), Size::Fraction(0.2), false, seed, &p).unwrap(),
                    k_fold(urm.view(), 5, false, seed, &p).unwrap(),
                ]
            })
        };
        let one = all(1, 8);
        assert_eq!(one, all(3, 8));
        for (a, b) in one.iter().zip(all(1, 9)) {
            assert_ne!(*a, b);
        }
    }

    #[test]
    fn bad_sizes_are_refused_by_name_and_value() {
        let urm = stairs(4);
        let p = Progress::new();
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            let message = refusal(holdout(urm.view(), Size::Fraction(share), true, 0, &p));
            assert!(message.contains("test_size must lie between 0 and 1"));
        }
        assert!(refusal(holdout(urm.view(), Size::Count(0), true, 0, &p)).contains("not 0"));
        let all = refusal(holdout(urm.view(), Size::Count(6), false, 0, &p));
        assert!(all.contains("test_size is 6, but urm has 6 interactions"));
        assert!(refusal(leave_k_out(urm.view(), 0, 0, &p)).contains("k must be at least 1"));
        for n in [0, 1, 256] {
            assert!(refusal(k_fold(urm.view(), n, true, 0, &p)).contains("n_splits must be"));
        }
    }
}
