//! Two factorisations with item bias trained against each other: IRGAN and `CoFiGAN`.
//!
//! A round is a pass of the discriminator D, then one of the generator G; scores are
//! `s(u, i) = p_u . q_i + b_i`, and those of the model are G's.
//!
//! D's pass, `epochs` times: every [`REDRAW`] epochs each user draws as many negatives as it has
//! interactions, with replacement, from `softmax(s_G / temperature)` over all items, or over those
//! outside the profile; batches of `batch_size` interactions, each with its negative, take a
//! step on the sum over both of the logistic loss with labels 1 and 0 and of
//! `reg / 2 (|p|^2 + |q|^2 + b^2)`.
//! G's pass, `epochs` times, user by user, see [`policy`] (IRGAN) and [`pairs`] (`CoFiGAN`).
//!
//! Source: Wang et al., "IRGAN: a minimax game for unifying generative and discriminative
//! information retrieval models", SIGIR 2017; Liu, Pan and Ming, "`CoFiGAN`: collaborative filtering
//! by generative and discriminative training for one-class recommendation", 2020; what their code
//! does.
//! Deviation: interactions and users are shuffled for each epoch; with `in_order` they are not. See
//! docs/algorithms.md.
//!
//! Cost of a round: O(users items K) for each drawing of negatives and, by `policy`, each epoch of
//! G; O(nonzeros K) for each epoch of D. Memory: the factors, 12 bytes an interaction, and the
//! scores of a user for each thread. Steps follow one another, draws belong to seed, round, epoch
//! and user, and users draw in parallel: threads change nothing.

mod alias;
mod pairs;
mod policy;
mod softmax;

use ndarray::{Array2, ArrayView2};

use crate::base::dispatch::{Kernel, dispatch};
use crate::base::error::{check_non_negative, check_positive};
use crate::base::memory::{copied, joined, zeros};
use crate::base::rng::{Rng, bits};
use crate::base::rows::par_chunks;
use crate::base::{CsrView, Error, Progress, Result};
use crate::models::latent::{Gradients, Profiles, Table, dot, logistic_loss, shuffle, sigmoid};

use softmax::{Softmax, padded};

/// Epochs of D between two drawings of its negatives.
pub const REDRAW: u64 = 5;

const ROUND: u64 = 0xad_0001;
const D_EPOCH: u64 = 0xad_0002;
const G_EPOCH: u64 = 0xad_0003;
const ORDER: u64 = 0xad_0004;
const DRAW: u64 = 0xad_0005;

const NEGATIVES: &str = "negatives of the discriminator";

/// Users per unit of parallel work.
const USERS: usize = 16;

/// Parameters of D's pass.
#[derive(Debug, Clone, Copy)]
pub struct DiscriminatorParams {
    /// Passes over the interactions in a round.
    pub epochs: usize,
    /// Greater than zero.
    pub learning_rate: f64,
    /// Penalty on the rows of each entry of a batch, at least zero.
    pub reg: f64,
    /// Interactions in a batch, at least one.
    pub batch_size: usize,
    /// Of the softmax that negatives are drawn from, greater than zero.
    pub temperature: f64,
    /// Draw no negatives from the profile.
    pub outside: bool,
    /// Keep the negatives of the very first drawing.
    pub frozen: bool,
    /// Draw negatives uniformly from outside the profile: D learned alone, before the rounds.
    pub uniform: bool,
}

/// What G learns from.
#[derive(Debug, Clone, Copy)]
pub enum Teaching {
    /// Policy gradient; a draw comes from the profile with this probability.
    Policy {
        /// In 0..1.
        mix: f64,
    },
    /// Pairs that D orders.
    Pairs,
}

/// Parameters of G's pass.
#[derive(Debug, Clone, Copy)]
pub struct GeneratorParams {
    /// Passes over the users in a round.
    pub epochs: usize,
    /// Greater than zero.
    pub learning_rate: f64,
    /// Penalty on the rows of each draw, at least zero.
    pub reg: f64,
    /// What G learns from.
    pub teaching: Teaching,
}

/// Parameters of [`AdversarialMf::new`].
#[derive(Debug, Clone, Copy)]
pub struct AdversarialMfParams {
    /// Of D.
    pub d: DiscriminatorParams,
    /// Of G.
    pub g: GeneratorParams,
    /// Interactions and users in the order of the matrix.
    pub in_order: bool,
    /// Of orders and draws.
    pub seed: u64,
}

impl AdversarialMfParams {
    fn check(&self) -> Result<()> {
        check_positive("d_lr", self.d.learning_rate)?;
        check_positive("g_lr", self.g.learning_rate)?;
        check_non_negative("d_reg", self.d.reg)?;
        check_non_negative("g_reg", self.g.reg)?;
        check_positive("temperature", self.d.temperature)?;
        if let Teaching::Policy { mix } = self.g.teaching
            && !(0.0..1.0).contains(&mix)
        {
            return Err(Error::invalid(format!("mix must be in 0..1, not {mix}")));
        }
        if self.d.batch_size == 0 {
            return Err(Error::invalid("batch_size must be at least 1"));
        }
        Ok(())
    }
}

