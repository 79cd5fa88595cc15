//! Where the weights between items live while they are learned. Rows and columns are labels.

use std::ops::Range;

use crate::base::memory::{filled, many_zeros, reserve, with_room, zeros};
use crate::base::{Error, Progress, Result};

const WEIGHTS: &str = "weights of SLIM-BPR";

/// Weights that start at zero; the diagonal stays there.
pub(super) trait Cells {
    /// The sum of the cells of `row` in the columns of `profile`, which ascend.
    fn sum(&self, row: u32, profile: &[u32]) -> f32;

    /// Add `up + decay * cell` to the same cells, except the one on the diagonal.
    fn update(&mut self, row: u32, profile: &[u32], up: f32, decay: f32);

    /// Make room for so many more cells, or fail.
    fn reserve(&mut self, _cells: usize) -> Result<()> {
        Ok(())
    }
}

/// Weights that can be read row by row.
pub(super) trait DenseRows {
    /// Write all cells of some rows to `dense`, row after row of length `n`.
    fn rows(&self, rows: Range<usize>, n: usize, dense: &mut [f32]);
}

/// Sum of `cell(label)` in four chains, so that an addition need not wait for the last one.
#[inline(always)]
fn sum_of(labels: &[u32], cell: impl Fn(u32) -> f32) -> f32 {
    let (fours, rest) = labels.as_chunks::<4>();
    let mut sums = [0f32; 4];
    for four in fours {
        for (sum, &label) in sums.iter_mut().zip(four) {
            *sum += cell(label);
        }
    }
    let rest: f32 = rest.iter().map(|&label| cell(label)).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}

/// Labels below `row` and above it.
#[inline(always)]
fn around(row: u32, profile: &[u32]) -> (&[u32], &[u32]) {
    let below = profile.partition_point(|&label| label < row);
    let above = below + usize::from(profile.get(below) == Some(&row));
    (&profile[..below], &profile[above..])
}

/// The cells below the diagonal: one for (a, b) and (b, a), in the row of the larger label.
#[derive(Debug)]
pub(super) struct Triangle(Vec<f32>);

#[inline(always)]
const fn offset(row: usize) -> usize {
    // Row 0 is empty, and has no row before it.
    row * row.wrapping_sub(1) / 2
}

impl Triangle {
    pub(super) fn new(n: usize, progress: &Progress) -> Result<Self> {
        let cells = n.saturating_mul(n.max(1) - 1) / 2;
        Ok(Self(many_zeros(cells, WEIGHTS, progress)?))
    }

    #[inline(always)]
    fn row(&self, row: u32) -> &[f32] {
        let row = row as usize;
        if row == 0 {
            return &[];
        }
        &self.0[offset(row)..][..row]
    }
}

impl Cells for Triangle {
    #[inline]
    fn sum(&self, row: u32, profile: &[u32]) -> f32 {
        let (below, above) = around(row, profile);
        let cells = self.row(row);
        sum_of(below, |label| cells[label as usize])
            + sum_of(above, |label| self.0[offset(label as usize) + row as usize])
    }

    #[inline]
    fn update(&mut self, row: u32, profile: &[u32], up: f32, decay: f32) {
        let (below, above) = around(row, profile);
        let row = row as usize;
        if row > 0 {
            let cells = &mut self.0[offset(row)..][..row];
            for &label in below {
                let cell = &mut cells[label as usize];
                *cell += up + decay * *cell;
            }
        }
        for &label in above {
            let cell = &mut self.0[offset(label as usize) + row];
            *cell += up + decay * *cell;
        }
    }
}

impl DenseRows for Triangle {
    fn rows(&self, rows: Range<usize>, n: usize, dense: &mut [f32]) {
        for (row, out) in rows.clone().zip(dense.chunks_exact_mut(n)) {
            out[..row].copy_from_slice(self.row(row as u32));
            out[row] = 0.0;
        }
        for below in rows.start + 1..n {
            let columns = rows.start..rows.end.min(below);
            let cells = &self.0[offset(below)..][columns];
            for (out, &cell) in dense.chunks_exact_mut(n).zip(cells) {
                out[below] = cell;
            }
        }
    }
}

/// Every cell.
#[derive(Debug)]
pub(super) struct Square {
    n: usize,
    cells: Vec<f32>,
}

impl Square {
    pub(super) fn new(n: usize, progress: &Progress) -> Result<Self> {
        Ok(Self {
            n,
            cells: many_zeros(n.saturating_mul(n), WEIGHTS, progress)?,
        })
    }
}

impl Cells for Square {
    #[inline]
    fn sum(&self, row: u32, profile: &[u32]) -> f32 {
        let cells = &self.cells[row as usize * self.n..][..self.n];
        sum_of(profile, |label| cells[label as usize])
    }

    #[inline]
    fn update(&mut self, row: u32, profile: &[u32], up: f32, decay: f32) {
        let cells = &mut self.cells[row as usize * self.n..][..self.n];
        let (below, above) = around(row, profile);
        for &label in below.iter().chain(above) {
            let cell = &mut cells[label as usize];
            *cell += up + decay * *cell;
        }
    }
}

