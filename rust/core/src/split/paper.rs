//! The five sets of the GANMF paper's protocol, split user by user.
//!
//! Objective: users with at least two interactions are kept, items left empty are dropped. Then
//! `urm = train + test` (4:1), `train = rest + validation` (3:1), `rest = train_small + early_stop`
//! (0.85:0.15). The first split draws every interaction on its own, with an exact cut at
//! `floor(0.8 n)` for a user one side of whom would stay empty; the second and the third cut
//! exactly, at `floor(0.75 n)` and `floor(0.85 n)`.
//!
//! Source: Dervishaj and Cremonesi, "GAN-based Matrix Factorization for Recommender Systems",
//! SAC 2022, and the code its authors published.
//!
//! Deviation: nothing is lost. A user with one interaction in the set being split keeps it on the
//! train side (the published code drops one there), so validation and `early_stop` hold no item of
//! such a user, while train and `train_small` hold at least one of every user. The draws are a pure
//! function of `(seed, row of urm, column of urm)`: not of the number of threads, and for the first
//! split not of the other interactions either, short of the exact cut.
//!
//! Cost: O(nnz log n) time for profiles of length n; two bytes a stored cell besides the results.

use rayon::prelude::*;

use crate::base::memory::{collected, filled, joined, reserve, with_room};
use crate::base::rng::bits;
use crate::base::rows::par_chunks;
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};

/// Keeps the draws of this module apart from those of others under the same seed.
const STREAM: u64 = 0x0073_706c_6974;
const LINES: &str = "users and items of the sets";
const CELLS: &str = "cells of the sets";

/// Users per unit of parallel work.
const CHUNK: usize = 256;
/// A draw of 64 bits below this lands in train with probability 0.8.
const FOUR_FIFTHS: u64 = u64::MAX / 5 * 4;

/// The five sets, all of one shape, and where they lie in the matrix they were drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct PaperSplits {
    /// Everything but `test`.
    pub train: CsrMatrix,
    /// A fifth of every user's interactions, at least one.
    pub test: CsrMatrix,
    /// What tuning fits on: `train` without `validation` and `early_stop`.
    pub train_small: CsrMatrix,
    /// What tuning scores on.
    pub validation: CsrMatrix,
    /// What early stopping looks at while tuning.
    pub early_stop: CsrMatrix,
    /// Row of the input that became each row of the sets, ascending.
    pub users: Vec<i64>,
    /// Column of the input that became each column of the sets, ascending.
    pub items: Vec<i64>,
}

/// The part that a cell ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    TrainSmall,
    EarlyStop,
    Validation,
    Test,
}

/// Cells of one user that are still to be cut: `(draw, position in the profile)`.
type Drawn = Vec<(u64, usize)>;

/// Split `urm` by the paper's protocol; values are carried along.
///
/// # Errors
/// [`Error::InvalidArgument`] if no user has two interactions; [`Error::Cancelled`].
pub fn paper_protocol(urm: CsrView<'_>, seed: u64, progress: &Progress) -> Result<PaperSplits> {
    let kept = || (0..urm.n_rows()).filter(|&u| urm.row_len(u) >= 2);
    let mut users = with_room(kept().count(), LINES)?;
    users.extend(kept());
    if users.is_empty() {
        return Err(Error::invalid(format!(
            "none of the {} users of urm has 2 interactions, so there is nothing to split",
            urm.n_rows()
        )));
    }
    let scratch = || Ok(Vec::new());
    let parts = par_chunks(users.len(), CHUNK, progress, scratch, |drawn, range| {
        let mut parts = Vec::new();
        for &user in &users[range] {
            reserve(drawn, urm.row_len(user), CELLS)?;
            reserve(&mut parts, urm.row_len(user), CELLS)?;
            cut_user(seed, user, urm.cols(user), drawn, &mut parts);
            progress.advance(1)?;
        }
        Ok(parts)
    })?;
    let parts = joined(&parts, CELLS)?;

    let (items, renamed) = used_columns(urm, &users)?;
    let sets: [&[Part]; 5] = [
        &[Part::TrainSmall, Part::EarlyStop, Part::Validation],
        &[Part::Test],
        &[Part::TrainSmall],
        &[Part::Validation],
        &[Part::EarlyStop],
    ];
    let [train, test, train_small, validation, early_stop] = {
        let mut made = sets.map(|_| None);
        made.par_iter_mut()
            .zip(sets)
            .try_for_each(|(slot, set)| -> Result<()> {
                let shape = (users.as_slice(), renamed.as_slice(), items.len());
                *slot = Some(take(urm, shape, progress, |at| set.contains(&parts[at]))?);
                Ok(())
            })?;
        made.map(|m| m.expect("every slot was visited"))
    };
    Ok(PaperSplits {
        train,
        test,
        train_small,
        validation,
        early_stop,
        users: collected(users.into_iter().map(|u| u as i64), LINES)?,
        items,
    })
}

