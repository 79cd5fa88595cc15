//! Stored co-occurrence counts, so that many similarities can be tried on one matrix.
//!
//! Objective: co[i, j], the rows that hold both columns i and j, counted once; then any similarity,
//! shrinkage and cut of [`neighbours`](crate::neighbours) from the counts alone, with the same bits
//! as a fresh fit.
//!
//! Method: full rows, 16 bits a count (32 where a column is longer), or sparse rows where those are
//! shorter. A target's similarities are computed with SIMD and cut at the k-th best
//! (`kth_largest`). Item weights come row by row, out of the cuts of all targets, and are never
//! transposed.
//!
//! Cost: memory as given by [`bytes_needed`]; a fit takes O(columns^2 + columns topk), or O(stored
//! pairs) from sparse rows.

use super::panel::{Panel, Sink};
use super::stream;
use crate::base::accumulate::Accumulator;
use crate::base::dispatch::dispatch;
use crate::base::memory::{collected, copied, many_zeros, reserve, with_room, zeros};
use crate::base::rows::{build_rows, par_chunks};
use crate::base::topk::{Scored, check_topk};
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};
use crate::neighbours::kth_largest::{Cut, FindCut, ForEachKept, ForEachKeptByTarget};
use crate::neighbours::similarity::{Count, PreparedSimilarity, Side};
use crate::neighbours::{KnnParams, SIZES};

/// Counts of common rows of all pairs of columns.
#[derive(Debug)]
pub struct PairCounts {
    n_rows: usize,
    sizes: Vec<f64>,
    counts: Counts,
}

#[derive(Debug)]
enum Counts {
    Narrow(Vec<u16>),
    Wide(Vec<u32>),
    Sparse(CsrMatrix),
}

/// Bytes that the counts of `urm` take at most, and whether they are stored as sparse rows.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn bytes_needed(urm: CsrView) -> Result<(u64, bool)> {
    let n = urm.n_cols() as u64;
    let pairs: u64 = (0..urm.n_rows())
        .map(|r| (urm.row_len(r) as u64).pow(2))
        .sum();
    let longest = urm.col_counts()?.into_iter().max().unwrap_or(0);
    let width = if longest > u32::from(u16::MAX) { 4 } else { 2 };
    // While sparse rows are joined they are there twice.
    let (dense, sparse) = (
        (n * n).saturating_mul(width),
        pairs.min(n * n).saturating_mul(16),
    );
    Ok((dense.min(sparse), sparse < dense))
}

impl PairCounts {
    /// Count the common rows of all columns of `urm`, whose values are ignored.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more rows than are counted exactly, `Cancelled`.
    pub fn new(urm: CsrView, progress: &Progress) -> Result<Self> {
        if urm.n_rows() > stream::MAX_COUNTED {
            return Err(Error::invalid(format!(
                "co-occurrences are counted over at most {} rows, not {}",
                stream::MAX_COUNTED,
                urm.n_rows()
            )));
        }
        let urm = urm.without_values();
        let lengths = urm.col_counts()?;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let counts = if bytes_needed(urm)?.1 {
            Counts::Sparse(sparse_counts(urm, progress)?)
        } else if longest > u32::from(u16::MAX) {
            let make = |columns: &[u32]| Square::<u32>::new(columns, progress);
            Counts::Wide(stream::count_pairs(urm, progress, make)?.cells)
        } else {
            let make = |columns: &[u32]| Square::<u16>::new(columns, progress);
            Counts::Narrow(stream::count_pairs(urm, progress, make)?.cells)
        };
        Ok(Self {
            n_rows: urm.n_rows(),
            sizes: collected(lengths.into_iter().map(f64::from), SIZES)?,
            counts,
        })
    }

