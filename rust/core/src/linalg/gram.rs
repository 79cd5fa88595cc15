//! The Gram matrix of the distinct items, `G = X^T X`, dense or sparse, in order of popularity.
//!
//! Relabelling puts the most popular items first: the entries that solvers read over and
//! over lie together, in fewer cache lines.
//!
//! Cost: time is the sum over users of the squared profile length; memory is 4 bytes times items
//! squared for the dense form, 8 bytes for each pair of items that share a user for the sparse one.
//! Dense counts are stored in 16 bits where they fit, which halves what solvers read; sums of
//! products of other values are made in f64.

use std::cmp::Ordering;

use rayon::prelude::*;

use crate::base::accumulate::Accumulator;
use crate::base::memory::{collected, many_zeros, reserve, with_room, zeros};
use crate::base::rows::par_chunks;
use crate::base::topk::Scored;
use crate::base::{CsrMatrix, CsrView, Progress, Result};

const ITEMS: &str = "distinct items";
const CELLS: &str = "cells of a matrix";
const GRAM: &str = "Gram matrix of the items";

/// Rows of the dense form that one worker fills at a time.
const ROWS: usize = 16;

/// Items whose part of the sparse form is stored whole: 16 MiB.
const HEAD: usize = 512;

/// A matrix of interactions whose distinct items are numbered by falling popularity.
///
/// Items with the same users and values are one distinct item. Sparse data have many: all items
/// that only one user has, for each user.
#[derive(Debug)]
pub(crate) struct Popular {
    /// Original items; equal ones are neighbours, ascending.
    order: Vec<u32>,
    /// Where in `order` each distinct item starts, and the end.
    starts: Vec<usize>,
    /// Distinct items by users.
    pub(crate) items: CsrMatrix,
    /// Users by distinct items.
    pub(crate) users: CsrMatrix,
}

impl Popular {
    pub(crate) fn new(urm: CsrView, progress: &Progress) -> Result<Self> {
        let by_item = urm.transpose(progress)?;
        let by_item = by_item.view();
        let cols = |i: u32| by_item.cols(i as usize);
        let weights = |i: u32| by_item.values().map(|v| &v[by_item.range(i as usize)]);
        let same_users = |a: u32, b: u32| {
            let lengths = cols(b).len().cmp(&cols(a).len());
            lengths.then_with(|| cols(a).cmp(cols(b)))
        };
        let compare = |a: u32, b: u32| {
            same_users(a, b).then_with(|| match (weights(a), weights(b)) {
                (Some(a), Some(b)) => a
                    .iter()
                    .zip(b)
                    .map(|(x, y)| x.total_cmp(y))
                    .find(|o| o.is_ne())
                    .unwrap_or(Ordering::Equal),
                _ => Ordering::Equal,
            })
        };
        let mut order = collected(0..urm.n_cols() as u32, ITEMS)?;
        order.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
        let mut starts = with_room(order.len() + 1, ITEMS)?;
        for at in 0..order.len() {
            progress.check()?;
            if at == 0 || compare(order[at - 1], order[at]).is_ne() {
                starts.push(at);
            }
        }
        let mut indptr = with_room(starts.len() + 1, ITEMS)?;
        let nnz = starts.iter().map(|&at| cols(order[at]).len()).sum();
        let mut indices = with_room(nnz, CELLS)?;
        let mut values = urm.values().map(|_| with_room(nnz, CELLS)).transpose()?;
        indptr.push(0);
        for &at in &starts {
            progress.check()?;
            indices.extend_from_slice(cols(order[at]));
            if let (Some(out), Some(v)) = (values.as_mut(), weights(order[at])) {
                out.extend_from_slice(v);
            }
            indptr.push(indices.len() as i64);
        }
        starts.push(order.len());
        let items = CsrMatrix::from_parts(urm.n_rows(), indptr, indices, values);
        let users = items.view().transpose(progress)?;
        Ok(Self {
            order,
            starts,
            items,
            users,
        })
    }

    /// How many distinct items there are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// The original items that are distinct item `i`.
    pub(crate) fn members(&self, i: usize) -> &[u32] {
        &self.order[self.starts[i]..self.starts[i + 1]]
    }
}

/// How an entry of the dense form is stored.
pub(crate) trait Entry: Copy + Default + Send + Sync + Into<f32> + std::fmt::Debug {
    /// Of a sum that fits.
    fn from_f64(sum: f64) -> Self;
}

impl Entry for f32 {
    fn from_f64(sum: f64) -> Self {
        sum as f32
    }
}

impl Entry for u16 {
    fn from_f64(sum: f64) -> Self {
        sum as u16
    }
}

/// The Gram matrix in one of its two forms.
#[derive(Debug)]
pub(crate) enum Gram<T> {
    /// All entries, row after row.
    Dense { n: usize, values: Vec<T> },
    /// The most popular items whole; besides, the pairs that share a user, in the row of the less
    /// popular item, where they are few; columns of a row in no particular order.
    Sparse {
        n_head: usize,
        head: Vec<f32>,
        ends: Vec<usize>,
        columns: Vec<u32>,
        values: Vec<f32>,
        diagonal: Vec<f32>,
    },
}

