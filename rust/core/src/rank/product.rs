//! Lists from a product of sparse matrices: profiles and item weights, or neighbours and profiles.
//!
//! Users are scored side by side, one in each lane of a vector: a row of the weights is read once
//! for all of them and added under a mask of who has the item. Popular items, whose rows are the
//! long ones, are in many profiles, so that most of the work is shared. Targets are taken tile by
//! tile, for a few vectors of users one after the other, so that neither the scores being added to
//! nor the weights of the tile leave the second-level cache. Each lane adds its terms
//! in the order of the items, and a lane without the item adds zero: the bits are those of one user
//! alone. Profiles that hold much of the catalogue have a faster way where the processor allows it,
//! with the same bits ([`super::masked`]).
//!
//! Memory: a copy of the right side by tiles, 6 bytes a cell, and 4 bytes for each of its rows and tile;
//! for a thousand users or more another copy, 8 bytes a cell.

use std::array::from_fn;

use super::batches::{rank_batches, row};
use super::masked::{Held, Masked, TOGETHER};
use super::select::Lanes;
use super::{Lists, Request, check_users, not_finite};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::simd::{Kernel, widest};
use crate::sparse::CsrView;

/// Users side by side: two AVX-512 registers. More of them share more rows.
pub(super) const LANES: usize = 32;
/// Vectors of users that visit a tile in turn.
const GROUPS: usize = 8;
/// Targets of a tile at least: their scores (64 KiB) stay in the first two levels of the cache.
const TILE: usize = 512;
/// Most starts of tiles that are kept for all rows together (64 MiB); larger catalogues get wider
/// tiles, as far as 16 bits can count.
const MOST_STARTS: usize = 1 << 24;

/// Lists from a product of sparse matrices: the scores of user u are row u of `left` times `right`.
///
/// With item weights W (rows are history items) left holds the profiles and right is W; with user
/// neighbours left holds those of each user and right the profiles. Contributions are added in the
/// order of the row of `left`, in f32. Items that it does not reach score zero and can fill a list.
///
/// # Errors
/// [`Error::InvalidArgument`] if the shapes do not fit, [`Error::NonFinite`], `Cancelled`.
pub fn rank_product(
    left: CsrView,
    right: CsrView,
    request: &Request,
    progress: &Progress,
) -> Result<Lists> {
    let n_items = request.n_items;
    if left.n_cols() != right.n_rows() || right.n_cols() != n_items {
        return Err(Error::invalid(format!(
            "left is {} x {} and right {} x {}, but there are {n_items} items",
            left.n_rows(),
            left.n_cols(),
            right.n_rows(),
            right.n_cols()
        )));
    }
    check_users(request, left.n_rows(), "left")?;
    let tiles = Tiles::new(right, progress)?;
    let masked = Masked::new(left, right, request);
    let n_columns = request.columns().len;
    rank_batches(
        request,
        progress,
        GROUPS * LANES,
        |at| left.row_len(request.users[at] as usize),
        || Scratch::new(request, n_columns, &tiles),
        |scratch, positions, lists| {
            let users: Vec<i64> = positions.iter().map(|&at| request.users[at]).collect();
            let groups = &mut scratch.groups[..users.len().div_ceil(LANES)];
            for (group, users) in groups.iter_mut().zip(users.chunks(LANES)) {
                group.start(left, request, users, &mut scratch.held);
            }
            if let Some(masked) = &masked {
                for (groups, users) in groups
                    .chunks_mut(TOGETHER)
                    .zip(users.chunks(TOGETHER * LANES))
                {
                    let visits = groups.iter().map(|group| group.n_visits(right)).sum();
                    if masked.pays(visits) {
                        masked.rank(left, users, groups, &mut scratch.holders, progress)?;
                        for group in groups {
                            group.is_done = true;
                        }
                    }
                }
            }
            for (group, users) in groups.iter_mut().zip(users.chunks(LANES)) {
                if !group.is_done {
                    group.spread(left, users, &mut scratch.slot);
                }
            }
            for tile in 0..tiles.n() {
                progress.check()?;
                for group in groups.iter_mut().filter(|group| !group.is_done) {
                    widest(Visit {
                        group,
                        scores: &mut scratch.scores,
                        tiles: &tiles,
                        tile,
                        candidates: request.candidates,
                    });
                }
            }
            for (nth, (group, users)) in groups.iter_mut().zip(users.chunks(LANES)).enumerate() {
                group.finish(request, users, nth * LANES, lists)?;
            }
            Ok(())
        },
    )
}

