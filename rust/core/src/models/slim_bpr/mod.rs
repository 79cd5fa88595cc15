//! SLIM learned by Bayesian personalised ranking, one sampled triple at a time.
//!
//! Objective: item weights S such that a user u prefers an item i of the profile to an item j
//! outside it: `sum of ln sigma(x)` with `x = sum over l in the profile of S[i, l] - S[j, l]`.
//! A sample draws u uniformly among the users who have both, i uniformly from the profile, j
//! uniformly from the rest, and moves the two rows. With `g = 1 / (1 + e^x)` and a step made of g
//! (see [`Sgd`]), for every l of the profile
//! `S[i, l] += rate (step - lambda_i S[i, l])` where l is not i, and
//! `S[j, l] -= rate (step + lambda_j S[j, l])`; with `symmetric`, S[a, b] and S[b, a] are one cell.
//!
//! Source: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009;
//! Ning and Karypis, "SLIM: sparse linear methods for top-N recommender systems", ICDM 2011; steps
//! and cuts as in the published comparison (see docs/algorithms.md).
//! Deviation: with `published_quirks` off, `lambda_j` shrinks weights instead of letting them grow,
//! and weights of `symmetric = false` are applied the way they were learned. Cells are f32, the
//! gradient and what is kept for it f64.
//!
//! Cost: 4 n cells read and 2 n written per sample of a user with n items. Items are relabelled by
//! popularity and the triangle is stored with the rarer item as its row: most of the cells that a
//! sample touches then lie together. Memory: a triangle or a square of items in f32, or a hash
//! table of the cells that were touched. Samples follow one another, each a pure function of the
//! seed and its number: there is nothing for threads to change.

mod storage;

use crate::base::error::from_word;
use crate::base::error::{check_non_negative, check_positive};
use crate::base::memory::{collected, copied, reserve, with_room, zeros};
use crate::base::rng::Rng;
use crate::base::rows::{build_rows, par_chunks};
use crate::base::topk::{Scored, check_topk, keep_top};
use crate::base::{CsrMatrix, CsrView, Error, Progress, Result};

use storage::{Cells, DenseRows, Hashed, Square, Triangle};

const PROFILES: &str = "profiles of the users";
const WEIGHTS: &str = "weights of the items";

/// Samples between two looks at the cancel flag.
const BATCH: u64 = 64;
/// Rows that are cut at once; columns of the triangle are read in pieces of this length.
const ROWS: usize = 32;
/// Stream of the sampling in [`Rng::at`].
const STREAM: u64 = 0x5b9;

/// How the step is made of the gradient g.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sgd {
    /// g itself.
    Plain,
    /// `g / (sqrt(c_i) + 1e-8)`, c the sum of g^2 over all samples of an item, as i or as j.
    Adagrad,
    /// Adam with the moments of item i (0.9, 0.999); powers advance with each sample.
    Adam,
}

from_word!(Sgd, "sgd", r#""sgd", "adagrad" or "adam""#, {
    "sgd" => Plain,
    "adagrad" => Adagrad,
    "adam" => Adam,
});

/// Where S is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Every cell: items squared, or half of that with `symmetric`.
    Dense,
    /// The cells that were touched, in at most so many bytes.
    Hashed(usize),
}

/// Parameters of [`SlimBpr::new`].
#[derive(Debug, Clone, Copy)]
pub struct SlimBprParams {
    /// One cell for (a, b) and (b, a).
    pub symmetric: bool,
    /// The kind of step.
    pub sgd: Sgd,
    /// Penalty on the row of the positive item, at least zero.
    pub lambda_i: f64,
    /// Penalty on the row of the negative item, at least zero.
    pub lambda_j: f64,
    /// Greater than zero.
    pub learning_rate: f64,
    /// Let `lambda_j` grow weights, and apply weights that are not symmetric transposed.
    pub published_quirks: bool,
    /// Of the samples.
    pub seed: u64,
    /// Where S lives.
    pub storage: Storage,
}

