//! Dispatch to the widest vector instructions of the processor, at run time.
//!
//! One binary serves old and new processors: a loop handed to [`dispatch`] is compiled for AVX-512,
//! for AVX2 with FMA, and plainly, and the best that the processor has is taken. Nothing here is
//! `unsafe`; the choice is that of the crate `pulp`.
//!
//! The compiler vectorises only what it can inline, so whatever a loop calls must be
//! `#[inline(always)]` or generic and small. A closure of more than a few lines is not inlined
//! either, and cannot be marked: make it a [`Kernel`], a struct of what it captures whose `call`
//! is `#[inline(always)]`.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::_MM_HINT_T0;
use std::sync::LazyLock;

pub use pulp::NullaryFnOnce as Kernel;
use pulp::{Arch, WithSimd};

/// Asking the processor what it has takes microseconds, and much longer in a virtual machine.
static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Run `work` with the vectors of the processor spelled out, where the compiler does not find them.
#[inline]
pub fn dispatch_simd<W: WithSimd>(work: W) -> W::Output {
    ARCH.dispatch(work)
}

/// Vectors of sixteen numbers that add under a mask of bits, if the processor has them.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn avx512() -> Option<pulp::x86::V4> {
    match *ARCH {
        Arch::V4(simd) => Some(simd),
        _ => None,
    }
}

/// Vectors of 256 bits, those of whole numbers included, if the processor has them.
#[cfg(target_arch = "x86_64")]
#[inline]
#[must_use]
pub fn avx2() -> Option<pulp::x86::V3> {
    match *ARCH {
        Arch::V4(simd) => Some(*simd),
        Arch::V3(simd) => Some(simd),
        _ => None,
    }
}

/// Bytes that memory is read in.
#[cfg(target_arch = "x86_64")]
const CACHE_LINE: usize = 64;

/// Have the processor read a slice from memory while it computes something else.
#[inline(always)]
pub fn prefetch<T>(slice: &[T]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = avx2() {
        let (start, size) = (slice.as_ptr().cast::<i8>(), size_of_val(slice));
        // The last byte may lie in a line of its own.
        for at in (0..size).step_by(CACHE_LINE).chain([size.max(1) - 1]) {
            simd.sse._mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(at));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slice;
}

/// Run `work`, compiled for the widest vectors there are.
///
/// Call it around a hot loop, not inside one: what lies within cannot be inlined into the caller.
#[inline]
pub fn dispatch<T>(work: impl Kernel<Output = T>) -> T {
    ARCH.dispatch(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_that_of_plain_code() {
        let words: Vec<u64> = (0..1003u64).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        let count = |w: &[u64]| w.iter().map(|x| x.count_ones()).sum::<u32>();
        assert_eq!(dispatch(|| count(&words)), count(&words));
    }
}
