//! Matrix factorisation learned by Bayesian personalised ranking (BPR-MF), with an adversary (APR).
//!
//! Objective: with scores `s(u, i) = p_u . q_i + b_i`, an item i of the profile and an item j
//! outside it, the sum over triples of `-ln sigma(s(u, i) - s(u, j))` and
//! `reg / 2 (|p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2)`.
//! An epoch takes every interaction (u, i) once. Its negative j is the best by the current scores
//! of `candidates` draws from the items outside the profile: uniform for one, dynamic negative
//! sampling (DNS) for more. Steps are made of the summed gradient of `batch_size` triples.
//! With an adversary, the gradients of the plain loss of a batch, row by row of length `epsilon`,
//! are added to the factors, and the step is on the loss plus `weight` times that of the moved
//! factors, the move standing still (adversarial personalised ranking, APR, AMF); biases are not
//! moved.
//!
//! Source: Rendle et al., "BPR: Bayesian personalized ranking from implicit feedback", UAI 2009;
//! Zhang et al., "Optimizing top-N collaborative filtering via dynamic negative item sampling",
//! SIGIR 2013; He et al., "Adversarial personalized ranking for recommendation", SIGIR 2018.
//! Deviation: see docs/algorithms.md; `in_order` is the DNS that IRGAN's authors ran.
//!
//! Cost: O(nonzeros K candidates) an epoch. Memory: factors, as much again for `AdaGrad`, 12 bytes
//! an interaction, and the touched rows of a batch. Batches follow one another and draws are a pure
//! function of seed, epoch and interaction: there is nothing for threads to change.

mod fold_in;

use ndarray::{Array2, ArrayView2};

use crate::base::dispatch::{Kernel, dispatch};
use crate::base::error::{check_non_negative, check_positive, from_word};
use crate::base::memory::{with_room, zeros};
use crate::base::rng::{Rng, bits};
use crate::base::{CsrView, Error, Progress, Result};
use crate::models::latent::{Gradients, Profiles, Table, add, dot, logistic_loss, sigmoid};

pub use fold_in::fold_in;

/// Streams of random numbers.
const EPOCH: u64 = 0xb9_0001;
const ORDER: u64 = 0xb9_0002;
const NEGATIVE: u64 = 0xb9_0003;

/// Triples between two looks at the cancel flag.
const LOOK: usize = 512;
/// TensorFlow's first value of the sums of squares.
const FIRST_SQUARES: f32 = 0.1;
/// Least squared length of a gradient that gives a direction, TensorFlow's.
const SHORTEST: f32 = 1e-12;

/// How a gradient becomes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The rate times the gradient.
    Sgd,
    /// Entry by entry divided by the root of 0.1 and the sum of squares so far.
    Adagrad,
}

from_word!(Rule, "sgd", r#""sgd" or "adagrad""#, {
    "sgd" => Sgd,
    "adagrad" => Adagrad,
});

/// An adversary who moves the factors.
#[derive(Debug, Clone, Copy)]
pub struct Adversary {
    /// Length of the move of a row.
    pub epsilon: f64,
    /// Weight of the loss of the moved factors.
    pub weight: f64,
}

/// Parameters of [`BprMf::new`].
#[derive(Debug, Clone, Copy)]
pub struct BprMfParams {
    /// The kind of step.
    pub rule: Rule,
    /// Greater than zero.
    pub learning_rate: f64,
    /// Penalty on every row of a triple, at least zero.
    pub reg: f64,
    /// Draws of which the best is the negative, at least one.
    pub candidates: usize,
    /// Triples in a step, at least one.
    pub batch_size: usize,
    /// Interactions in the order of the matrix, and negatives by the scores at the epoch's start.
    pub in_order: bool,
    /// Leave out an incomplete last batch, unless it is the only one.
    pub drop_last: bool,
    /// None is BPR.
    pub adversary: Option<Adversary>,
    /// Of orders and negatives.
    pub seed: u64,
}