    /// As [`crate::neighbours::neighbours`] of the matrix that was counted, its values ignored.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a parameter outside its domain, `Cancelled`.
    pub fn neighbours(&self, params: KnnParams, progress: &Progress) -> Result<CsrMatrix> {
        let KnnParams { topk, similarity } = params;
        check_topk(topk)?;
        let measure = similarity.prepare(&self.sizes, self.n_rows)?;
        match &self.counts {
            Counts::Narrow(cells) => self.by_square(cells, &measure, topk, progress),
            Counts::Wide(cells) => self.by_square(cells, &measure, topk, progress),
            Counts::Sparse(rows) => {
                let rows = rows.view();
                let n = self.sizes.len();
                let all = similarity.reaches_all();
                build_rows(
                    (n, n),
                    progress,
                    || Ok((zeros::<f32>(n, SIZES)?, Vec::new())),
                    |(counts, best), j, out| {
                        reserve(best, if all { n } else { rows.row_len(j) }, SIZES)?;
                        if all {
                            for (i, count) in rows.row(j) {
                                counts[i] = count;
                            }
                            best.clear();
                            best.extend((0..n).filter(|&i| i != j).map(|i| Scored {
                                index: i as i32,
                                score: measure.score(f64::from(counts[i]), i, j),
                            }));
                            for &i in rows.cols(j) {
                                counts[i as usize] = 0.0;
                            }
                        } else {
                            best.clear();
                            best.extend(rows.row(j).map(|(i, count)| Scored {
                                index: i as i32,
                                score: measure.score(f64::from(count), i, j),
                            }));
                        }
                        best.retain(|s| s.score > 0.0);
                        out.push_top(best, topk)
                    },
                )
            }
        }
    }

    /// As [`crate::neighbours::fit_item_knn`]: the transpose of [`neighbours`](Self::neighbours).
    ///
    /// # Errors
    /// As [`neighbours`](Self::neighbours).
    pub fn item_weights(&self, params: KnnParams, progress: &Progress) -> Result<CsrMatrix> {
        let KnnParams { topk, similarity } = params;
        check_topk(topk)?;
        let measure = similarity.prepare(&self.sizes, self.n_rows)?;
        match &self.counts {
            Counts::Narrow(cells) => self.weights_by_square(cells, &measure, topk, progress),
            Counts::Wide(cells) => self.weights_by_square(cells, &measure, topk, progress),
            Counts::Sparse(_) => self
                .neighbours(params, progress)?
                .view()
                .transpose(progress),
        }
    }

    fn by_square<C: Count>(
        &self,
        cells: &[C],
        measure: &PreparedSimilarity,
        topk: usize,
        progress: &Progress,
    ) -> Result<CsrMatrix> {
        let n = self.sizes.len();
        build_rows(
            (n, n),
            progress,
            || scratch(n),
            |(scores, few), j, out| {
                let cut = cut_target(cells, measure, j, topk, scores, few);
                out.reserve(topk.min(n))?;
                dispatch(ForEachKept {
                    scores,
                    cut,
                    take: |i, score| out.push(i as i32, score),
                });
                Ok(())
            },
        )
    }

    /// The transpose of [`by_square`](Self::by_square), row by row: the scores are computed twice,
    /// first for the cuts of all targets, which costs less than moving what was kept.
    fn weights_by_square<C: Count>(
        &self,
        cells: &[C],
        measure: &PreparedSimilarity,
        topk: usize,
        progress: &Progress,
    ) -> Result<CsrMatrix> {
        let n = self.sizes.len();
        let cuts = par_chunks(
            n,
            TARGETS,
            progress,
            || scratch(n),
            |(scores, few), range| {
                let mut cuts = with_room(range.len(), SIZES)?;
                for j in range {
                    progress.advance(1)?;
                    cuts.push(cut_target(cells, measure, j, topk, scores, few));
                }
                Ok(cuts)
            },
        )?;
        let (mut bits, mut last) = (with_room(n, SIZES)?, with_room(n, SIZES)?);
        for cut in cuts.iter().flatten() {
            bits.push(cut.bits);
            last.push(cut.last);
        }
        build_rows(
            (n, n),
            progress,
            || zeros::<f32>(n, SIZES),
            |scores, i, out| {
                out.reserve(n)?;
                measure.score_all(Side::Neighbour, i, &cells[i * n..][..n], scores);
                scores[i] = 0.0;
                dispatch(ForEachKeptByTarget {
                    neighbour: i,
                    scores,
                    bits: &bits,
                    last: &last,
                    take: |j, score| out.push(j as i32, score),
                });
                Ok(())
            },
        )
    }
}

