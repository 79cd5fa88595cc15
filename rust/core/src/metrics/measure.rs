//! All lists: checked, measured in parallel, summed exactly.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::fixed_point::fixed;
use super::list::{Discounts, Walk};
use super::metric::Metric;
use crate::base::memory::{collected, copied, filled, reserve, with_room, zeros};
use crate::base::rows::ScratchPool;
use crate::base::{CsrView, Error, Progress, Result};

const FIGURES: &str = "figures of the lists";
const COUNTS: &str = "counts of listed items";
const LISTS: &str = "places of a list";

/// Lists per unit of parallel work.
const CHUNK: usize = 512;

/// What to compute for a set of lists.
#[derive(Debug, Clone, Copy)]
pub struct MetricsRequest<'a> {
    /// Metrics of every list.
    pub metrics: &'a [Metric],
    /// Lengths at which lists are cut, in any order.
    pub cutoffs: &'a [usize],
    /// Behind [`Metric::Novelty`] and [`Metric::AveragePopularity`].
    pub popularity: Option<&'a Popularity>,
    /// Keep the values of every list, not only their sums.
    pub keep: bool,
    /// Count how often each item is listed.
    pub count: bool,
}

/// How surprising and how popular each item is.
#[derive(Debug, Clone, PartialEq)]
pub struct Popularity {
    /// `(-log2(share of all interactions) / items, users / most users)` of each item; zeros for an
    /// item without users.
    of_item: Vec<(f64, f64)>,
}

impl Popularity {
    /// From the training matrix, every cell counting as one.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn new(train: CsrView<'_>) -> Result<Self> {
        let counts = train.col_counts()?;
        let most = f64::from(counts.iter().copied().max().unwrap_or(0));
        let (all, items) = (train.nnz() as f64, counts.len() as f64);
        let of_item = counts.into_iter().map(|users| match f64::from(users) {
            0.0 => (0.0, 0.0),
            users => (-(users / all).log2() / items, users / most),
        });
        Ok(Self {
            of_item: collected(of_item, "popularities of the items")?,
        })
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// `(metric, cutoff, list)`, if kept.
    pub per_list: Option<Array3<f64>>,
    /// Sum over lists of every metric at every cutoff, cutoffs innermost, in multiples of 2^-80.
    pub sums: Vec<i128>,
    /// How often each item stands in the first `cutoff` places: `(cutoff, item)`, if counted.
    pub counts: Option<Array2<i64>>,
    /// Measured lists that hold an item.
    pub filled: usize,
}

/// Measure the lists `items`; row `l` belongs to `users[l]`, a row of `test`, and ends with any
/// number of -1. Lists of users without a test item are checked but not measured: their values are
/// NaN, and no sum or count includes them.
///
/// # Errors
/// [`Error::InvalidArgument`] if `users` and `items` differ in length; a cutoff is 0, given twice
/// or above the width of the lists, or there is none; a user is out of range; a list holds an item
/// that is out of range, an item twice, or an item after a -1; a metric needs a popularity that is
/// missing or of another catalogue. [`Error::Cancelled`].
pub fn measure(
    items: ArrayView2<'_, i32>,
    test: CsrView<'_>,
    users: &[i64],
    request: MetricsRequest<'_>,
    progress: &Progress,
) -> Result<Measured> {
    let (n_lists, width) = items.dim();
    let order = check(items, test, users, request)?;
    let (n_metrics, n_cutoffs) = (request.metrics.len(), request.cutoffs.len());
    let n_figures = n_metrics * n_cutoffs;
    let shared = Shared {
        items,
        test,
        users,
        request,
        order: &order,
        discounts: Discounts::new(width)?,
        graded: request.metrics.contains(&Metric::NdcgGraded) && test.values().is_some(),
    };

    let n_kept = if request.keep { n_figures } else { 0 };
    let mut per_list = zeros::<f64>(n_kept.saturating_mul(n_lists), FIGURES)?;
    let n_chunks = n_lists.div_ceil(CHUNK);
    let mut outputs: Vec<Vec<&mut [f64]>> = with_room(n_chunks, FIGURES)?;
    for _ in 0..n_chunks {
        outputs.push(with_room(n_kept, FIGURES)?);
    }
    if n_lists > 0 {
        for of_figure in per_list.chunks_mut(n_lists) {
            for (chunk, piece) in of_figure.chunks_mut(CHUNK).enumerate() {
                outputs[chunk].push(piece);
            }
        }
    }
    progress.start(n_lists as u64);
    let pool = ScratchPool::new(|| Scratch::new(&shared));
    let parts: Vec<Result<(Vec<i128>, usize)>> = outputs
        .into_par_iter()
        .with_max_len(1)
        .enumerate()
        .map(|(chunk, mut out)| {
            progress.check()?;
            let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(n_lists);
            let done = pool.with(|scratch| shared.chunk(scratch, range.clone(), &mut out))?;
            progress.advance(range.len() as u64)?;
            Ok(done)
        })
        .collect();

    let mut sums = zeros::<i128>(n_figures, FIGURES)?;
    let mut filled = 0;
    for part in parts {
        let (of_chunk, there) = part?;
        filled += there;
        for (sum, more) in sums.iter_mut().zip(of_chunk) {
            *sum += more;
        }
    }
    let counts = if request.count {
        let tallies: Vec<Vec<u32>> = pool.into_free().into_iter().map(|s| s.counts).collect();
        Some(add_up(&tallies, &order, test.n_cols())?)
    } else {
        None
    };
    let shape = (n_metrics, n_cutoffs, n_lists);
    let per_list = request
        .keep
        .then(|| Array3::from_shape_vec(shape, per_list).expect("one value a figure and list"));
    Ok(Measured {
        per_list,
        sums,
        counts,
        filled,
    })
}

