//! Top-N lists from each form of scores.

use ganmf_core::models::random;
use ganmf_core::rank::{self, Lists, Request};
use ganmf_core::{Error, Progress, published};
use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::csr::{Csr, CsrGuard, slice};
use crate::run::run;

type Ranked<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f32>>);

/// The arguments that every ranking shares.
struct Asked<'py> {
    users: PyReadonlyArray1<'py, i64>,
    n: i64,
    seen: Option<Py<Csr>>,
    candidates: Option<PyReadonlyArray1<'py, i32>>,
    report: Option<Py<PyAny>>,
}

impl Asked<'_> {
    fn rank<'py>(
        &self,
        py: Python<'py>,
        shape: (usize, usize),
        kernel: impl FnOnce(&Request, &Progress) -> Result<Lists, Error> + Send,
    ) -> PyResult<Ranked<'py>> {
        let n = usize::try_from(self.n)
            .map_err(|_| PyValueError::new_err(format!("n must be at least 1, not {}", self.n)))?;
        let users = slice(&self.users, "users")?;
        let guard = self.seen.as_ref().map(|seen| seen.get().guard(py));
        let seen = guard.as_ref().map(CsrGuard::view).transpose()?;
        let candidates = self
            .candidates
            .as_ref()
            .map(|c| slice(c, "candidates"))
            .transpose()?;
        let lists = run(py, self.report.as_ref(), |progress| {
            let request = Request::try_new(shape, users, n, seen, candidates)?;
            kernel(&request, progress)
        })?;
        let shaped = |e| PyValueError::new_err(format!("lists of another size: {e}"));
        let items = Array2::from_shape_vec((users.len(), n), lists.items).map_err(shaped)?;
        let scores = Array2::from_shape_vec((users.len(), n), lists.scores).map_err(shaped)?;
        Ok((items.into_pyarray(py), scores.into_pyarray(py)))
    }
}

/// Top-N lists of row u of `left` times `right`: profiles and item weights, or user neighbours and
/// profiles.
#[pyfunction]
#[pyo3(signature = (left, right, users, n, seen=None, candidates=None, report=None))]
pub(crate) fn rank_product<'py>(
    py: Python<'py>,
    left: &Csr,
    right: &Csr,
    users: PyReadonlyArray1<'py, i64>,
    n: i64,
    seen: Option<Py<Csr>>,
    candidates: Option<PyReadonlyArray1<'py, i32>>,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let (left, right) = (left.guard(py), right.guard(py));
    let (left, right) = (left.view()?, right.view()?);
    let asked = Asked {
        users,
        n,
        seen,
        candidates,
        report,
    };
    let shape = (left.n_rows(), right.n_cols());
    asked.rank(py, shape, |request, progress| {
        rank::rank_product(left, right, request, progress)
    })
}

/// Top-N lists of the inner products of user and item factors.
#[pyfunction]
#[pyo3(signature = (user_factors, item_factors, users, n, seen=None, candidates=None, report=None))]
pub(crate) fn rank_factors<'py>(
    py: Python<'py>,
    user_factors: PyReadonlyArray2<'py, f32>,
    item_factors: PyReadonlyArray2<'py, f32>,
    users: PyReadonlyArray1<'py, i64>,
    n: i64,
    seen: Option<Py<Csr>>,
    candidates: Option<PyReadonlyArray1<'py, i32>>,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let (user_factors, item_factors) = (user_factors.as_array(), item_factors.as_array());
    let asked = Asked {
        users,
        n,
        seen,
        candidates,
        report,
    };
    let shape = (user_factors.nrows(), item_factors.nrows());
    asked.rank(py, shape, |request, progress| {
        rank::rank_factors(user_factors, item_factors, request, progress)
    })
}

/// Top-N lists of the highest item scores, the same order for everybody.
#[pyfunction]
#[pyo3(signature = (item_scores, users, n, seen=None, candidates=None, report=None))]
pub(crate) fn rank_popularity<'py>(
    py: Python<'py>,
    item_scores: PyReadonlyArray1<'py, f32>,
    users: PyReadonlyArray1<'py, i64>,
    n: i64,
    seen: Option<Py<Csr>>,
    candidates: Option<PyReadonlyArray1<'py, i32>>,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let item_scores = slice(&item_scores, "item_scores")?;
    // Everybody is served alike, so without `seen` any user number will do.
    let n_users = match &seen {
        Some(seen) => seen.get().guard(py).view()?.n_rows(),
        None => i64::MAX as usize,
    };
    let asked = Asked {
        users,
        n,
        seen,
        candidates,
        report,
    };
    asked.rank(py, (n_users, item_scores.len()), |request, progress| {
        rank::rank_popularity(item_scores, request, progress)
    })
}

/// Top-N lists of dense scores: row r of `scores` belongs to `users[r]`.
///
/// With `as_published` equal scores come in the order of the published lists.
#[pyfunction]
#[pyo3(signature = (scores, users, n, seen=None, candidates=None, report=None, as_published=false))]
pub(crate) fn rank_scores<'py>(
    py: Python<'py>,
    scores: PyReadonlyArray2<'py, f32>,
    users: PyReadonlyArray1<'py, i64>,
    n: i64,
    seen: Option<Py<Csr>>,
    candidates: Option<PyReadonlyArray1<'py, i32>>,
    report: Option<Py<PyAny>>,
    as_published: bool,
) -> PyResult<Ranked<'py>> {
    let scores = scores.as_array();
    let n_users = match &seen {
        Some(seen) => seen.get().guard(py).view()?.n_rows(),
        None => i64::MAX as usize,
    };
    let asked = Asked {
        users,
        n,
        seen,
        candidates,
        report,
    };
    asked.rank(py, (n_users, scores.ncols()), |request, progress| {
        if as_published {
            published::rank_scores(scores, request, progress)
        } else {
            rank::rank_scores(scores, request, progress)
        }
    })
}

/// Top-N lists of scores that are random, a pure function of (seed, user, item).
#[pyfunction]
#[pyo3(signature = (seed, n_users, n_items, users, n, seen=None, candidates=None, report=None))]
pub(crate) fn rank_random<'py>(
    py: Python<'py>,
    seed: u64,
    n_users: usize,
    n_items: usize,
    users: PyReadonlyArray1<'py, i64>,
    n: i64,
    seen: Option<Py<Csr>>,
    candidates: Option<PyReadonlyArray1<'py, i32>>,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let asked = Asked {
        users,
        n,
        seen,
        candidates,
        report,
    };
    asked.rank(py, (n_users, n_items), |request, progress| {
        random::rank_random(seed, request, progress)
    })
}

/// Random scores of all items, float32 (len(users), `n_items`).
#[pyfunction]
pub(crate) fn random_scores<'py>(
    py: Python<'py>,
    seed: u64,
    users: PyReadonlyArray1<'py, i64>,
    n_items: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let users = slice(&users, "users")?;
    let scores = run(py, None, |p| random::random_scores(seed, users, n_items, p))?;
    Ok(scores.into_pyarray(py))
}