impl BprMfParams {
    pub(super) fn check(&self) -> Result<()> {
        check_positive("learning_rate", self.learning_rate)?;
        check_non_negative("reg", self.reg)?;
        if let Some(Adversary { epsilon, weight }) = self.adversary {
            check_non_negative("epsilon", epsilon)?;
            check_non_negative("adversary's weight", weight)?;
        }
        if self.candidates == 0 || self.batch_size == 0 {
            return Err(Error::invalid(
                "candidates and batch_size must be at least 1",
            ));
        }
        Ok(())
    }
}

/// What training changes: factors with their biases, sums of squares, epochs.
#[derive(Debug)]
pub struct State<T> {
    /// Rows `p 1`, or `p 0` without biases.
    pub users: T,
    /// Rows `q b`.
    pub items: T,
    /// Sums of squares of both, for [`Rule::Adagrad`]; none yet at the start.
    pub squares: Option<[T; 2]>,
    /// Finished epochs.
    pub epoch: u64,
}

/// A model in training.
#[derive(Debug)]
pub struct BprMf {
    params: BprMfParams,
    profiles: Profiles,
    learner: Learner,
    batch: Option<Batch>,
    /// Of the epoch, by interaction, for `in_order`.
    negatives: Vec<u32>,
    epoch: u64,
}

/// Tables, and how gradients move them.
#[derive(Debug)]
struct Learner {
    users: Table,
    items: Table,
    squares: Option<[Table; 2]>,
    rate: f32,
    reg: f32,
    /// Last entry of a user's row.
    constant: usize,
}

/// Gradients of a batch and the triples in it.
#[derive(Debug)]
struct Batch {
    triples: Vec<[u32; 3]>,
    users: Gradients,
    items: Gradients,
    /// Moves of the rows, slot by slot of the gradients.
    moves: Option<[Gradients; 2]>,
    scratch: Vec<f32>,
}

impl BprMf {
    /// Set out from a state.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a parameter outside its domain, shapes that do not fit, or
    /// if no user both has an item and lacks one.
    pub fn new(
        urm: CsrView,
        params: BprMfParams,
        from: &State<ArrayView2<f32>>,
        progress: &Progress,
    ) -> Result<Self> {
        params.check()?;
        progress.check()?;
        let users = Table::new("user_factors", from.users)?;
        let items = Table::new("item_factors", from.items)?;
        let shapes = (users.n_rows(), items.n_rows(), users.width());
        if shapes != (urm.n_rows(), urm.n_cols(), items.width()) {
            return Err(Error::invalid(format!(
                "factors of {} users and {} items do not fit a matrix of {} x {}",
                users.n_rows(),
                items.n_rows(),
                urm.n_rows(),
                urm.n_cols()
            )));
        }
        let squares = match (params.rule, &from.squares) {
            (Rule::Sgd, _) => None,
            (Rule::Adagrad, None) => Some([users.like(FIRST_SQUARES)?, items.like(FIRST_SQUARES)?]),
            (Rule::Adagrad, Some([u, i])) => {
                let mut squares = [Table::new("squares", *u)?, Table::new("squares", *i)?];
                if squares[0].n_rows() != shapes.0 || squares[1].n_rows() != shapes.1 {
                    return Err(Error::invalid("the sums of squares do not fit the factors"));
                }
                for table in &mut squares {
                    table.fill_padding(FIRST_SQUARES);
                }
                Some(squares)
            }
        };
        let profiles = Profiles::new(urm)?;
        let learner = Learner {
            constant: users.width() - 1,
            users,
            items,
            squares,
            rate: params.learning_rate as f32,
            reg: params.reg as f32,
        };
        let alone = params.batch_size == 1 && params.adversary.is_none();
        let batch = if alone {
            None
        } else {
            Some(Batch::new(&params, &learner, &profiles)?)
        };
        let negatives = if params.in_order {
            zeros(profiles.nnz(), "negatives")?
        } else {
            Vec::new()
        };
        Ok(Self {
            params,
            profiles,
            learner,
            batch,
            negatives,
            epoch: from.epoch,
        })
    }

