//! Top-N lists from each form of scores.

use ganmf_core::models::random;
use ganmf_core::rank::{self, Lists, Request};
use ganmf_core::{Error, Progress, published};
use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::args::{Indices, matrix, natural, owned, slice};
use crate::csr::{Csr, CsrGuard};
use crate::run::run;

type Ranked<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f32>>);

/// Which top-N lists to compute.
///
/// Parameters
/// ----------
/// users : int64 array
///     Rows of the matrices that hold the scores, and of `seen`.
/// n : int
///     Length of the lists, at least 1.
/// seen : Csr, optional
///     Items to leave out, user by user.
/// candidates : int32 array, optional
///     The only items to consider, ascending.
#[pyclass(frozen, get_all, module = "ganmf_fast._core")]
pub(crate) struct RankRequest {
    users: Py<PyArray1<i64>>,
    n: usize,
    seen: Option<Py<Csr>>,
    candidates: Option<Py<PyArray1<i32>>>,
}

#[pymethods]
impl RankRequest {
    #[new]
    #[pyo3(signature = (users, n, seen=None, candidates=None))]
    fn new(
        users: &Bound<'_, PyArray1<i64>>,
        n: &Bound<'_, PyAny>,
        seen: Option<Py<Csr>>,
        candidates: Option<&Bound<'_, PyArray1<i32>>>,
    ) -> PyResult<Self> {
        Ok(Self {
            users: owned(users)?,
            n: natural("n", n)?,
            seen,
            candidates: candidates.map(owned).transpose()?,
        })
    }
}

impl RankRequest {
    fn rank<'py>(
        &self,
        py: Python<'py>,
        shape: (usize, usize),
        report: Option<&Py<PyAny>>,
        kernel: impl FnOnce(&Request, &Progress) -> Result<Lists, Error> + Send,
    ) -> PyResult<Ranked<'py>> {
        let users = self.users.bind(py).readonly();
        let users = slice(&users, "users")?;
        let guard = self.seen.as_ref().map(|seen| seen.get().guard(py));
        let seen = guard.as_ref().map(CsrGuard::view).transpose()?;
        let candidates = self.candidates.as_ref().map(|c| c.bind(py).readonly());
        let candidates = candidates
            .as_ref()
            .map(|c| slice(c, "candidates"))
            .transpose()?;
        let lists = run(py, report, |progress| {
            let request = Request::try_new(shape, users, self.n, seen, candidates)?;
            kernel(&request, progress)
        })?;
        let shape = (users.len(), self.n);
        let shaped = |e| PyValueError::new_err(format!("lists of another size: {e}"));
        let items = Array2::from_shape_vec(shape, lists.items).map_err(shaped)?;
        let scores = Array2::from_shape_vec(shape, lists.scores).map_err(shaped)?;
        Ok((items.into_pyarray(py), scores.into_pyarray(py)))
    }

    /// Rows of `seen`; without it, no user number is out of range.
    fn n_users(&self, py: Python<'_>) -> PyResult<usize> {
        match &self.seen {
            Some(seen) => Ok(seen.get().guard(py).view()?.n_rows()),
            None => Ok(i64::MAX as usize),
        }
    }
}

/// Top-N lists of row u of `left` times `right`: profiles and item weights, or user neighbours and
/// profiles.
#[pyfunction]
#[pyo3(signature = (left, right, request, report=None))]
pub(crate) fn rank_product<'py>(
    py: Python<'py>,
    left: &Csr,
    right: &Csr,
    request: &RankRequest,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let (left, right) = (left.guard(py), right.guard(py));
    let (left, right) = (left.view()?, right.view()?);
    let shape = (left.n_rows(), right.n_cols());
    request.rank(py, shape, report.as_ref(), |request, progress| {
        rank::rank_product(left, right, request, progress)
    })
}

/// Top-N lists of the inner products of user and item factors.
#[pyfunction]
#[pyo3(signature = (user_factors, item_factors, request, report=None))]
pub(crate) fn rank_factors<'py>(
    py: Python<'py>,
    user_factors: PyReadonlyArray2<'py, f32>,
    item_factors: PyReadonlyArray2<'py, f32>,
    request: &RankRequest,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let user_factors = matrix(&user_factors, "user_factors")?;
    let item_factors = matrix(&item_factors, "item_factors")?;
    let shape = (user_factors.nrows(), item_factors.nrows());
    request.rank(py, shape, report.as_ref(), |request, progress| {
        rank::rank_factors(user_factors, item_factors, request, progress)
    })
}

/// Top-N lists of the highest item scores, in the same order for all users.
#[pyfunction]
#[pyo3(signature = (item_scores, request, report=None))]
pub(crate) fn rank_popularity<'py>(
    py: Python<'py>,
    item_scores: PyReadonlyArray1<'py, f32>,
    request: &RankRequest,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let item_scores = slice(&item_scores, "item_scores")?;
    let shape = (request.n_users(py)?, item_scores.len());
    request.rank(py, shape, report.as_ref(), |request, progress| {
        rank::rank_popularity(item_scores, request, progress)
    })
}

/// Top-N lists of dense scores: row r of `scores` belongs to `request.users[r]`.
///
/// With `as_published` equal scores come in the order of the published lists.
#[pyfunction]
#[pyo3(signature = (scores, request, report=None, as_published=false))]
pub(crate) fn rank_scores<'py>(
    py: Python<'py>,
    scores: PyReadonlyArray2<'py, f32>,
    request: &RankRequest,
    report: Option<Py<PyAny>>,
    as_published: bool,
) -> PyResult<Ranked<'py>> {
    let scores = matrix(&scores, "scores")?;
    let rank = if as_published {
        published::rank_scores
    } else {
        rank::rank_scores
    };
    let shape = (request.n_users(py)?, scores.ncols());
    request.rank(py, shape, report.as_ref(), |request, progress| {
        rank(scores, request, progress)
    })
}

/// Top-N lists of scores that are random, a pure function of (seed, user, item).
#[pyfunction]
#[pyo3(signature = (seed, n_users, n_items, request, report=None))]
pub(crate) fn rank_random<'py>(
    py: Python<'py>,
    seed: &Bound<'py, PyAny>,
    n_users: &Bound<'py, PyAny>,
    n_items: &Bound<'py, PyAny>,
    request: &RankRequest,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let seed = natural("seed", seed)?;
    let (n_users, n_items) = (natural("n_users", n_users)?, natural("n_items", n_items)?);
    request.rank(
        py,
        (n_users, n_items),
        report.as_ref(),
        |request, progress| random::rank_random(seed, request, progress),
    )
}

/// Random scores of all items, float32 (len(users), `n_items`).
#[pyfunction]
pub(crate) fn random_scores<'py>(
    py: Python<'py>,
    seed: &Bound<'py, PyAny>,
    users: &Bound<'py, PyArray1<i64>>,
    n_items: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (seed, n_items) = (natural("seed", seed)?, natural("n_items", n_items)?);
    let users = Indices::of(users)?;
    let users = users.slice("users")?;
    let scores = run(py, None, |p| random::random_scores(seed, users, n_items, p))?;
    Ok(scores.into_pyarray(py))
}
