//! A matrix whose columns are numbered by falling popularity, by rows and by columns.

use std::ops::Range;

use super::panel::Sum;
use crate::base::memory::{collected, copied, reserve, with_room, zeros};
use crate::base::{CsrView, Progress, Result};

const COLUMNS: &str = "columns by popularity";
const ROWS: &str = "rows of a matrix";
const CELLS: &str = "cells of a matrix";

/// Rows fetched ahead of adding them up.
const BATCH: usize = 16;
/// Ranks between two that are fetched: a cache line of the narrow ones.
const LINE: usize = 32;

/// A column's rank, as narrow as the catalogue allows: rows are read again and again.
pub(crate) trait Rank: Copy + Default + Send + Sync {
    /// Ranks that fit.
    const SPAN: usize;
    fn new(rank: usize) -> Self;
    fn index(self) -> usize;
    /// Length of an array that any rank below `n` can index.
    fn array_len(n: usize) -> usize;
    /// Add `step` to the sum of each rank in `row`.
    fn add_row<C: RunningSum>(row: &[Self], step: C::Step, sums: &mut [C]);
    /// Add `step` times its value to the sum of each rank in `row`.
    fn add_weighted_row<C: RunningSum>(row: &[Self], values: &[f32], step: f64, sums: &mut [C]);
}

/// A sum under way.
pub(crate) trait RunningSum: Copy + Default + Send + Sync {
    type Step: Copy;
    type Sum: Sum;
    fn step(weight: f64) -> Self::Step;
    fn add(&mut self, step: Self::Step);
    fn total(self) -> Self::Sum;
}

macro_rules! counter {
    ($type:ty, $widen:expr) => {
        impl RunningSum for $type {
            type Step = ();
            type Sum = f32;
            fn step(_: f64) {}
            #[inline(always)]
            fn add(&mut self, (): ()) {
                *self = self.wrapping_add(1);
            }
            #[inline(always)]
            fn total(self) -> f32 {
                $widen(self)
            }
        }
    };
}

counter!(u16, f32::from);
counter!(u32, |count| count as f32);

impl RunningSum for f64 {
    type Step = f64;
    type Sum = f64;
    fn step(weight: f64) -> f64 {
        weight
    }
    #[inline(always)]
    fn add(&mut self, step: f64) {
        *self += step;
    }
    #[inline(always)]
    fn total(self) -> f64 {
        self
    }
}

impl Rank for u16 {
    const SPAN: usize = 1 << 16;
    fn new(rank: usize) -> Self {
        rank as Self
    }
    #[inline]
    fn index(self) -> usize {
        self as usize
    }
    // An array of every possible rank needs no check of an index.
    fn array_len(_: usize) -> usize {
        Self::SPAN
    }
    #[inline]
    fn add_row<C: RunningSum>(row: &[Self], step: C::Step, sums: &mut [C]) {
        let sums: &mut [C; Self::SPAN] = sums.try_into().expect("room for every rank");
        let (eights, rest) = row.as_chunks::<8>();
        for eight in eights {
            for &r in eight {
                sums[r as usize].add(step);
            }
        }
        for &r in rest {
            sums[r as usize].add(step);
        }
    }
    #[inline]
    fn add_weighted_row<C: RunningSum>(row: &[Self], values: &[f32], step: f64, sums: &mut [C]) {
        let sums: &mut [C; Self::SPAN] = sums.try_into().expect("room for every rank");
        for (&r, &x) in row.iter().zip(values) {
            sums[r as usize].add(C::step(step * f64::from(x)));
        }
    }
}

impl Rank for u32 {
    const SPAN: usize = 1 << 31;
    fn new(rank: usize) -> Self {
        rank as Self
    }
    #[inline]
    fn index(self) -> usize {
        self as usize
    }
    fn array_len(n: usize) -> usize {
        n
    }
    #[inline]
    fn add_row<C: RunningSum>(row: &[Self], step: C::Step, sums: &mut [C]) {
        for &r in row {
            sums[r as usize].add(step);
        }
    }
    #[inline]
    fn add_weighted_row<C: RunningSum>(row: &[Self], values: &[f32], step: f64, sums: &mut [C]) {
        for (&r, &x) in row.iter().zip(values) {
            sums[r as usize].add(C::step(step * f64::from(x)));
        }
    }
}

/// A matrix by rows, each an ascending list of ranks, and by ranks, each an ascending list of rows.
pub(crate) struct Ranked<R> {
    /// Column of each rank.
    pub(crate) columns: Vec<u32>,
    /// Rows of each rank.
    pub(crate) lengths: Vec<u32>,
    /// Steps it takes to walk the rows of each rank up to it.
    pub(crate) work: Vec<u64>,
    starts: Vec<usize>,
    ranks: Vec<R>,
    values: Option<Vec<f32>>,
    /// Where the rows of each rank begin in `members`, counted from that of rank zero.
    offsets: Vec<usize>,
    members: Vec<u32>,
    member_values: Option<Vec<f32>>,
    /// Entries of `members` that were dropped from its front.
    forgotten: usize,
}

