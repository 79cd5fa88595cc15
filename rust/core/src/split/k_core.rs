//! The k-core: what remains when users and items with few interactions are taken away, again and
//! again, until all that remain have enough.
//!
//! The largest such set is the same in whatever order they are taken (Seidman, "Network structure
//! and minimum degree", Social Networks 5, 1983, here with one bound for users and one for items).
//!
//! Cost: O(nnz) time, every cell is removed once; a transpose besides the result.

use crate::base::memory::{collected, filled, reserve, with_room, zeros};
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};

/// Rows taken away between two looks at the cancel flag.
const LOOK: usize = 4096;

const LINES: &str = "users and items of a core";
const CELLS: &str = "cells of a core";

/// A matrix without the users and items that have too little.
#[derive(Debug, Clone, PartialEq)]
pub struct Core {
    /// What remains, rows and columns renumbered.
    pub urm: CsrMatrix,
    /// Row of the input that became each row, ascending.
    pub users: Vec<i64>,
    /// Column of the input that became each column, ascending.
    pub items: Vec<i64>,
    /// 1 for each cell of the input that remains.
    pub labels: Vec<u8>,
}

/// Keep users with at least `of_user` and items with at least `of_item` interactions *within what
/// is kept*.
///
/// # Errors
/// [`Error::InvalidArgument`] if nothing remains; [`Error::Cancelled`].
pub fn k_core(
    urm: CsrView<'_>,
    of_user: usize,
    of_item: usize,
    progress: &Progress,
) -> Result<Core> {
    let by_item = urm.transpose(progress)?;
    let by_item = by_item.view();
    let mut lens = [lengths(urm)?, lengths(by_item)?];
    let bounds = [of_user, of_item];
    // Nothing is lost by dropping what is empty, whatever the bounds.
    let mut queue: Vec<(usize, usize)> = Vec::new();
    let mut gone = [zeros(urm.n_rows(), LINES)?, zeros(urm.n_cols(), LINES)?];
    for side in 0..2 {
        for (at, &len) in lens[side].iter().enumerate() {
            if len < bounds[side].max(1) {
                gone[side][at] = true;
                reserve(&mut queue, 1, LINES)?;
                queue.push((side, at));
            }
        }
    }
    let mut taken = 0;
    while let Some((side, at)) = queue.pop() {
        let cells = if side == 0 {
            urm.cols(at)
        } else {
            by_item.cols(at)
        };
        let other = 1 - side;
        for &there in cells {
            let there = there as usize;
            if !gone[other][there] {
                lens[other][there] -= 1;
                if lens[other][there] < bounds[other].max(1) {
                    gone[other][there] = true;
                    reserve(&mut queue, 1, LINES)?;
                    queue.push((other, there));
                }
            }
        }
        taken += 1;
        if taken % LOOK == 0 {
            progress.check()?;
        }
    }
    progress.check()?;
    let kept = |side: usize| -> Result<Vec<i64>> {
        let there = || (0..gone[side].len()).filter(|&at| !gone[side][at]);
        let mut kept = with_room(there().count(), LINES)?;
        kept.extend(there().map(|at| at as i64));
        Ok(kept)
    };
    let (users, items) = (kept(0)?, kept(1)?);
    if users.is_empty() {
        return Err(Error::invalid(format!(
            "no user with {of_user} interactions and no item with {of_item} remain of {} users \
             and {} items",
            urm.n_rows(),
            urm.n_cols()
        )));
    }
    let mut renamed = filled(urm.n_cols(), -1, LINES)?;
    for (new, &item) in items.iter().enumerate() {
        renamed[item as usize] = new as i32;
    }
    let mut labels = zeros(urm.nnz(), CELLS)?;
    let mut indptr = with_room(users.len() + 1, LINES)?;
    let nnz = users.iter().map(|&user| lens[0][user as usize]).sum();
    let mut indices = with_room(nnz, CELLS)?;
    let mut values = urm.values().map(|_| with_room(nnz, CELLS)).transpose()?;
    indptr.push(0);
    for &user in &users {
        progress.check()?;
        for (at, (col, value)) in urm.range(user as usize).zip(urm.row(user as usize)) {
            if renamed[col] >= 0 {
                labels[at] = 1;
                indices.push(renamed[col]);
                if let Some(values) = values.as_mut() {
                    values.push(value);
                }
            }
        }
        indptr.push(indices.len() as i64);
    }
    Ok(Core {
        urm: CsrMatrix::from_parts(items.len(), indptr, indices, values),
        users,
        items,
        labels,
    })
}