    /// The state as it is.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training has diverged, [`Error::OutOfMemory`].
    pub fn state(&self) -> Result<State<Array2<f32>>> {
        let Learner {
            users,
            items,
            squares,
            ..
        } = &self.learner;
        let squares = squares.as_ref().map(|[u, i]| -> Result<_> {
            Ok([u.to_array("user_factors")?, i.to_array("item_factors")?])
        });
        Ok(State {
            users: users.to_array("user_factors")?,
            items: items.to_array("item_factors")?,
            squares: squares.transpose()?,
            epoch: self.epoch,
        })
    }

    fn key(&self) -> u64 {
        bits(self.params.seed, EPOCH, self.epoch)
    }

    fn set_order(&mut self) {
        if self.params.in_order {
            self.profiles.sort();
        } else {
            self.profiles.shuffle(Rng::at(self.key(), ORDER, 0));
        }
    }

    /// The next epoch; the mean loss of its triples before each step, without penalties.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if the factors diverge, `Cancelled`.
    pub fn run(&mut self, progress: &Progress) -> Result<f64> {
        self.set_order();
        let key = self.key();
        progress.start(self.profiles.order.len() as u64);
        let Self {
            params,
            profiles,
            learner,
            batch,
            negatives,
            epoch,
        } = self;
        if params.in_order {
            dispatch(ChooseAll(
                params, profiles, learner, negatives, key, progress,
            ))?;
        }
        let epoch_of = Epoch {
            params,
            profiles,
            learner,
            batch: batch.as_mut(),
            negatives,
            key,
            progress,
        };
        let (loss, triples) = dispatch(epoch_of)?;
        if !loss.is_finite() {
            return Err(diverged(*epoch));
        }
        *epoch += 1;
        Ok(loss / triples as f64)
    }

    /// Users, positive items and candidates (as many for each) of the next epoch, in its order.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], `Cancelled`.
    pub fn draws(&mut self, progress: &Progress) -> Result<[Vec<i32>; 3]> {
        self.set_order();
        let n = self.profiles.order.len();
        let [mut users, mut positive] = [with_room(n, "samples")?, with_room(n, "samples")?];
        let mut candidates = with_room(n.saturating_mul(self.params.candidates), "samples")?;
        for (at, &cell) in self.profiles.order.iter().enumerate() {
            progress.look(at)?;
            let (user, item) = self.profiles.pair(cell);
            users.push(user as i32);
            positive.push(item as i32);
            let mut rng = Rng::at(self.key(), NEGATIVE, u64::from(cell));
            for _ in 0..self.params.candidates {
                candidates.push(self.profiles.outside(user, &mut rng) as i32);
            }
        }
        Ok([users, positive, candidates])
    }
}

fn diverged(epoch: u64) -> Error {
    Error::NonFinite(format!(
        "BPR-MF diverged in epoch {}: lower learning_rate",
        epoch + 1
    ))
}

/// The first of the best candidates by the current scores.
#[inline(always)]
fn negative(
    profiles: &Profiles,
    (users, items): (&Table, &Table),
    (user, cell): (usize, u32),
    (candidates, key): (usize, u64),
) -> usize {
    let mut rng = Rng::at(key, NEGATIVE, u64::from(cell));
    let mut best = profiles.outside(user, &mut rng);
    if candidates > 1 {
        let row = users.row(user);
        let mut highest = dot(row, items.row(best));
        for _ in 1..candidates {
            let item = profiles.outside(user, &mut rng);
            let score = dot(row, items.row(item));
            if score > highest {
                (best, highest) = (item, score);
            }
        }
    }
    best
}

/// Negatives of all interactions by the scores as they are.
struct ChooseAll<'a>(
    &'a BprMfParams,
    &'a Profiles,
    &'a Learner,
    &'a mut [u32],
    u64,
    &'a Progress,
);

impl Kernel for ChooseAll<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn call(self) -> Result<()> {
        let Self(params, profiles, learner, negatives, key, progress) = self;
        let tables = (&learner.users, &learner.items);
        for (at, &cell) in profiles.order.iter().enumerate() {
            progress.look(at)?;
            let (user, _) = profiles.pair(cell);
            let found = negative(profiles, tables, (user, cell), (params.candidates, key));
            negatives[cell as usize] = found as u32;
        }
        Ok(())
    }
}

