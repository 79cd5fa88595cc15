//! Arrays whose length comes from data: made if there is memory for them, else refused by name.
//!
//! An allocation that fails ends the process, and one that the system grants without having it
//! gets the process killed later. So every array as long as the data say goes through here: it is
//! asked for in a way that may fail, a large one is compared with the memory there is, and all of
//! it is written at once, so that the next comparison sees it.
//!
//! Memory that other crates take is asked for by [`check`] before.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::{Error, Result};
use super::progress::Progress;

/// From here on an array leaves [`RESERVE`] for all the small allocations, which cannot be refused.
const MEDIUM: usize = 1 << 20;
/// From here on it is compared with the memory that is available, and so are many small ones when
/// they add up to this.
const LARGE: usize = 1 << 27;
const RESERVE: usize = 1 << 25;

/// Bytes that were asked for since the last look at what is available, by all threads.
static UNSEEN: AtomicUsize = AtomicUsize::new(0);

/// `n` copies of `value`; `what` is what messages call them.
pub fn filled<T: Clone>(n: usize, value: T, what: &str) -> Result<Vec<T>> {
    let mut array = with_room(n, what)?;
    array.resize(n, value);
    Ok(array)
}

/// `n` zeros.
pub fn zeros<T: Clone + Default>(n: usize, what: &str) -> Result<Vec<T>> {
    filled(n, T::default(), what)
}

/// As [`zeros`], so many that writing them takes long enough to be cancelled.
pub fn many_zeros<T: Clone + Default>(n: usize, what: &str, progress: &Progress) -> Result<Vec<T>> {
    let mut array = with_room(n, what)?;
    while array.len() < n {
        progress.check()?;
        array.resize(n.min(array.len() + LARGE / size_of::<T>()), T::default());
    }
    Ok(array)
}

/// An empty vector that holds `n` entries without growing.
pub fn with_room<T>(n: usize, what: &str) -> Result<Vec<T>> {
    let mut array = Vec::new();
    check_entries::<T>(n, what)?;
    array
        .try_reserve_exact(n)
        .map_err(|_| refusal::<T>(n, what))?;
    Ok(array)
}

/// A copy.
pub fn copied<T: Clone>(of: &[T], what: &str) -> Result<Vec<T>> {
    let mut array = with_room(of.len(), what)?;
    array.extend_from_slice(of);
    Ok(array)
}

/// Vectors one after the other.
pub fn joined<T: Clone>(parts: &[Vec<T>], what: &str) -> Result<Vec<T>> {
    let mut array = with_room(parts.iter().map(Vec::len).sum(), what)?;
    for part in parts {
        array.extend_from_slice(part);
    }
    Ok(array)
}

/// What an iterator of known length yields.
pub fn collected<T>(
    of: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    what: &str,
) -> Result<Vec<T>> {
    let of = of.into_iter();
    let mut array = with_room(of.len(), what)?;
    array.extend(of);
    Ok(array)
}

/// Room for `more` entries in a vector that grows.
#[inline]
pub fn reserve<T>(array: &mut Vec<T>, more: usize, what: &str) -> Result<()> {
    if more <= array.capacity() - array.len() {
        return Ok(());
    }
    let n = array.len().saturating_add(more);
    check_entries::<T>(n.max(array.capacity().saturating_mul(2)), what)?;
    array.try_reserve(more).map_err(|_| refusal::<T>(n, what))
}

/// Refuse what other code is about to allocate, if there is no memory for it.
pub fn check(bytes: usize, what: &str) -> Result<()> {
    check_entries::<u8>(bytes, what)
}

/// Refuse `n` entries of type `T`, if there is no memory for them.
fn check_entries<T>(n: usize, what: &str) -> Result<()> {
    let Some(bytes) = n.checked_mul(size_of::<T>()) else {
        return Err(refusal::<T>(n, what));
    };
    let is_granted = |bytes: usize| Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    let needed = bytes.saturating_add(RESERVE);
    let mut fits = bytes < MEDIUM || is_granted(needed);
    if UNSEEN.fetch_add(bytes, Ordering::Relaxed) >= LARGE || bytes >= LARGE {
        UNSEEN.store(0, Ordering::Relaxed);
        fits = fits && needed as u64 <= available();
    }
    if fits {
        Ok(())
    } else {
        Err(refusal::<T>(n, what))
    }
}

