//! The request for top-N lists, and the lists.

use crate::base::memory::filled;
use crate::base::{CsrView, Error, Result};

/// Which top-N lists to compute; validated on construction.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(crate) users: &'a [i64],
    pub(crate) n: usize,
    pub(crate) n_items: usize,
    pub(crate) seen: Option<CsrView<'a>>,
    pub(crate) candidates: Option<&'a [i32]>,
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
    /// Items in the user's row of `seen` are left out; with `candidates` (ascending item numbers)
    /// only those are considered.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the argument and the offending value.
    pub fn try_new(
        (n_users, n_items): (usize, usize),
        users: &'a [i64],
        n: usize,
        seen: Option<CsrView<'a>>,
        candidates: Option<&'a [i32]>,
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
        if let Some(seen) = seen
            && (seen.n_rows() != n_users || seen.n_cols() != n_items)
        {
            return Err(Error::invalid(format!(
                "seen is {} x {}, but the model knows {n_users} users and {n_items} items",
                seen.n_rows(),
                seen.n_cols()
            )));
        }
        if let Some(candidates) = candidates {
            if let Some(item) = candidates.iter().find(|&&i| i < 0 || i as usize >= n_items) {
                return Err(Error::invalid(format!(
                    "candidates holds item {item}, outside 0..{n_items}"
                )));
            }
            if let Some([a, b]) = candidates.windows(2).find(|w| w[0] >= w[1]) {
                return Err(Error::invalid(format!(
                    "candidates must ascend without repetition, but {a} precedes {b}"
                )));
            }
        }
        Ok(Self {
            users,
            n,
            n_items,
            seen,
            candidates,
        })
    }

    pub(crate) fn seen_by(&self, user: usize) -> &'a [i32] {
        self.seen.map_or(&[], |seen| seen.cols(user))
    }

    /// Columns of the score buffer: all items, or the candidates in order.
    pub(crate) fn columns(&self) -> Columns<'a> {
        Columns {
            candidates: self.candidates,
            len: self.candidates.map_or(self.n_items, <[i32]>::len),
        }
    }
}

/// Which item a column of a score buffer is; both ascend together.
pub(crate) struct Columns<'a> {
    candidates: Option<&'a [i32]>,
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
