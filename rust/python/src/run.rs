//! The one door from Python into a kernel.
//!
//! It detaches from the interpreter, runs the kernel on the chosen thread pool, looks for Ctrl-C
//! and reports progress every 100 ms, and turns errors and panics into Python exceptions. Work of
//! a millisecond or two is done on the calling thread, which takes less than starting another.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ganmf_core::{Error, Progress};
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::to_python;

const POLL: Duration = Duration::from_millis(100);

struct Pool {
    /// A forked child inherits the pool without its threads and must make its own.
    pid: u32,
    threads: Arc<ThreadPool>,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

fn build_pool(n: usize) -> PyResult<Arc<ThreadPool>> {
    ThreadPoolBuilder::new()
        .num_threads(n)
        .thread_name(|i| format!("ganmf-{i}"))
        .build()
        .map(Arc::new)
        .map_err(|e| no_threads(n, &e.to_string()))
}

/// What stops a thread from being started is that there is no memory for its stack, or a limit.
fn no_threads(n: usize, why: &str) -> PyErr {
    let n = if n == 0 {
        "enough".to_string()
    } else {
        n.to_string()
    };
    PyMemoryError::new_err(format!("the system does not start {n} threads: {why}"))
}

fn pool() -> PyResult<Arc<ThreadPool>> {
    let pid = std::process::id();
    let mut guard = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = match guard.as_ref() {
        Some(pool) if pool.pid == pid => return Ok(Arc::clone(&pool.threads)),
        Some(pool) => pool.threads.current_num_threads(),
        None => 0,
    };
    let threads = build_pool(wanted)?;
    let stale = guard.replace(Pool {
        pid,
        threads: Arc::clone(&threads),
    });
    // Dropping a pool whose threads did not survive the fork would wait for them forever.
    std::mem::forget(stale);
    Ok(threads)
}

/// Bytes that this process can still take; 2^64 - 1 where the system does not say.
#[pyfunction]
pub(crate) fn available_memory() -> u64 {
    ganmf_core::base::memory::available()
}

/// Threads that Rust kernels use from now on.
#[pyfunction]
pub(crate) fn set_num_threads(n: i64) -> PyResult<()> {
    if !(1..=1024).contains(&n) {
        return Err(PyValueError::new_err(format!(
            "n must be between 1 and 1024 threads, not {n}"
        )));
    }
    let threads = build_pool(n as usize)?;
    let pid = std::process::id();
    let mut guard = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(old) = guard.replace(Pool { pid, threads })
        && old.pid != pid
    {
        std::mem::forget(old);
    }
    Ok(())
}

/// Threads that Rust kernels use.
#[pyfunction]
pub(crate) fn get_num_threads() -> PyResult<usize> {
    Ok(pool()?.current_num_threads())
}

/// Run `kernel` on the pool while this thread watches for signals and reports progress.
///
/// `report(done, total)` is called about ten times a second; an exception it raises, like Ctrl-C,
/// cancels the kernel and is raised here once the kernel has stopped.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    report: Option<&Py<PyAny>>,
    kernel: impl FnOnce(&Progress) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let threads = pool()?;
    let progress = Progress::new();
    let tick = || {
        Python::attach(|py| {
            py.check_signals()?;
            if let Some(report) = report {
                report.call1(py, progress.state())?;
            }
            Ok(())
        })
    };
    py.detach(|| {
        std::thread::scope(|scope| {
            let (send, receive) = sync_channel(1);
            let (threads, progress) = (&threads, &progress);
            std::thread::Builder::new()
                .spawn_scoped(scope, move || {
                    let result =
                        catch_unwind(AssertUnwindSafe(|| threads.install(|| kernel(progress))));
                    // The receiver waits for exactly this message.
                    let _ = send.send(result);
                })
                .map_err(|e| no_threads(1, &e.to_string()))?;
            let mut interrupt: Option<PyErr> = None;
            loop {
                match receive.recv_timeout(POLL) {
                    Ok(Ok(result)) => {
                        return match interrupt {
                            Some(error) => Err(error),
                            None => result.map_err(|e| to_python(&e)),
                        };
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if interrupt.is_none()
                            && let Err(error) = tick()
                        {
                            progress.cancel();
                            interrupt = Some(error);
                        }
                    }
                    Ok(Err(panic)) => return Err(panic_message(panic.as_ref())),
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(PyRuntimeError::new_err("a kernel ended without an answer"));
                    }
                }
            }
        })
    })
}

/// Run a small kernel on this thread: it must use no other, and end before anyone would interrupt.
pub(crate) fn run_here<T: Send>(
    py: Python<'_>,
    kernel: impl FnOnce(&Progress) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let work = || catch_unwind(AssertUnwindSafe(|| kernel(&Progress::new())));
    match py.detach(work) {
        Ok(result) => result.map_err(|e| to_python(&e)),
        Err(panic) => Err(panic_message(panic.as_ref())),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> PyErr {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("unknown");
    PyRuntimeError::new_err(format!(
        "internal error, please report it with the call that led here: {text}"
    ))
}
