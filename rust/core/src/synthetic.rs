//! Simulated interactions with planted tastes and a popularity tail.
//!
//! Objective: a data set that needs no network and on which models that find the tastes clearly
//! beat popularity, while no model is perfect. It is simulated: no evidence about real users.
//!
//! Model: items stand in a random order of popularity, the item of rank r weighing
//! `(r + 5)^-TAIL`, and belong to one genre and, more weakly, to a second. A user has a log-normal
//! mixture of tastes over the genres and a log-normal profile length (median 36, mean about 45, cut
//! to 20..=150 and to half the catalogue). The user takes items without replacement, an item being
//! as likely as its popularity times `exp(AFFINITY * match)`, where `match` in `[0, 1]` is how
//! well the genres fit the tastes.
//!
//! Source: successive sampling by the Gumbel trick (the `n` largest of log weight plus Gumbel
//! noise; Vieira, "Gumbel-max trick and weighted reservoir sampling", 2014); the model is our own.
//!
//! Cost: O(users x items) draws, 16 bytes an item for each thread.

use crate::base::memory::{collected, reserve, with_room, zeros};
use crate::base::rng::{Rng, bits};
use crate::base::rows::par_chunks;
use crate::base::topk::{Scored, keep_top};
use crate::base::{CsrMatrix, Error, Progress, Result};

const GENRES: usize = 16;
/// Fewest interactions of a user.
const MIN_PROFILE: usize = 5;
/// Exponent of the popularity tail.
const TAIL: f64 = 1.1;
/// How much a perfect match counts for, in log weight.
const AFFINITY: f64 = 5.0;
/// Spread of a user's tastes, in log weight: the larger, the fewer genres a user likes.
const TASTE_SPREAD: f64 = 2.5;

const ITEM_ORDER: u64 = 0x6465_6d6f_0001;
const ITEM_GENRE: u64 = 0x6465_6d6f_0002;
const USER: u64 = 0x6465_6d6f_0003;

/// Parameters of an item.
struct Item {
    log_popularity: f64,
    genres: [usize; 2],
    /// Fraction of the second genre, below one half.
    second: f64,
}

const ITEMS: &str = "simulated items";
const PROFILES: &str = "simulated profiles";

/// Simulate `n_users` rows over `n_items` columns; every cell is one, every row has at least 5.
///
/// # Errors
/// [`Error::InvalidArgument`] for no users or fewer than 10 items; [`Error::Cancelled`].
pub fn demo_urm(
    seed: u64,
    n_users: usize,
    n_items: usize,
    progress: &Progress,
) -> Result<CsrMatrix> {
    if n_users == 0 {
        return Err(Error::invalid("n_users must be at least 1, not 0"));
    }
    if n_items < 2 * MIN_PROFILE || n_items > i32::MAX as usize {
        return Err(Error::invalid(format!(
            "n_items must be between {} and {}, not {n_items}",
            2 * MIN_PROFILE,
            i32::MAX
        )));
    }
    let mut indptr = with_room(n_users.saturating_add(1), PROFILES)?;
    let items = draw_items(seed, n_items)?;
    let scratch = || with_room(n_items, ITEMS);
    let chunks = par_chunks(n_users, 32, progress, scratch, |entries, range| {
        let mut profiles = with_room(range.len(), PROFILES)?;
        for user in range {
            progress.advance(1)?;
            profiles.push(draw_profile(seed, user, &items, entries)?);
        }
        Ok(profiles)
    })?;

    let mut indices = Vec::new();
    indptr.push(0);
    for profile in chunks.iter().flatten() {
        progress.check()?;
        reserve(&mut indices, profile.len(), PROFILES)?;
        indices.extend_from_slice(profile);
        indptr.push(indices.len() as i64);
    }
    Ok(CsrMatrix::from_parts(n_items, indptr, indices, None))
}

