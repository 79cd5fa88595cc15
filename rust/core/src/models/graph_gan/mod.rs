//! GraphGAN: two sets of vertex vectors, one of which draws vertices by walks in trees.
//!
//! Of a graph, `s(v, w) = x_v . x_w + b_w` for the vectors of the discriminator D and of the
//! generator G. In the breadth-first tree of a root c, whose neighbours are visited in ascending
//! order, `p_c(w | v)` is the softmax of `s_G(v, .)` over father and children of v, and the graph
//! softmax `G(v | c)` the product of `p_c` along the path from c to v, times `p_c(father | v)`: a walk
//! from c that ends where its next vertex would be the one before.
//!
//! A round is a pass of D, then one of G. D learns, by the logistic loss, to tell the neighbours of
//! each root from as many draws; G that its draws have a high reward `ln(1 + e^s_D(c, v))`, `s_D` cut
//! at 10 in size. `epochs` times:
//!
//! - D: batches of pairs; the sum of losses and, for each pair, `reg / 2 (|x_v|^2 + |x_w|^2 + b_w^2)`.
//! - G: batches of roots with `samples` walks each, drawn anew; minus the mean of reward times
//!   `ln G(v | c)`, and `reg / 2 |x|^2` for each vertex that has a part in it.
//! - G as published: walks are drawn once a pass; their vertices, in pairs at most two steps apart,
//!   have the loss `-ln sigma(s_G(v, w))` times the reward, which is not that of the graph softmax.
//!
//! Steps are Adam's. Draws for D do not end at neighbours of the root: the softmax leaves out the
//! root's leaves, and the root as a choice. As published the root is no choice at a neighbour from
//! the first such walk on, for G as well, and a leaf ends all draws of the root.
//!
//! Source: Wang et al., "GraphGAN: graph representation learning with generative adversarial
//! nets", AAAI 2018; what the authors' code does.
//! Deviation: trees are never stored; D's pairs are shuffled, as published the batches are.
//!
//! Cost of a pass: the tree of each root, O(vertices edges) at most, once or with G's default step
//! in each epoch; O(samples choices K). Memory: the factors with their moments, and the pairs of a
//! pass. Steps follow one another, draws belong to seed, round and root, and roots draw in parallel:
//! threads change nothing.

mod adam;
mod tree;

use ndarray::{Array2, ArrayView2};

use crate::base::dispatch::{Kernel, dispatch};
use crate::base::error::{check_non_negative, check_positive};
use crate::base::memory::{copied, filled, joined, reserve, zeros};
use crate::base::rng::{Rng, bits};
use crate::base::rows::par_chunks;
use crate::base::{CsrView, Error, Progress, Result};
use crate::models::latent::{logistic_loss, shuffle, sigmoid};

use adam::Adam;
pub use adam::AdamState;
use tree::{Graph, Near, Walker, score};

const ROUND: u64 = 0x96_0001;
const D_EPOCH: u64 = 0x96_0002;
const G_EPOCH: u64 = 0x96_0003;
const ORDER: u64 = 0x96_0004;
const D_WALKS: u64 = 0x96_0005;
const G_WALKS: u64 = 0x96_0006;

const PAIRS: &str = "pairs of vertices";

/// Roots per unit of parallel work.
const ROOTS: usize = 8;
/// Size at which a score is cut for a reward.
const CUT: f32 = 10.0;
/// Steps of a walk between the vertices of a pair.
const WINDOW: usize = 2;
/// Least probability of a pair whose logarithm has a gradient.
const LEAST: f32 = 1e-5;

/// Parameters of a pass.
#[derive(Debug, Clone, Copy)]
pub struct PassParams {
    /// Passes over the pairs, or roots, in a round.
    pub epochs: usize,
    /// Greater than zero.
    pub learning_rate: f64,
    /// At least zero.
    pub reg: f64,
}

/// Parameters of [`GraphGan::new`].
#[derive(Debug, Clone, Copy)]
pub struct GraphGanParams {
    /// Of the discriminator.
    pub d: PassParams,
    /// Of the generator.
    pub g: PassParams,
    /// Walks of a root, at least one.
    pub samples: usize,
    /// Pairs, or roots, in a batch, at least one.
    pub batch_size: usize,
    /// Steps and walks of the published code.
    pub published: bool,
    /// Of orders and draws.
    pub seed: u64,
}

