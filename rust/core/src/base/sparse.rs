//! Compressed sparse rows: the one layout every kernel reads and writes.
//!
//! `indptr` is `i64`, `indices` is `i32`, `values` is `f32` or absent, which means that every
//! stored cell is one. Columns ascend strictly within a row. [`CsrView::try_new`] proves this once;
//! the fields are private and no kernel checks again.

use super::error::{Error, Result, from_word};
use super::memory::{collected, copied, with_room, zeros};
use super::progress::Progress;

const POINTERS: &str = "row offsets of a matrix";
const CELLS: &str = "cells of a matrix";

/// Borrowed, validated compressed sparse rows.
#[derive(Debug, Clone, Copy)]
pub struct CsrView<'a> {
    n_cols: usize,
    indptr: &'a [i64],
    indices: &'a [i32],
    values: Option<&'a [f32]>,
}

/// Owned compressed sparse rows; the invariants are those of [`CsrView`].
#[derive(Debug, Clone, PartialEq)]
pub struct CsrMatrix {
    n_cols: usize,
    indptr: Vec<i64>,
    indices: Vec<i32>,
    values: Option<Vec<f32>>,
}

/// What to do with a cell that is given more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// Refuse, naming the row and the column.
    Error,
    /// Add the values up, and round once.
    Sum,
    /// Keep the value that came first.
    First,
}

from_word!(Duplicates, "duplicates", r#""error", "sum" or "first""#, {
    "error" => Error,
    "sum" => Sum,
    "first" => First,
});

impl<'a> CsrView<'a> {
    /// Validate once and borrow.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the row if `indptr` does not start at zero, decreases or
    /// does not end at the number of indices; if a column lies outside `0..n_cols`, or the columns
    /// of a row do not ascend strictly; if `values` has another length or a value is not finite.
    pub fn try_new(
        n_cols: usize,
        indptr: &'a [i64],
        indices: &'a [i32],
        values: Option<&'a [f32]>,
    ) -> Result<Self> {
        check_side(n_cols, "columns")?;
        let (Some(&first), Some(&last)) = (indptr.first(), indptr.last()) else {
            return Err(Error::invalid(
                "indptr is empty; it needs one entry more than there are rows",
            ));
        };
        if first != 0 {
            return Err(Error::invalid(format!(
                "indptr starts at {first} instead of 0"
            )));
        }
        if last != indices.len() as i64 {
            return Err(Error::invalid(format!(
                "indptr ends at {last} but there are {} indices",
                indices.len()
            )));
        }
        if let Some(values) = values
            && values.len() != indices.len()
        {
            return Err(Error::invalid(format!(
                "there are {} values but {} indices",
                values.len(),
                indices.len()
            )));
        }
        if let Some(row) = indptr.windows(2).position(|w| w[1] < w[0]) {
            return Err(Error::invalid(format!(
                "indptr decreases at row {row}, from {} to {}",
                indptr[row],
                indptr[row + 1]
            )));
        }
        for (row, w) in indptr.windows(2).enumerate() {
            let mut previous = -1;
            for &col in &indices[w[0] as usize..w[1] as usize] {
                if col < 0 || col as usize >= n_cols {
                    return Err(Error::invalid(format!(
                        "row {row} holds column {col}, outside 0..{n_cols}"
                    )));
                }
                if col == previous {
                    return Err(Error::invalid(format!(
                        "row {row} holds column {col} twice"
                    )));
                }
                if col < previous {
                    return Err(Error::invalid(format!(
                        "row {row} is not sorted: column {col} follows {previous}"
                    )));
                }
                previous = col;
            }
        }
        let view = Self {
            n_cols,
            indptr,
            indices,
            values,
        };
        if let Some(at) = values.and_then(|v| v.iter().position(|x| !x.is_finite())) {
            return Err(view.bad_value(at, "is not finite"));
        }
        Ok(view)
    }

