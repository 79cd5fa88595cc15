//! Co-occurrence counts that are kept, so that many similarities can be tried on one matrix.
//!
//! Objective: co[i, j], the rows that hold both columns i and j, counted once; then any similarity,
//! shrinkage and cut of [`crate::knn`] from the counts alone, with the same bits as a fresh fit.
//!
//! Method: full rows, 16 bits a count (32 where a column is longer), or sparse rows where those are
//! shorter. A target's similarities are computed side by side in vectors; the k-th best is selected
//! among their bits, and a second pass takes what reaches it, already in order.
//!
//! Cost: memory as [`bytes_needed`] says; a fit takes O(columns^2 + columns topk), or O(stored
//! pairs) from sparse rows.

use crate::accumulate::Accumulator;
use crate::error::{Error, Result};
use crate::knn::{KnnParams, check_topk};
use crate::overlap::{self, Panel, Sink};
use crate::progress::Progress;
use crate::rows::{RowWriter, build_rows};
use crate::similarity::{Count, Measure};
use crate::sparse::{CsrMatrix, CsrView};
use crate::topk::Scored;

/// Counts of common rows of all pairs of columns.
#[derive(Debug)]
pub struct Cooccurrence {
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
#[must_use]
pub fn bytes_needed(urm: CsrView) -> (u64, bool) {
    let n = urm.n_cols() as u64;
    let pairs: u64 = (0..urm.n_rows())
        .map(|r| (urm.row_len(r) as u64).pow(2))
        .sum();
    let longest = urm.col_counts().into_iter().max().unwrap_or(0);
    let width = if longest > u32::from(u16::MAX) { 4 } else { 2 };
    // While sparse rows are joined they are there twice.
    let (dense, sparse) = (n * n * width, pairs.min(n * n) * 16);
    (dense.min(sparse), sparse < dense)
}

impl Cooccurrence {
    /// Count the common rows of all columns of `urm`, whose values are ignored.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more rows than are counted exactly, `Cancelled`.
    pub fn new(urm: CsrView, progress: &Progress) -> Result<Self> {
        if urm.n_rows() > overlap::MAX_COUNTED {
            return Err(Error::invalid(format!(
                "co-occurrences are counted over at most {} rows, not {}",
                overlap::MAX_COUNTED,
                urm.n_rows()
            )));
        }
        let urm = urm.without_values();
        let lengths = urm.col_counts();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let counts = if bytes_needed(urm).1 {
            Counts::Sparse(sparse_counts(urm, progress)?)
        } else if longest > u32::from(u16::MAX) {
            let make = |columns: &[u32]| Ok(Square::<u32>::new(columns));
            Counts::Wide(overlap::count_pairs(urm, progress, make)?.cells)
        } else {
            let make = |columns: &[u32]| Ok(Square::<u16>::new(columns));
            Counts::Narrow(overlap::count_pairs(urm, progress, make)?.cells)
        };
        Ok(Self {
            n_rows: urm.n_rows(),
            sizes: lengths.into_iter().map(f64::from).collect(),
            counts,
        })
    }

    /// As [`crate::knn::neighbours`] of the matrix that was counted, its values ignored.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a parameter outside its domain, `Cancelled`.
    pub fn neighbours(&self, params: KnnParams, progress: &Progress) -> Result<CsrMatrix> {
        let KnnParams { topk, similarity } = params;
        check_topk(topk)?;
        let measure = similarity.of(&self.sizes, self.n_rows);
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
                    || (vec![0f32; n], Vec::new()),
                    |(counts, best), j, out| {
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
                        out.push_top(best, topk);
                        Ok(())
                    },
                )
            }
        }
    }

    fn by_square<C: Count>(
        &self,
        cells: &[C],
        measure: &Measure,
        topk: usize,
        progress: &Progress,
    ) -> Result<CsrMatrix> {
        let n = self.sizes.len();
        build_rows(
            (n, n),
            progress,
            || (vec![0f32; n], vec![0u32; n]),
            |(scores, kept), j, out| {
                measure.score_all(&cells[j * n..][..n], j, scores);
                scores[j] = 0.0;
                write_top(scores, topk, kept, out);
                Ok(())
            },
        )
    }
}

/// Write the best `k` positive scores by ascending index; of equal ones the first.
///
/// Whether a score is among them is as good as random, so both passes store every candidate and
/// move on by zero or one instead of branching. `kept` has room for all scores.
fn write_top(scores: &[f32], k: usize, kept: &mut [u32], out: &mut RowWriter) {
    let mut n = 0;
    for score in scores {
        // Bits of positive floats have their order.
        kept[n] = score.to_bits();
        n += usize::from(*score > 0.0);
    }
    let bits = &mut kept[..n];
    let (last, mut ties) = if n > k {
        let (_, &mut last, above) = bits.select_nth_unstable(n - k);
        (last, k - above.iter().filter(|&&b| b > last).count())
    } else {
        (1, usize::MAX)
    };
    let mut n = 0;
    for (i, score) in scores.iter().enumerate() {
        kept[n] = i as u32;
        n += usize::from(score.to_bits() >= last && *score > 0.0);
    }
    for &i in &kept[..n] {
        let score = scores[i as usize];
        if score.to_bits() == last {
            if ties == 0 {
                continue;
            }
            ties -= 1;
        }
        out.push(i as i32, score);
    }
}

/// Both halves of the counts, by column.
struct Square<C> {
    columns: Vec<u32>,
    cells: Vec<C>,
}

impl<C: Count> Square<C> {
    fn new(columns: &[u32]) -> Self {
        Self {
            columns: columns.to_vec(),
            cells: vec![C::default(); columns.len() * columns.len()],
        }
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
    let columns = urm.transpose();
    let columns = columns.view();
    build_rows(
        (n, n),
        progress,
        || (Accumulator::new(n), Vec::new()),
        |(counts, row), j, out| {
            for &user in columns.cols(j) {
                for &i in urm.cols(user as usize) {
                    counts.add(i, 1.0);
                }
            }
            counts.drain_into(row, |_, count| count as f32);
            row.retain(|s| s.index as usize != j);
            row.sort_unstable_by_key(|s| s.index);
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
    use crate::knn::neighbours;
    use crate::rng::Rng;
    use crate::similarity::{FromDistance, Kind, Similarity};

    fn random(n_rows: usize, n_cols: usize, density: f64) -> CsrMatrix {
        let mut indptr = vec![0];
        let mut indices = Vec::new();
        for row in 0..n_rows {
            let mut rng = Rng::at(8, 0, row as u64);
            indices.extend((0..n_cols as i32).filter(|_| rng.unit() < density));
            indptr.push(indices.len() as i64);
        }
        CsrMatrix::try_new(n_cols, indptr, indices, None).expect("valid")
    }

    #[test]
    fn kept_counts_give_the_bits_of_a_fresh_fit() {
        for (urm, sparse) in [(random(80, 60, 0.2), false), (random(60, 400, 0.005), true)] {
            let progress = Progress::new();
            assert_eq!(bytes_needed(urm.view()).1, sparse);
            let kept = Cooccurrence::new(urm.view(), &progress).expect("counts");
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
                }
            }
        }
    }
}
