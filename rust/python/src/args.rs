//! Whole numbers from Python, refused by name where they do not fit.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

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