/// Scores of a target, and those that are compared one by one.
fn scratch(n: usize) -> Result<(Vec<f32>, Vec<(i32, i32)>)> {
    Ok((zeros(n, SIZES)?, with_room(n, SIZES)?))
}

/// Targets whose cuts one thread finds at a time.
const TARGETS: usize = 32;

/// Score all neighbours of target `j` and find which are kept.
fn cut_target<C: Count>(
    cells: &[C],
    measure: &PreparedSimilarity,
    j: usize,
    topk: usize,
    scores: &mut [f32],
    few: &mut Vec<(i32, i32)>,
) -> Cut {
    let n = scores.len();
    measure.score_all(Side::Target, j, &cells[j * n..][..n], scores);
    scores[j] = 0.0;
    dispatch(FindCut {
        scores,
        k: topk,
        few,
    })
}

/// Both halves of the counts, by column.
struct Square<C> {
    columns: Vec<u32>,
    cells: Vec<C>,
}

impl<C: Count> Square<C> {
    fn new(columns: &[u32], progress: &Progress) -> Result<Self> {
        let n = columns.len().saturating_mul(columns.len());
        Ok(Self {
            columns: copied(columns, SIZES)?,
            cells: many_zeros(n, "counts of pairs of columns", progress)?,
        })
    }
}

impl<C: Count> Sink<f32> for Square<C> {
    fn absorb(&mut self, panel: &Panel<f32>) -> Result<()> {
        let n = self.columns.len();
        for b in 0..panel.rows {
            let j = self.columns[panel.first + b] as usize;
            for (&i, &count) in self.columns.iter().zip(panel.row(b)) {
                let count = C::from_f32(count);
                self.cells[j * n + i as usize] = count;
                self.cells[i as usize * n + j] = count;
            }
        }
        Ok(())
    }
}

fn sparse_counts(urm: CsrView, progress: &Progress) -> Result<CsrMatrix> {
    let n = urm.n_cols();
    let columns = urm.transpose(progress)?;
    let columns = columns.view();
    build_rows(
        (n, n),
        progress,
        || Ok((Accumulator::new(n)?, Vec::new())),
        |(counts, row), j, out| {
            for &user in columns.cols(j) {
                counts.reserve(urm.row_len(user as usize))?;
                for &i in urm.cols(user as usize) {
                    counts.add(i, 1.0);
                }
            }
            counts.drain_into(row, |_, count| count as f32)?;
            row.retain(|s| s.index as usize != j);
            row.sort_unstable_by_key(|s| s.index);
            out.reserve(row.len())?;
            for s in row.iter() {
                out.push(s.index, s.score);
            }
            Ok(())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::random_rows;
    use crate::neighbours::similarity::{FromDistance, Kind, Similarity};
    use crate::neighbours::{fit_item_knn, neighbours};

    #[test]
    fn kept_counts_give_the_bits_of_a_fresh_fit() {
        for (urm, sparse) in [
            (random_rows(8, (80, 60), 0.2), false),
            (random_rows(8, (60, 400), 0.005), true),
        ] {
            let progress = Progress::new();
            assert_eq!(bytes_needed(urm.view()).map(|b| b.1), Ok(sparse));
            let kept = PairCounts::new(urm.view(), &progress).expect("counts");
            let euclidean = |mode| Kind::Euclidean {
                normalize: true,
                average: false,
                mode,
            };
            for kind in [
                Kind::Cosine { normalize: true },
                Kind::Jaccard,
                Kind::Tversky {
                    alpha: 0.2,
                    beta: 1.9,
                },
                euclidean(FromDistance::Lin),
                euclidean(FromDistance::Exp),
            ] {
                for topk in [1, 7, 500] {
                    let similarity = Similarity::try_new(kind, 1.5).expect("valid");
                    let params = KnnParams { topk, similarity };
                    assert_eq!(
                        kept.neighbours(params, &progress).expect("fits"),
                        neighbours(urm.view(), params, &progress).expect("fits"),
                        "{kind:?} {topk}"
                    );
                    assert_eq!(
                        kept.item_weights(params, &progress).expect("fits"),
                        fit_item_knn(urm.view(), params, &progress).expect("fits"),
                        "{kind:?} {topk}"
                    );
                }
            }
        }
    }
}
