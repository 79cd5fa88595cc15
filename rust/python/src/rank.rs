//! Top-N lists from each form of scores.

use ganmf_core::models::random;
use ganmf_core::rank::{self, Filter, Items, Lists, Request, Rows};
use ganmf_core::{Error, Progress, published};
use numpy::ndarray::Array2;
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PySlice;

use crate::args::{Indices, matrix, natural, owned, slice};
use crate::csr::{Csr, CsrGuard};
use crate::error::to_python;
use crate::run::{run, run_here};

type Ranked<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray2<f32>>);

/// Items of a request: the same for all users, or those of each.
#[derive(FromPyObject, IntoPyObject, IntoPyObjectRef)]
pub(crate) enum ItemsArg {
    Same(Py<PyArray1<i32>>),
    Each(Py<Csr>),
}

/// Read guards over the arrays of an [`ItemsArg`].
enum ItemsGuard<'py> {
    Same(PyReadonlyArray1<'py, i32>),
    Each(CsrGuard<'py>),
}

impl ItemsArg {
    fn guard<'py>(&self, py: Python<'py>) -> ItemsGuard<'py> {
        match self {
            Self::Same(items) => ItemsGuard::Same(items.bind(py).readonly()),
            Self::Each(rows) => ItemsGuard::Each(rows.get().guard(py)),
        }
    }

    /// A copy that nobody else can write to; a `Csr` cannot be written to.
    fn owned(self, py: Python<'_>) -> PyResult<Self> {
        match self {
            Self::Same(items) => Ok(Self::Same(owned(items.bind(py))?)),
            Self::Each(rows) => Ok(Self::Each(rows)),
        }
    }

    fn part(&self, py: Python<'_>, start: usize, end: usize) -> PyResult<Self> {
        match self {
            Self::Same(items) => Ok(Self::Same(items.clone_ref(py))),
            Self::Each(rows) => Ok(Self::Each(Py::new(py, rows.get().part(py, start, end)?)?)),
        }
    }
}

impl ItemsGuard<'_> {
    fn items(&self, name: &str) -> PyResult<Items<'_>> {
        match self {
            Self::Same(items) => Ok(Items::Same(slice(items, name)?)),
            Self::Each(rows) => Ok(Items::Each(rows.view()?)),
        }
    }
}

/// Which top-N lists to compute.
///
/// Parameters
/// ----------
/// users : int64 array
///     Rows of the matrices that hold the scores, and of `seen`.
/// n : int
///     Length of the lists, at least 1.
/// seen : Csr, optional
///     Items to leave out, by the number of the user.
/// candidates : int32 array or Csr, optional
///     The only items to consider: ascending, or a row for each of `users`.
/// excluded : int32 array or Csr, optional
///     Further items to leave out, in the same form.
#[pyclass(frozen, get_all, module = "ganmf_fast._core")]
pub(crate) struct RankRequest {
    users: Py<PyArray1<i64>>,
    n: usize,
    seen: Option<Py<Csr>>,
    candidates: Option<ItemsArg>,
    excluded: Option<ItemsArg>,
}

#[pymethods]
impl RankRequest {
    #[new]
    #[pyo3(signature = (users, n, seen=None, candidates=None, excluded=None))]
    fn new(
        users: &Bound<'_, PyArray1<i64>>,
        n: &Bound<'_, PyAny>,
        seen: Option<Py<Csr>>,
        candidates: Option<ItemsArg>,
        excluded: Option<ItemsArg>,
    ) -> PyResult<Self> {
        let py = users.py();
        Ok(Self {
            users: owned(users)?,
            n: natural("n", n)?,
            seen,
            candidates: candidates.map(|items| items.owned(py)).transpose()?,
            excluded: excluded.map(|items| items.owned(py)).transpose()?,
        })
    }

    /// The request for the users in `start..end`, as far as there are any.
    fn part(&self, py: Python<'_>, start: usize, end: usize) -> PyResult<Self> {
        let users = self.users.bind(py);
        let end = end.min(users.len());
        let start = start.min(end);
        let part = |items: &Option<ItemsArg>| {
            items
                .as_ref()
                .map(|items| items.part(py, start, end))
                .transpose()
        };
        let range = PySlice::new(py, start as isize, end as isize, 1);
        Ok(Self {
            users: users
                .get_item(range)?
                .cast_into::<PyArray1<i64>>()?
                .unbind(),
            n: self.n,
            seen: self.seen.as_ref().map(|seen| seen.clone_ref(py)),
            candidates: part(&self.candidates)?,
            excluded: part(&self.excluded)?,
        })
    }
}

impl RankRequest {
    /// Run a kernel on this request, on the calling thread if `is_small` says that it can be.
    fn rank<'py>(
        &self,
        py: Python<'py>,
        shape: (usize, usize),
        report: Option<&Py<PyAny>>,
        is_small: impl FnOnce(&Request) -> bool,
        kernel: impl FnOnce(&Request, &Progress) -> Result<Lists, Error> + Send,
    ) -> PyResult<Ranked<'py>> {
        let users = self.users.bind(py).readonly();
        let users = slice(&users, "users")?;
        let seen = self.seen.as_ref().map(|seen| seen.get().guard(py));
        let guard = |items: &Option<ItemsArg>| items.as_ref().map(|items| items.guard(py));
        let (candidates, excluded) = (guard(&self.candidates), guard(&self.excluded));
        let filter = Filter {
            seen: seen.as_ref().map(CsrGuard::view).transpose()?,
            candidates: items(candidates.as_ref(), "candidates")?,
            excluded: items(excluded.as_ref(), "excluded")?,
        };
        let request = Request::try_new(shape, users, self.n, filter).map_err(|e| to_python(&e))?;
        let lists = if is_small(&request) {
            run_here(py, |progress| kernel(&request, progress))?
        } else {
            run(py, report, |progress| kernel(&request, progress))?
        };
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