/// Everything that can be refused before the first list is read; positions of ascending cutoffs.
fn check(
    items: ArrayView2<'_, i32>,
    test: CsrView<'_>,
    users: &[i64],
    request: MetricsRequest<'_>,
) -> Result<Vec<usize>> {
    let (n_lists, width) = items.dim();
    if users.len() != n_lists {
        return Err(Error::invalid(format!(
            "users has {} entries but items has {n_lists} lists",
            users.len()
        )));
    }
    if n_lists as u128 * width as u128 >= 1 << 46 || n_lists.max(width) >= 1 << 30 {
        return Err(Error::invalid(format!(
            "items has {n_lists} lists of {width} places, more than can be summed exactly at once"
        )));
    }
    if request.metrics.iter().any(|m| m.needs_popularity()) {
        match request.popularity {
            None => {
                return Err(Error::invalid(
                    "novelty and average_popularity need train, which is missing",
                ));
            }
            Some(p) if p.of_item.len() != test.n_cols() => {
                return Err(Error::invalid(format!(
                    "train has {} items but test has {}",
                    p.of_item.len(),
                    test.n_cols()
                )));
            }
            Some(_) => {}
        }
    }
    ascending(request.cutoffs, width)
}

fn ascending(cutoffs: &[usize], width: usize) -> Result<Vec<usize>> {
    if cutoffs.is_empty() {
        return Err(Error::invalid("cutoffs is empty; it needs one at least"));
    }
    let mut order = collected(0..cutoffs.len(), FIGURES)?;
    order.sort_by_key(|&at| cutoffs[at]);
    for (nth, &at) in order.iter().enumerate() {
        let cutoff = cutoffs[at];
        if cutoff == 0 || cutoff > width {
            return Err(Error::invalid(format!(
                "cutoff {cutoff} is outside 1..={width}, the width of the lists"
            )));
        }
        if nth > 0 && cutoffs[order[nth - 1]] == cutoff {
            return Err(Error::invalid(format!("cutoff {cutoff} is given twice")));
        }
    }
    Ok(order)
}

/// What all chunks look at.
struct Shared<'a> {
    items: ArrayView2<'a, i32>,
    test: CsrView<'a>,
    users: &'a [i64],
    request: MetricsRequest<'a>,
    /// Positions of the cutoffs by ascending cutoff.
    order: &'a [usize],
    discounts: Discounts,
    /// Whether test values matter.
    graded: bool,
}