/// The right side by tiles of targets, and by rows within a tile.
struct Tiles {
    n_rows: usize,
    n_items: usize,
    width: usize,
    /// Where each row of each tile starts, and where the last one ends.
    starts: Vec<u32>,
    /// Where each tile starts.
    bases: Vec<usize>,
    /// Target within the tile.
    columns: Vec<u16>,
    values: Vec<f32>,
}

impl Tiles {
    fn new(right: CsrView, progress: &Progress) -> Result<Self> {
        let (n_rows, n_items) = (right.n_rows(), right.n_cols());
        let width = (n_rows * n_items / MOST_STARTS).clamp(TILE, 1 << 16);
        let n_tiles = n_items.div_ceil(width);
        let mut tiles = Self {
            n_rows,
            n_items,
            width,
            starts: Vec::with_capacity(n_tiles * (n_rows + 1)),
            bases: Vec::with_capacity(n_tiles),
            columns: Vec::with_capacity(right.nnz()),
            values: Vec::with_capacity(right.nnz()),
        };
        // How far each row has been copied.
        let mut copied: Vec<usize> = (0..n_rows).map(|i| right.range(i).start).collect();
        for tile in 0..n_tiles {
            progress.check()?;
            let (first, base) = (tile * width, tiles.columns.len());
            let end = first + width;
            tiles.bases.push(base);
            for (i, at) in copied.iter_mut().enumerate() {
                tiles.starts.push((tiles.columns.len() - base) as u32);
                let rest = &right.indices()[*at..right.range(i).end];
                let count = rest.iter().take_while(|&&j| (j as usize) < end).count();
                let within = rest[..count].iter().map(|&j| (j as usize - first) as u16);
                tiles.columns.extend(within);
                match right.values() {
                    Some(values) => tiles.values.extend_from_slice(&values[*at..*at + count]),
                    None => tiles.values.extend(std::iter::repeat_n(1.0, count)),
                }
                *at += count;
            }
            tiles.starts.push((tiles.columns.len() - base) as u32);
        }
        Ok(tiles)
    }

    fn n(&self) -> usize {
        self.bases.len()
    }

    /// Starts of the rows of `tile`, and all that stands behind its first row.
    #[inline(always)]
    fn of(&self, tile: usize) -> (&[u32], &[u16], &[f32]) {
        let lines = self.n_rows + 1;
        let base = self.bases[tile];
        let starts = &self.starts[tile * lines..(tile + 1) * lines];
        (starts, &self.columns[base..], &self.values[base..])
    }
}

/// The memory of one worker.
struct Scratch {
    groups: Vec<Group>,
    /// One bit for each item that a profile of a group holds; zero between groups.
    held: Vec<u64>,
    /// Who has an item, for groups scored together.
    holders: Vec<Held>,
    /// Where an item stands among those of the group, for those that do.
    slot: Vec<u32>,
    /// Scores of the targets of a tile.
    scores: Vec<[f32; LANES]>,
}

impl Scratch {
    fn new(request: &Request, n_columns: usize, tiles: &Tiles) -> Self {
        Self {
            groups: (0..GROUPS)
                .map(|_| Group::new(request, n_columns))
                .collect(),
            held: vec![0; tiles.n_rows.div_ceil(64)],
            holders: vec![Held::default(); tiles.n_rows],
            slot: vec![0; tiles.n_rows],
            scores: vec![[0.0; LANES]; tiles.width.min(request.n_items)],
        }
    }
}

/// Users side by side.
pub(super) struct Group {
    /// Items that a profile of the group holds, ascending, and what each lane has of them.
    items: Vec<u32>,
    profile: Vec<[f32; LANES]>,
    /// One bit a lane for each item that is left out; zero between batches.
    seen: Vec<u32>,
    /// Stays zero while every score is finite.
    zeros: [f32; LANES],
    lanes: Lanes<LANES>,
    /// Whether all targets have been scored.
    is_done: bool,
}