struct Epoch<'a> {
    params: &'a BprMfParams,
    profiles: &'a Profiles,
    learner: &'a mut Learner,
    batch: Option<&'a mut Batch>,
    negatives: &'a [u32],
    key: u64,
    progress: &'a Progress,
}

impl Epoch<'_> {
    #[inline(always)]
    fn triple(&self, cell: u32) -> [usize; 3] {
        let (user, positive) = self.profiles.pair(cell);
        let negative = if self.params.in_order {
            self.negatives[cell as usize] as usize
        } else {
            let tables = (&self.learner.users, &self.learner.items);
            let how = (self.params.candidates, self.key);
            negative(self.profiles, tables, (user, cell), how)
        };
        [user, positive, negative]
    }
}

impl Kernel for Epoch<'_> {
    /// Sum of the losses, and the number of triples.
    type Output = Result<(f64, usize)>;

    #[inline(always)]
    fn call(mut self) -> Result<(f64, usize)> {
        let order = &self.profiles.order;
        let mut loss = 0.0;
        let Some(batch) = self.batch.take() else {
            for part in order.chunks(LOOK) {
                for &cell in part {
                    let triple = self.triple(cell);
                    loss += self.learner.step(triple);
                }
                self.progress.advance(part.len() as u64)?;
            }
            return Ok((loss, order.len()));
        };
        let mut triples = 0;
        for part in order.chunks(self.params.batch_size) {
            if self.params.drop_last && part.len() < self.params.batch_size && triples > 0 {
                break;
            }
            batch.triples.clear();
            for &cell in part {
                let triple = self.triple(cell);
                batch.triples.push(triple.map(|x| x as u32));
            }
            loss += batch.step(self.learner, self.params.adversary);
            triples += part.len();
            self.progress.advance(part.len() as u64)?;
        }
        Ok((loss, triples))
    }
}

impl Learner {
    /// The step of one triple; its loss.
    #[inline(always)]
    fn step(&mut self, [user, i, j]: [usize; 3]) -> f64 {
        let p = self.users.row_mut(user);
        let (qi, qj) = self.items.two_mut(i, j);
        let x = dot(p, qi) - dot(p, qj);
        let g = sigmoid(-x);
        let (rate, reg) = (self.rate, self.reg);
        let constant = p[self.constant];
        if let Some([of_users, of_items]) = &mut self.squares {
            let a = of_users.row_mut(user);
            let (ai, aj) = of_items.two_mut(i, j);
            for k in 0..p.len() {
                let of_p = g * (qi[k] - qj[k]) - reg * p[k];
                let of_i = g * p[k] - reg * qi[k];
                let of_j = -g * p[k] - reg * qj[k];
                a[k] += of_p * of_p;
                ai[k] += of_i * of_i;
                aj[k] += of_j * of_j;
                p[k] += rate * of_p / a[k].sqrt();
                qi[k] += rate * of_i / ai[k].sqrt();
                qj[k] += rate * of_j / aj[k].sqrt();
            }
        } else {
            for k in 0..p.len() {
                let of_p = g * (qi[k] - qj[k]) - reg * p[k];
                let of_i = g * p[k] - reg * qi[k];
                let of_j = -g * p[k] - reg * qj[k];
                p[k] += rate * of_p;
                qi[k] += rate * of_i;
                qj[k] += rate * of_j;
            }
        }
        p[self.constant] = constant;
        logistic_loss(x)
    }
}

impl Batch {
    fn new(params: &BprMfParams, learner: &Learner, profiles: &Profiles) -> Result<Self> {
        let most = params.batch_size.min(profiles.order.len());
        let new = || -> Result<_> {
            let mut users = Gradients::new(&learner.users)?;
            let mut items = Gradients::new(&learner.items)?;
            users.reserve(most)?;
            items.reserve(2 * most)?;
            Ok([users, items])
        };
        let moves = params.adversary.map(|_| new()).transpose()?;
        let [users, items] = new()?;
        Ok(Self {
            triples: with_room(most, "triples of a batch")?,
            users,
            items,
            moves,
            scratch: zeros(3 * learner.users.stride(), "moved rows")?,
        })
    }

