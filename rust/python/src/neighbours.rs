//! Fitting of item and user weights.

use ganmf_core::neighbours::new_targets::neighbours_of;
use ganmf_core::neighbours::pair_counts::stored;
use ganmf_core::neighbours::similarity::{Kind, Similarity};
use ganmf_core::neighbours::weighting::{Weighting, weighted};
use ganmf_core::neighbours::{self, KnnParams};
use ganmf_core::published;
use ganmf_core::{CsrMatrix, Error, Progress};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::args::{choice, topk_of};
use crate::csr::Csr;
use crate::error::to_python;
use crate::run::run;

/// Parameters of nearest neighbours, as a mapping; those of another similarity are not read.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct KnnArgs<'py> {
    topk: Bound<'py, PyAny>,
    shrink: f64,
    similarity: String,
    normalize: bool,
    asymmetric_alpha: f64,
    tversky_alpha: f64,
    tversky_beta: f64,
    normalize_avg_row: bool,
    similarity_from_distance_mode: String,
}

impl KnnArgs<'_> {
    pub(crate) fn params(&self) -> PyResult<KnnParams> {
        let normalize = self.normalize;
        let kind = match self.similarity.as_str() {
            "cosine" => Kind::Cosine { normalize },
            "asymmetric" => Kind::Asymmetric {
                alpha: self.asymmetric_alpha,
                normalize,
            },
            "jaccard" => Kind::Jaccard,
            "dice" => Kind::Dice,
            "tversky" => Kind::Tversky {
                alpha: self.tversky_alpha,
                beta: self.tversky_beta,
            },
            "euclidean" => Kind::Euclidean {
                normalize,
                average: self.normalize_avg_row,
                mode: choice(&self.similarity_from_distance_mode)?,
            },
            other => {
                return Err(PyValueError::new_err(format!(
                    "there is no similarity {other:?}"
                )));
            }
        };
        Ok(KnnParams {
            topk: topk_of(&self.topk)?,
            similarity: Similarity::try_new(kind, self.shrink).map_err(|e| to_python(&e))?,
        })
    }
}

/// Neighbours of each column, columns x columns: by target, or transposed to item weights.
#[pyfunction]
#[pyo3(signature = (urm, params, by_target, weighting=None, report=None, as_published=false))]
pub(crate) fn fit_knn(
    py: Python<'_>,
    urm: &Csr,
    params: KnnArgs<'_>,
    by_target: bool,
    weighting: Option<&str>,
    report: Option<Py<PyAny>>,
    as_published: bool,
) -> PyResult<Csr> {
    let params = params.params()?;
    let weighting: Option<Weighting> = weighting.map(choice).transpose()?;
    let guard = urm.guard(py);
    let view = guard.view()?;
    let kernel = |progress: &Progress| -> Result<CsrMatrix, Error> {
        let weights = weighting.map(|w| weighted(view, w)).transpose()?;
        let view = weights.as_ref().map_or(view, CsrMatrix::view);
        let found = if as_published {
            published::neighbours::neighbours(view, params, progress)?
        } else {
            neighbours::neighbours(view, params, progress)?
        };
        if by_target {
            Ok(found)
        } else {
            found.view().transpose(progress)
        }
    };
    let found = run(py, report.as_ref(), kernel)?;
    Csr::from_matrix(py, found)
}

/// Neighbours, among the columns of `urm`, of new columns, each a row of `targets` over its rows.
#[pyfunction]
#[pyo3(signature = (urm, targets, params, weighting=None, report=None))]
pub(crate) fn knn_of_new(
    py: Python<'_>,
    urm: &Csr,
    targets: &Csr,
    params: KnnArgs,
    weighting: Option<&str>,
    report: Option<Py<PyAny>>,
) -> PyResult<Csr> {
    let params = params.params()?;
    let weighting: Option<Weighting> = weighting.map(choice).transpose()?;
    let (urm, targets) = (urm.guard(py), targets.guard(py));
    let (urm, targets) = (urm.view()?, targets.view()?);
    let found = run(py, report.as_ref(), |progress| {
        neighbours_of(urm, targets, params, weighting, progress)
    })?;
    Csr::from_matrix(py, found)
}

/// Counts of common rows of all pairs of columns, kept for many fits; values are ignored.
#[pyclass(frozen, module = "ganmf_fast._core")]
pub(crate) struct PairCounts {
    counts: stored::PairCounts,
}

#[pymethods]
impl PairCounts {
    #[new]
    #[pyo3(signature = (urm, report=None))]
    fn new(py: Python<'_>, urm: &Csr, report: Option<Py<PyAny>>) -> PyResult<Self> {
        let guard = urm.guard(py);
        let view = guard.view()?;
        let counts = run(py, report.as_ref(), |p| stored::PairCounts::new(view, p))?;
        Ok(Self { counts })
    }

    /// Bytes that the counts of a matrix take at most.
    #[staticmethod]
    fn bytes_needed(py: Python<'_>, urm: &Csr) -> PyResult<u64> {
        let guard = urm.guard(py);
        let view = guard.view()?;
        Ok(run(py, None, |_| stored::bytes_needed(view))?.0)
    }

    /// As `fit_knn` of the matrix that was counted, without its values.
    #[pyo3(signature = (params, by_target, report=None))]
    fn fit_knn(
        &self,
        py: Python<'_>,
        params: KnnArgs<'_>,
        by_target: bool,
        report: Option<Py<PyAny>>,
    ) -> PyResult<Csr> {
        let params = params.params()?;
        let found = run(py, report.as_ref(), |progress| {
            if by_target {
                self.counts.neighbours(params, progress)
            } else {
                self.counts.item_weights(params, progress)
            }
        })?;
        Csr::from_matrix(py, found)
    }
}
