//! Breadth-first trees of a graph, and walks in them by the graph softmax.
//!
//! Of a tree there are the fathers alone, and only as far as walks have come: the children of a
//! vertex are the neighbours whose father it is. Nothing is kept from one root to the next.

use crate::base::memory::{copied, filled, with_room};
use crate::base::rng::Rng;
use crate::base::{CsrView, Error, Result};
use crate::models::latent::{Table, dot};

const GRAPH: &str = "neighbours";
const TREE: &str = "trees";
const NONE: u32 = u32::MAX;

/// Neighbours by vertex, ascending.
#[derive(Debug)]
pub(super) struct Graph {
    starts: Vec<i64>,
    neighbours: Vec<i32>,
}

impl Graph {
    pub(super) fn new(adjacency: CsrView) -> Result<Self> {
        if adjacency.n_rows() != adjacency.n_cols() {
            return Err(Error::invalid(format!(
                "the adjacency matrix is {} x {}, not square",
                adjacency.n_rows(),
                adjacency.n_cols()
            )));
        }
        Ok(Self {
            starts: copied(adjacency.indptr(), GRAPH)?,
            neighbours: copied(adjacency.indices(), GRAPH)?,
        })
    }

    pub(super) fn n_vertices(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn n_entries(&self) -> usize {
        self.neighbours.len()
    }

    #[inline(always)]
    pub(super) fn neighbours(&self, vertex: usize) -> &[i32] {
        &self.neighbours[self.starts[vertex] as usize..self.starts[vertex + 1] as usize]
    }

    /// Where the neighbour `to` of `from` stands among all.
    fn entry(&self, from: usize, to: usize) -> Option<usize> {
        let place = self.neighbours(from).binary_search(&(to as i32)).ok()?;
        Some(self.starts[from] as usize + place)
    }
}

/// How walks for the discriminator avoid to end at a neighbour of the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Near {
    /// They may end there.
    Allowed,
    /// The graph softmax without the root's leaves, and without the root as a choice.
    LeftOut,
    /// As released: the root is no choice from the first such walk on, and a leaf ends all.
    Removed,
}

/// A vertex that walks from the present root came to.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) vertex: u32,
    /// Choices: the father, if a walk may end here, and the children.
    pub(super) choices: std::ops::Range<usize>,
    /// Sums of rewards of the walks that chose, by choice, and their total.
    pub(super) total: f64,
}

