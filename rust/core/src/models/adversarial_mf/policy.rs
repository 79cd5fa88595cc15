//! IRGAN's generator: policy gradient over a user's softmax.
//!
//! With p = `softmax(s_G(u, .))` and the mixture m = (1 - mix) p + mix (uniform over the profile),
//! 2 `n_u` items are drawn from m with replacement. The reward of a draw is
//! `2 (sigma(s_D) - 1/2) p / m`, and the loss minus the mean of reward times ln p, plus
//! `reg / 2 (|p_u|^2 + |q|^2 + b^2)` for each draw. One step a user: with R the sum of rewards, the
//! logits go along `(sum of rewards at the drawn items - R p) / (2 n_u)`, which is dense in items.

use super::softmax::{Softmax, padded};
use super::{AdversarialMf, DRAW, G_EPOCH};
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::rng::{Rng, bits};
use crate::base::{Progress, Result};
use crate::models::latent::{Profiles, Table, dot};

impl AdversarialMf {
    /// Minus the mean reward.
    pub(super) fn policy_pass(&mut self, mix: f64, key: u64, progress: &Progress) -> Result<f64> {
        let n_items = self.profiles.n_items;
        let length = padded(n_items);
        let mut columns = self.g[1].columns(length)?;
        let mut softmax = Softmax::new(n_items)?;
        let (mut uniforms, mut drawn) = (Vec::new(), Vec::new());
        let mut reward = 0.0;
        for epoch in 0..self.params.g.epochs as u64 {
            let key = bits(key, G_EPOCH, epoch);
            let order = self.users(key)?;
            progress.start(order.len() as u64);
            let mut of_epoch = 0.0;
            for &user in &order {
                of_epoch += dispatch(Step {
                    user: user as usize,
                    profiles: &self.profiles,
                    users: &mut self.g[0],
                    columns: &mut columns,
                    d: &self.d,
                    softmax: &mut softmax,
                    uniforms: &mut uniforms,
                    drawn: &mut drawn,
                    mix,
                    rate: self.params.g.learning_rate as f32,
                    reg: self.params.g.reg as f32,
                    rng: Rng::at(key, DRAW, u64::from(user)),
                });
                progress.advance(1)?;
            }
            reward += of_epoch / order.len() as f64;
        }
        self.g[1].set_columns(&columns, length);
        Ok(-reward / self.params.g.epochs.max(1) as f64)
    }
}

/// A user's step; its mean reward.
struct Step<'a> {
    user: usize,
    profiles: &'a Profiles,
    users: &'a mut Table,
    columns: &'a mut [f32],
    d: &'a [Table; 2],
    softmax: &'a mut Softmax,
    uniforms: &'a mut Vec<f64>,
    /// Item, weight, and a value of the item before the step.
    drawn: &'a mut Vec<(usize, f32, f32)>,
    mix: f64,
    rate: f32,
    reg: f32,
    rng: Rng,
}

impl Kernel for Step<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let Self {
            user,
            profiles,
            users,
            columns,
            d,
            softmax,
            uniforms,
            drawn,
            mix,
            rate,
            reg,
            mut rng,
        } = self;
        let profile = profiles.profile(user);
        let width = users.width();
        let p = &mut users.row_mut(user)[..width];
        softmax.fill(p, columns, profiles.n_items, 1.0, &[]);

        let n = 2 * profile.len();
        uniforms.clear();
        drawn.clear();
        for _ in 0..n {
            if rng.unit() < mix {
                let place = rng.below(profile.len() as u64) as usize;
                drawn.push((profile[place] as usize, 0.0, 0.0));
            } else {
                uniforms.push(rng.unit());
            }
        }
        uniforms.sort_unstable_by(f64::total_cmp);
        softmax.find(uniforms, |item| drawn.push((item, 0.0, 0.0)));

        let d_user = d[0].row(user);
        let of_profile = mix / profile.len() as f64;
        let mut sum = 0.0;
        for (item, weight, _) in &mut *drawn {
            let chance = f64::from(softmax.weights[*item]) / softmax.total;
            let is_seen = profile.binary_search(&(*item as i32)).is_ok();
            let drawn_with = (1.0 - mix) * chance + if is_seen { of_profile } else { 0.0 };
            let score = f64::from(dot(d_user, d[1].row(*item)));
            let opinion = 2.0 / (1.0 + (-score).exp()) - 1.0;
            let reward = opinion * chance / drawn_with;
            sum += reward;
            *weight = (reward / n as f64) as f32;
        }
        let mean = sum / n as f64;
        let dense = (-mean / softmax.total) as f32;
        let shrink = reg * n as f32;
        let length = softmax.weights.len();
        for (k, column) in columns.chunks_exact_mut(length).enumerate() {
            let of_user = p[k];
            let mut of_drawn = 0.0;
            for (item, weight, before) in drawn.iter_mut() {
                *before = column[*item];
                of_drawn += *weight * *before;
            }
            let step = rate * dense * of_user;
            let mut lanes = [0.0f32; 16];
            let parts = column.chunks_exact_mut(16);
            for (q, e) in parts.zip(softmax.weights.chunks_exact(16)) {
                for l in 0..16 {
                    lanes[l] += e[l] * q[l];
                    q[l] += step * e[l];
                }
            }
            for &(item, weight, before) in drawn.iter() {
                column[item] += rate * (weight * of_user - reg * before);
            }
            if k + 1 < width {
                let expected: f32 = lanes.iter().sum();
                p[k] += rate * (of_drawn + dense * expected - shrink * of_user);
            }
        }
        mean
    }
}