fn items<'a>(guard: Option<&'a ItemsGuard>, name: &str) -> PyResult<Option<Items<'a>>> {
    guard.map(|items| items.items(name)).transpose()
}

/// Top-N lists from products of sparse rows with `right`; what these need of it is made once.
///
/// Parameters
/// ----------
/// right : Csr
///     Item weights, or the profiles that user neighbours refer to.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct ProductIndex {
    right: Py<Csr>,
    index: rank::ProductIndex,
}

#[pymethods]
impl ProductIndex {
    #[new]
    fn new(right: Py<Csr>) -> Self {
        let index = rank::ProductIndex::default();
        Self { right, index }
    }

    /// Top-N lists of row u of `left` times `right`: of profiles and item weights, or of user
    /// neighbours and profiles.
    #[pyo3(signature = (left, request, report=None))]
    fn rank<'py>(
        &self,
        py: Python<'py>,
        left: &Csr,
        request: &RankRequest,
        report: Option<Py<PyAny>>,
    ) -> PyResult<Ranked<'py>> {
        let (left, right) = (left.guard(py), self.right.get().guard(py));
        let (left, right) = (left.view()?, right.view()?);
        let shape = (left.n_rows(), right.n_cols());
        request.rank(
            py,
            shape,
            report.as_ref(),
            |request| self.index.is_small(left, right, request),
            |request, progress| self.index.rank(left, right, request, progress),
        )
    }
}

/// Top-N lists from inner products with `item_factors`; what these need of them is made once.
///
/// Parameters
/// ----------
/// `item_factors` : float32 array, shape (n items, k)
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct FactorIndex {
    item_factors: Py<PyArray2<f32>>,
    index: rank::FactorIndex,
}

#[pymethods]
impl FactorIndex {
    #[new]
    fn new(py: Python<'_>, item_factors: Py<PyArray2<f32>>) -> PyResult<Self> {
        let guard = item_factors.bind(py).readonly();
        let factors = matrix(&guard, "item_factors")?;
        let index = run(py, None, |_| rank::FactorIndex::new(factors))?;
        drop(guard);
        Ok(Self {
            item_factors,
            index,
        })
    }

    /// Top-N lists of inner products; row u of `user_factors` belongs to user u, or with
    /// `by_position` row r to the r-th user of the request.
    #[pyo3(signature = (user_factors, request, report=None, by_position=false))]
    fn rank<'py>(
        &self,
        py: Python<'py>,
        user_factors: PyReadonlyArray2<'py, f32>,
        request: &RankRequest,
        report: Option<Py<PyAny>>,
        by_position: bool,
    ) -> PyResult<Ranked<'py>> {
        let item_factors = self.item_factors.bind(py).readonly();
        let user_factors = matrix(&user_factors, "user_factors")?;
        let item_factors = matrix(&item_factors, "item_factors")?;
        let (rows, n_users) = if by_position {
            (Rows::ByPosition, request.n_users(py)?)
        } else {
            (Rows::ByUser, user_factors.nrows())
        };
        request.rank(
            py,
            (n_users, item_factors.nrows()),
            report.as_ref(),
            |request| self.index.is_small(item_factors.ncols(), request),
            |request, progress| {
                self.index
                    .rank(user_factors, item_factors, rows, request, progress)
            },
        )
    }
}

/// All items by descending score, for `rank_popularity`.
#[pyfunction]
pub(crate) fn popularity_order<'py>(
    py: Python<'py>,
    item_scores: PyReadonlyArray1<'py, f32>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let item_scores = slice(&item_scores, "item_scores")?;
    let order = run(py, None, |_| rank::popularity_order(item_scores))?;
    Ok(order.into_pyarray(py))
}

/// Top-N lists of the highest item scores, in the same order for all users.
#[pyfunction]
#[pyo3(signature = (item_scores, order, request, report=None))]
pub(crate) fn rank_popularity<'py>(
    py: Python<'py>,
    item_scores: PyReadonlyArray1<'py, f32>,
    order: PyReadonlyArray1<'py, i32>,
    request: &RankRequest,
    report: Option<Py<PyAny>>,
) -> PyResult<Ranked<'py>> {
    let (item_scores, order) = (slice(&item_scores, "item_scores")?, slice(&order, "order")?);
    let shape = (request.n_users(py)?, item_scores.len());
    request.rank(
        py,
        shape,
        report.as_ref(),
        rank::is_few,
        |request, progress| rank::rank_popularity(item_scores, order, request, progress),
    )
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
    let kernel = if as_published {
        published::rank_scores
    } else {
        rank::rank_scores
    };
    let shape = (request.n_users(py)?, scores.ncols());
    request.rank(
        py,
        shape,
        report.as_ref(),
        rank::is_few,
        |request, progress| kernel(scores, request, progress),
    )
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
        rank::is_few,
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
