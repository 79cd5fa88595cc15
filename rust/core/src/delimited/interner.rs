//! Distinct byte strings, numbered by first appearance.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::base::{Error, Result};

/// Bytes of all distinct strings, one after another, and a table to find them by.
#[derive(Debug, Default)]
pub(super) struct Interner {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// Number of `text`, and whether it is new.
    pub(super) fn intern(&mut self, text: &[u8]) -> Result<(i32, bool)> {
        let Self {
            bytes,
            ends,
            table,
            hasher,
        } = self;
        let hash = hasher.hash_one(text);
        if let Some(&code) = table.find(hash, |&code| string(bytes, ends, code) == text) {
            return Ok((code as i32, false));
        }
        let code = ends.len();
        if code >= i32::MAX as usize {
            return Err(Error::invalid("there are more than 2^31 - 1 distinct ids"));
        }
        bytes.extend_from_slice(text);
        ends.push(bytes.len());
        table.insert_unique(hash, code as u32, |&code| {
            hasher.hash_one(string(bytes, ends, code))
        });
        Ok((code as i32, true))
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