/// Append the part of each cell of one user, in the order of `cols`.
fn cut_user(seed: u64, user: usize, cols: &[i32], drawn: &mut Drawn, parts: &mut Vec<Part>) {
    let base = parts.len();
    let n = cols.len();
    parts.resize(base + n, Part::Test);
    let parts = &mut parts[base..];
    let draw = |stage: u64, at: usize| {
        bits(
            bits(seed, STREAM + stage, user as u64),
            STREAM,
            cols[at] as u64,
        )
    };

    // Sorting by the draw makes "the first k" a uniform choice of k cells; the position settles
    // the ties, which are as good as impossible, so that the order is total.
    drawn.clear();
    drawn.extend((0..n).map(|at| (draw(0, at), at)));
    drawn.sort_unstable();
    let below = drawn.partition_point(|&(bits, _)| bits < FOUR_FIFTHS);
    let keep = if below == 0 || below == n {
        n * 4 / 5
    } else {
        below
    };
    drawn.truncate(keep);

    for (stage, numerator, denominator, rest) in
        [(1, 3, 4, Part::Validation), (2, 17, 20, Part::EarlyStop)]
    {
        for entry in drawn.iter_mut() {
            entry.0 = draw(stage, entry.1);
        }
        drawn.sort_unstable();
        let keep = (drawn.len() * numerator / denominator).max(1);
        for &(_, at) in &drawn[keep..] {
            parts[at] = rest;
        }
        drawn.truncate(keep);
    }
    for &(_, at) in drawn.iter() {
        parts[at] = Part::TrainSmall;
    }
}

/// Columns that the kept users touch, and the new number of each (unset where untouched).
fn used_columns(urm: CsrView<'_>, users: &[usize]) -> Result<(Vec<i64>, Vec<i32>)> {
    let mut renamed = filled(urm.n_cols(), -1, LINES)?;
    for &user in users {
        for &col in urm.cols(user) {
            renamed[col as usize] = 0;
        }
    }
    let n_items = renamed.iter().filter(|&&new| new == 0).count();
    let mut items = with_room(n_items, LINES)?;
    for (col, new) in renamed.iter_mut().enumerate() {
        if *new == 0 {
            *new = items.len() as i32;
            items.push(col as i64);
        }
    }
    Ok((items, renamed))
}

