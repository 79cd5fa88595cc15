//! Cells held out by time: what came last.

use super::labels::{Size, check_len, label_rows};
use crate::base::memory::{collected, copied};
use crate::base::{CsrView, Error, Progress, Result};

const TIMES: &str = "times of the cells";

/// Label 1 for the latest `size` of every user's cells; of equal times the larger column is later.
///
/// One cell at least is held out of every user with two or more, and one at least is not.
///
/// # Errors
/// [`Error::InvalidArgument`] if `size` is out of range or there is not one time a cell;
/// [`Error::Cancelled`].
pub fn latest_of_users(
    urm: CsrView<'_>,
    times: &[i64],
    size: Size,
    progress: &Progress,
) -> Result<Vec<u8>> {
    size.check("test_size")?;
    check_len("times", times.len(), urm)?;
    label_rows(urm, progress, |row, labels| {
        let held = size.out_of(labels.len());
        if held == 0 {
            return Ok(());
        }
        let of_row = times[urm.range(row)].iter().enumerate();
        let mut order = collected(of_row.map(|(at, &time)| (time, at)), TIMES)?;
        let (_, _, _) = order.select_nth_unstable(labels.len() - held);
        for &(_, at) in &order[labels.len() - held..] {
            labels[at] = 1;
        }
        Ok(())
    })
}

/// The moment from which on `size` of all cells lie, or a few more where several share it.
///
/// # Errors
/// [`Error::InvalidArgument`] if `size` is out of range, or nothing lies before that moment.
pub fn cut_for(times: &[i64], size: Size) -> Result<i64> {
    size.check("test_size")?;
    let n = times.len();
    let held = match size {
        Size::Count(count) if count >= n => n,
        _ if n < 2 => n,
        _ => size.out_of(n),
    };
    let earliest = times.iter().min();
    let mut times = copied(times, TIMES)?;
    match (earliest, held < n) {
        (Some(&earliest), true) => {
            let cut = *times.select_nth_unstable(n - held).1;
            if cut > earliest {
                return Ok(cut);
            }
            Err(Error::invalid(format!(
                "timestamps leave nothing before the last {held} of {n} interactions: too many \
                 are equal"
            )))
        }
        _ => Err(Error::invalid(format!(
            "test_size takes {held} of {n} interactions, and one must remain"
        ))),
    }
}

/// Label 1 for cells at `cut` or later.
///
/// # Errors
/// [`Error::InvalidArgument`] if there is not one time a cell, or one side is empty;
/// [`Error::Cancelled`].
pub fn cut_at(urm: CsrView<'_>, times: &[i64], cut: i64, progress: &Progress) -> Result<Vec<u8>> {
    check_len("times", times.len(), urm)?;
    let labels = label_rows(urm, progress, |row, labels| {
        for (slot, &time) in labels.iter_mut().zip(&times[urm.range(row)]) {
            *slot = u8::from(time >= cut);
        }
        Ok(())
    })?;
    for (label, side) in [(0, "before"), (1, "at or after")] {
        if !labels.contains(&label) {
            return Err(Error::invalid(format!(
                "cut leaves no interaction {side} it, so one side would be empty"
            )));
        }
    }
    Ok(labels)
}

/// Cells of label 1 that are older than a cell of label 0 in the same row, and all of label 1.
///
/// # Errors
/// [`Error::InvalidArgument`] if there is not one label and one time a cell.
pub fn looks_ahead(
    urm: CsrView<'_>,
    labels: &[u8],
    times: &[i64],
    progress: &Progress,
) -> Result<(u64, u64)> {
    check_len("labels", labels.len(), urm)?;
    check_len("times", times.len(), urm)?;
    let (mut older, mut held) = (0, 0);
    for row in 0..urm.n_rows() {
        progress.check()?;
        let cells = || urm.range(row).map(|at| (labels[at], times[at]));
        let newest = cells().filter(|c| c.0 == 0).map(|c| c.1).max();
        for (_, time) in cells().filter(|c| c.0 == 1) {
            held += 1;
            older += u64::from(newest.is_some_and(|newest| time < newest));
        }
    }
    Ok((older, held))
}

#[cfg(test)]
mod tests {
    use super::super::labels::testing::{per_row, stairs};
    use super::*;

    #[test]
    fn the_latest_of_a_user_are_held_out_and_ties_go_by_column() {
        let urm = stairs(6);
        // Row 5 is the last one: times 4, 1, 4, 4, 0 of columns 0, 2, 4, 6, 8.
        let times: Vec<i64> = [9, 1, 2, 0, 5, 5, 3, 2, 3, 3, 4, 1, 4, 4, 0].to_vec();
        let labels =
            latest_of_users(urm.view(), &times, Size::Count(2), &Progress::new()).expect("valid");
        assert_eq!(per_row(&urm, &labels, 1), [0, 0, 1, 2, 2, 2]);
        assert_eq!(labels[urm.view().range(5)], [0, 0, 1, 1, 0]);
        assert_eq!(labels[urm.view().range(4)], [0, 0, 1, 1]);
        let (older, held) =
            looks_ahead(urm.view(), &labels, &times, &Progress::new()).expect("valid");
        assert_eq!((older, held), (0, 7));
    }

    #[test]
    fn a_cut_never_parts_equal_times() {
        let times = [3, 1, 2, 2, 2, 5];
        // The last two are 3 and 5; the last three would begin within the twos.
        assert_eq!(cut_for(&times, Size::Count(2)), Ok(3));
        assert_eq!(cut_for(&times, Size::Count(3)), Ok(2));
        assert_eq!(cut_for(&times, Size::Fraction(0.34)), Ok(3));
        let urm = stairs(4);
        let labels = cut_at(urm.view(), &times, 2, &Progress::new()).expect("valid");
        assert_eq!(labels, [1, 0, 1, 1, 1, 1]);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        let message = |r: Result<i64>| r.expect_err("refused").to_string();
        assert!(message(cut_for(&[2, 2, 2], Size::Count(1))).contains("too many are equal"));
        assert!(message(cut_for(&[1, 2, 3], Size::Count(3))).contains("takes 3 of 3"));
        assert!(message(cut_for(&[], Size::Fraction(0.5))).contains("takes 0 of 0"));
        let urm = stairs(3);
        let cut = |at| cut_at(urm.view(), &[1, 2, 3], at, &Progress::new());
        assert!(
            cut(1)
                .expect_err("refused")
                .to_string()
                .contains("before it")
        );
        assert!(
            cut(4)
                .expect_err("refused")
                .to_string()
                .contains("at or after it")
        );
        let short = cut_at(urm.view(), &[1], 0, &Progress::new()).expect_err("refused");
        assert!(short.to_string().contains("times has 1 entries"));
    }

    #[test]
    fn a_random_side_that_knows_the_future_is_counted() {
        let urm = stairs(4);
        // Rows: [.], [5, 6], [1, 2, 3]; held out are 6, then 1 and 2, which 3 comes after.
        let (labels, times) = ([0, 0, 1, 1, 1, 0], [9, 5, 6, 1, 2, 3]);
        assert_eq!(
            looks_ahead(urm.view(), &labels, &times, &Progress::new()),
            Ok((2, 3))
        );
    }
}
