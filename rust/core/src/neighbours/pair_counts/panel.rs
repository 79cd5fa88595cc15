//! Sums over common rows as they are handed over: in panels, to a sink.

use crate::base::Result;

/// A sum over common rows, as a panel holds it.
pub(crate) trait Sum: Copy + Default + Send + Sync {
    /// As the formulas use it.
    fn to_f64(self) -> f64;
    /// As thresholds use it.
    fn to_f32(self) -> f32;
}

impl Sum for f32 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
}

impl Sum for f64 {
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }
}

/// Sums of the ranks `first..first + rows` with all smaller ranks.
pub(crate) struct Panel<'a, T> {
    pub(crate) first: usize,
    pub(crate) rows: usize,
    pub(super) stride: usize,
    pub(super) cells: &'a [T],
}

impl<T> Panel<'_, T> {
    /// Sums of rank `first + b` with the ranks `0..first + b`.
    #[inline]
    pub(crate) fn row(&self, b: usize) -> &[T] {
        &self.cells[b * self.stride..][..self.first + b]
    }
}

/// Consumer of panels, in order.
pub(crate) trait Sink<T> {
    fn absorb(&mut self, panel: &Panel<T>) -> Result<()>;
}
