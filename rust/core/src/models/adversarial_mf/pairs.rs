//! `CoFiGAN`'s generator: the discriminator teaches by samples.
//!
//! For each user `n_u` pairs are drawn, the better item from `softmax(s_D)`, the worse from
//! `softmax(-s_D)`, both over all items; the step is on the mean of
//! `-ln sigma(s_G(u, i) - s_G(u, j)) + reg / 2 (|p_u|^2 + |q_i|^2 + b_i^2 + |q_j|^2 + b_j^2)`.
//! D stands still, so draws of many epochs come from two alias tables for each user, made once.

use super::alias::Alias;
use super::softmax::{Softmax, padded};
use super::{AdversarialMf, DRAW, G_EPOCH, USERS};
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::zeros;
use crate::base::rng::{Rng, bits};
use crate::base::rows::par_chunks;
use crate::base::{Progress, Result};
use crate::models::latent::{Gradients, Profiles, Table, add, dot, logistic_loss, sigmoid};

const PAIRS: &str = "pairs of the generator";
/// Pairs that are in memory at once, unless one epoch has more.
const MOST: usize = 1 << 24;

impl AdversarialMf {
    /// Mean loss of a pair.
    pub(super) fn pairs_pass(&mut self, key: u64, progress: &Progress) -> Result<f64> {
        let epochs = self.params.g.epochs;
        let together = (MOST / self.profiles.nnz()).max(1);
        let mut sums = [Gradients::new(&self.g[0])?, Gradients::new(&self.g[1])?];
        let longest = (0..self.profiles.n_users()).map(|u| self.profiles.profile(u).len());
        sums[1].reserve(2 * longest.max().unwrap_or(0))?;
        let mut loss = 0.0;
        for first in (0..epochs).step_by(together) {
            let last = (first + together).min(epochs);
            let drawn = self.draw_pairs(key, first..last, progress)?;
            for epoch in first..last {
                let order = self.users(bits(key, G_EPOCH, epoch as u64))?;
                progress.start(order.len() as u64);
                let mut of_epoch = 0.0;
                for &user in &order {
                    of_epoch += dispatch(Step {
                        user: user as usize,
                        pairs: drawn.of(user as usize, epoch - first, &self.profiles),
                        g: &mut self.g,
                        sums: &mut sums,
                        rate: self.params.g.learning_rate as f32,
                        reg: self.params.g.reg as f32,
                    });
                    progress.advance(1)?;
                }
                loss += of_epoch / order.len() as f64;
            }
        }
        Ok(loss / epochs.max(1) as f64)
    }

    fn draw_pairs(
        &self,
        key: u64,
        epochs: std::ops::Range<usize>,
        progress: &Progress,
    ) -> Result<Drawn> {
        let profiles = &self.profiles;
        let n_items = profiles.n_items;
        let columns = self.d[1].columns(padded(n_items))?;
        let width = self.d[0].width();
        let parts = par_chunks(
            profiles.n_users(),
            USERS,
            progress,
            || {
                let tables = [Alias::new(n_items)?, Alias::new(n_items)?];
                Ok((Softmax::new(n_items)?, tables))
            },
            |(softmax, tables), range| {
                let cells = profiles.range(range.start).start..profiles.range(range.end - 1).end;
                let mut part = zeros::<[u32; 2]>(cells.len() * epochs.len(), PAIRS)?;
                let mut rest = part.as_mut_slice();
                for user in range {
                    progress.check()?;
                    let n = profiles.profile(user).len();
                    let (mine, others) = rest.split_at_mut(n * epochs.len());
                    rest = others;
                    if n == 0 || n == n_items {
                        continue;
                    }
                    for (table, sign) in tables.iter_mut().zip([1.0, -1.0]) {
                        let row = &self.d[0].row(user)[..width];
                        dispatch(Weights(&mut *softmax, row, &columns, n_items, sign));
                        table.fill(&softmax.weights[..n_items], softmax.total);
                    }
                    for (pairs, epoch) in mine.chunks_exact_mut(n).zip(epochs.clone()) {
                        let key = bits(key, G_EPOCH, epoch as u64);
                        let mut rng = Rng::at(key, DRAW, user as u64);
                        for pair in pairs {
                            let i = tables[0].draw(&mut rng) as u32;
                            *pair = [i, tables[1].draw(&mut rng) as u32];
                        }
                    }
                }
                Ok(part)
            },
        )?;
        Ok(Drawn {
            parts,
            epochs: epochs.len(),
        })
    }
}

/// Pairs by chunk of users, then by user, then by epoch.
struct Drawn {
    parts: Vec<Vec<[u32; 2]>>,
    epochs: usize,
}

impl Drawn {
    #[inline(always)]
    fn of(&self, user: usize, epoch: usize, profiles: &Profiles) -> &[[u32; 2]] {
        let chunk = user / USERS;
        let cells = profiles.range(user);
        let before = cells.start - profiles.range(chunk * USERS).start;
        let start = before * self.epochs + epoch * cells.len();
        &self.parts[chunk][start..start + cells.len()]
    }
}

struct Weights<'a>(&'a mut Softmax, &'a [f32], &'a [f32], usize, f32);

impl Kernel for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self(softmax, user, columns, n_items, sign) = self;
        softmax.fill(user, columns, n_items, sign, &[]);
    }
}

/// A user's step; the mean loss of its pairs.
struct Step<'a> {
    user: usize,
    pairs: &'a [[u32; 2]],
    g: &'a mut [Table; 2],
    sums: &'a mut [Gradients; 2],
    rate: f32,
    reg: f32,
}

impl Kernel for Step<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let Self {
            user,
            pairs,
            g: [users, items],
            sums: [of_user, of_items],
            rate,
            reg,
        } = self;
        let p = users.row(user);
        of_user.clear();
        of_items.clear();
        let to_p = of_user.of(user);
        let mut loss = 0.0;
        for [i, j] in pairs.iter().map(|pair| pair.map(|x| x as usize)) {
            let (qi, qj) = (items.row(i), items.row(j));
            let x = dot(p, qi) - dot(p, qj);
            loss += logistic_loss(x);
            let g = sigmoid(-x);
            for k in 0..p.len() {
                to_p[k] += g * (qi[k] - qj[k]) - reg * p[k];
            }
            for (item, g) in [(i, g), (j, -g)] {
                let (to, q) = (of_items.of(item), items.row(item));
                for k in 0..p.len() {
                    to[k] += g * p[k] - reg * q[k];
                }
            }
        }
        let rate = rate / pairs.len() as f32;
        for (item, sum) in of_items.iter() {
            add(items.row_mut(item), rate, sum);
        }
        let constant = users.width() - 1;
        let row = users.row_mut(user);
        let kept = row[constant];
        add(row, rate, of_user.get(user));
        row[constant] = kept;
        loss / pairs.len() as f64
    }
}