impl SlimBprParams {
    fn check(&self) -> Result<()> {
        check_non_negative("lambda_i", self.lambda_i)?;
        check_non_negative("lambda_j", self.lambda_j)?;
        check_positive("learning_rate", self.learning_rate)
    }
}

/// A sampled triple; items are labels, numbers by popularity.
#[derive(Debug, Clone, Copy)]
struct Draw {
    user: u32,
    positive: u32,
    negative: u32,
}

/// Profiles under labels: label 0 is the item with the most users.
#[derive(Debug)]
struct Profiles {
    starts: Vec<usize>,
    /// Labels, ascending within a profile.
    labels: Vec<u32>,
    /// Item of each label.
    items: Vec<i32>,
    /// Users who have an item and lack one.
    eligible: Vec<u32>,
}

impl Profiles {
    fn new(urm: CsrView) -> Result<Self> {
        let counts = urm.col_counts()?;
        let mut items = collected(0..urm.n_cols() as i32, PROFILES)?;
        items.sort_unstable_by_key(|&i| (std::cmp::Reverse(counts[i as usize]), i));
        let mut label_of = zeros::<u32>(items.len(), PROFILES)?;
        for (label, &item) in items.iter().enumerate() {
            label_of[item as usize] = label as u32;
        }
        let labels = urm.indices().iter().map(|&i| label_of[i as usize]);
        let mut labels = collected(labels, PROFILES)?;
        for user in 0..urm.n_rows() {
            labels[urm.range(user)].sort_unstable();
        }
        let mut eligible = with_room(urm.n_rows(), PROFILES)?;
        let has_both = |&u: &u32| (1..urm.n_cols()).contains(&urm.row_len(u as usize));
        eligible.extend((0..urm.n_rows() as u32).filter(has_both));
        Ok(Self {
            starts: collected(urm.indptr().iter().map(|&p| p as usize), PROFILES)?,
            labels,
            items,
            eligible,
        })
    }

    fn profile(&self, user: u32) -> &[u32] {
        &self.labels[self.starts[user as usize]..self.starts[user as usize + 1]]
    }

    /// The triple of sample `number`.
    fn draw(&self, seed: u64, number: u64) -> Draw {
        let mut rng = Rng::at(seed, STREAM, number);
        let user = self.eligible[rng.below(self.eligible.len() as u64) as usize];
        let profile = self.profile(user);
        let positive = profile[rng.below(profile.len() as u64) as usize];
        let negative = loop {
            let label = rng.below(self.items.len() as u64) as u32;
            if profile.binary_search(&label).is_err() {
                break label;
            }
        };
        Draw {
            user,
            positive,
            negative,
        }
    }
}

#[derive(Debug)]
enum State {
    Triangle(Triangle),
    Square(Square),
    Hashed(Hashed),
}

/// What the kinds of step remember of each item.
#[derive(Debug)]
enum Memory {
    None,
    /// Sum of squares.
    Squares(Vec<f64>),
    /// First and second moment, and the powers of their decay.
    Moments(Vec<(f64, f64)>, f64, f64),
}

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;

impl Memory {
    fn step(&mut self, i: usize, j: usize, g: f64) -> f64 {
        match self {
            Self::None => g,
            Self::Squares(sums) => {
                sums[i] += g * g;
                sums[j] += g * g;
                g / (sums[i].sqrt() + 1e-8)
            }
            Self::Moments(moments, power_1, power_2) => {
                for item in [i, j] {
                    let (first, second) = &mut moments[item];
                    *first = *first * BETA_1 + (1.0 - BETA_1) * g;
                    *second = *second * BETA_2 + (1.0 - BETA_2) * g * g;
                }
                let (first, second) = moments[i];
                let step = first / (1.0 - *power_1) / ((second / (1.0 - *power_2)).sqrt() + 1e-8);
                *power_1 *= BETA_1;
                *power_2 *= BETA_2;
                step
            }
        }
    }
}

/// A model in training.
#[derive(Debug)]
pub struct SlimBpr {
    params: SlimBprParams,
    profiles: Profiles,
    state: State,
    memory: Memory,
    /// Samples done.
    number: u64,
}

