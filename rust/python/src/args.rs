//! Numbers and words from Python; the exception names the argument that does not fit.

use std::str::FromStr;

use ganmf_core::Error;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use ganmf_core::base::error::to_python;

/// One of a few words, as the core knows it.
pub(crate) fn choice<T: FromStr<Err = Error>>(word: &str) -> PyResult<T> {
    word.parse().map_err(|e| to_python(&e))
}

/// How many weights or neighbours are kept.
pub(crate) fn topk_of(topk: i64) -> PyResult<usize> {
    usize::try_from(topk)
        .map_err(|_| PyValueError::new_err(format!("topk must be at least 1, not {topk}")))
}

/// `value` as a whole number from zero upwards that fits `T`.
///
/// Anything with `__index__` will do; the exception names the argument and shows the value.
pub(crate) fn natural<T: TryFrom<u64>>(name: &str, value: &Bound<'_, PyAny>) -> PyResult<T> {
    let index = value.call_method0("__index__").map_err(|_| {
        PyTypeError::new_err(format!("{name} must be a whole number, not {value:?}"))
    })?;
    index
        .extract::<u64>()
        .ok()
        .and_then(|n| T::try_from(n).ok())
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "{name} must be a whole number in 0..2**64, not {value:?}"
            ))
        })
}