/// What a worker carries from list to list.
struct Scratch {
    /// The current list: a copy, since what was checked must be what is read.
    row: Vec<i32>,
    /// `first + place` of each item of the current list; less than `first` of any other item.
    stamps: Vec<u32>,
    first: u32,
    /// `counts[at * items + item]`: lists that hold the item behind the next smaller cutoff.
    counts: Vec<u32>,
    /// Places of hits, ascending once sorted; beyond `n_hits` there is rubbish.
    places: Vec<u32>,
    n_hits: usize,
    /// Test value at each place, where values matter; of places without a hit there is rubbish.
    values: Vec<f32>,
    best: Vec<f32>,
    /// Sums of surprise and popularity at each cutoff.
    beyond: Vec<(f64, f64)>,
}

impl Scratch {
    fn new(shared: &Shared<'_>) -> Result<Self> {
        let (n_items, n_cutoffs) = (shared.test.n_cols(), shared.request.cutoffs.len());
        let width = shared.items.ncols();
        let n_counted = if shared.request.count { n_cutoffs } else { 0 };
        Ok(Self {
            row: with_room(width, LISTS)?,
            stamps: zeros(n_items, COUNTS)?,
            first: 1,
            counts: zeros(n_counted.saturating_mul(n_items), COUNTS)?,
            places: zeros(width + 1, LISTS)?,
            n_hits: 0,
            values: filled(if shared.graded { width } else { 0 }, 1.0, LISTS)?,
            best: Vec::new(),
            beyond: zeros(n_cutoffs, LISTS)?,
        })
    }

    /// Note where each item of a list stands; how many places are filled.
    fn stamp(&mut self, list: usize) -> Result<usize> {
        self.next_list(self.row.len());
        let (first, stamps, row) = (self.first, &mut self.stamps, &self.row);
        for (place, &item) in row.iter().enumerate() {
            let Some(stamp) = usize::try_from(item).ok().and_then(|i| stamps.get_mut(i)) else {
                if item != -1 {
                    let n = stamps.len();
                    return Err(bad_list(
                        list,
                        &format!("holds item {item}, outside 0..{n}"),
                    ));
                }
                let Some(late) = row[place..].iter().position(|&i| i != -1) else {
                    return Ok(place);
                };
                let (place, item) = (place + late, row[place + late]);
                let problem = format!("holds item {item} at place {place}, after a -1");
                return Err(bad_list(list, &problem));
            };
            if *stamp >= first {
                return Err(bad_list(list, &format!("holds item {item} twice")));
            }
            *stamp = first + place as u32;
        }
        Ok(row.len())
    }

    /// Forget the current list, which is as quick as counting on, once in a few billion places.
    fn next_list(&mut self, width: usize) {
        let width = width as u32;
        if self.first < u32::MAX - 2 * width {
            self.first += width;
        } else {
            self.stamps.fill(0);
            self.first = 1;
        }
    }
}

