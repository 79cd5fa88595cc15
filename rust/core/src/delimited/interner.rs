//! Distinct byte strings, numbered by first appearance.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::base::memory::{self, reserve};
use crate::base::{Error, Result};

const IDS: &str = "distinct ids";

/// Bytes of all distinct strings, one after another, and a table to find them by.
#[derive(Debug, Default)]
pub(super) struct Interner {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// Number of `text`, which becomes one of the strings if it is new and `check` allows it.
    pub(super) fn intern(
        &mut self,
        text: &[u8],
        check: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<i32> {
        let Self {
            bytes,
            ends,
            table,
            hasher,
        } = self;
        let hash = hasher.hash_one(text);
        if let Some(&code) = table.find(hash, |&code| string(bytes, ends, code) == text) {
            return Ok(code as i32);
        }
        check(text)?;
        let code = ends.len();
        if code >= i32::MAX as usize {
            return Err(Error::invalid("there are more than 2^31 - 1 distinct ids"));
        }
        reserve(bytes, text.len(), IDS)?;
        reserve(ends, 1, IDS)?;
        bytes.extend_from_slice(text);
        ends.push(bytes.len());
        let hash_of = |&code: &u32| hasher.hash_one(string(bytes, ends, code));
        if table.len() == table.capacity() {
            // The table doubles: a number and a byte for each slot.
            memory::check(table.capacity().saturating_mul(16), IDS)?;
            table.try_reserve(1, hash_of).map_err(|_| {
                Error::OutOfMemory(format!("the {IDS} outgrow the memory there is"))
            })?;
        }
        table.insert_unique(hash, code as u32, hash_of);
        Ok(code as i32)
    }

    pub(super) fn strings(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|code| string(&self.bytes, &self.ends, code as u32))
    }
}

fn string<'a>(bytes: &'a [u8], ends: &[usize], code: u32) -> &'a [u8] {
    let code = code as usize;
    let start = if code == 0 { 0 } else { ends[code - 1] };
    &bytes[start..ends[code]]
}