impl<T: Entry> Gram<T> {
    pub(crate) fn dense(x: &Popular, progress: &Progress) -> Result<Self> {
        let n = x.len();
        let (items, users) = (x.items.view(), x.users.view());
        let mut values = many_zeros::<T>(n.saturating_mul(n), GRAM, progress)?;
        progress.start(n as u64);
        values
            .par_chunks_mut(ROWS * n.max(1))
            .enumerate()
            .try_for_each(|(chunk, block)| {
                let mut counts = zeros::<u32>(n, GRAM)?;
                let mut sums = zeros::<f64>(n, GRAM)?;
                for (at, row) in block.chunks_mut(n).enumerate() {
                    let i = chunk * ROWS + at;
                    if users.values().is_none() {
                        counts.fill(0);
                        for &u in items.cols(i) {
                            for &k in users.cols(u as usize) {
                                counts[k as usize] += 1;
                            }
                        }
                        for (slot, &count) in row.iter_mut().zip(&counts) {
                            *slot = T::from_f64(f64::from(count));
                        }
                    } else {
                        sums.fill(0.0);
                        for (u, x) in items.row(i) {
                            for (k, y) in users.row(u) {
                                sums[k] += f64::from(x) * f64::from(y);
                            }
                        }
                        for (slot, &sum) in row.iter_mut().zip(&sums) {
                            *slot = T::from_f64(sum);
                        }
                    }
                    progress.advance(1)?;
                }
                Ok(())
            })?;
        Ok(Self::Dense { n, values })
    }

    pub(crate) fn sparse(x: &Popular, progress: &Progress) -> Result<Self> {
        let n = x.len();
        let (items, users) = (x.items.view(), x.users.view());
        let n_head = n.min(HEAD);
        let parts = par_chunks(
            n,
            64,
            progress,
            || Ok((Accumulator::new(n)?, Vec::<Scored>::new())),
            |(sums, row), range| {
                let mut ends = with_room(range.len(), GRAM)?;
                let (mut columns, mut values) = (Vec::new(), Vec::new());
                let mut diagonal = with_room(range.len(), GRAM)?;
                for i in range {
                    let mut square = 0.0;
                    for (u, x) in items.row(i) {
                        let x = f64::from(x);
                        square += x * x;
                        sums.reserve(users.row_len(u))?;
                        for (k, y) in users.row(u).take_while(|&(k, _)| k < i) {
                            sums.add(k as i32, x * f64::from(y));
                        }
                    }
                    sums.drain_into(row, |_, sum| sum as f32)?;
                    diagonal.push(square as f32);
                    reserve(&mut columns, row.len(), GRAM)?;
                    reserve(&mut values, row.len(), GRAM)?;
                    columns.extend(row.iter().map(|s| s.index as u32));
                    values.extend(row.iter().map(|s| s.score));
                    ends.push(columns.len());
                    progress.advance(1)?;
                }
                Ok((ends, columns, values, diagonal))
            },
        )?;
        let nnz = parts.iter().map(|p| p.1.len()).sum();
        let mut ends = with_room(n, GRAM)?;
        let (mut columns, mut values) = (with_room(nnz, GRAM)?, with_room(nnz, GRAM)?);
        let mut diagonal = with_room(n, GRAM)?;
        for part in parts {
            let base = columns.len();
            ends.extend(part.0.iter().map(|end| base + end));
            columns.extend_from_slice(&part.1);
            values.extend_from_slice(&part.2);
            diagonal.extend_from_slice(&part.3);
        }
        let mut head = zeros::<f32>(n_head * n_head, GRAM)?;
        for i in 0..n_head {
            head[i * n_head + i] = diagonal[i];
            for at in if i == 0 { 0 } else { ends[i - 1] }..ends[i] {
                let k = columns[at] as usize;
                head[i * n_head + k] = values[at];
                head[k * n_head + i] = values[at];
            }
        }
        Ok(Self::Sparse {
            n_head,
            head,
            ends,
            columns,
            values,
            diagonal,
        })
    }

    pub(crate) fn diagonal(&self) -> Result<Vec<f64>> {
        match self {
            Self::Dense { n, values } => {
                collected((0..*n).map(|i| f64::from(values[i * n + i].into())), GRAM)
            }
            Self::Sparse { diagonal, .. } => {
                collected(diagonal.iter().map(|&d| f64::from(d)), GRAM)
            }
        }
    }

    /// Columns and values of a row of the sparse form.
    pub(crate) fn sparse_row(&self, i: usize) -> (&[u32], &[f32]) {
        match self {
            Self::Sparse {
                ends,
                columns,
                values,
                ..
            } => {
                let range = if i == 0 { 0 } else { ends[i - 1] }..ends[i];
                (&columns[range.clone()], &values[range])
            }
            Self::Dense { .. } => (&[], &[]),
        }
    }
}