    /// Borrow again what [`try_new`](Self::try_new) accepted before, without checking again.
    ///
    /// Memory safety never depends on the checks: parts that break the invariants make a kernel
    /// answer wrongly or panic, nothing worse.
    #[must_use]
    pub fn from_validated(
        n_cols: usize,
        indptr: &'a [i64],
        indices: &'a [i32],
        values: Option<&'a [f32]>,
    ) -> Self {
        Self {
            n_cols,
            indptr,
            indices,
            values,
        }
    }

    /// Refuse negative values, which have no meaning as interactions.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the first cell with a negative value.
    pub fn check_non_negative(&self) -> Result<()> {
        match self.values.and_then(|v| v.iter().position(|&x| x < 0.0)) {
            Some(at) => Err(self.bad_value(at, "is negative")),
            None => Ok(()),
        }
    }

    fn bad_value(&self, at: usize, what: &str) -> Error {
        let row = self.indptr.partition_point(|&p| p <= at as i64) - 1;
        Error::invalid(format!(
            "the value {} at row {row}, column {} {what}",
            self.values.map_or(1.0, |v| v[at]),
            self.indices[at]
        ))
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// Number of columns.
    #[must_use]
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Number of stored cells.
    #[must_use]
    pub fn nnz(&self) -> usize {
        self.indices.len()
    }

    /// Row offsets, length `n_rows + 1`.
    #[must_use]
    pub fn indptr(&self) -> &'a [i64] {
        self.indptr
    }