fn draw_items(seed: u64, n_items: usize) -> Result<Vec<Item>> {
    // A random order, so that an item's number is independent of its popularity.
    let mut order = collected(0..n_items, ITEMS)?;
    order.sort_unstable_by_key(|&i| (bits(seed, ITEM_ORDER, i as u64), i));
    let mut log_popularity = zeros::<f64>(n_items, ITEMS)?;
    for (rank, item) in order.into_iter().enumerate() {
        log_popularity[item] = -TAIL * (rank as f64 + 5.0).ln();
    }
    let items = log_popularity
        .into_iter()
        .enumerate()
        .map(|(item, log_popularity)| {
            let mut rng = Rng::at(seed, ITEM_GENRE, item as u64);
            Item {
                log_popularity,
                genres: [0; 2].map(|_| rng.below(GENRES as u64) as usize),
                second: 0.5 * rng.unit(),
            }
        });
    collected(items, ITEMS)
}

/// The items of one user, ascending.
fn draw_profile(
    seed: u64,
    user: usize,
    items: &[Item],
    entries: &mut Vec<Scored>,
) -> Result<Vec<i32>> {
    let mut rng = Rng::at(seed, USER, user as u64);
    let mut tastes = [0.0f64; GENRES].map(|_| TASTE_SPREAD * rng.normal());
    let strongest = tastes.iter().copied().fold(f64::MIN, f64::max);
    for taste in &mut tastes {
        *taste = (*taste - strongest).exp();
    }
    let length = (36.0 * (0.65 * rng.normal()).exp()).clamp(20.0, 150.0) as usize;
    let length = length.min(items.len() / 2);

    entries.clear();
    entries.extend(items.iter().enumerate().map(|(index, item)| {
        let [first, second] = item.genres.map(|g| tastes[g]);
        let meets = (1.0 - item.second) * first + item.second * second;
        // The half steps away from zero and one, where the logarithms are infinite.
        let uniform = ((rng.next_u64() >> 12) as f64 + 0.5) / (1u64 << 52) as f64;
        let gumbel = -(-uniform.ln()).ln();
        Scored {
            index: index as i32,
            score: (item.log_popularity + AFFINITY * meets + gumbel) as f32,
        }
    }));
    keep_top(entries, length);
    let mut profile = collected(entries.iter().map(|e| e.index), PROFILES)?;
    profile.sort_unstable();
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::on_threads;

    fn demo(seed: u64, n_users: usize, n_items: usize) -> CsrMatrix {
        demo_urm(seed, n_users, n_items, &Progress::new()).expect("valid")
    }

    #[test]
    fn thread_count_does_not_change_the_result() {
        let with = |threads| on_threads(threads, || demo(4, 200, 300));
        let one = with(1);
        assert_eq!(one, with(2));
        assert_eq!(one, with(3));
        assert_ne!(one, demo(5, 200, 300));
    }

    #[test]
    fn profiles_are_valid_rows_of_the_promised_length() {
        for (n_users, n_items) in [(1, 10), (50, 11), (300, 2000)] {
            let urm = demo(1, n_users, n_items);
            let (cols, indptr, indices, values) = urm.into_parts();
            let urm = CsrMatrix::try_new(cols, indptr, indices, values).expect("valid");
            let view = urm.view();
            assert_eq!((view.n_rows(), view.n_cols()), (n_users, n_items));
            for user in 0..n_users {
                assert!((5..=150).contains(&view.row_len(user)));
            }
        }
        let urm = demo(1, 2000, 3000);
        let mean = urm.view().nnz() as f64 / 2000.0;
        assert!((40.0..50.0).contains(&mean), "{mean}");
    }

    #[test]
    fn popularity_has_a_tail() {
        let mut counts = demo(2, 2000, 3000).view().col_counts().expect("small");
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let total: u32 = counts.iter().sum();
        let head: u32 = counts[..300].iter().sum();
        let share = f64::from(head) / f64::from(total);
        assert!(
            (0.25..0.75).contains(&share),
            "a tenth of the items: {share}"
        );
    }

    #[test]
    fn sizes_that_leave_no_room_are_refused() {
        let refused = |u, i| {
            demo_urm(0, u, i, &Progress::new())
                .expect_err("refused")
                .to_string()
        };
        assert!(refused(0, 100).contains("n_users must be at least 1"));
        assert!(refused(10, 9).contains("n_items must be between 10 and"));
    }
}