fn lengths(rows: CsrView<'_>) -> Result<Vec<usize>> {
    collected((0..rows.n_rows()).map(|r| rows.row_len(r)), LINES)
}

#[cfg(test)]
mod tests {
    use super::super::labels::testing::count;
    use super::*;
    use crate::base::rng::Rng;
    use crate::base::sparse::Duplicates;

    /// Drop rows and columns that are too short until nothing changes: the definition.
    fn by_definition(urm: CsrView<'_>, of_user: usize, of_item: usize) -> (Vec<i64>, Vec<i64>) {
        let mut cells: Vec<(usize, usize)> = (0..urm.n_rows())
            .flat_map(|r| urm.row(r).map(move |(c, _)| (r, c)))
            .collect();
        loop {
            let before = cells.len();
            let many = |side: fn(&(usize, usize)) -> usize, of: usize, cells: &[(usize, usize)]| {
                let mut counts = std::collections::HashMap::new();
                for c in cells {
                    *counts.entry(side(c)).or_insert(0) += 1;
                }
                cells
                    .iter()
                    .copied()
                    .filter(|c| counts[&side(c)] >= of)
                    .collect::<Vec<_>>()
            };
            cells = many(|c| c.0, of_user, &cells);
            cells = many(|c| c.1, of_item, &cells);
            if cells.len() == before {
                let distinct = |side: fn(&(usize, usize)) -> usize| {
                    let set: std::collections::BTreeSet<i64> =
                        cells.iter().map(|c| side(c) as i64).collect();
                    set.into_iter().collect()
                };
                return (distinct(|c| c.0), distinct(|c| c.1));
            }
        }
    }

    #[test]
    fn the_core_is_the_definition() {
        for seed in 0..30 {
            let mut rng = Rng::at(seed, 0, 0);
            let rows: Vec<i32> = (0..220).map(|_| rng.below(40) as i32).collect();
            let cols: Vec<i32> = (0..220).map(|_| rng.below(30) as i32).collect();
            let (first, p) = (Duplicates::First, Progress::new());
            let urm = CsrMatrix::from_coo((40, 30), &rows, &cols, None, first, &p).unwrap();
            for (u, i) in [(1, 1), (3, 5), (5, 5), (6, 2)] {
                let (users, items) = by_definition(urm.view(), u, i);
                match k_core(urm.view(), u, i, &Progress::new()) {
                    Ok(core) => {
                        assert_eq!((&core.users, &core.items), (&users, &items));
                        let kept = count(&core.labels, 1);
                        assert_eq!(core.urm.view().nnz(), kept);
                        assert!((0..users.len()).all(|r| core.urm.view().row_len(r) >= u));
                        assert!(
                            core.urm
                                .view()
                                .col_counts()
                                .unwrap()
                                .iter()
                                .all(|&c| c as usize >= i)
                        );
                    }
                    Err(_) => assert!(users.is_empty()),
                }
            }
        }
    }

    #[test]
    fn what_leaves_nothing_is_refused() {
        let urm = CsrMatrix::try_new(2, vec![0, 1, 2], vec![0, 1], None).unwrap();
        let error = k_core(urm.view(), 2, 1, &Progress::new()).expect_err("refused");
        assert!(error.to_string().contains("no user with 2 interactions"));
    }
}
