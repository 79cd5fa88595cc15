//! Collaborative denoising autoencoder (CDAE).
//!
//! With K hidden units, `z_u = h(c sum of w_i over the items kept + v_u + b)` and
//! `y_ui = w'_i . z_u + b'_i`. Each item of the profile is dropped with probability `dropout`, and
//! c = 1 / (1 - dropout) with `scaled`, else 1. The loss of a user is over the whole profile, label
//! 1, and `negatives` as many items, label 0, drawn uniformly with replacement from the others:
//! logistic, or half the squared difference; and `reg / 2` of the squares of each row that is
//! touched, of an output once for each time that it is.
//! `AdaGrad`: with the gradient g of an entry, a += g^2 from a = 1e-4, and the entry moves by
//! `-learning_rate g / (beta + sqrt a)`.
//! With a batch of one user, outputs move at once, target after target, while z stays as it is and
//! the gradient for it collects; then b, `v_u` and the `w_i` of the items kept move. With larger
//! batches all gradients of the batch are summed first.
//! With `tied`, W' is W: of the items kept, the two gradients are one step at the end.
//!
//! Source: Wu et al., "Collaborative denoising auto-encoders for top-N recommender
//! systems", WSDM 2016, and the authors' code. Deviation: see docs/algorithms.md.
//! Cost: O(nonzeros (2 + negatives) K) an epoch. Memory: weights, as much again for `AdaGrad`, and
//! the touched rows of a batch. Users follow one another in the order of the matrix, and draws
//! belong to seed, epoch and user: there is nothing for threads to change.

use ndarray::{Array2, ArrayView2};

use crate::base::dispatch::{Kernel, dispatch};
use crate::base::error::{check_non_negative, check_positive, from_word};
use crate::base::memory::{reserve, with_room, zeros};
use crate::base::rng::{Rng, bits};
use crate::base::{CsrView, Error, Progress, Result};
use crate::models::latent::{Gradients, Profiles, Table, add, dot, logistic_loss, sigmoid};

const EPOCH: u64 = 0xcd_0001;
const DRAW: u64 = 0xcd_0002;
const FIRST_SQUARES: f32 = 1e-4;
const TARGETS: &str = "targets of a user";

/// The function of the hidden layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x.
    Linear,
}

from_word!(Activation, "activation", r#""sigmoid", "tanh" or "linear""#, {
    "sigmoid" => Sigmoid,
    "tanh" => Tanh,
    "linear" => Linear,
});

/// The loss of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Of the label, with y as logit.
    Logistic,
    /// (y - label)^2 / 2.
    Square,
}

from_word!(Loss, "loss", r#""logistic" or "square""#, {
    "logistic" => Logistic,
    "square" => Square,
});

/// Parameters of [`Cdae::new`].
#[derive(Debug, Clone, Copy)]
pub struct CdaeParams {
    /// Of the hidden layer.
    pub activation: Activation,
    /// Of the targets.
    pub loss: Loss,
    /// In 0..1.
    pub dropout: f64,
    /// Inputs kept are divided by 1 - dropout.
    pub scaled: bool,
    /// For each item of the profile.
    pub negatives: usize,
    /// At least zero.
    pub reg: f64,
    /// Greater than zero.
    pub learning_rate: f64,
    /// Added to the root of the squares, at least zero.
    pub beta: f64,
    /// One weight of an item as input and as output.
    pub tied: bool,
    /// A vector of each user.
    pub user_factors: bool,
    /// Users in a step, at least one.
    pub batch_size: usize,
    /// Of the draws.
    pub seed: u64,
}

impl CdaeParams {
    fn check(&self) -> Result<()> {
        check_non_negative("reg", self.reg)?;
        check_positive("learning_rate", self.learning_rate)?;
        check_non_negative("beta", self.beta)?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::invalid(format!(
                "dropout must be in 0..1, not {}",
                self.dropout
            )));
        }
        if self.batch_size == 0 {
            return Err(Error::invalid("batch_size must be at least 1"));
        }
        Ok(())
    }

    fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::from([Kind::Output, Kind::Bias]);
        if !self.tied {
            kinds.push(Kind::Input);
        }
        if self.user_factors {
            kinds.push(Kind::User);
        }
        kinds
    }
}

/// Tables of weights, in this order; all have K + 1 columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Rows `w' b'`.
    Output,
    /// One row, `b 0`.
    Bias,
    /// Rows `w 0`; not there with `tied`.
    Input,
    /// Rows `v 0`; there with `user_factors`.
    User,
}