    /// The step of the triples that were collected; the sum of their losses.
    #[inline(always)]
    fn step(&mut self, learner: &mut Learner, adversary: Option<Adversary>) -> f64 {
        let mut loss = 0.0;
        self.users.clear();
        self.items.clear();
        for [u, i, j] in self.triples.iter().map(|t| t.map(|x| x as usize)) {
            let p = learner.users.row(u);
            let (qi, qj) = (learner.items.row(i), learner.items.row(j));
            let x = dot(p, qi) - dot(p, qj);
            loss += logistic_loss(x);
            let sums = (&mut self.users, &mut self.items);
            ascend(sums, [u, i, j], sigmoid(-x), [p, qi, qj]);
        }
        if let Some(Adversary { epsilon, weight }) = adversary {
            self.adversary(learner, epsilon as f32, weight as f32);
        }
        if learner.reg > 0.0 {
            for [u, i, j] in self.triples.iter().map(|t| t.map(|x| x as usize)) {
                self.users.add(u, -learner.reg, learner.users.row(u));
                self.items.add(i, -learner.reg, learner.items.row(i));
                self.items.add(j, -learner.reg, learner.items.row(j));
            }
        }
        let constant = learner.constant;
        let Learner { users, squares, .. } = learner;
        for (u, sum) in self.users.iter() {
            let row = users.row_mut(u);
            let kept = row[constant];
            let squares = squares.as_mut().map(|[s, _]| s.row_mut(u));
            descend(row, squares, sum, learner.rate);
            row[constant] = kept;
        }
        let Learner { items, squares, .. } = learner;
        for (i, sum) in self.items.iter() {
            let squares = squares.as_mut().map(|[_, s]| s.row_mut(i));
            descend(items.row_mut(i), squares, sum, learner.rate);
        }
        loss
    }

    /// Add the gradients at the moved factors.
    #[inline(always)]
    fn adversary(&mut self, learner: &Learner, epsilon: f32, weight: f32) {
        let Some([of_users, of_items]) = &mut self.moves else {
            return;
        };
        for (moves, sums) in [(&mut *of_users, &self.users), (&mut *of_items, &self.items)] {
            moves.clear();
            for (row, sum) in sums.iter() {
                let to = moves.of(row);
                // The sums climb, the adversary goes down.
                let length = dot(sum, sum) - sum[learner.constant] * sum[learner.constant];
                add(to, -epsilon / length.max(SHORTEST).sqrt(), sum);
                to[learner.constant] = 0.0;
            }
        }
        let stride = learner.users.stride();
        let (p, rest) = self.scratch.split_at_mut(stride);
        let (qi, qj) = rest.split_at_mut(stride);
        for [u, i, j] in self.triples.iter().map(|t| t.map(|x| x as usize)) {
            moved(p, learner.users.row(u), of_users.get(u));
            moved(qi, learner.items.row(i), of_items.get(i));
            moved(qj, learner.items.row(j), of_items.get(j));
            let x = dot(p, qi) - dot(p, qj);
            let sums = (&mut self.users, &mut self.items);
            ascend(sums, [u, i, j], weight * sigmoid(-x), [p, qi, qj]);
        }
    }
}

/// Add g times the gradient of the margin at some rows.
#[inline(always)]
fn ascend(
    (users, items): (&mut Gradients, &mut Gradients),
    [u, i, j]: [usize; 3],
    g: f32,
    [p, qi, qj]: [&[f32]; 3],
) {
    let of_p = users.of(u);
    for k in 0..of_p.len() {
        of_p[k] += g * (qi[k] - qj[k]);
    }
    items.add(i, g, p);
    items.add(j, -g, p);
}

#[inline(always)]
fn moved(to: &mut [f32], row: &[f32], by: &[f32]) {
    for (to, (row, by)) in to.iter_mut().zip(row.iter().zip(by)) {
        *to = row + by;
    }
}

/// Move a row along the summed gradient.
#[inline(always)]
fn descend(row: &mut [f32], squares: Option<&mut [f32]>, sum: &[f32], rate: f32) {
    match squares {
        None => add(row, rate, sum),
        Some(squares) => {
            for k in 0..row.len() {
                squares[k] += sum[k] * sum[k];
                row[k] += rate * sum[k] / squares[k].sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests;