/// What training changes; rows are `p 1` and `q b`.
#[derive(Debug)]
pub struct State<M, N> {
    /// Users and items of G.
    pub g: [M; 2],
    /// Users and items of D.
    pub d: [M; 2],
    /// D's negatives by interaction, empty before the first drawing.
    pub negatives: N,
    /// Finished rounds.
    pub round: u64,
}

/// G and D in training.
#[derive(Debug)]
pub struct AdversarialMf {
    params: AdversarialMfParams,
    profiles: Profiles,
    g: [Table; 2],
    d: [Table; 2],
    negatives: Vec<i32>,
    sums: [Gradients; 2],
    round: u64,
}

/// Mean losses of a round; of a network without epochs zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Logistic loss of an entry.
    pub d: f64,
    /// Minus the mean reward of a draw, or the loss of a pair.
    pub g: f64,
}

impl AdversarialMf {
    /// Set out from a state.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a parameter outside its domain, shapes that do not fit, or
    /// if no user both has an item and lacks one.
    pub fn new(
        urm: CsrView,
        params: AdversarialMfParams,
        from: &State<ArrayView2<f32>, &[i32]>,
    ) -> Result<Self> {
        params.check()?;
        let tables = |of: &[ArrayView2<f32>; 2]| -> Result<[Table; 2]> {
            let [users, items] = [Table::new("users", of[0])?, Table::new("items", of[1])?];
            let shapes = (users.n_rows(), items.n_rows(), users.width());
            if shapes == (urm.n_rows(), urm.n_cols(), items.width()) {
                Ok([users, items])
            } else {
                Err(Error::invalid(format!(
                    "factors of {} users and {} items do not fit a matrix of {} x {}",
                    users.n_rows(),
                    items.n_rows(),
                    urm.n_rows(),
                    urm.n_cols()
                )))
            }
        };
        let profiles = Profiles::new(urm)?;
        let known = |&i: &i32| (0..urm.n_cols() as i32).contains(&i);
        let n = from.negatives.len();
        if (n != 0 && n != profiles.nnz()) || !from.negatives.iter().all(known) {
            return Err(Error::invalid("the negatives do not fit the matrix"));
        }
        let (g, d) = (tables(&from.g)?, tables(&from.d)?);
        let mut sums = [Gradients::new(&d[0])?, Gradients::new(&d[1])?];
        let most = params.d.batch_size.min(profiles.nnz());
        sums[0].reserve(most)?;
        sums[1].reserve(2 * most)?;
        Ok(Self {
            negatives: copied(from.negatives, NEGATIVES)?,
            params,
            profiles,
            g,
            d,
            sums,
            round: from.round,
        })
    }

    /// The state as it is.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training has diverged, [`Error::OutOfMemory`].
    pub fn state(&self) -> Result<State<Array2<f32>, Vec<i32>>> {
        let arrays = |of: &[Table; 2], name: &str| -> Result<_> {
            Ok([of[0].to_array(name)?, of[1].to_array(name)?])
        };
        Ok(State {
            g: arrays(&self.g, "the generator")?,
            d: arrays(&self.d, "the discriminator")?,
            negatives: copied(&self.negatives, NEGATIVES)?,
            round: self.round,
        })
    }

    /// The next round.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training diverges, [`Error::OutOfMemory`], `Cancelled`.
    pub fn run(&mut self, progress: &Progress) -> Result<Losses> {
        let key = bits(self.params.seed, ROUND, self.round);
        let mut losses = Losses { d: 0.0, g: 0.0 };
        for epoch in 0..self.params.d.epochs as u64 {
            let key = bits(key, D_EPOCH, epoch);
            let is_due = epoch.is_multiple_of(REDRAW) && !self.params.d.frozen;
            if self.negatives.is_empty() || is_due {
                self.negatives = self.draw_negatives(key, progress)?;
            }
            losses.d += self.d_epoch(key, progress)? / self.params.d.epochs as f64;
        }
        losses.g = match self.params.g.teaching {
            Teaching::Policy { mix } => self.policy_pass(mix, key, progress),
            Teaching::Pairs => self.pairs_pass(key, progress),
        }?;
        if !losses.d.is_finite() || !losses.g.is_finite() {
            return Err(Error::NonFinite(format!(
                "training diverged in epoch {}: lower d_lr or g_lr",
                self.round + 1
            )));
        }
        self.round += 1;
        Ok(losses)
    }

    /// Users in the order of an epoch of G: those who have an item and lack one.
    fn users(&self, key: u64) -> Result<Vec<u32>> {
        let n_items = self.profiles.n_items;
        let lacks = |&u: &u32| (1..n_items).contains(&self.profiles.profile(u as usize).len());
        let mut users = zeros(0, "users")?;
        users.extend((0..self.profiles.n_users() as u32).filter(lacks));
        if !self.params.in_order {
            shuffle(&mut users, &mut Rng::at(key, ORDER, 0));
        }
        Ok(users)
    }

