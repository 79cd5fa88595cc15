//! Core errors as Python exceptions.

use ganmf_core::Error;
use pyo3::PyErr;
use pyo3::exceptions::{PyKeyboardInterrupt, PyMemoryError, PyValueError};

/// The message is shown as it stands: the core already names the argument and the value.
pub(crate) fn to_python(error: &Error) -> PyErr {
    match error {
        Error::InvalidArgument(_) | Error::NonFinite(_) => PyValueError::new_err(error.to_string()),
        Error::OutOfMemory(_) => PyMemoryError::new_err(error.to_string()),
        Error::Cancelled => PyKeyboardInterrupt::new_err(()),
    }
}