/// A table with its sums of squares and the gradients of a batch.
#[derive(Debug)]
struct Weights {
    values: Table,
    squares: Table,
    sums: Option<Gradients>,
}

impl Weights {
    /// Move a row along a gradient.
    #[inline(always)]
    fn step(&mut self, row: usize, gradient: &[f32], (rate, beta): (f32, f32)) {
        let (row, squares) = (self.values.row_mut(row), self.squares.row_mut(row));
        for k in 0..row.len() {
            squares[k] += gradient[k] * gradient[k];
            row[k] -= rate * gradient[k] / (beta + squares[k].sqrt());
        }
    }
}

/// A model in training.
#[derive(Debug)]
pub struct Cdae {
    params: CdaeParams,
    profiles: Profiles,
    output: Weights,
    bias: Weights,
    input: Option<Weights>,
    user: Option<Weights>,
    scratch: Scratch,
    epoch: u64,
}

/// Of one user.
#[derive(Debug)]
struct Scratch {
    kept: Vec<usize>,
    /// Item, and whether it is in the profile.
    targets: Vec<(usize, bool)>,
    hidden: Vec<f32>,
    of_hidden: Vec<f32>,
    row: Vec<f32>,
    /// Gradients of tied items kept, by their place in `kept`.
    held: Vec<f32>,
}

impl Cdae {
    /// Set out from weights: outputs, the hidden bias, then inputs and users where there are any,
    /// all of K + 1 columns; and from their sums of squares, none at the start.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a parameter outside its domain, shapes that do not fit, or
    /// if no user both has an item and lacks one.
    pub fn new(
        urm: CsrView,
        params: CdaeParams,
        weights: &[ArrayView2<f32>],
        squares: Option<&[ArrayView2<f32>]>,
        epoch: u64,
    ) -> Result<Self> {
        params.check()?;
        let kinds = params.kinds();
        let misfit = || Error::invalid("the weights do not fit the matrix");
        if weights.len() != kinds.len() || squares.is_some_and(|s| s.len() != kinds.len()) {
            return Err(misfit());
        }
        let width = weights[0].ncols();
        let mut tables = with_room(kinds.len(), "weights")?;
        for (n, kind) in kinds.into_iter().enumerate() {
            let rows = match kind {
                Kind::Output | Kind::Input => urm.n_cols(),
                Kind::Bias => 1,
                Kind::User => urm.n_rows(),
            };
            let values = Table::new("weights", weights[n])?;
            let squares = match squares {
                None => values.like(FIRST_SQUARES)?,
                Some(squares) => {
                    let mut squares = Table::new("squares", squares[n])?;
                    squares.fill_padding(FIRST_SQUARES);
                    squares
                }
            };
            for table in [&values, &squares] {
                if (table.n_rows(), table.width()) != (rows, width) {
                    return Err(misfit());
                }
            }
            let sums = (params.batch_size > 1).then(|| Gradients::new(&values));
            tables.push(Weights {
                sums: sums.transpose()?,
                values,
                squares,
            });
        }
        let mut tables = tables.into_iter();
        let (Some(output), Some(bias)) = (tables.next(), tables.next()) else {
            return Err(misfit());
        };
        let input = if params.tied { None } else { tables.next() };
        let stride = output.values.stride();
        Ok(Self {
            profiles: Profiles::new(urm)?,
            scratch: Scratch {
                kept: Vec::new(),
                targets: Vec::new(),
                hidden: zeros(stride, TARGETS)?,
                of_hidden: zeros(stride, TARGETS)?,
                row: zeros(stride, TARGETS)?,
                held: Vec::new(),
            },
            params,
            output,
            bias,
            input,
            user: tables.next(),
            epoch,
        })
    }

    /// Weights and sums of squares, in the order of [`new`](Self::new).
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training has diverged, [`Error::OutOfMemory`].
    pub fn state(&self) -> Result<[Vec<Array2<f32>>; 2]> {
        let all = || {
            let tables = [Some(&self.output), Some(&self.bias)];
            let others = [self.input.as_ref(), self.user.as_ref()];
            tables.into_iter().chain(others).flatten()
        };
        let weights = all().map(|w| w.values.to_array("a table of weights"));
        let squares = all().map(|w| w.squares.to_array("a table of squares"));
        Ok([
            weights.collect::<Result<_>>()?,
            squares.collect::<Result<_>>()?,
        ])
    }

