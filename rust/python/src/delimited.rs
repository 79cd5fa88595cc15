//! Interactions from delimited text, fed in chunks.

use ganmf_core::delimited::{Format, Kind, Quoting, Reader, Times, Values};
use numpy::{IntoPyArray, PyArray1};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::run::run;

/// Reads columns of delimited text: `feed` every chunk, then `finish`; `take` in between.
///
/// Parameters
/// ----------
/// separator : bytes
/// quoting : {"off", "on", "auto-off", "auto-on"}
///     "on" as in RFC 4180; "auto-off" and "auto-on" refuse what may be meant the other way: a field
///     that would then be another one, and a field of several lines that are records by themselves.
/// quote : int
///     Byte of the quote character.
/// width : int
///     Fields of every record.
/// columns : list of (int, str, str)
///     Position, name for messages, and kind: "id", "number" or "time".
/// header : bool
///     Whether the first record names the columns.
/// strip : bool
///     Whether blanks around a field that is not quoted do not belong to it.
#[pyclass(module = "ganmf_fast._core")]
pub(crate) struct DelimitedReader {
    inner: Reader,
    n_columns: usize,
}

fn quoting(name: &str, quote: u8) -> PyResult<Quoting> {
    match name {
        "off" => Ok(Quoting::Off),
        "on" => Ok(Quoting::Rfc4180(quote)),
        "auto-on" => Ok(Quoting::Rfc4180UnlessAmbiguous(quote)),
        "auto-off" => Ok(Quoting::OffUnlessAmbiguous(quote)),
        _ => Err(PyValueError::new_err(format!(
            "quoting must be \"off\", \"on\", \"auto-off\" or \"auto-on\", not \"{name}\""
        ))),
    }
}

fn kind(name: &str) -> PyResult<Kind> {
    match name {
        "id" => Ok(Kind::Id),
        "number" => Ok(Kind::Number),
        "time" => Ok(Kind::Time),
        _ => Err(PyValueError::new_err(format!(
            "kind must be \"id\", \"number\" or \"time\", not \"{name}\""
        ))),
    }
}

#[pymethods]
impl DelimitedReader {
    #[new]
    fn new(
        py: Python<'_>,
        separator: Vec<u8>,
        quoting: &str,
        quote: u8,
        width: usize,
        columns: Vec<(usize, String, String)>,
        header: bool,
        strip: bool,
    ) -> PyResult<Self> {
        let format = Format {
            separator,
            quoting: self::quoting(quoting, quote)?,
            width,
            strip,
        };
        let columns = columns
            .into_iter()
            .map(|(place, name, of)| Ok((place, name, kind(&of)?)))
            .collect::<PyResult<Vec<_>>>()?;
        let n_columns = columns.len();
        let inner = run(py, None, |_| Reader::new(format, columns, header))?;
        Ok(Self { inner, n_columns })
    }

    /// Read the records that a chunk completes.
    fn feed(&mut self, py: Python<'_>, chunk: &[u8]) -> PyResult<()> {
        let inner = &mut self.inner;
        run(py, None, |progress| inner.feed(chunk, progress))
    }

    /// Read the last record, which may lack its line end.
    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        let inner = &mut self.inner;
        run(py, None, |progress| inner.finish(progress))
    }

    /// Values of each column since the last call: int32 numbers of ids by first appearance,
    /// float64, or times as int64, float64 or datetime64 in microseconds (viewed as int64).
    fn take<'py>(&mut self, py: Python<'py>) -> Vec<(&'static str, Bound<'py, PyAny>)> {
        self.inner
            .take()
            .into_iter()
            .map(|values| match values {
                Values::Codes(codes) => ("codes", codes.into_pyarray(py).into_any()),
                Values::Times(Times::Whole(all)) => ("whole", all.into_pyarray(py).into_any()),
                Values::Numbers(all) | Values::Times(Times::Real(all)) => {
                    ("real", all.into_pyarray(py).into_any())
                }
                Values::Times(Times::Moments(all)) => ("moment", all.into_pyarray(py).into_any()),
            })
            .collect()
    }

    /// Distinct ids of a column, by their numbers.
    fn ids<'py>(&self, py: Python<'py>, column: usize) -> PyResult<Bound<'py, PyList>> {
        if column >= self.n_columns {
            return Err(PyIndexError::new_err(format!(
                "there is no column {column}"
            )));
        }
        PyList::new(py, self.inner.ids(column))
    }

    /// Lines of these rows, from 1.
    fn lines_of<'py>(&self, py: Python<'py>, rows: Vec<u64>) -> Bound<'py, PyArray1<u64>> {
        let lines: Vec<u64> = rows.iter().map(|&row| self.inner.line_of(row)).collect();
        lines.into_pyarray(py)
    }

    /// Whether dates name their zones; None if there are none.
    #[getter]
    fn zoned(&self) -> Option<bool> {
        self.inner.zoned()
    }

    /// Records read so far, the header not among them.
    #[getter]
    fn rows(&self) -> u64 {
        self.inner.rows()
    }

    /// Blank lines passed over.
    #[getter]
    fn blank(&self) -> u64 {
        self.inner.blank()
    }

    /// Lines read so far.
    #[getter]
    fn lines(&self) -> u64 {
        self.inner.lines()
    }
}
