//! Lists from a product of sparse matrices: profiles and item weights, or neighbours and profiles.
//!
//! Users are scored side by side, one in each lane of a vector: a row of the weights is read once
//! for all of them and added under a mask of the users that have the item. Popular items, whose
//! rows are the long ones, are in many profiles, so that most of the work is shared. Targets are
//! taken tile by tile, for a few vectors of users one after the other, so that neither the scores
//! being added to nor the weights of the tile leave the second-level cache. Each lane adds its
//! terms in the order of the items, and a lane without the item adds zero: the bits are those of
//! one user alone. Profiles that hold much of the catalogue have a faster path on AVX-512, with the
//! same bits (`product_avx512`).
//!
//! Users that are few, have candidates of their own or reach little of the catalogue are scored one
//! by one (`product_alone`).
//!
//! Memory: a copy of the right side by tiles, 6 bytes a nonzero, and 4 bytes for each of its rows
//! and tile, which stays in the index; for a thousand users or more another copy, 8 bytes a
//! nonzero.

use std::array::from_fn;
use std::sync::OnceLock;

use super::alone::{alone_size, is_alone};
use super::batches::{rank_batches, row};
use super::group::{Group, LANES};
use super::product_alone::{Sums, visits};
#[cfg(target_arch = "x86_64")]
use super::product_avx512::MaskedProduct;
use super::request::{Lists, Request, check_users};
use super::select::Selector;
use crate::base::dispatch::{Kernel, dispatch};
use crate::base::memory::{collected, filled, with_room, zeros};
use crate::base::progress::is_small;
use crate::base::rows::ScratchPool;
use crate::base::{CsrView, Error, Progress, Result};

const WEIGHTS: &str = "weights by tiles";

/// Vectors of users that visit a tile in turn.
const GROUPS: usize = 8;
/// Targets of a tile at least: their scores (64 KiB) stay in the first two levels of the cache.
const TILE: usize = 512;
/// Most starts of tiles that are kept for all rows together (64 MiB); larger catalogues get wider
/// tiles, as far as 16 bits can count.
const MOST_STARTS: usize = 1 << 24;
/// Additions in the time of one multiplication of dense factors.
const SCATTERED: usize = 8;

/// What lists from a product need of its right side, made when it is first needed.
pub struct ProductIndex {
    tiles: OnceLock<Tiles>,
    sums: ScratchPool<Sums, fn() -> Result<Sums>>,
}

impl Default for ProductIndex {
    fn default() -> Self {
        Self {
            tiles: OnceLock::new(),
            sums: ScratchPool::new(|| Ok(Sums::default())),
        }
    }
}

impl ProductIndex {
    /// Lists from a product of sparse matrices: scores of user u are row u of `left` times `right`.
    ///
    /// With item weights W (rows are history items) left holds the profiles and right is W; with
    /// user neighbours left holds those of each user and right the profiles. Contributions are
    /// added in the order of the row of `left`, in f32. Items that it does not reach score zero and
    /// can fill a list. `right` must be the same in every call.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the shapes do not fit, [`Error::NonFinite`], `Cancelled`.
    pub fn rank(
        &self,
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
        let work = work(left, right, request);
        // Side by side, users cost the more the more items there are that none of them reaches.
        if is_alone(request) || work < request.users.len() * n_items {
            self.rank_alone(left, right, request, progress, work)
        } else {
            self.rank_together(left, right, request, progress)
        }
    }

    /// Whether [`rank`](Self::rank) takes no longer than starting a thread, and needs none.
    #[must_use]
    pub fn is_small(&self, left: CsrView, right: CsrView, request: &Request) -> bool {
        // What does not fit together is for `rank` to refuse.
        left.n_cols() == right.n_rows()
            && check_users(request, left.n_rows(), "left").is_ok()
            && is_alone(request)
            && is_small(work(left, right, request))
    }

    /// One user after the other.
    fn rank_alone(
        &self,
        left: CsrView,
        right: CsrView,
        request: &Request,
        progress: &Progress,
        work: usize,
    ) -> Result<Lists> {
        let n_columns = request.most_columns();
        rank_batches(
            request,
            progress,
            alone_size(request, work),
            |_| 0,
            || Selector::new(request.n, n_columns),
            |selector, positions, lists| {
                self.sums.with(|sums| {
                    for (nth, &at) in positions.iter().enumerate() {
                        progress.check()?;
                        sums.rank(left, right, request, at, selector)?;
                        let place = row(nth, request.n);
                        let (items, scores) = (&mut lists.items, &mut lists.scores);
                        selector.finish(&mut items[place.clone()], &mut scores[place]);
                    }
                    Ok(())
                })
            },
        )
    }