    /// Rows `z 1` of all users, nothing dropped.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training has diverged, [`Error::OutOfMemory`], `Cancelled`.
    pub fn hidden(&mut self, progress: &Progress) -> Result<Array2<f32>> {
        let width = self.output.values.width();
        let n_users = self.profiles.n_users();
        let mut all = zeros(n_users * width, "hidden layers")?;
        for (user, to) in all.chunks_exact_mut(width).enumerate() {
            progress.look(user)?;
            self.scratch.kept.clear();
            let profile = self.profiles.profile(user);
            reserve(&mut self.scratch.kept, profile.len(), TARGETS)?;
            self.scratch
                .kept
                .extend(profile.iter().map(|&i| i as usize));
            self.encode(user, 1.0);
            to.copy_from_slice(&self.scratch.hidden[..width]);
        }
        if !all.iter().all(|x| x.is_finite()) {
            return Err(self.diverged());
        }
        Ok(Array2::from_shape_vec((n_users, width), all).expect("one row for each user"))
    }

    /// The next epoch; the mean loss of a target before the step, without penalties.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training diverges, [`Error::OutOfMemory`], `Cancelled`.
    pub fn run(&mut self, progress: &Progress) -> Result<f64> {
        progress.start(self.profiles.n_users() as u64);
        let (loss, targets) = dispatch(Epoch(self, progress))?;
        if !loss.is_finite() {
            return Err(self.diverged());
        }
        self.epoch += 1;
        Ok(loss / targets as f64)
    }

    /// By user, the items kept and the negatives of the next epoch.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], `Cancelled`.
    pub fn draws(&mut self, progress: &Progress) -> Result<[Vec<Vec<i32>>; 2]> {
        let n = self.profiles.n_users();
        let [mut kept, mut negatives] = [with_room(n, TARGETS)?, with_room(n, TARGETS)?];
        let key = bits(self.params.seed, EPOCH, self.epoch);
        for user in 0..n {
            progress.look(user)?;
            self.draw(user, key)?;
            let Scratch {
                kept: k, targets, ..
            } = &self.scratch;
            kept.push(k.iter().map(|&i| i as i32).collect());
            let drawn = targets.iter().filter(|(_, is_seen)| !is_seen);
            negatives.push(drawn.map(|&(i, _)| i as i32).collect());
        }
        Ok([kept, negatives])
    }

    fn diverged(&self) -> Error {
        Error::NonFinite(format!(
            "CDAE diverged in epoch {}: lower learning_rate",
            self.epoch + 1
        ))
    }

    /// Items kept and targets of a user; none for who has all or nothing.
    fn draw(&mut self, user: usize, key: u64) -> Result<()> {
        let profile = self.profiles.profile(user);
        let Scratch { kept, targets, .. } = &mut self.scratch;
        kept.clear();
        targets.clear();
        if profile.is_empty() || profile.len() == self.profiles.n_items {
            return Ok(());
        }
        let negatives = profile.len().saturating_mul(self.params.negatives);
        reserve(kept, profile.len(), TARGETS)?;
        reserve(targets, profile.len().saturating_add(negatives), TARGETS)?;
        let mut rng = Rng::at(key, DRAW, user as u64);
        for &item in profile {
            if rng.unit() >= self.params.dropout {
                kept.push(item as usize);
            }
            targets.push((item as usize, true));
        }
        for _ in 0..negatives {
            targets.push((self.profiles.outside(user, &mut rng), false));
        }
        Ok(())
    }

    /// The hidden layer of the items kept, each times `scale`.
    #[inline(always)]
    fn encode(&mut self, user: usize, scale: f32) {
        let hidden = &mut self.scratch.hidden;
        hidden.copy_from_slice(self.bias.values.row(0));
        if let Some(users) = &self.user {
            add(hidden, 1.0, users.values.row(user));
        }
        let inputs = &self.input.as_ref().unwrap_or(&self.output).values;
        for &item in &self.scratch.kept {
            add(hidden, scale, inputs.row(item));
        }
        let last = inputs.width() - 1;
        for z in &mut hidden[..last] {
            *z = match self.params.activation {
                Activation::Sigmoid => sigmoid(*z),
                Activation::Tanh => z.tanh(),
                Activation::Linear => *z,
            };
        }
        hidden[last] = 1.0;
    }
}

struct Epoch<'a>(&'a mut Cdae, &'a Progress);