impl GraphGanParams {
    fn check(&self) -> Result<()> {
        check_positive("d_lr", self.d.learning_rate)?;
        check_positive("g_lr", self.g.learning_rate)?;
        check_non_negative("d_reg", self.d.reg)?;
        check_non_negative("g_reg", self.g.reg)?;
        if self.samples == 0 || self.batch_size == 0 {
            return Err(Error::invalid("samples and batch_size must be at least 1"));
        }
        Ok(())
    }
}

/// What training changes; rows are `x b`.
#[derive(Debug)]
pub struct State<M, R> {
    /// The generator.
    pub g: AdamState<M>,
    /// The discriminator.
    pub d: AdamState<M>,
    /// By entry of the adjacency matrix, whether its row is no choice at its column.
    pub removed: R,
    /// Finished rounds.
    pub round: u64,
}

/// Mean losses of a round; of a network without epochs zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Logistic loss of a pair.
    pub d: f64,
    /// Minus the mean reward of a walk, or the published loss of a pair.
    pub g: f64,
}

/// Two vertices, and a label or a reward.
#[derive(Debug, Clone, Copy)]
struct Pair {
    v: u32,
    w: u32,
    value: f32,
}

/// G and D in training.
#[derive(Debug)]
pub struct GraphGan {
    params: GraphGanParams,
    graph: Graph,
    g: Adam,
    d: Adam,
    removed: Vec<u8>,
    round: u64,
}

impl GraphGan {
    /// Set out from a state.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a parameter outside its domain, shapes that do not fit, or a
    /// graph without an edge between two vertices.
    pub fn new(
        adjacency: CsrView,
        params: GraphGanParams,
        from: &State<ArrayView2<f32>, &[u8]>,
    ) -> Result<Self> {
        params.check()?;
        let graph = Graph::new(adjacency)?;
        let n = graph.n_vertices();
        let has_edge = |v: usize| graph.neighbours(v).iter().any(|&w| w as usize != v);
        if !(0..n).any(has_edge) {
            return Err(Error::invalid("the graph has no edge between two vertices"));
        }
        let g = Adam::new("the generator", params.g.learning_rate, &from.g)?;
        let d = Adam::new("the discriminator", params.d.learning_rate, &from.d)?;
        for (name, table) in [("the generator", &g.table), ("the discriminator", &d.table)] {
            if table.n_rows() != n || table.width() < 2 {
                return Err(Error::invalid(format!(
                    "{name} has {} rows of {} columns, for {n} vertices",
                    table.n_rows(),
                    table.width()
                )));
            }
        }
        let removed = match from.removed.len() {
            0 => zeros(graph.n_entries(), PAIRS)?,
            n if n == graph.n_entries() => copied(from.removed, PAIRS)?,
            n => {
                return Err(Error::invalid(format!(
                    "{n} marks of entries do not fit {} entries",
                    graph.n_entries()
                )));
            }
        };
        Ok(Self {
            params,
            graph,
            g,
            d,
            removed,
            round: from.round,
        })
    }

    /// The state as it is.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training has diverged, [`Error::OutOfMemory`].
    pub fn state(&self) -> Result<State<Array2<f32>, Vec<u8>>> {
        Ok(State {
            g: self.g.state("the generator")?,
            d: self.d.state("the discriminator")?,
            removed: copied(&self.removed, PAIRS)?,
            round: self.round,
        })
    }

    /// The next round.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if training diverges, [`Error::OutOfMemory`], `Cancelled`.
    pub fn run(&mut self, progress: &Progress) -> Result<Losses> {
        let key = bits(self.params.seed, ROUND, self.round);
        let losses = Losses {
            d: self.d_pass(key, progress)?,
            g: if self.params.published {
                self.pairs_pass(key, progress)
            } else {
                self.softmax_pass(key, progress)
            }?,
        };
        if !losses.d.is_finite() || !losses.g.is_finite() {
            return Err(Error::NonFinite(format!(
                "training diverged in epoch {}: lower d_lr or g_lr",
                self.round + 1
            )));
        }
        self.round += 1;
        Ok(losses)
    }