impl SlimBpr {
    /// Bytes that the weights of `n_items` take when they are stored densely.
    #[must_use]
    pub const fn dense_bytes(n_items: usize, symmetric: bool) -> u128 {
        let n = n_items as u128;
        if symmetric {
            n * n.saturating_sub(1) / 2 * 4
        } else {
            n * n * 4
        }
    }

    /// All weights zero.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a parameter outside its domain, or if no user both has an
    /// item and lacks one.
    pub fn new(urm: CsrView, params: SlimBprParams, progress: &Progress) -> Result<Self> {
        params.check()?;
        let n = urm.n_cols();
        let profiles = Profiles::new(urm)?;
        if profiles.eligible.is_empty() {
            return Err(Error::invalid(
                "X has no user who has some items and lacks others: there is nothing to rank",
            ));
        }
        let state = match (params.storage, params.symmetric) {
            (Storage::Dense, true) => State::Triangle(Triangle::new(n, progress)?),
            (Storage::Dense, false) => State::Square(Square::new(n, progress)?),
            (Storage::Hashed(bytes), symmetric) => State::Hashed(Hashed::new(symmetric, bytes)),
        };
        let memory = match params.sgd {
            Sgd::Plain => Memory::None,
            Sgd::Adagrad => Memory::Squares(zeros(n, PROFILES)?),
            Sgd::Adam => Memory::Moments(zeros(n, PROFILES)?, BETA_1, BETA_2),
        };
        Ok(Self {
            params,
            profiles,
            state,
            memory,
            number: 0,
        })
    }

    /// The next `samples` samples.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the weights diverge, [`Error::InvalidArgument`] if the hash table
    /// outgrows its memory, `Cancelled`.
    pub fn run(&mut self, samples: u64, progress: &Progress) -> Result<()> {
        let Self {
            params,
            profiles,
            state,
            memory,
            number,
        } = self;
        progress.start(samples);
        match state {
            State::Triangle(cells) => {
                train(cells, profiles, memory, params, number, samples, progress)
            }
            State::Square(cells) => {
                train(cells, profiles, memory, params, number, samples, progress)
            }
            State::Hashed(cells) => {
                train(cells, profiles, memory, params, number, samples, progress)
            }
        }
    }

    /// The triples of `samples` samples from number `first` on: users, positive and negative items.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], `Cancelled`.
    pub fn draws(&self, first: u64, samples: usize, progress: &Progress) -> Result<[Vec<i32>; 3]> {
        let item = |label: u32| self.profiles.items[label as usize];
        let room = || with_room(samples, "samples");
        let [mut users, mut positive, mut negative] = [room()?, room()?, room()?];
        for at in 0..samples {
            progress.look(at)?;
            let number = first.wrapping_add(at as u64);
            let draw = self.profiles.draw(self.params.seed, number);
            users.push(draw.user as i32);
            positive.push(item(draw.positive));
            negative.push(item(draw.negative));
        }
        Ok([users, positive, negative])
    }

    /// Item weights to score profiles with, rows are the items of the profile.
    ///
    /// Of each row of S the `topk` largest cells are kept, among which cells that are zero count
    /// (and are dropped); then the `topk` largest of each column of what is left.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if `topk` is zero, `Cancelled`.
    pub fn weights(&self, topk: usize, progress: &Progress) -> Result<CsrMatrix> {
        check_topk(topk)?;
        let rows = match &self.state {
            State::Triangle(cells) => self.cut_rows(cells, topk, progress),
            State::Square(cells) => self.cut_rows(cells, topk, progress),
            State::Hashed(cells) => {
                let rows = cells.by_rows(self.profiles.items.len(), progress)?;
                self.cut_rows(&rows, topk, progress)
            }
        }?;
        let by_column = rows.view().transpose(progress)?;
        let by_column = by_column.view();
        let n = self.profiles.items.len();
        let scratch = || Ok(Vec::new());
        let cut = build_rows((n, n), progress, scratch, |entries, col, out| {
            entries.clear();
            reserve(entries, by_column.row_len(col), WEIGHTS)?;
            entries.extend(by_column.row(col).map(|(row, score)| Scored {
                index: row as i32,
                score,
            }));
            out.push_top(entries, topk)
        })?;
        // `cut` has a row for each column of S. Symmetric weights, and with the quirk all weights,
        // are applied as S; those that are not symmetric belong transposed, for S[i, l] is the
        // evidence for i given l.
        if self.params.symmetric || self.params.published_quirks {
            cut.view().transpose(progress)
        } else {
            Ok(cut)
        }
    }