/// The tree of a root, as far as it is known, and its softmaxes.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    graph: &'a Graph,
    vectors: &'a Table,
    /// By entry of the graph: the root, a row, is no choice at its neighbour.
    removed: &'a [u8],
    near: Near,
    root: usize,
    father: Vec<u32>,
    /// In the queue.
    place: Vec<u32>,
    queue: Vec<u32>,
    expanded: usize,
    slot: Vec<u32>,
    pub(super) visits: Vec<Visit>,
    pub(super) choices: Vec<u32>,
    /// Probabilities by choice, and their sums within a vertex.
    pub(super) shares: Vec<f64>,
    sums: Vec<f64>,
    /// Rewards by choice.
    pub(super) rewards: Vec<f64>,
    /// The last walk, from the root to where it ended.
    pub(super) path: Vec<u32>,
    /// Visits and choices of the last walk.
    pub(super) steps: Vec<(u32, u32)>,
    /// Entries at which the root has been removed.
    pub(super) newly_removed: Vec<usize>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(
        graph: &'a Graph,
        vectors: &'a Table,
        removed: &'a [u8],
        near: Near,
    ) -> Result<Self> {
        let n = graph.n_vertices();
        Ok(Self {
            graph,
            vectors,
            removed,
            near,
            root: 0,
            father: filled(n, NONE, TREE)?,
            place: filled(n, NONE, TREE)?,
            queue: with_room(n, TREE)?,
            expanded: 0,
            slot: filled(n, NONE, TREE)?,
            visits: Vec::new(),
            choices: Vec::new(),
            shares: Vec::new(),
            sums: Vec::new(),
            rewards: Vec::new(),
            path: Vec::new(),
            steps: Vec::new(),
            newly_removed: Vec::new(),
        })
    }

    /// Begin with another root.
    pub(super) fn plant(&mut self, root: usize) {
        for &vertex in &self.queue {
            self.father[vertex as usize] = NONE;
            self.place[vertex as usize] = NONE;
        }
        for visit in &self.visits {
            self.slot[visit.vertex as usize] = NONE;
        }
        self.queue.clear();
        self.visits.clear();
        self.choices.clear();
        self.shares.clear();
        self.sums.clear();
        self.rewards.clear();
        self.newly_removed.clear();
        self.root = root;
        self.expanded = 0;
        self.father[root] = root as u32;
        self.place[root] = 0;
        self.queue.push(root as u32);
    }

    /// Find the children of all vertices up to this one, which has been found.
    fn expand(&mut self, vertex: usize) {
        let last = self.place[vertex] as usize;
        while self.expanded <= last {
            let from = self.queue[self.expanded];
            for &to in self.graph.neighbours(from as usize) {
                let to = to as usize;
                if self.father[to] == NONE {
                    self.father[to] = from;
                    self.place[to] = self.queue.len() as u32;
                    self.queue.push(to as u32);
                }
            }
            self.expanded += 1;
        }
    }

    /// Find the children of a vertex, unless that would be of more vertices than it has neighbours:
    /// then `is_child` looks at the neighbours' neighbours instead.
    fn approach(&mut self, vertex: usize) {
        let ahead = (self.place[vertex] as usize + 1).saturating_sub(self.expanded);
        if ahead <= self.graph.neighbours(vertex).len() {
            self.expand(vertex);
        }
    }

    /// Whether the father of `vertex` is its neighbour `of`, which has been found. One that has not
    /// been found yet will be by the first of its neighbours in the queue.
    fn is_child(&self, vertex: usize, of: usize) -> bool {
        match self.father[vertex] {
            NONE => {
                let neighbours = self.graph.neighbours(vertex);
                !neighbours
                    .iter()
                    .any(|&w| self.place[w as usize] < self.place[of])
            }
            father => father == of as u32 && vertex != self.root,
        }
    }

    fn has_children(&mut self, vertex: usize) -> bool {
        self.approach(vertex);
        let neighbours = self.graph.neighbours(vertex);
        neighbours
            .iter()
            .any(|&w| self.is_child(w as usize, vertex))
    }

    /// The number of the vertex among `visits`, its softmax being made when it is new; None if a
    /// walk of this kind cannot go on from it.
    fn visit(&mut self, vertex: usize) -> Option<usize> {
        if self.slot[vertex] != NONE {
            return Some(self.slot[vertex] as usize);
        }
        self.approach(vertex);
        let from = self.choices.len();
        let is_near = vertex != self.root && self.father[vertex] == self.root as u32;
        let graph = self.graph;
        if vertex != self.root {
            let entry = graph.entry(self.root, vertex).filter(|_| is_near);
            let is_removed = entry.is_some_and(|e| self.removed[e] != 0);
            if !is_near || (self.near == Near::Allowed && !is_removed) {
                self.choices.push(self.father[vertex]);
            } else if let (Near::Removed, false, Some(entry)) = (self.near, is_removed, entry)
                && self.has_children(vertex)
            {
                self.newly_removed.push(entry);
            }
        }
        for &to in graph.neighbours(vertex) {
            let to = to as usize;
            let is_choice = self.is_child(to, vertex)
                && (self.near != Near::LeftOut || vertex != self.root || self.has_children(to));
            if is_choice {
                self.choices.push(to as u32);
            }
        }
        if self.choices.len() == from {
            return None;
        }
        self.fill(vertex, from);
        self.slot[vertex] = self.visits.len() as u32;
        self.visits.push(Visit {
            vertex: vertex as u32,
            choices: from..self.choices.len(),
            total: 0.0,
        });
        Some(self.visits.len() - 1)
    }

    /// Softmax over the last choices.
    fn fill(&mut self, vertex: usize, from: usize) {
        let row = self.vectors.row(vertex);
        let mut most = f64::NEG_INFINITY;
        for &to in &self.choices[from..] {
            let score = score(row, self.vectors.row(to as usize), self.vectors.width());
            most = most.max(f64::from(score));
            self.shares.push(f64::from(score));
        }
        let mut sum = 0.0;
        for share in &mut self.shares[from..] {
            *share = (*share - most).exp();
            sum += *share;
        }
        let mut so_far = 0.0;
        for share in &mut self.shares[from..] {
            *share /= sum;
            so_far += *share;
            self.sums.push(so_far);
            self.rewards.push(0.0);
        }
    }

    /// Walk from the root until the next vertex would be the one before; `path` ends where the
    /// walk does. False if there is no such walk.
    pub(super) fn walk(&mut self, rng: &mut Rng) -> bool {
        self.path.clear();
        self.steps.clear();
        let (mut vertex, mut before) = (self.root, NONE);
        loop {
            self.path.push(vertex as u32);
            let Some(visit) = self.visit(vertex) else {
                return false;
            };
            let range = self.visits[visit].choices.clone();
            let sums = &self.sums[range.clone()];
            let uniform = rng.unit() * sums[sums.len() - 1];
            let chosen = sums.partition_point(|&sum| sum <= uniform);
            let chosen = range.start + chosen.min(sums.len() - 1);
            self.steps.push((visit as u32, chosen as u32));
            let next = self.choices[chosen];
            if next == before {
                return true;
            }
            if self.father[next as usize] == NONE {
                self.expand(vertex);
            }
            before = vertex as u32;
            vertex = next as usize;
        }
    }
}

/// `g_v . g_w + b_w`; rows end with the bias.
#[inline(always)]
pub(super) fn score(v: &[f32], w: &[f32], width: usize) -> f32 {
    dot(v, w) + w[width - 1] * (1.0 - v[width - 1])
}