    /// Vertices that walks from each root came to, the roots in order; those of roots without a
    /// walk are absent.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], `Cancelled`.
    pub fn draws(&self, progress: &Progress) -> Result<Vec<(u32, u32)>> {
        let walks = self.walks(
            bits(bits(self.params.seed, ROUND, self.round), G_WALKS, 0),
            Near::Allowed,
            progress,
            |_| self.params.samples,
            |walker, root, found| {
                let end = walker.path[walker.path.len() - 1];
                found.push((root as u32, end));
            },
        )?;
        joined(&walks.into_iter().map(|w| w.0).collect::<Vec<_>>(), PAIRS)
    }

    /// What `take` makes of `count` walks of each root, and entries that lose their root; of a root
    /// of which a walk fails, nothing.
    fn walks<T: Clone + Send>(
        &self,
        key: u64,
        near: Near,
        progress: &Progress,
        count: impl Fn(usize) -> usize + Sync,
        take: impl Fn(&Walker, usize, &mut Vec<T>) + Sync,
    ) -> Result<Vec<(Vec<T>, Vec<usize>)>> {
        par_chunks(
            self.graph.n_vertices(),
            ROOTS,
            progress,
            || Walker::new(&self.graph, &self.g.table, &self.removed, near),
            |walker, roots| {
                let (mut found, mut removed) = (Vec::new(), Vec::new());
                for root in roots {
                    progress.advance(1)?;
                    walker.plant(root);
                    let (mut rng, before) = (Rng::at(key, 0, root as u64), found.len());
                    for _ in 0..count(root) {
                        if !walker.walk(&mut rng) {
                            found.truncate(before);
                            break;
                        }
                        reserve(&mut found, (2 * WINDOW + 1) * walker.path.len(), PAIRS)?;
                        take(walker, root, &mut found);
                    }
                    removed.extend_from_slice(&walker.newly_removed);
                }
                Ok((found, removed))
            },
        )
    }

    /// Mean loss of D's epochs.
    fn d_pass(&mut self, key: u64, progress: &Progress) -> Result<f64> {
        if self.params.d.epochs == 0 {
            return Ok(0.0);
        }
        let near = if self.params.published {
            Near::Removed
        } else {
            Near::LeftOut
        };
        let parts = self.walks(
            bits(key, D_WALKS, 0),
            near,
            progress,
            |root| self.graph.neighbours(root).len(),
            |walker, root, found: &mut Vec<Pair>| {
                found.push(Pair {
                    v: root as u32,
                    w: walker.path[walker.path.len() - 1],
                    value: 0.0,
                });
            },
        )?;
        let mut pairs = Vec::new();
        for (drawn, removed) in &parts {
            for same in drawn.chunk_by(|a, b| a.v == b.v) {
                reserve(&mut pairs, 2 * same.len(), PAIRS)?;
                let v = same[0].v;
                let real = self.graph.neighbours(v as usize).iter();
                pairs.extend(real.map(|&w| Pair {
                    v,
                    w: w as u32,
                    value: 1.0,
                }));
                pairs.extend_from_slice(same);
            }
            for &entry in removed {
                self.removed[entry] = 1;
            }
        }
        dispatch(PairPass {
            player: &mut self.d,
            pairs: &pairs,
            params: &self.params,
            is_d: true,
            key: bits(key, D_EPOCH, 0),
            progress,
        })
    }

    /// G's pass as published: the mean loss of a pair.
    fn pairs_pass(&mut self, key: u64, progress: &Progress) -> Result<f64> {
        if self.params.g.epochs == 0 {
            return Ok(0.0);
        }
        let parts = self.walks(
            bits(key, G_WALKS, 0),
            Near::Allowed,
            progress,
            |_| self.params.samples,
            |walker, _, found| {
                let path = &walker.path;
                for (at, &v) in path.iter().enumerate() {
                    for other in at.saturating_sub(WINDOW)..(at + WINDOW + 1).min(path.len()) {
                        if other != at {
                            let w = path[other];
                            let value = self.reward(v, w);
                            found.push(Pair { v, w, value });
                        }
                    }
                }
            },
        )?;
        let pairs = joined(&parts.into_iter().map(|p| p.0).collect::<Vec<_>>(), PAIRS)?;
        dispatch(PairPass {
            player: &mut self.g,
            pairs: &pairs,
            params: &self.params,
            is_d: false,
            key: bits(key, G_EPOCH, 0),
            progress,
        })
    }