impl Group {
    fn new(request: &Request, n_columns: usize) -> Self {
        Self {
            items: Vec::new(),
            profile: Vec::new(),
            seen: vec![0; request.n_items],
            zeros: [0.0; LANES],
            lanes: Lanes::new(request.n, n_columns),
            is_done: false,
        }
    }

    /// Begin with `users`: which items they hold, and which are left out.
    fn start(&mut self, left: CsrView, request: &Request, users: &[i64], held: &mut [u64]) {
        for (lane, &user) in users.iter().enumerate() {
            for &i in left.cols(user as usize) {
                held[i as usize / 64] |= 1 << (i % 64);
            }
            for &item in request.seen_by(user as usize) {
                self.seen[item as usize] |= 1 << lane;
            }
        }
        self.items.clear();
        for (word, held) in held.iter_mut().enumerate() {
            while *held != 0 {
                self.items.push((64 * word) as u32 + held.trailing_zeros());
                *held &= *held - 1;
            }
        }
        self.zeros = [0.0; LANES];
        self.lanes.start(users.len());
        self.is_done = false;
    }

    /// Weights in the rows of the items held.
    fn n_visits(&self, right: CsrView) -> usize {
        let lengths = self.items.iter().map(|&i| right.row_len(i as usize));
        lengths.sum()
    }

    /// Put the profiles side by side.
    fn spread(&mut self, left: CsrView, users: &[i64], slot: &mut [u32]) {
        for (nth, &i) in self.items.iter().enumerate() {
            slot[i as usize] = nth as u32;
        }
        self.profile.clear();
        self.profile.resize(self.items.len(), [0.0; LANES]);
        for (lane, &user) in users.iter().enumerate() {
            for (i, x) in left.row(user as usize) {
                self.profile[slot[i] as usize][lane] = x;
            }
        }
    }

    /// Take the scores of the next target.
    #[inline(always)]
    pub(super) fn take(&mut self, item: i32, scores: &[f32; LANES]) {
        let zeros = self.zeros;
        self.zeros = from_fn(|l| zeros[l] + scores[l] * 0.0);
        let seen = &self.seen;
        self.lanes
            .take::<true>(item, scores, || seen[item as usize]);
    }

    /// Write the lists of the group, whose users stand from `first` on.
    fn finish(
        &mut self,
        request: &Request,
        users: &[i64],
        first: usize,
        lists: &mut Lists,
    ) -> Result<()> {
        if let Some(lane) = self.zeros.iter().position(|&z| z != 0.0) {
            return Err(not_finite(users[lane]));
        }
        for (lane, &user) in users.iter().enumerate() {
            let at = row(first + lane, request.n);
            let (items, scores) = (&mut lists.items, &mut lists.scores);
            self.lanes
                .finish(lane, &mut items[at.clone()], &mut scores[at]);
            for &item in request.seen_by(user as usize) {
                self.seen[item as usize] = 0;
            }
        }
        Ok(())
    }
}

/// Score the targets of a tile for the users of a group, and take the best.
struct Visit<'a> {
    group: &'a mut Group,
    scores: &'a mut [[f32; LANES]],
    tiles: &'a Tiles,
    tile: usize,
    candidates: Option<&'a [i32]>,
}

impl Kernel for Visit<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { group, tiles, .. } = self;
        let first = self.tile * tiles.width;
        let end = (first + tiles.width).min(tiles.n_items);
        let scores = &mut self.scores[..end - first];
        scores.fill([0.0; LANES]);
        let (starts, columns, values) = tiles.of(self.tile);
        for (&i, x) in group.items.iter().zip(&group.profile) {
            let range = starts[i as usize] as usize..starts[i as usize + 1] as usize;
            let x = *x;
            for (&j, &w) in columns[range.clone()].iter().zip(&values[range]) {
                // Values, not places, so that the compiler sees that nothing overlaps.
                let sums = scores[j as usize];
                scores[j as usize] = from_fn(|l| sums[l] + x[l] * w);
            }
        }
        match self.candidates {
            None => {
                for (item, sums) in (first..end).zip(&*scores) {
                    group.take(item as i32, sums);
                }
            }
            Some(candidates) => {
                let from = candidates.partition_point(|&i| (i as usize) < first);
                let to = candidates.partition_point(|&i| (i as usize) < end);
                for &item in &candidates[from..to] {
                    group.take(item, &scores[item as usize - first]);
                }
            }
        }
    }
}
