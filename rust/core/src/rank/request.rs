//! The request for top-N lists, and the lists.

use crate::base::memory::filled;
use crate::base::{CsrView, Error, Result};

/// Which top-N lists to compute; validated on construction.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(crate) users: &'a [i64],
    pub(crate) n: usize,
    pub(crate) n_items: usize,
    pub(crate) filter: Filter<'a>,
}

/// Which items a list may hold; all of them by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Items to leave out, by the number of the user.
    pub seen: Option<CsrView<'a>>,
    /// Further items to leave out.
    pub excluded: Option<Items<'a>>,
    /// The only items to consider.
    pub candidates: Option<Items<'a>>,
}

/// Items that a request names.
#[derive(Debug, Clone, Copy)]
pub enum Items<'a> {
    /// The same for all users, ascending.
    Same(&'a [i32]),
    /// Row r holds those of the r-th user of the request.
    Each(CsrView<'a>),
}

impl<'a> Items<'a> {
    /// Items of the user at a position of the request, ascending.
    pub(crate) fn of(&self, at: usize) -> &'a [i32] {
        match self {
            Self::Same(items) => items,
            Self::Each(rows) => rows.cols(at),
        }
    }

    fn check(&self, name: &str, n_users: usize, n_items: usize) -> Result<()> {
        match self {
            Self::Same(items) => {
                if let Some(item) = items.iter().find(|&&i| i < 0 || i as usize >= n_items) {
                    return Err(Error::invalid(format!(
                        "{name} holds item {item}, outside 0..{n_items}"
                    )));
                }
                if let Some([a, b]) = items.windows(2).find(|w| w[0] >= w[1]) {
                    return Err(Error::invalid(format!(
                        "{name} must ascend without repetition, but {a} precedes {b}"
                    )));
                }
            }
            Self::Each(rows) => {
                if (rows.n_rows(), rows.n_cols()) != (n_users, n_items) {
                    return Err(Error::invalid(format!(
                        "{name} is {} x {}, but there are {n_users} users asked for and {n_items} \
                         items",
                        rows.n_rows(),
                        rows.n_cols()
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Top-N lists of the requested users, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Lists {
    /// Item numbers, padded with -1.
    pub items: Vec<i32>,
    /// Their scores, padded with minus infinity.
    pub scores: Vec<f32>,
}

impl<'a> Request<'a> {
    /// Lists of length `n` for `users` out of `n_users`, over a catalogue of `n_items`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the argument and the offending value.
    pub fn try_new(
        (n_users, n_items): (usize, usize),
        users: &'a [i64],
        n: usize,
        filter: Filter<'a>,
    ) -> Result<Self> {
        if n == 0 || n > i32::MAX as usize {
            return Err(Error::invalid(format!(
                "n must be between 1 and {}, not {n}",
                i32::MAX
            )));
        }
        if let Some(user) = users.iter().find(|&&u| u < 0 || u as usize >= n_users) {
            return Err(Error::invalid(format!(
                "users holds {user}, outside 0..{n_users}"
            )));
        }
        if let Some(seen) = filter.seen
            && (seen.n_rows() != n_users || seen.n_cols() != n_items)
        {
            return Err(Error::invalid(format!(
                "seen is {} x {}, but the model knows {n_users} users and {n_items} items",
                seen.n_rows(),
                seen.n_cols()
            )));
        }
        for (items, name) in [
            (filter.candidates, "candidates"),
            (filter.excluded, "excluded"),
        ] {
            if let Some(items) = items {
                items.check(name, users.len(), n_items)?;
            }
        }
        Ok(Self {
            users,
            n,
            n_items,
            filter,
        })
    }

    /// Items that the list of the user at a position must not hold, some perhaps twice.
    pub(crate) fn left_out(&self, at: usize) -> impl Iterator<Item = i32> + use<'a> {
        let [seen, excluded] = self.both_left_out(at);
        seen.iter().chain(excluded).copied()
    }

    /// Whether the list of the user at a position must not hold an item: O(log of their number).
    pub(crate) fn leaves_out(&self, at: usize, item: i32) -> bool {
        let holds = |items: &[i32]| items.binary_search(&item).is_ok();
        self.both_left_out(at).into_iter().any(holds)
    }

    fn both_left_out(&self, at: usize) -> [&'a [i32]; 2] {
        let user = self.users[at] as usize;
        let seen = self.filter.seen.map_or(&[][..], |seen| seen.cols(user));
        [seen, self.filter.excluded.map_or(&[], |items| items.of(at))]
    }

    /// Items that the list of the user at a position may hold, unless they are left out.
    pub(crate) fn columns(&self, at: usize) -> Columns<'a> {
        let candidates = self.filter.candidates.map(|items| items.of(at));
        Columns {
            candidates,
            len: candidates.map_or(self.n_items, <[i32]>::len),
        }
    }

    /// Candidates that are the same for all users.
    ///
    /// None as well if each user has others: ask [`has_own_candidates`](Self::has_own_candidates).
    pub(crate) fn same_candidates(&self) -> Option<&'a [i32]> {
        match self.filter.candidates {
            Some(Items::Same(items)) => Some(items),
            _ => None,
        }
    }

    /// Whether each user has other candidates.
    pub(crate) fn has_own_candidates(&self) -> bool {
        matches!(self.filter.candidates, Some(Items::Each(_)))
    }

    /// The most items that one list can be chosen from.
    pub(crate) fn most_columns(&self) -> usize {
        match self.filter.candidates {
            None => self.n_items,
            Some(Items::Same(items)) => items.len(),
            Some(Items::Each(rows)) => {
                let lengths = (0..rows.n_rows()).map(|r| rows.row_len(r));
                lengths.max().unwrap_or(0)
            }
        }
    }
}

/// Which item a column of a score buffer is; both ascend together.
pub(crate) struct Columns<'a> {
    pub(crate) candidates: Option<&'a [i32]>,
    pub(crate) len: usize,
}

impl Columns<'_> {
    #[inline]
    pub(crate) fn item(&self, column: usize) -> i32 {
        self.candidates.map_or(column as i32, |c| c[column])
    }
}

impl Lists {
    /// Room for `n_lists` lists of `n` places, all of them padding.
    pub(super) fn padding(n_lists: usize, n: usize) -> Result<Self> {
        let len = n_lists.saturating_mul(n);
        Ok(Self {
            items: filled(len, -1, "items of the lists")?,
            scores: filled(len, f32::NEG_INFINITY, "scores of the lists")?,
        })
    }
}

/// Whether no score is infinite or NaN; looks at all of them, so that vectors can be compared.
#[inline(always)]
pub(super) fn all_finite(scores: &[f32]) -> bool {
    scores.iter().fold(true, |all, s| all & s.is_finite())
}

pub(super) fn not_finite(user: i64) -> Error {
    Error::NonFinite(format!("user {user} has a score that is not finite"))
}

pub(super) fn check_users(request: &Request, n_users: usize, name: &str) -> Result<()> {
    match request.users.iter().find(|&&u| u as usize >= n_users) {
        Some(user) => Err(Error::invalid(format!(
            "users holds {user}, but {name} has {n_users} rows"
        ))),
        None => Ok(()),
    }
}
