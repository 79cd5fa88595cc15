//! Numbers, words and arrays from Python; the exception names the argument that does not fit.

use std::str::FromStr;

use ganmf_core::Error;
use numpy::ndarray::ArrayView2;
use numpy::{
    Element, PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

use crate::error::to_python;

/// One of a few words, as the core knows it.
pub(crate) fn choice<T: FromStr<Err = Error>>(word: &str) -> PyResult<T> {
    word.parse().map_err(|e| to_python(&e))
}

/// A copy of a one-dimensional array that nobody else can write to; numpy makes it, so that it is
/// no undefined behaviour if another thread is writing to `array` meanwhile.
pub(crate) fn owned<T: Element>(array: &Bound<'_, PyArray1<T>>) -> PyResult<Py<PyArray1<T>>> {
    let py = Bound::py(array);
    let how = [("copy", true), ("subok", false)].into_py_dict(py)?;
    let copy = py
        .import("numpy")?
        .call_method("array", (array,), Some(&how))?;
    let copy = read_only(copy.cast_into::<PyArray1<T>>()?)?;
    // The flag of an array that owns its memory can be set back, that of a view cannot.
    Ok(copy
        .call_method0("view")?
        .cast_into::<PyArray1<T>>()?
        .unbind())
}

/// The same array, which cannot be written to any more.
pub(crate) fn read_only<T: Element>(
    array: Bound<'_, PyArray1<T>>,
) -> PyResult<Bound<'_, PyArray1<T>>> {
    array.getattr("flags")?.setattr("writeable", false)?;
    Ok(array)
}

/// Index arrays that a kernel checks and then trusts: copied first, so that no other thread can
/// change them in between.
pub(crate) struct Indices<'py, T: Element>(PyReadonlyArray1<'py, T>);

impl<'py, T: Element> Indices<'py, T> {
    pub(crate) fn of(array: &Bound<'py, PyArray1<T>>) -> PyResult<Self> {
        let copy = owned(array)?;
        Ok(Self(copy.bind(Bound::py(array)).try_readonly()?))
    }

    pub(crate) fn slice(&self, name: &str) -> PyResult<&[T]> {
        slice(&self.0, name)
    }
}

/// Borrow a one-dimensional array, which must be contiguous.
pub(crate) fn slice<'a, T: Element>(
    array: &'a PyReadonlyArray1<'_, T>,
    name: &str,
) -> PyResult<&'a [T]> {
    array.as_slice().map_err(|_| contiguous(name))
}

/// Borrow a matrix row after row.
pub(crate) fn rows<'a, T: Element>(
    array: &'a PyReadonlyArray2<'_, T>,
    name: &str,
) -> PyResult<&'a [T]> {
    if array.is_c_contiguous() {
        return array.as_slice().map_err(|_| contiguous(name));
    }
    Err(contiguous(name))
}

/// Borrow a matrix in any order of its entries.
pub(crate) fn matrix<'a, T: Element>(
    array: &'a PyReadonlyArray2<'_, T>,
    name: &str,
) -> PyResult<ArrayView2<'a, T>> {
    let size = size_of::<T>().cast_signed();
    if array.is_aligned() && array.strides().iter().all(|stride| stride % size == 0) {
        return Ok(array.as_array());
    }
    Err(PyValueError::new_err(format!(
        "{name} must be aligned in memory, as a copy of it is"
    )))
}

pub(crate) fn contiguous(name: &str) -> PyErr {
    PyValueError::new_err(format!("{name} must be a contiguous array"))
}

/// How many weights or neighbours are kept.
pub(crate) fn topk_of(topk: &Bound<'_, PyAny>) -> PyResult<usize> {
    natural("topk", topk)
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