    /// Columns of all cells, row after row.
    #[must_use]
    pub fn indices(&self) -> &'a [i32] {
        self.indices
    }

    /// Values of all cells, or `None` if every one of them is one.
    #[must_use]
    pub fn values(&self) -> Option<&'a [f32]> {
        self.values
    }

    /// The same cells, all of them one.
    #[must_use]
    pub fn without_values(self) -> Self {
        Self {
            values: None,
            ..self
        }
    }

    /// Where the cells of `row` lie in `indices` and `values`.
    #[inline]
    #[must_use]
    pub fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.indptr[row] as usize..self.indptr[row + 1] as usize
    }

    /// Columns of `row`, ascending.
    #[inline]
    #[must_use]
    pub fn cols(&self, row: usize) -> &'a [i32] {
        &self.indices[self.range(row)]
    }

    /// Number of stored cells in `row`.
    #[inline]
    #[must_use]
    pub fn row_len(&self, row: usize) -> usize {
        (self.indptr[row + 1] - self.indptr[row]) as usize
    }

    /// `(column, value)` pairs of `row`, by ascending column.
    #[inline]
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + use<'a> {
        let range = self.range(row);
        let values = self.values;
        self.indices[range.clone()]
            .iter()
            .zip(range)
            .map(move |(&col, at)| (col as usize, values.map_or(1.0, |v| v[at])))
    }

    /// Stored cells in each column.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn col_counts(&self) -> Result<Vec<u32>> {
        let mut counts = zeros(self.n_cols, "counts of columns")?;
        for &col in self.indices {
            counts[col as usize] += 1;
        }
        Ok(counts)
    }

    /// The same places with other values.
    ///
    /// # Errors
    /// [`Error::NonFinite`], [`Error::OutOfMemory`].
    pub(crate) fn with_values(&self, values: Vec<f32>) -> Result<CsrMatrix> {
        CsrMatrix::of_weights(
            self.n_cols,
            copied(self.indptr, POINTERS)?,
            copied(self.indices, CELLS)?,
            values,
        )
    }

    /// The transpose, by counting sort: O(nnz + rows + columns).
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Cancelled`].
    pub fn transpose(&self, progress: &Progress) -> Result<CsrMatrix> {
        check_side(self.n_rows(), "rows")?;
        let mut indptr = zeros::<i64>(self.n_cols + 1, POINTERS)?;
        for &col in self.indices {
            indptr[col as usize + 1] += 1;
        }
        for i in 0..self.n_cols {
            indptr[i + 1] += indptr[i];
        }
        let mut next = copied(&indptr, POINTERS)?;
        let mut indices = zeros::<i32>(self.nnz(), CELLS)?;
        let mut values = self.values.map(|v| zeros(v.len(), CELLS)).transpose()?;
        for row in 0..self.n_rows() {
            progress.check()?;
            for at in self.range(row) {
                let slot = &mut next[self.indices[at] as usize];
                indices[*slot as usize] = row as i32;
                if let (Some(out), Some(v)) = (values.as_mut(), self.values) {
                    out[*slot as usize] = v[at];
                }
                *slot += 1;
            }
        }
        Ok(CsrMatrix {
            n_cols: self.n_rows(),
            indptr,
            indices,
            values,
        })
    }
}

impl CsrMatrix {
    /// Take ownership of parts that already satisfy the invariants, checking them once.
    ///
    /// # Errors
    /// As [`CsrView::try_new`].
    pub fn try_new(
        n_cols: usize,
        indptr: Vec<i64>,
        indices: Vec<i32>,
        values: Option<Vec<f32>>,
    ) -> Result<Self> {
        CsrView::try_new(n_cols, &indptr, &indices, values.as_deref())?;
        Ok(Self {
            n_cols,
            indptr,
            indices,
            values,
        })
    }

    /// For kernels of this crate whose construction guarantees the invariants.
    pub(crate) fn from_parts(
        n_cols: usize,
        indptr: Vec<i64>,
        indices: Vec<i32>,
        values: Option<Vec<f32>>,
    ) -> Self {
        debug_assert!(CsrView::try_new(n_cols, &indptr, &indices, values.as_deref()).is_ok());
        Self {
            n_cols,
            indptr,
            indices,
            values,
        }
    }

    /// As `from_parts`, of values that were computed.
    ///
    /// # Errors
    /// [`Error::NonFinite`].
    pub(crate) fn of_weights(
        n_cols: usize,
        indptr: Vec<i64>,
        indices: Vec<i32>,
        values: Vec<f32>,
    ) -> Result<Self> {
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let row = indptr.partition_point(|&start| start as usize <= at) - 1;
            return Err(Error::NonFinite(format!(
                "the weight in row {row}, column {} is not finite: a value of the matrix or a \
                 parameter is too large or too small",
                indices[at]
            )));
        }
        Ok(Self::from_parts(n_cols, indptr, indices, Some(values)))
    }

    /// From triplets in any order.
    ///
    /// Two stable counting sorts (by column, then by row): O(nnz + rows + columns), and the first
    /// of two equal cells stays first.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the lengths differ, an index is out of range, a value is not
    /// finite, or a cell comes twice under [`Duplicates::Error`]; [`Error::OutOfMemory`],
    /// [`Error::Cancelled`].
    pub fn from_coo(
        (n_rows, n_cols): (usize, usize),
        rows: &[i32],
        cols: &[i32],
        values: Option<&[f32]>,
        duplicates: Duplicates,
        progress: &Progress,
    ) -> Result<Self> {
        check_side(n_rows, "rows")?;
        check_side(n_cols, "columns")?;
        if rows.len() != cols.len() || values.is_some_and(|v| v.len() != rows.len()) {
            return Err(Error::invalid(format!(
                "rows, cols and values must have one length, not {}, {} and {}",
                rows.len(),
                cols.len(),
                values.map_or(rows.len(), <[f32]>::len)
            )));
        }
        let outside = |what: &str, at: usize, index: i32, n: usize| {
            Error::invalid(format!("{what}[{at}] is {index}, outside 0..{n}"))
        };
        let inside = |index: i32, n: usize| index >= 0 && (index as usize) < n;
        if let Some(at) = rows.iter().position(|&r| !inside(r, n_rows)) {
            return Err(outside("rows", at, rows[at], n_rows));
        }
        if let Some(at) = cols.iter().position(|&c| !inside(c, n_cols)) {
            return Err(outside("cols", at, cols[at], n_cols));
        }
        if let Some(at) = values.and_then(|v| v.iter().position(|x| !x.is_finite())) {
            return Err(Error::invalid(format!(
                "values[{at}] (row {}, column {}) is not finite",
                rows[at], cols[at]
            )));
        }
        let order = counting_order(cols, n_cols, None, progress)?;
        let order = counting_order(rows, n_rows, Some(&order), progress)?;

        let mut indptr = zeros::<i64>(n_rows + 1, POINTERS)?;
        let mut indices: Vec<i32> = with_room(rows.len(), CELLS)?;
        let mut out = values.map(|v| with_room(v.len(), CELLS)).transpose()?;
        let mut previous = (-1, -1);
        let mut sum = 0.0_f64;
        for (nth, at) in order.into_iter().enumerate() {
            progress.look(nth)?;
            let at = at as usize;
            let cell = (rows[at], cols[at]);
            if cell == previous {
                match duplicates {
                    Duplicates::Error => {
                        return Err(Error::invalid(format!(
                            "the cell at row {}, column {} is given more than once; choose \
                             duplicates=\"sum\" or \"first\"",
                            cell.0, cell.1
                        )));
                    }
                    Duplicates::Sum => {
                        if let (Some(last), Some(v)) =
                            (out.as_mut().and_then(|o| o.last_mut()), values)
                        {
                            sum += f64::from(v[at]);
                            *last = sum as f32;
                        }
                    }
                    Duplicates::First => {}
                }
                continue;
            }
            previous = cell;
            indices.push(cell.1);
            if let (Some(out), Some(v)) = (out.as_mut(), values) {
                sum = f64::from(v[at]);
                out.push(v[at]);
            }
            indptr[cell.0 as usize + 1] += 1;
        }
        for row in 0..n_rows {
            indptr[row + 1] += indptr[row];
        }
        // A sum of finite values can still overflow.
        Self::try_new(n_cols, indptr, indices, out)
    }

    /// Borrow.
    #[must_use]
    pub fn view(&self) -> CsrView<'_> {
        CsrView {
            n_cols: self.n_cols,
            indptr: &self.indptr,
            indices: &self.indices,
            values: self.values.as_deref(),
        }
    }

    /// `(n_cols, indptr, indices, values)`.
    #[must_use]
    pub fn into_parts(self) -> (usize, Vec<i64>, Vec<i32>, Option<Vec<f32>>) {
        (self.n_cols, self.indptr, self.indices, self.values)
    }
}

pub(crate) fn check_side(n: usize, what: &str) -> Result<()> {
    if n > i32::MAX as usize {
        return Err(Error::invalid(format!(
            "{n} {what} do not fit 32-bit indices"
        )));
    }
    Ok(())
}

/// Positions `0..keys.len()` sorted by key, stably; taken in the order `of` if one is given.
///
/// O(cells + keys), or O(cells log cells) without any memory for the keys where they are many.
fn counting_order(
    keys: &[i32],
    n_keys: usize,
    of: Option<&[u64]>,
    progress: &Progress,
) -> Result<Vec<u64>> {
    if keys.len() < n_keys / 16 {
        // Of few cells under many keys, the keys are not counted.
        let mut order = match of {
            Some(of) => copied(of, CELLS)?,
            None => collected((0..keys.len()).map(|at| at as u64), CELLS)?,
        };
        let mut place = zeros::<u64>(keys.len(), CELLS)?;
        for (nth, &at) in order.iter().enumerate() {
            place[at as usize] = nth as u64;
        }
        order.sort_unstable_by_key(|&at| (keys[at as usize], place[at as usize]));
        return Ok(order);
    }
    let mut next = zeros::<u64>(n_keys + 1, POINTERS)?;
    for &key in keys {
        next[key as usize + 1] += 1;
    }
    for i in 0..n_keys {
        next[i + 1] += next[i];
    }
    let mut order = zeros::<u64>(keys.len(), CELLS)?;
    for nth in 0..keys.len() {
        progress.look(nth)?;
        let at = of.map_or(nth as u64, |of| of[nth]);
        let slot = &mut next[keys[at as usize] as usize];
        order[*slot as usize] = at;
        *slot += 1;
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<impl std::fmt::Debug>) -> String {
        result.expect_err("must be refused").to_string()
    }

    #[test]
    fn every_broken_invariant_is_refused_with_its_place() {
        let new = |indptr: &[i64], indices: &[i32], values: Option<&[f32]>| {
            message(CsrView::try_new(3, indptr, indices, values).map(|v| v.nnz()))
        };
        assert!(new(&[], &[], None).contains("indptr is empty"));
        assert!(new(&[1, 1], &[0], None).contains("starts at 1"));
        assert!(new(&[0, 2], &[0], None).contains("ends at 2"));
        assert!(new(&[0, 2, 1, 2], &[0, 1], None).contains("decreases at row 1"));
        assert!(new(&[0, 1], &[3], None).contains("column 3, outside 0..3"));
        assert!(new(&[0, 1], &[-1], None).contains("column -1"));
        assert!(new(&[0, 2], &[1, 1], None).contains("column 1 twice"));
        assert!(new(&[0, 2], &[2, 1], None).contains("not sorted"));
        assert!(new(&[0, 1], &[1], Some(&[])).contains("0 values but 1 indices"));
        assert!(new(&[0, 0, 1], &[1], Some(&[f32::NAN])).contains("row 1, column 1"));
        assert!(new(&[0, -1, 1], &[1], None).contains("decreases at row 0"));
        let view = CsrView::try_new(3, &[0, 1], &[1], Some(&[-1.0])).expect("structure is fine");
        assert!(message(view.check_non_negative()).contains("-1 at row 0, column 1 is negative"));
    }

    #[test]
    fn triplets_in_any_order_become_sorted_rows() {
        let (rows, cols) = ([1, 0, 1, 1], [2, 1, 0, 2]);
        let values = [1.0, 2.0, 3.0, 4.0];
        let coo = |d| CsrMatrix::from_coo((3, 3), &rows, &cols, Some(&values), d, &Progress::new());
        assert!(message(coo(Duplicates::Error)).contains("row 1, column 2"));
        let sum = coo(Duplicates::Sum).expect("valid");
        assert_eq!(sum.view().indptr(), [0, 1, 3, 3]);
        assert_eq!(sum.view().indices(), [1, 0, 2]);
        assert_eq!(sum.view().values(), Some(&[2.0, 3.0, 5.0][..]));
        let first = coo(Duplicates::First).expect("valid");
        assert_eq!(first.view().values(), Some(&[2.0, 3.0, 1.0][..]));
        // Among many rows and columns the same, and columns take no memory.
        let shape = (1000, i32::MAX as usize);
        let (values, p) = (Some(&values[..]), Progress::new());
        let sparse = CsrMatrix::from_coo(shape, &rows, &cols, values, Duplicates::First, &p);
        let sparse = sparse.expect("valid");
        assert_eq!(sparse.view().values(), first.view().values());
        assert_eq!(sparse.view().indices(), first.view().indices());
    }

    #[test]
    fn a_sum_is_rounded_once() {
        let sum = |values: &[f32]| {
            let zeros = vec![0; values.len()];
            let (sum, p) = (Duplicates::Sum, Progress::new());
            CsrMatrix::from_coo((1, 1), &zeros, &zeros, Some(values), sum, &p)
        };
        let of = |values: &[f32]| sum(values).expect("finite").view().values().unwrap()[0];
        assert_eq!(of(&[16_777_216.0, 1.0, 1.0]), 16_777_218.0);
        assert_eq!(of(&[0.1; 100]), 10.0);
        assert!(message(sum(&[f32::MAX, f32::MAX])).contains("row 0, column 0 is not finite"));
    }

    #[test]
    fn transposing_twice_is_the_identity() {
        let m = CsrMatrix::try_new(4, vec![0, 2, 2, 3], vec![1, 3, 0], Some(vec![1., 2., 3.]))
            .expect("valid");
        let transposed = |m: &CsrMatrix| m.view().transpose(&Progress::new()).expect("small");
        let t = transposed(&m);
        assert_eq!(t.view().n_rows(), 4);
        assert_eq!(t.view().cols(0), [2]);
        assert_eq!(transposed(&t), m);
    }
}
