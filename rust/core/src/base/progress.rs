//! Progress and cancellation, shared between a kernel and its caller.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::error::{Error, Result};

/// Steps of a loop, or cells of a pass, between two looks at the cancel flag.
pub const LOOK: usize = 4096;

/// Multiplications that take a millisecond or two, far less than what a person or a signal waits.
const SMALL: usize = 1 << 23;

/// Whether so many multiplications are done before a thread has started, and need no progress.
#[must_use]
pub fn is_small(multiplications: usize) -> bool {
    multiplications <= SMALL
}

/// Counters a kernel writes and a watcher reads, and a flag the watcher writes and the kernel
/// reads.
///
/// Relaxed ordering everywhere: the values are only displayed, and a late look at the cancel flag
/// costs one more row of work.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// A fresh counter: nothing done, nothing to do, not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Announce the number of steps (rows, as a rule) of the next phase and start it at zero.
    pub fn start(&self, total: u64) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Record `steps` finished steps; fails if the caller has cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once [`cancel`](Self::cancel) was called.
    pub fn advance(&self, steps: u64) -> Result<()> {
        self.done.fetch_add(steps, Ordering::Relaxed);
        self.check()
    }

    /// Fails if the caller has cancelled.
    ///
    /// # Errors
    /// [`Error::Cancelled`] once [`cancel`](Self::cancel) was called.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    /// As [`check`](Self::check), once in [`LOOK`] times: for loops of short steps numbered `at`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    #[inline]
    pub fn look(&self, at: usize) -> Result<()> {
        if at.is_multiple_of(LOOK) {
            self.check()
        } else {
            Ok(())
        }
    }

    /// Make the kernel stop at its next check.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// `(done, total)` of the current phase.
    #[must_use]
    pub fn state(&self) -> (u64, u64) {
        (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }
}