    fn reward(&self, v: u32, w: u32) -> f32 {
        let d = &self.d.table;
        let s = score(d.row(v as usize), d.row(w as usize), d.width());
        logistic_loss(-s.clamp(-CUT, CUT)) as f32
    }

    /// G's pass by the graph softmax: minus the mean reward of a walk.
    fn softmax_pass(&mut self, key: u64, progress: &Progress) -> Result<f64> {
        let (mut reward, mut n_walks) = (0.0, 0);
        let n = self.graph.n_vertices();
        let mut roots = filled(n, 0u32, PAIRS)?;
        for epoch in 0..self.params.g.epochs as u64 {
            let key = bits(key, G_EPOCH, epoch);
            for (to, root) in roots.iter_mut().zip(0..) {
                *to = root;
            }
            shuffle(&mut roots, &mut Rng::at(key, ORDER, 0));
            for batch in roots.chunks(self.params.batch_size) {
                let parts = self.gradients(batch, bits(key, G_WALKS, 0), progress)?;
                let walks: usize = parts.iter().map(|p| p.walks).sum();
                if walks == 0 {
                    continue;
                }
                n_walks += walks;
                reward += parts.iter().map(|p| p.reward).sum::<f64>();
                for part in &parts {
                    progress.check()?;
                    let rows = 2 * part.gradients.len();
                    self.g.sums.reserve(rows)?;
                }
                dispatch(SoftmaxStep {
                    player: &mut self.g,
                    parts: &parts,
                    scale: 1.0 / walks as f32,
                    reg: self.params.g.reg as f32,
                })?;
            }
        }
        Ok(-reward / (n_walks as f64).max(1.0))
    }

    /// Of the roots of a batch, sums of the gradients of minus reward times `ln G` by pair.
    fn gradients(&self, roots: &[u32], key: u64, progress: &Progress) -> Result<Vec<Part>> {
        par_chunks(
            roots.len(),
            ROOTS,
            progress,
            || Walker::new(&self.graph, &self.g.table, &self.removed, Near::Allowed),
            |walker, range| {
                let mut part = Part::default();
                for &root in &roots[range] {
                    progress.advance(1)?;
                    walker.plant(root as usize);
                    let mut rng = Rng::at(key, 0, u64::from(root));
                    for _ in 0..self.params.samples {
                        if !walker.walk(&mut rng) {
                            break;
                        }
                        let end = walker.path[walker.path.len() - 1];
                        let reward = f64::from(self.reward(root, end));
                        part.reward += reward;
                        part.walks += 1;
                        for &(visit, choice) in &walker.steps {
                            walker.visits[visit as usize].total += reward;
                            walker.rewards[choice as usize] += reward;
                        }
                    }
                    reserve(&mut part.gradients, walker.choices.len(), PAIRS)?;
                    for visit in &walker.visits {
                        for choice in visit.choices.clone() {
                            let own = walker.rewards[choice];
                            part.gradients.push(Pair {
                                v: visit.vertex,
                                w: walker.choices[choice],
                                value: (visit.total * walker.shares[choice] - own) as f32,
                            });
                        }
                    }
                }
                Ok(part)
            },
        )
    }
}

/// What some roots add to the gradient of a batch.
#[derive(Debug, Default)]
struct Part {
    gradients: Vec<Pair>,
    reward: f64,
    walks: usize,
}

/// Epochs over pairs, in batches.
struct PairPass<'a> {
    player: &'a mut Adam,
    pairs: &'a [Pair],
    params: &'a GraphGanParams,
    is_d: bool,
    key: u64,
    progress: &'a Progress,
}