impl Shared<'_> {
    /// Sums of a chunk of lists, and how many of them hold an item.
    fn chunk(
        &self,
        scratch: &mut Scratch,
        range: Range<usize>,
        out: &mut [&mut [f64]],
    ) -> Result<(Vec<i128>, usize)> {
        let n_cutoffs = self.request.cutoffs.len();
        let mut sums = zeros(self.request.metrics.len() * n_cutoffs, FIGURES)?;
        let mut n_filled = 0;
        for (slot, list) in range.enumerate() {
            let user = self.user(list)?;
            let n_test = self.test.row_len(user);
            scratch.row.clear();
            scratch.row.extend(self.items.row(list).iter().copied());
            let filled = scratch.stamp(list)?;
            if n_test == 0 {
                for of_figure in out.iter_mut() {
                    of_figure[slot] = f64::NAN;
                }
                continue;
            }
            n_filled += usize::from(filled > 0);
            self.count(scratch, filled);
            self.find_hits(scratch, user)?;
            let mut walk = Walk::new(n_test, &scratch.best, &self.discounts);
            let mut next = 0;
            for &at in self.order {
                let cutoff = self.request.cutoffs[at];
                while next < scratch.n_hits && (scratch.places[next] as usize) < cutoff {
                    let place = scratch.places[next] as usize;
                    walk.add(place, scratch.values.get(place).copied().unwrap_or(1.0));
                    next += 1;
                }
                let reached = filled.min(cutoff);
                for (metric, &what) in self.request.metrics.iter().enumerate() {
                    let value = match what {
                        _ if reached == 0 => 0.0,
                        Metric::Novelty => scratch.beyond[at].0,
                        Metric::AveragePopularity => scratch.beyond[at].1 / reached as f64,
                        _ if walk.nothing_found() => 0.0,
                        _ => walk.value(what, reached, cutoff),
                    };
                    let figure = metric * n_cutoffs + at;
                    sums[figure] += fixed(value);
                    if let Some(of_figure) = out.get_mut(figure) {
                        of_figure[slot] = value;
                    }
                }
            }
        }
        Ok((sums, n_filled))
    }

    fn user(&self, list: usize) -> Result<usize> {
        let (user, n_users) = (self.users[list], self.test.n_rows());
        usize::try_from(user)
            .ok()
            .filter(|&u| u < n_users)
            .ok_or_else(|| Error::invalid(format!("users[{list}] is {user}, outside 0..{n_users}")))
    }

    /// Count the items of a list, and add up how surprising and how popular they are.
    fn count(&self, scratch: &mut Scratch, filled: usize) {
        let n_items = self.test.n_cols();
        let row = &scratch.row[..filled];
        if self.request.count {
            let mut start = 0;
            for &at in self.order {
                let end = self.request.cutoffs[at].min(filled);
                let of_cutoff = &mut scratch.counts[at * n_items..(at + 1) * n_items];
                for &item in &row[start..end] {
                    of_cutoff[item as usize] += 1;
                }
                start = end;
            }
        }
        if let Some(popularity) = self.request.popularity {
            let (mut surprise, mut popular, mut start) = (0.0, 0.0, 0);
            for &at in self.order {
                let end = self.request.cutoffs[at].min(filled);
                for &item in &row[start..end] {
                    let (s, p) = popularity.of_item[item as usize];
                    surprise += s;
                    popular += p;
                }
                start = end;
                scratch.beyond[at] = (surprise, popular);
            }
        }
    }

    /// The places of hits, and the best values that hits could have.
    fn find_hits(&self, scratch: &mut Scratch, user: usize) -> Result<()> {
        let (first, stamps) = (scratch.first, &scratch.stamps);
        let mut n_hits = 0;
        // Every item is written down, and only a hit moves on: hits are too irregular to guess.
        for &item in self.test.cols(user) {
            let stamp = stamps[item as usize];
            scratch.places[n_hits] = stamp.wrapping_sub(first);
            n_hits += usize::from(stamp >= first);
        }
        scratch.n_hits = n_hits;
        scratch.best.clear();
        if let Some(values) = self.test.values().filter(|_| self.graded) {
            let values = &values[self.test.range(user)];
            for (&item, &value) in self.test.cols(user).iter().zip(values) {
                let stamp = stamps[item as usize];
                if stamp >= first {
                    scratch.values[(stamp - first) as usize] = value;
                }
            }
            reserve(&mut scratch.best, values.len(), LISTS)?;
            scratch.best.extend_from_slice(values);
            scratch.best.sort_unstable_by(|a, b| b.total_cmp(a));
        }
        scratch.places[..n_hits].sort_unstable();
        Ok(())
    }
}

fn bad_list(list: usize, problem: &str) -> Error {
    Error::invalid(format!("list {list} of items {problem}"))
}

/// Counts of all workers; so far a count lacks what the next smaller cutoff has.
fn add_up(tallies: &[Vec<u32>], order: &[usize], n_items: usize) -> Result<Array2<i64>> {
    let counts = zeros(order.len().saturating_mul(n_items), COUNTS)?;
    let mut counts = Array2::from_shape_vec((order.len(), n_items), counts)
        .expect("one count a cutoff and item");
    for tally in tallies {
        for (sum, &more) in counts.iter_mut().zip(tally) {
            *sum += i64::from(more);
        }
    }
    for pair in order.windows(2) {
        let smaller: ArrayView1<'_, i64> = counts.row(pair[0]);
        let smaller = copied(smaller.as_slice().expect("row after row"), COUNTS)?;
        for (sum, more) in counts.row_mut(pair[1]).iter_mut().zip(smaller) {
            *sum += more;
        }
    }
    Ok(counts)
}