/// The cells for which `wanted` holds; cells are numbered over the profiles of the kept users.
fn take(
    urm: CsrView<'_>,
    (users, renamed, n_items): (&[usize], &[i32], usize),
    progress: &Progress,
    wanted: impl Fn(usize) -> bool,
) -> Result<CsrMatrix> {
    let mut indptr = with_room(users.len() + 1, LINES)?;
    let mut indices = Vec::new();
    let mut values = urm.values().map(|_| Vec::new());
    indptr.push(0);
    let mut at = 0;
    for &user in users {
        progress.check()?;
        reserve(&mut indices, urm.row_len(user), CELLS)?;
        if let Some(values) = values.as_mut() {
            reserve(values, urm.row_len(user), CELLS)?;
        }
        for (col, value) in urm.row(user) {
            if wanted(at) {
                indices.push(renamed[col]);
                if let Some(values) = values.as_mut() {
                    values.push(value);
                }
            }
            at += 1;
        }
        indptr.push(indices.len() as i64);
    }
    Ok(CsrMatrix::from_parts(n_items, indptr, indices, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::on_threads;

    /// Users with 0, 1, 2, ... interactions, user u holding the items 0, 2, 4, ...
    fn stairs(n: usize) -> CsrMatrix {
        let mut indptr = vec![0];
        let mut indices = Vec::new();
        for u in 0..n {
            indices.extend((0..u).map(|i| 2 * i as i32));
            indptr.push(indices.len() as i64);
        }
        let values = (0..indices.len()).map(|v| v as f32).collect();
        CsrMatrix::try_new(2 * n, indptr, indices, Some(values)).expect("valid")
    }

    fn split(urm: &CsrMatrix, seed: u64) -> PaperSplits {
        paper_protocol(urm.view(), seed, &Progress::new()).expect("can be split")
    }

    #[test]
    fn users_below_two_interactions_and_untouched_items_are_dropped_and_reported() {
        let s = split(&stairs(6), 1);
        assert_eq!(s.users, [2, 3, 4, 5]);
        assert_eq!(s.items, [0, 2, 4, 6, 8]);
        for set in [&s.train, &s.test, &s.validation] {
            assert_eq!((set.view().n_rows(), set.view().n_cols()), (4, 5));
        }
    }

    #[test]
    fn later_splits_are_exact_and_a_single_interaction_stays_in_train() {
        let s = split(&stairs(200), 7);
        for row in 0..s.users.len() {
            let n = s.train.view().row_len(row);
            let rest = (n * 3 / 4).max(1);
            let small = (rest * 17 / 20).max(1);
            assert_eq!(s.validation.view().row_len(row), n - rest);
            assert_eq!(s.early_stop.view().row_len(row), rest - small);
            assert_eq!(s.train_small.view().row_len(row), small);
        }
    }

    #[test]
    fn the_first_split_is_binomial_with_four_fifths() {
        // 2,000 users with 50 items: the mean share has a standard error of 0.0013.
        let indices: Vec<i32> = (0..2000).flat_map(|_| 0..50).collect();
        let urm = CsrMatrix::try_new(50, (0..=2000).map(|u| u * 50).collect(), indices, None)
            .expect("valid");
        let s = split(&urm, 3);
        let lens: Vec<f64> = (0..2000)
            .map(|u| s.train.view().row_len(u) as f64)
            .collect();
        let mean = lens.iter().sum::<f64>() / 2000.0;
        let var = lens.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / 2000.0;
        assert!((mean - 40.0).abs() < 0.3, "{mean}");
        // Binomial variance 8, standard error 0.25; an exact cut would give 0.
        assert!((var - 8.0).abs() < 1.2, "{var}");
    }

    #[test]
    fn two_interactions_always_fall_on_both_sides() {
        let urm = CsrMatrix::try_new(
            2,
            (0..=500).map(|u| 2 * u).collect(),
            [0, 1].repeat(500),
            None,
        )
        .expect("valid");
        let s = split(&urm, 11);
        let first = (0..500).filter(|&u| s.train.view().cols(u) == [0]).count();
        assert!((0..500).all(|u| s.train.view().row_len(u) == 1 && s.test.view().row_len(u) == 1));
        // Which of the two goes to train is a fair coin: 5 standard deviations are 56.
        assert!(first.abs_diff(250) < 56, "{first}");
    }

    #[test]
    fn a_matrix_without_a_user_to_split_is_refused() {
        let urm = CsrMatrix::try_new(3, vec![0, 1, 2], vec![0, 2], None).expect("valid");
        let error = paper_protocol(urm.view(), 0, &Progress::new()).expect_err("refused");
        assert!(error.to_string().contains("none of the 2 users"));
    }

    #[test]
    fn thread_count_does_not_change_the_result() {
        let urm = stairs(700);
        let with = |threads| on_threads(threads, || split(&urm, 1337));
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(5));
        assert_ne!(one, split(&urm, 1338));
    }

    #[test]
    fn a_users_split_does_not_depend_on_the_other_users() {
        let all = stairs(60);
        // The same rows with every even user emptied: odd users keep their rows and columns.
        let (mut indptr, mut indices) = (vec![0], Vec::new());
        for u in 0..60 {
            if u % 2 == 1 {
                indices.extend_from_slice(all.view().cols(u));
            }
            indptr.push(indices.len() as i64);
        }
        let odd = CsrMatrix::try_new(120, indptr, indices, None).expect("valid");
        let (a, b) = (split(&all, 5), split(&odd, 5));
        assert_eq!(a.items, b.items);
        for (row, &user) in b.users.iter().enumerate() {
            let there = a.users.iter().position(|&u| u == user).expect("kept");
            assert_eq!(
                a.train_small.view().cols(there),
                b.train_small.view().cols(row)
            );
            assert_eq!(a.test.view().cols(there), b.test.view().cols(row));
        }
    }
}