impl Kernel for Epoch<'_> {
    /// Sum of the losses, and the number of targets.
    type Output = Result<(f64, usize)>;

    #[inline(always)]
    fn call(self) -> Result<(f64, usize)> {
        let Self(model, progress) = self;
        let key = bits(model.params.seed, EPOCH, model.epoch);
        let (mut loss, mut targets) = (0.0, 0);
        for user in 0..model.profiles.n_users() {
            model.draw(user, key)?;
            targets += model.scratch.targets.len();
            if !model.scratch.targets.is_empty() {
                loss += model.user_step(user);
            }
            let is_last = user + 1 == model.profiles.n_users();
            if is_last || (user + 1).is_multiple_of(model.params.batch_size) {
                model.batch_step();
            }
            progress.advance(1)?;
        }
        Ok((loss, targets))
    }
}

impl Cdae {
    /// The gradients of a user, and outside a batch their steps; the sum of the losses.
    #[inline(always)]
    fn user_step(&mut self, user: usize) -> f64 {
        let scale = if self.params.scaled {
            (1.0 / (1.0 - self.params.dropout)) as f32
        } else {
            1.0
        };
        self.encode(user, scale);
        let reg = self.params.reg as f32;
        let step = (self.params.learning_rate as f32, self.params.beta as f32);
        let tied = self.params.tied;
        let stride = self.output.values.stride();
        let last = self.output.values.width() - 1;
        let Scratch {
            kept,
            targets,
            hidden,
            of_hidden,
            row,
            held,
        } = &mut self.scratch;
        of_hidden.fill(0.0);
        held.clear();
        if tied {
            held.resize(kept.len() * stride, 0.0);
        }
        let mut loss = 0.0;
        for &(item, is_seen) in targets.iter() {
            let weights = self.output.values.row(item);
            let y = dot(hidden, weights);
            let g = match self.params.loss {
                Loss::Logistic => {
                    let margin = if is_seen { y } else { -y };
                    loss += logistic_loss(margin);
                    let g = sigmoid(-margin);
                    if is_seen { -g } else { g }
                }
                Loss::Square => {
                    let g = y - f32::from(u8::from(is_seen));
                    loss += f64::from(g) * f64::from(g) / 2.0;
                    g
                }
            };
            add(of_hidden, g, weights);
            if tied
                && is_seen
                && let Ok(place) = kept.binary_search(&item)
            {
                add(&mut held[place * stride..(place + 1) * stride], g, hidden);
                continue;
            }
            for k in 0..stride {
                row[k] = g * hidden[k] + reg * weights[k];
            }
            self.output.take(item, row, step);
        }
        for (d, z) in of_hidden[..last].iter_mut().zip(hidden.iter()) {
            *d *= match self.params.activation {
                Activation::Sigmoid => z * (1.0 - z),
                Activation::Tanh => 1.0 - z * z,
                Activation::Linear => 1.0,
            };
        }
        of_hidden[last] = 0.0;
        for (weights, at) in [(Some(&mut self.bias), 0), (self.user.as_mut(), user)] {
            if let Some(weights) = weights {
                let values = weights.values.row(at);
                for k in 0..stride {
                    row[k] = of_hidden[k] + reg * values[k];
                }
                weights.take(at, row, step);
            }
        }
        let inputs = self.input.as_mut().unwrap_or(&mut self.output);
        for (place, &item) in kept.iter().enumerate() {
            let values = inputs.values.row(item);
            for k in 0..stride {
                row[k] = scale * of_hidden[k] + reg * values[k];
            }
            if tied {
                add(row, 1.0, &held[place * stride..(place + 1) * stride]);
            }
            inputs.take(item, row, step);
        }
        loss
    }

    /// The steps of a batch.
    #[inline(always)]
    fn batch_step(&mut self) {
        let step = (self.params.learning_rate as f32, self.params.beta as f32);
        let tables = [Some(&mut self.output), Some(&mut self.bias)];
        let others = [self.input.as_mut(), self.user.as_mut()];
        for weights in tables.into_iter().chain(others).flatten() {
            if let Some(mut sums) = weights.sums.take() {
                for (row, sum) in sums.iter() {
                    weights.step(row, sum, step);
                }
                sums.clear();
                weights.sums = Some(sums);
            }
        }
    }
}

impl Weights {
    /// Step along a gradient, or keep it for the batch.
    #[inline(always)]
    fn take(&mut self, row: usize, gradient: &[f32], step: (f32, f32)) {
        match &mut self.sums {
            Some(sums) => sums.add(row, 1.0, gradient),
            None => self.step(row, gradient, step),
        }
    }
}
