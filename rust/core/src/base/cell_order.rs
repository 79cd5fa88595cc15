//! The order of interactions by row, column and time.

use rayon::prelude::*;

use super::error::{Error, Result};
use super::progress::Progress;

/// Rows sorted at a time, between two looks at the cancel flag.
const BLOCK: usize = 1024;

/// Positions of interactions by ascending row, column and key; equal ones keep their order.
///
/// A counting sort by row, then each row on its own: O(n log longest row), memory eight bytes an
/// interaction besides the rows being sorted.
///
/// # Errors
/// [`Error::InvalidArgument`] if lengths differ or a row lies outside `0..n_rows`, or the positions
/// do not fit into memory; [`Error::Cancelled`].
pub fn cell_order(
    n_rows: usize,
    rows: &[i32],
    cols: &[i32],
    keys: Option<&[i64]>,
    progress: &Progress,
) -> Result<Vec<i64>> {
    if cols.len() != rows.len() || keys.is_some_and(|keys| keys.len() != rows.len()) {
        return Err(Error::invalid("rows, cols and keys must have one length"));
    }
    if let Some(&row) = rows.iter().find(|&&r| r < 0 || r as usize >= n_rows) {
        return Err(Error::invalid(format!(
            "rows holds {row}, outside 0..{n_rows}"
        )));
    }
    let mut order = zeros(rows.len())?;
    let mut ends = zeros(n_rows + 1)?;
    for &row in rows {
        ends[row as usize + 1] += 1;
    }
    for row in 0..n_rows {
        ends[row + 1] += ends[row];
    }
    // Each start moves to its row's end, which is the next row's start.
    for (at, &row) in rows.iter().enumerate() {
        let next = &mut ends[row as usize];
        order[*next as usize] = at as i64;
        *next += 1;
    }
    progress.start(n_rows as u64);
    let mut blocks = Vec::with_capacity(n_rows / BLOCK + 1);
    let (mut rest, mut start) = (order.as_mut_slice(), 0);
    for ends in ends[..n_rows].chunks(BLOCK) {
        let end = ends[ends.len() - 1];
        let (block, after) = rest.split_at_mut((end - start) as usize);
        blocks.push((start, ends, block));
        (rest, start) = (after, end);
    }
    blocks
        .into_par_iter()
        .try_for_each(|(mut start, ends, mut block)| {
            progress.advance(ends.len() as u64)?;
            let mut sorted: Vec<(i32, i64, i64)> = Vec::new();
            for &end in ends {
                let (row, after) = std::mem::take(&mut block).split_at_mut((end - start) as usize);
                (block, start) = (after, end);
                sorted.clear();
                sorted.extend(row.iter().map(|&at| {
                    let key = keys.map_or(0, |keys| keys[at as usize]);
                    (cols[at as usize], key, at)
                }));
                sorted.sort_unstable();
                row.iter_mut()
                    .zip(&sorted)
                    .for_each(|(at, &(_, _, position))| *at = position);
            }
            Ok(())
        })?;
    Ok(order)
}

fn zeros(n: usize) -> Result<Vec<i64>> {
    let mut vector = Vec::new();
    vector
        .try_reserve_exact(n)
        .map_err(|_| Error::invalid(format!("{n} positions do not fit into memory")))?;
    vector.resize(n, 0);
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn the_order_is_that_of_a_stable_sort() {
        let (n_rows, n) = (3_000, 20_000);
        let draw = |stream, bound| -> Vec<i32> {
            let mut rng = Rng::at(3, stream, 0);
            (0..n).map(|_| rng.below(bound) as i32).collect()
        };
        let (rows, cols) = (draw(1, n_rows as u64), draw(2, 4));
        let keys: Vec<i64> = draw(3, 3).iter().map(|&k| i64::from(k) - 1).collect();
        for keys in [None, Some(keys.as_slice())] {
            let mut expected: Vec<i64> = (0..n).collect();
            expected.sort_by_key(|&at| {
                let at = at as usize;
                (rows[at], cols[at], keys.map_or(0, |keys| keys[at]))
            });
            let found = cell_order(n_rows, &rows, &cols, keys, &Progress::new());
            assert_eq!(found, Ok(expected));
        }
        assert_eq!(cell_order(0, &[], &[], None, &Progress::new()), Ok(vec![]));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let order = |rows: &[i32], cols: &[i32]| cell_order(2, rows, cols, None, &Progress::new());
        assert!(order(&[0], &[]).is_err());
        assert!(order(&[2], &[0]).is_err());
        assert!(order(&[-1], &[0]).is_err());
        let cancelled = Progress::new();
        cancelled.cancel();
        assert_eq!(
            cell_order(1, &[0], &[0], None, &cancelled),
            Err(Error::Cancelled)
        );
    }
}