    fn rank_together(
        &self,
        left: CsrView,
        right: CsrView,
        request: &Request,
        progress: &Progress,
    ) -> Result<Lists> {
        let tiles = if let Some(tiles) = self.tiles.get() {
            tiles
        } else {
            let tiles = Tiles::new(right, progress)?;
            self.tiles.get_or_init(|| tiles)
        };
        let candidates = request.same_candidates();
        #[cfg(target_arch = "x86_64")]
        let masked = MaskedProduct::new(left, right, request, progress)?;
        let n_columns = request.most_columns();
        rank_batches(
            request,
            progress,
            GROUPS * LANES,
            |at| left.row_len(request.users[at] as usize),
            || Scratch::new(request, n_columns, tiles),
            |scratch, positions, lists| {
                let users: Vec<i64> = positions.iter().map(|&at| request.users[at]).collect();
                let groups = &mut scratch.groups[..users.len().div_ceil(LANES)];
                for (group, positions) in groups.iter_mut().zip(positions.chunks(LANES)) {
                    group.start(left, request, positions, &mut scratch.held)?;
                }
                #[cfg(target_arch = "x86_64")]
                if let Some(masked) = &masked {
                    masked.rank(left, right, &users, groups, progress)?;
                }
                for (group, users) in groups.iter_mut().zip(users.chunks(LANES)) {
                    if !group.is_done {
                        group.spread(left, users, &mut scratch.slot)?;
                    }
                }
                for tile in 0..tiles.n_tiles() {
                    progress.check()?;
                    for group in groups.iter_mut().filter(|group| !group.is_done) {
                        dispatch(Visit {
                            group,
                            scores: &mut scratch.scores,
                            tiles,
                            tile,
                            candidates,
                        });
                    }
                }
                let each = groups.iter_mut().zip(positions.chunks(LANES));
                for (nth, (group, positions)) in each.enumerate() {
                    group.finish(request, positions, nth * LANES, lists)?;
                }
                Ok(())
            },
        )
    }
}

/// Work for all users one by one, in multiplications of dense factors.
fn work(left: CsrView, right: CsrView, request: &Request) -> usize {
    let users = request.users.iter();
    SCATTERED
        * users
            .map(|&u| visits(left, right, u as usize))
            .sum::<usize>()
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
            starts: with_room(n_tiles.saturating_mul(n_rows + 1), WEIGHTS)?,
            bases: with_room(n_tiles, WEIGHTS)?,
            columns: with_room(right.nnz(), WEIGHTS)?,
            values: with_room(right.nnz(), WEIGHTS)?,
        };
        // How far each row has been copied.
        let mut copied = collected((0..n_rows).map(|i| right.range(i).start), WEIGHTS)?;
        for tile in 0..n_tiles {
            let (first, base) = (tile * width, tiles.columns.len());
            let end = first + width;
            tiles.bases.push(base);
            for (i, at) in copied.iter_mut().enumerate() {
                progress.check()?;
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

    fn n_tiles(&self) -> usize {
        self.bases.len()
    }

    /// Starts of the rows of `tile`, and all that stands behind its first row.
    #[inline(always)]
    fn tile_rows(&self, tile: usize) -> (&[u32], &[u16], &[f32]) {
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
    /// Where an item stands among those of the group, for those that do.
    slot: Vec<u32>,
    /// Scores of the targets of a tile.
    scores: Vec<[f32; LANES]>,
}

impl Scratch {
    fn new(request: &Request, n_columns: usize, tiles: &Tiles) -> Result<Self> {
        let groups = GROUPS.min(request.users.len().div_ceil(LANES));
        let groups = (0..groups).map(|_| Group::new(request, n_columns));
        Ok(Self {
            groups: groups.collect::<Result<_>>()?,
            held: zeros(tiles.n_rows.div_ceil(64), WEIGHTS)?,
            slot: zeros(tiles.n_rows, WEIGHTS)?,
            scores: filled(tiles.width.min(request.n_items), [0.0; LANES], WEIGHTS)?,
        })
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
        let (starts, columns, values) = tiles.tile_rows(self.tile);
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
                    group.offer(item as i32, sums);
                }
            }
            Some(candidates) => {
                let from = candidates.partition_point(|&i| (i as usize) < first);
                let to = candidates.partition_point(|&i| (i as usize) < end);
                for &item in &candidates[from..to] {
                    group.offer(item, &scores[item as usize - first]);
                }
            }
        }
    }
}