impl<R: Rank> Ranked<R> {
    pub(crate) fn new(m: CsrView, progress: &Progress) -> Result<Self> {
        let (n_rows, n) = (m.n_rows(), m.n_cols());
        let counts = m.col_counts()?;
        let mut columns = collected(0..n as u32, COLUMNS)?;
        columns.sort_unstable_by_key(|&c| (u32::MAX - counts[c as usize], c));
        let mut rank_of = zeros::<u32>(n, COLUMNS)?;
        let mut offsets = with_room(n + 1, COLUMNS)?;
        offsets.push(0);
        let mut lengths = with_room(n, COLUMNS)?;
        for (rank, &c) in columns.iter().enumerate() {
            rank_of[c as usize] = rank as u32;
            lengths.push(counts[c as usize]);
            offsets.push(offsets[rank] + counts[c as usize] as usize);
        }

        let mut next = copied(&offsets, COLUMNS)?;
        let mut members = zeros::<u32>(m.nnz(), CELLS)?;
        let mut member_values = m.values().map(|v| zeros(v.len(), CELLS)).transpose()?;
        for row in 0..n_rows {
            if row % 4096 == 0 {
                progress.check()?;
            }
            for at in m.range(row) {
                let slot = &mut next[rank_of[m.indices()[at] as usize] as usize];
                members[*slot] = row as u32;
                if let (Some(out), Some(v)) = (member_values.as_mut(), m.values()) {
                    out[*slot] = v[at];
                }
                *slot += 1;
            }
        }
        drop(next);

        // Taken by rank, the rows fill up in ascending order of ranks.
        let starts = collected(m.indptr().iter().map(|&p| p as usize), ROWS)?;
        let mut next = copied(&starts, ROWS)?;
        let mut ranks = zeros::<R>(m.nnz(), CELLS)?;
        let mut values = m.values().map(|v| zeros(v.len(), CELLS)).transpose()?;
        let mut work = with_room(n, COLUMNS)?;
        for rank in 0..n {
            if rank % 256 == 0 {
                progress.check()?;
            }
            let mut steps = 0;
            for at in offsets[rank]..offsets[rank + 1] {
                let row = members[at] as usize;
                let slot = next[row];
                next[row] += 1;
                steps += (slot - starts[row]) as u64;
                ranks[slot] = R::new(rank);
                if let (Some(out), Some(v)) = (values.as_mut(), member_values.as_ref()) {
                    out[slot] = v[at];
                }
            }
            work.push(steps);
        }
        Ok(Self {
            columns,
            lengths,
            work,
            starts,
            ranks,
            values,
            offsets,
            members,
            member_values,
            forgotten: 0,
        })
    }

    /// Where the rows of `rank` are listed.
    pub(crate) fn entries(&self, rank: usize) -> Range<usize> {
        self.offsets[rank] - self.forgotten..self.offsets[rank + 1] - self.forgotten
    }

    /// The rows that have `rank`.
    pub(crate) fn members(&self, rank: usize) -> &[u32] {
        &self.members[self.entries(rank)]
    }

    /// Give back the memory of the lists of the ranks before `rank`.
    pub(crate) fn forget_columns_before(&mut self, rank: usize) {
        let drop = self.offsets[rank] - self.forgotten;
        self.members.drain(..drop);
        self.members.shrink_to_fit();
        if let Some(values) = self.member_values.as_mut() {
            values.drain(..drop);
            values.shrink_to_fit();
        }
        self.forgotten += drop;
    }

    /// Of each row, where its ranks from `rank` on begin.
    pub(crate) fn cursor_at(&self, rank: usize) -> Result<Vec<usize>> {
        if rank == 0 {
            return copied(&self.starts[..self.starts.len() - 1], ROWS);
        }
        let mut cursor = copied(&self.starts[1..], ROWS)?;
        for &row in &self.members[self.offsets[rank] - self.forgotten..] {
            cursor[row as usize] -= 1;
        }
        Ok(cursor)
    }

    /// For every entry of the ranks in `range`, where in its row the rank stands; moves the cursor.
    pub(crate) fn ends(
        &self,
        range: Range<usize>,
        cursor: &mut [usize],
        ends: &mut Vec<usize>,
    ) -> Result<()> {
        ends.clear();
        if range.is_empty() {
            return Ok(());
        }
        let entries = self.entries(range.start).start..self.entries(range.end - 1).end;
        reserve(ends, entries.len(), CELLS)?;
        ends.extend(self.members[entries].iter().map(|&row| {
            let at = &mut cursor[row as usize];
            *at += 1;
            *at - 1
        }));
        Ok(())
    }

    /// Add up all rows of some entries, each from its beginning to its end.
    #[inline]
    pub(crate) fn walk<C: RunningSum>(
        &self,
        entries: Range<usize>,
        ends: &[usize],
        weights: Option<&[f64]>,
        sums: &mut [C],
    ) {
        for (batch, ends) in ends.chunks(BATCH).enumerate() {
            let first = entries.start + batch * BATCH;
            let rows = &self.members[first..first + ends.len()];
            self.fetch(rows, ends);
            for ((at, &row), &end) in (first..).zip(rows).zip(ends) {
                let row = row as usize;
                let range = self.starts[row]..end;
                let weight = weights.map_or(1.0, |w| w[row]);
                match (&self.values, &self.member_values) {
                    (Some(values), Some(own)) => {
                        let step = weight * f64::from(own[at]);
                        R::add_weighted_row(&self.ranks[range.clone()], &values[range], step, sums);
                    }
                    _ => R::add_row(&self.ranks[range], C::step(weight), sums),
                }
            }
        }
    }

    /// Have the cache lines of some rows on their way all at once: rows of a column lie anywhere
    /// in memory, and waiting for each in turn would take as long as the sums.
    #[inline]
    fn fetch(&self, rows: &[u32], ends: &[usize]) {
        let mut seen = 0;
        for (&row, &end) in rows.iter().zip(ends) {
            for rank in self.ranks[self.starts[row as usize]..end]
                .iter()
                .step_by(LINE)
            {
                seen ^= rank.index();
            }
        }
        std::hint::black_box(seen);
    }
}