fn refusal<T>(n: usize, what: &str) -> Error {
    let shown = |bytes: f64| match bytes / f64::from(1 << 20) {
        mib if mib < 1024.0 => format!("{mib:.1} MiB"),
        mib => format!("{:.1} GiB", mib / 1024.0),
    };
    Error::OutOfMemory(format!(
        "the {what} need {} of memory, but {} are available",
        shown(n as f64 * size_of::<T>() as f64),
        shown(available() as f64)
    ))
}

/// Bytes that this process can still take, `u64::MAX` where the system does not say.
///
/// The least of what the system has, of what the limit of the control group (a container's) leaves,
/// and of what the limits of the process (`ulimit`) leave.
#[must_use]
pub fn available() -> u64 {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let system = number_after(&read("/proc/meminfo"), "MemAvailable:").map(|kib| kib << 10);
    let group = read("/sys/fs/cgroup/memory.max")
        .trim()
        .parse()
        .ok()
        .map(|limit: u64| {
            let used = read("/sys/fs/cgroup/memory.current").trim().parse();
            // Page cache counts as used, but is given back on demand.
            let cached = number_after(&read("/sys/fs/cgroup/memory.stat"), "inactive_file");
            limit
                .saturating_sub(used.unwrap_or(0))
                .saturating_add(cached.unwrap_or(0))
        });
    let (limits, status) = (read("/proc/self/limits"), read("/proc/self/status"));
    let process = [
        ("Max address space", "VmSize:"),
        ("Max data size", "VmData:"),
    ];
    let process = process.into_iter().filter_map(|(limit, used)| {
        let used = number_after(&status, used)? << 10;
        Some(number_after(&limits, limit)?.saturating_sub(used))
    });
    let known = [system, group].into_iter().flatten().chain(process);
    known.min().unwrap_or(u64::MAX)
}

/// The number that follows `key` at the beginning of a line.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_refused_by_name_and_size() {
        let error = zeros::<f64>(1 << 50, "counts").expect_err("refused");
        let message = error.to_string();
        assert!(matches!(error, Error::OutOfMemory(_)));
        assert!(message.starts_with("the counts need 8388608.0 GiB of memory, but "));
        for n in [usize::MAX / 2, usize::MAX] {
            assert!(with_room::<u64>(n, "x").is_err());
            assert!(reserve(&mut vec![0u8], n, "x").is_err());
            assert!(check(n, "x").is_err());
        }
    }

    #[test]
    fn what_can_be_is_made() {
        assert_eq!(filled(3, 7u8, "x"), Ok(vec![7; 3]));
        assert_eq!(copied(&[1, 2], "x"), Ok(vec![1, 2]));
        assert_eq!(collected(0..3, "x"), Ok(vec![0, 1, 2]));
        assert_eq!(joined(&[vec![1], vec![2, 3]], "x"), Ok(vec![1, 2, 3]));
        let progress = Progress::new();
        assert_eq!(many_zeros(9, "x", &progress), Ok(vec![0u16; 9]));
        progress.cancel();
        assert_eq!(many_zeros::<u16>(9, "x", &progress), Err(Error::Cancelled));
        assert_eq!(zeros::<u16>(1 << 20, "x").map(|v| v.len()), Ok(1 << 20));
        let mut grown = vec![1u8];
        reserve(&mut grown, 100, "x").expect("small");
        assert!(grown.capacity() > 100);
    }

    #[test]
    fn limits_are_read_from_the_lines_that_name_them() {
        let limits = "Limit  Soft Limit\nMax data size  unlimited  unlimited  bytes\n\
                      Max address space     1073741824   unlimited  bytes\n";
        assert_eq!(number_after(limits, "Max address space"), Some(1 << 30));
        assert_eq!(number_after(limits, "Max data size"), None);
        assert!(available() > 0);
    }
}