    fn cut_rows(
        &self,
        cells: &(impl DenseRows + Sync),
        topk: usize,
        progress: &Progress,
    ) -> Result<CsrMatrix> {
        let n = self.profiles.items.len();
        let parts = par_chunks(
            n,
            ROWS,
            progress,
            || {
                Ok((
                    zeros::<f32>(ROWS.saturating_mul(n), WEIGHTS)?,
                    with_room(n, WEIGHTS)?,
                ))
            },
            |(dense, entries), range| {
                let dense = &mut dense[..range.len() * n];
                cells.rows(range.clone(), n, dense);
                let mut cut = with_room(range.len(), WEIGHTS)?;
                for row in dense.chunks_exact(n) {
                    entries.clear();
                    let mut positive = 0;
                    for (label, &score) in row.iter().enumerate() {
                        if score != 0.0 {
                            positive += usize::from(score > 0.0);
                            entries.push(Scored {
                                index: self.profiles.items[label],
                                score,
                            });
                        }
                    }
                    // Zeros take the places between positive and negative cells.
                    let zeros = n - entries.len();
                    let kept = topk.min(positive) + topk.saturating_sub(positive + zeros);
                    keep_top(entries, kept);
                    entries.sort_unstable_by_key(|s| s.index);
                    cut.push(copied(entries, WEIGHTS)?);
                }
                progress.advance(range.len() as u64)?;
                Ok(cut)
            },
        )?;
        let mut label_of = zeros::<usize>(n, WEIGHTS)?;
        for (label, &item) in self.profiles.items.iter().enumerate() {
            label_of[item as usize] = label;
        }
        let row_of = |item: usize| &parts[label_of[item] / ROWS][label_of[item] % ROWS];
        let mut indptr = with_room(n + 1, WEIGHTS)?;
        indptr.push(0);
        let nnz = parts.iter().flatten().map(Vec::len).sum();
        let (mut indices, mut values) = (with_room(nnz, WEIGHTS)?, with_room(nnz, WEIGHTS)?);
        for item in 0..n {
            progress.check()?;
            indices.extend(row_of(item).iter().map(|s| s.index));
            values.extend(row_of(item).iter().map(|s| s.score));
            indptr.push(indices.len() as i64);
        }
        CsrMatrix::of_weights(n, indptr, indices, values)
    }
}

fn train<C: Cells>(
    cells: &mut C,
    profiles: &Profiles,
    memory: &mut Memory,
    params: &SlimBprParams,
    number: &mut u64,
    samples: u64,
    progress: &Progress,
) -> Result<()> {
    let rate = params.learning_rate;
    let decay_i = (-rate * params.lambda_i) as f32;
    let sign = if params.published_quirks { 1.0 } else { -1.0 };
    let decay_j = (sign * rate * params.lambda_j) as f32;
    let end = number.saturating_add(samples);
    while *number < end {
        let batch = BATCH.min(end - *number);
        for _ in 0..batch {
            let Draw {
                user,
                positive: i,
                negative: j,
            } = profiles.draw(params.seed, *number);
            let profile = profiles.profile(user);
            cells.reserve(2 * profile.len())?;
            let x = f64::from(cells.sum(i, profile)) - f64::from(cells.sum(j, profile));
            if !x.is_finite() {
                return Err(Error::NonFinite(format!(
                    "SLIM-BPR diverged at sample {number}: lower learning_rate"
                )));
            }
            let g = 1.0 / (1.0 + x.exp());
            let step = memory.step(i as usize, j as usize, g);
            let up = (rate * step) as f32;
            cells.update(i, profile, up, decay_i);
            cells.update(j, profile, -up, decay_j);
            *number += 1;
        }
        progress.advance(batch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