    /// As many negatives for each user as there are interactions.
    fn draw_negatives(&self, key: u64, progress: &Progress) -> Result<Vec<i32>> {
        let (profiles, params) = (&self.profiles, &self.params.d);
        let n_items = profiles.n_items;
        let columns = self.g[1].columns(padded(n_items))?;
        let scale = (1.0 / params.temperature) as f32;
        let parts = par_chunks(
            profiles.n_users(),
            USERS,
            progress,
            || Ok((Softmax::new(n_items)?, Vec::new())),
            |(softmax, uniforms), range| {
                progress.check()?;
                let cells = profiles.range(range.start).start..profiles.range(range.end - 1).end;
                let mut found = zeros::<i32>(cells.len(), NEGATIVES)?;
                let mut rest = found.as_mut_slice();
                for user in range {
                    let profile = profiles.profile(user);
                    let (mine, others) = rest.split_at_mut(profile.len());
                    rest = others;
                    if profile.is_empty() || profile.len() == n_items {
                        continue;
                    }
                    let mut rng = Rng::at(key, DRAW, user as u64);
                    if params.uniform {
                        for to in mine {
                            *to = profiles.outside(user, &mut rng) as i32;
                        }
                        continue;
                    }
                    uniforms.clear();
                    uniforms.extend((0..profile.len()).map(|_| rng.unit()));
                    uniforms.sort_unstable_by(f64::total_cmp);
                    dispatch(Draw {
                        user: &self.g[0].row(user)[..self.g[0].width()],
                        columns: &columns,
                        n_items,
                        scale,
                        excluded: if params.outside { profile } else { &[] },
                        uniforms,
                        softmax,
                        to: mine,
                    });
                }
                Ok(found)
            },
        )?;
        joined(&parts, NEGATIVES)
    }

    /// The sum of losses over the number of entries.
    fn d_epoch(&mut self, key: u64, progress: &Progress) -> Result<f64> {
        if self.params.in_order {
            self.profiles.sort();
        } else {
            self.profiles.shuffle(Rng::at(key, ORDER, 0));
        }
        progress.start(self.profiles.order.len() as u64);
        dispatch(DEpoch(self, progress))
    }
}

/// The draws of a user, in ascending order.
struct Draw<'a> {
    user: &'a [f32],
    columns: &'a [f32],
    n_items: usize,
    scale: f32,
    excluded: &'a [i32],
    uniforms: &'a [f64],
    softmax: &'a mut Softmax,
    to: &'a mut [i32],
}

impl Kernel for Draw<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            user,
            columns,
            n_items,
            scale,
            excluded,
            uniforms,
            softmax,
            to,
        } = self;
        softmax.fill(user, columns, n_items, scale, excluded);
        let mut to = to.iter_mut();
        softmax.find(uniforms, |item| {
            if let Some(to) = to.next() {
                *to = item as i32;
            }
        });
    }
}

struct DEpoch<'a>(&'a mut AdversarialMf, &'a Progress);

impl Kernel for DEpoch<'_> {
    type Output = Result<f64>;

    #[inline(always)]
    fn call(self) -> Result<f64> {
        let Self(model, progress) = self;
        let AdversarialMf {
            params,
            profiles,
            d: [users, items],
            negatives,
            sums: [of_users, of_items],
            ..
        } = model;
        let DiscriminatorParams {
            learning_rate,
            reg,
            batch_size,
            ..
        } = params.d;
        let rate = learning_rate as f32;
        let constant = users.width() - 1;
        let mut loss = 0.0;
        for batch in profiles.order.chunks(batch_size) {
            of_users.clear();
            of_items.clear();
            // As coded, the penalty is added to each entry of a vector of losses.
            let reg = if params.in_order {
                (reg * batch.len() as f64 / batch_size as f64) as f32
            } else {
                reg as f32
            };
            for &cell in batch {
                let (user, item) = profiles.pair(cell);
                let p = users.row(user);
                for (item, is_real) in [(item, true), (negatives[cell as usize] as usize, false)] {
                    let q = items.row(item);
                    let x = dot(p, q);
                    let margin = if is_real { x } else { -x };
                    loss += logistic_loss(margin);
                    let g = sigmoid(-margin);
                    let g = if is_real { g } else { -g };
                    let (to_p, to_q) = (of_users.of(user), of_items.of(item));
                    for k in 0..p.len() {
                        to_p[k] += g * q[k] - reg * p[k];
                        to_q[k] += g * p[k] - reg * q[k];
                    }
                }
            }
            for (user, sum) in of_users.iter() {
                let row = users.row_mut(user);
                let kept = row[constant];
                for k in 0..row.len() {
                    row[k] += rate * sum[k];
                }
                row[constant] = kept;
            }
            for (item, sum) in of_items.iter() {
                let row = items.row_mut(item);
                for k in 0..row.len() {
                    row[k] += rate * sum[k];
                }
            }
            progress.advance(batch.len() as u64)?;
        }
        Ok(loss / (2 * profiles.order.len()) as f64)
    }
}

#[cfg(test)]
mod tests;