impl DenseRows for Square {
    fn rows(&self, rows: Range<usize>, n: usize, dense: &mut [f32]) {
        dense.copy_from_slice(&self.cells[rows.start * n..rows.end * n]);
    }
}

const EMPTY: u64 = u64::MAX;

/// The cells that were touched, in an open-addressing table that is at most half full.
#[derive(Debug)]
pub(super) struct Hashed {
    symmetric: bool,
    max_bytes: usize,
    keys: Vec<u64>,
    values: Vec<f32>,
    len: usize,
}

const SLOT_BYTES: usize = 12;

impl Hashed {
    pub(super) fn new(symmetric: bool, max_bytes: usize) -> Self {
        Self {
            symmetric,
            max_bytes,
            keys: vec![EMPTY; 1024],
            values: vec![0.0; 1024],
            len: 0,
        }
    }

    #[inline]
    fn key(&self, row: u32, col: u32) -> u64 {
        let (a, b) = if self.symmetric && row < col {
            (col, row)
        } else {
            (row, col)
        };
        u64::from(a) << 32 | u64::from(b)
    }

    /// Where `key` is, or the empty slot where it belongs.
    #[inline]
    fn slot(&self, key: u64) -> usize {
        let mask = self.keys.len() - 1;
        let mixed = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut at = (mixed ^ (mixed >> 32)) as usize & mask;
        while self.keys[at] != key && self.keys[at] != EMPTY {
            at = (at + 1) & mask;
        }
        at
    }

    #[inline]
    fn get(&self, row: u32, col: u32) -> f32 {
        // Empty slots hold zero.
        self.values[self.slot(self.key(row, col))]
    }

    #[inline]
    fn cell(&mut self, row: u32, col: u32) -> &mut f32 {
        let key = self.key(row, col);
        let at = self.slot(key);
        if self.keys[at] == EMPTY {
            self.keys[at] = key;
            self.len += 1;
        }
        &mut self.values[at]
    }

    fn grow(&mut self) -> Result<()> {
        let slots = self.keys.len() * 2;
        let keys = filled(slots, EMPTY, WEIGHTS)?;
        let values = zeros(slots, WEIGHTS)?;
        let keys = std::mem::replace(&mut self.keys, keys);
        let values = std::mem::replace(&mut self.values, values);
        for (key, value) in keys.into_iter().zip(values) {
            if key != EMPTY {
                let at = self.slot(key);
                self.keys[at] = key;
                self.values[at] = value;
            }
        }
        Ok(())
    }

    /// The same cells in order of rows, each in both of its rows if they are symmetric.
    pub(super) fn by_rows(&self, n: usize, progress: &Progress) -> Result<Listed> {
        let mut rows = with_room(n, WEIGHTS)?;
        rows.resize_with(n, Vec::new);
        let mut put = |row: u32, col: u32, value: f32| -> Result<()> {
            let row: &mut Vec<(u32, f32)> = &mut rows[row as usize];
            reserve(row, 1, WEIGHTS)?;
            row.push((col, value));
            Ok(())
        };
        for (at, (&key, &value)) in self.keys.iter().zip(&self.values).enumerate() {
            progress.look(at)?;
            if key != EMPTY {
                let (a, b) = ((key >> 32) as u32, key as u32);
                put(a, b, value)?;
                if self.symmetric {
                    put(b, a, value)?;
                }
            }
        }
        Ok(Listed(rows))
    }
}

impl Cells for Hashed {
    #[inline]
    fn sum(&self, row: u32, profile: &[u32]) -> f32 {
        if self.symmetric {
            // The order of the triangle, so that the bits are the same.
            let (below, above) = around(row, profile);
            sum_of(below, |label| self.get(row, label))
                + sum_of(above, |label| self.get(row, label))
        } else {
            sum_of(profile, |label| self.get(row, label))
        }
    }

    #[inline]
    fn update(&mut self, row: u32, profile: &[u32], up: f32, decay: f32) {
        let (below, above) = around(row, profile);
        for &label in below.iter().chain(above) {
            let cell = self.cell(row, label);
            *cell += up + decay * *cell;
        }
    }

    fn reserve(&mut self, cells: usize) -> Result<()> {
        while (self.len + cells) * 2 > self.keys.len() {
            // Growing takes the old and the new table at once.
            if self.keys.len() * 3 * SLOT_BYTES > self.max_bytes {
                return Err(Error::invalid(format!(
                    "the weights of SLIM-BPR outgrew the memory there is for them, {} MiB, at {} \
                     cells: lower epochs or samples_per_epoch, or leave out rare items",
                    self.max_bytes >> 20,
                    self.len
                )));
            }
            self.grow()?;
        }
        Ok(())
    }
}

/// Cells of a hash table, row by row.
pub(super) struct Listed(Vec<Vec<(u32, f32)>>);

impl DenseRows for Listed {
    fn rows(&self, rows: Range<usize>, n: usize, dense: &mut [f32]) {
        dense.fill(0.0);
        for (row, out) in self.0[rows].iter().zip(dense.chunks_exact_mut(n)) {
            for &(col, value) in row {
                out[col as usize] = value;
            }
        }
    }
}