impl Kernel for PairPass<'_> {
    type Output = Result<f64>;

    #[inline(always)]
    fn call(self) -> Result<f64> {
        let Self {
            player,
            pairs,
            params,
            is_d,
            key,
            progress,
        } = self;
        let pass = if is_d { &params.d } else { &params.g };
        let size = params.batch_size;
        if pairs.is_empty() {
            return Ok(0.0);
        }
        if u32::try_from(pairs.len()).is_err() {
            return Err(Error::invalid(format!(
                "a pass has {} pairs, more than 2^32 - 1: lower samples",
                pairs.len()
            )));
        }
        player.sums.reserve(2 * size.min(pairs.len()))?;
        progress.start((pass.epochs * pairs.len()) as u64);
        // As published batches hold what follows one another, and only their order is random.
        let unit = if params.published { size } else { 1 };
        let mut order = filled(pairs.len().div_ceil(unit), 0u32, PAIRS)?;
        let (reg, mut loss) = (pass.reg as f32, 0.0);
        for epoch in 0..pass.epochs as u64 {
            for (to, place) in order.iter_mut().zip(0..) {
                *to = place;
            }
            shuffle(&mut order, &mut Rng::at(key, ORDER, epoch));
            for batch in order.chunks(size / unit) {
                let mut n = 0;
                for &place in batch {
                    let from = place as usize * unit;
                    n += (from + unit).min(pairs.len()) - from;
                }
                for &place in batch {
                    let from = place as usize * unit;
                    for pair in &pairs[from..(from + unit).min(pairs.len())] {
                        loss += add_pair(player, pair, is_d, 1.0 / n as f32, reg);
                    }
                }
                player.step()?;
                progress.advance(n as u64)?;
            }
        }
        player.settle();
        Ok(loss / (pass.epochs * pairs.len()) as f64)
    }
}

/// Add the gradient of a pair; its loss.
#[inline(always)]
fn add_pair(player: &mut Adam, pair: &Pair, is_d: bool, share: f32, reg: f32) -> f64 {
    let (v, w) = (pair.v as usize, pair.w as usize);
    player.catch_up(v);
    player.catch_up(w);
    let table = &player.table;
    let s = score(table.row(v), table.row(w), table.width());
    let (g, loss) = if is_d {
        let loss = logistic_loss(if pair.value > 0.0 { s } else { -s });
        (sigmoid(s) - pair.value, loss)
    } else {
        let p = sigmoid(s);
        let is_cut = p < LEAST;
        let g = if is_cut {
            0.0
        } else {
            -pair.value * sigmoid(-s)
        };
        let log = if is_cut {
            f64::from(LEAST.ln())
        } else {
            -logistic_loss(s)
        };
        (share * g, -f64::from(pair.value) * log)
    };
    add_gradient(player, v, w, g, reg, if is_d { reg } else { 0.0 });
    loss
}

/// Add the gradient of a score of derivative `g`, and penalties on its vectors and its bias.
#[inline(always)]
fn add_gradient(player: &mut Adam, v: usize, w: usize, g: f32, reg: f32, reg_bias: f32) {
    let Adam { table, sums, .. } = player;
    let bias = table.width() - 1;
    let (from_v, from_w) = (table.row(v), table.row(w));
    let to_v = sums.of(v);
    let kept = to_v[bias];
    for k in 0..to_v.len() {
        to_v[k] += g * from_w[k] + reg * from_v[k];
    }
    to_v[bias] = kept;
    let to_w = sums.of(w);
    let kept = to_w[bias];
    for k in 0..to_w.len() {
        to_w[k] += g * from_v[k] + reg * from_w[k];
    }
    to_w[bias] = kept + g + reg_bias * from_w[bias];
}

/// A step of G by the gradients of a batch of roots.
struct SoftmaxStep<'a> {
    player: &'a mut Adam,
    parts: &'a [Part],
    scale: f32,
    reg: f32,
}

impl Kernel for SoftmaxStep<'_> {
    type Output = Result<()>;

    #[inline(always)]
    fn call(self) -> Result<()> {
        let Self {
            player,
            parts,
            scale,
            reg,
        } = self;
        for part in parts {
            for pair in &part.gradients {
                let (v, w) = (pair.v as usize, pair.w as usize);
                add_gradient(player, v, w, scale * pair.value, 0.0, 0.0);
            }
        }
        let bias = player.table.width() - 1;
        let table = &player.table;
        for (row, sum) in player.sums.iter_mut() {
            let kept = sum[bias];
            for (to, from) in sum.iter_mut().zip(table.row(row)) {
                *to += reg * from;
            }
            sum[bias] = kept;
        }
        player.step()?;
        // The next walks look at any row.
        player.settle();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
