//! Interactions from delimited text of any length, fed in chunks.
//!
//! Objective: every record is read exactly as written, or refused with its line; nothing is
//! guessed, skipped or merged. Ids are numbered by first appearance and held once.
//! Source: RFC 4180, with separators of any length, and quoting that can be off.
//! Deviation: line ends may be `\n` alone. Cost: O(bytes) time; memory for the distinct ids, for
//! what was read since the last `take`, and for one record, of at most [`MAX_RECORD`] bytes.

mod fields;
mod interner;
mod times;

use std::borrow::Cow;

use crate::base::memory::{copied, reserve, with_room};
use crate::base::{Error, Progress, Result};
use fields::Field;
pub use fields::{Format, Quoting};
use interner::Interner;
use times::TimeColumn;
pub use times::Times;

/// Bytes of the longest record: a quote that is left open by mistake must not fill the memory.
pub const MAX_RECORD: usize = 1 << 26;

const RECORD: &str = "bytes of a record";
const VALUES: &str = "values of a column";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ids: any text but the empty one.
    Id,
    /// Real numbers.
    Number,
    /// Timestamps.
    Time,
}

/// Values of a column since the last [`Reader::take`].
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers of ids by first appearance.
    Codes(Vec<i32>),
    /// Numbers as written.
    Numbers(Vec<f64>),
    /// Timestamps.
    Times(Times),
}

#[derive(Debug)]
enum Column {
    Id { ids: Interner, codes: Vec<i32> },
    Number(Vec<f64>),
    Time(TimeColumn),
}

/// Reads records, one chunk after another.
#[derive(Debug)]
pub struct Reader {
    format: Format,
    /// Position, name for messages, content.
    columns: Vec<(usize, String, Column)>,
    wanted: Vec<usize>,
    /// Records to pass over at the beginning: the header.
    header: bool,
    /// Start of a record whose end is not there yet.
    rest: Vec<u8>,
    /// Number of the line at which the next record begins.
    line: u64,
    rows: u64,
    blank: u64,
    /// Rows whose line is not that of the row before plus one, with their lines.
    jumps: Vec<(u64, u64)>,
    fields: Vec<Field>,
    no_ids: Interner,
}

impl Reader {
    /// A reader of some columns: position, name for messages, and kind of each.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the separator is empty or a position is outside the width.
    pub fn new(format: Format, columns: Vec<(usize, String, Kind)>, header: bool) -> Result<Self> {
        if format.separator.is_empty() || format.separator.contains(&b'\n') {
            return Err(Error::invalid(
                "separator must be one or more characters of a line",
            ));
        }
        if let Some((place, name, _)) = columns.iter().find(|(place, ..)| *place >= format.width) {
            return Err(Error::invalid(format!(
                "column {place} of {name} is outside the {} fields of a record",
                format.width
            )));
        }
        let wanted = columns.iter().map(|(place, ..)| *place).collect();
        let columns = columns
            .into_iter()
            .map(|(place, name, kind)| {
                let column = match kind {
                    Kind::Id => Column::Id {
                        ids: Interner::default(),
                        codes: Vec::new(),
                    },
                    Kind::Number => Column::Number(Vec::new()),
                    Kind::Time => Column::Time(TimeColumn::default()),
                };
                (place, name, column)
            })
            .collect();
        Ok(Self {
            format,
            columns,
            wanted,
            header,
            rest: Vec::new(),
            line: 1,
            rows: 0,
            blank: 0,
            jumps: Vec::new(),
            fields: Vec::new(),
            no_ids: Interner::default(),
        })
    }

    /// Read the records that `chunk` completes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the line, if a record has another number of fields, a quote
    /// is not where it may be, or a field of a column is not what it should be;
    /// [`Error::OutOfMemory`], [`Error::Cancelled`].
    pub fn feed(&mut self, chunk: &[u8], progress: &Progress) -> Result<()> {
        let mut start = 0;
        if !self.rest.is_empty() {
            // Complete what was begun: with the next line, or, where that is inside quotes, with
            // twice as much each time, since all of it is looked through again.
            let mut joined = std::mem::take(&mut self.rest);
            let begun = joined.len();
            let (mut used, mut least) = (0, 0);
            while used < begun {
                progress.check()?;
                let until = joined.len() - begun;
                if until == chunk.len() {
                    joined.drain(..used);
                    return self.keep(joined);
                }
                let from = chunk.len().min(until + least);
                let line = memchr::memchr(b'\n', &chunk[from..]);
                let end = line.map_or(chunk.len(), |n| from + n + 1);
                reserve(&mut joined, end - until, RECORD)?;
                joined.extend_from_slice(&chunk[until..end]);
                loop {
                    let read = self.record(&joined[used..], false)?;
                    used += read;
                    if read == 0 || used >= begun {
                        break;
                    }
                }
                least = joined.len();
            }
            start = used - begun;
        }
        for nth in 0.. {
            progress.look(nth)?;
            let used = self.record(&chunk[start..], false)?;
            if used == 0 {
                break;
            }
            start += used;
        }
        let rest = &chunk[start..];
        self.keep(copied(&rest[..rest.len().min(MAX_RECORD + 1)], RECORD)?)
    }

    /// Read the last record, which may lack its line end.
    ///
    /// # Errors
    /// As [`Reader::feed`].
    pub fn finish(&mut self, progress: &Progress) -> Result<()> {
        let rest = std::mem::take(&mut self.rest);
        let mut start = 0;
        while start < rest.len() {
            progress.check()?;
            start += self.record(&rest[start..], true)?;
        }
        Ok(())
    }

    /// Values of each column since the last call.
    pub fn take(&mut self) -> Vec<Values> {
        self.columns
            .iter_mut()
            .map(|(_, _, column)| match column {
                Column::Id { codes, .. } => Values::Codes(std::mem::take(codes)),
                Column::Number(numbers) => Values::Numbers(std::mem::take(numbers)),
                Column::Time(times) => Values::Times(times.take()),
            })
            .collect()
    }

    /// Distinct ids of a column by their numbers; none if there is no such column of ids.
    #[must_use]
    pub fn ids(&self, column: usize) -> impl ExactSizeIterator<Item = &str> {
        let ids = match self.columns.get(column) {
            Some((_, _, Column::Id { ids, .. })) => ids,
            _ => &self.no_ids,
        };
        // Checked when they were new.
        ids.strings()
            .map(|id| std::str::from_utf8(id).unwrap_or_default())
    }

    /// Whether the times of the first column of dates name their zones; None if there are none.
    #[must_use]
    pub fn zoned(&self) -> Option<bool> {
        self.columns.iter().find_map(|(_, _, column)| match column {
            Column::Time(times) => times.zoned(),
            _ => None,
        })
    }

    /// Records read so far, the header not among them.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Blank lines passed over.
    #[must_use]
    pub fn blank(&self) -> u64 {
        self.blank
    }

    /// Lines read so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.line - 1
    }

    /// Number of the first line of a record, from 1.
    #[must_use]
    pub fn line_of(&self, row: u64) -> u64 {
        match self.jumps.partition_point(|&(first, _)| first <= row) {
            0 => row + 1,
            at => {
                let (first, line) = self.jumps[at - 1];
                line + (row - first)
            }
        }
    }

    fn keep(&mut self, rest: Vec<u8>) -> Result<()> {
        if rest.len() > MAX_RECORD {
            return Err(Error::invalid(format!(
                "line {}: a record of more than {} MiB, as after a quote that is left open",
                self.line,
                MAX_RECORD >> 20
            )));
        }
        self.rest = rest;
        Ok(())
    }

    /// Read one record from the beginning of `text`; the bytes it took, 0 if it is not complete.
    fn record(&mut self, text: &[u8], last: bool) -> Result<usize> {
        if text.is_empty() {
            return Ok(0);
        }
        let mut fields = std::mem::take(&mut self.fields);
        let cut = self
            .format
            .cut(text, last, self.line, &self.wanted, &mut fields);
        let used = match cut {
            Ok(Some(cut)) => {
                if let Some(at) = memchr::memchr(0, &text[..cut.end]) {
                    let before = memchr::memchr_iter(b'\n', &text[..at]).count() as u64;
                    return Err(Error::invalid(format!(
                        "line {}: a NUL byte, as where a crash left zeros in place of text: \
                         remove such bytes, or give a whole copy",
                        self.line + before
                    )));
                }
                self.fields_read(text, cut.fields, &fields)?;
                self.line += cut.lines;
                cut.end
            }
            Ok(None) => 0,
            Err(error) => return Err(error),
        };
        self.fields = fields;
        Ok(used)
    }

    /// Take the values of a record of `n_fields`, the first of which are `fields`.
    fn fields_read(&mut self, text: &[u8], n_fields: usize, fields: &[Field]) -> Result<()> {
        if let ([only], 1) = (fields, n_fields)
            && !only.quoted
            && text[only.start..only.end].trim_ascii().is_empty()
        {
            self.blank += 1;
            return Ok(());
        }
        if n_fields != self.format.width {
            let plural = if n_fields == 1 { "field" } else { "fields" };
            return Err(Error::invalid(format!(
                "line {}: {n_fields} {plural}, but line 1 has {}",
                self.line, self.format.width
            )));
        }
        if std::mem::take(&mut self.header) {
            return Ok(());
        }
        let expected = match self.jumps.last() {
            None => self.rows + 1,
            Some((first, line)) => line + (self.rows - first),
        };
        if self.line != expected {
            reserve(&mut self.jumps, 1, VALUES)?;
            self.jumps.push((self.rows, self.line));
        }
        for (place, name, column) in &mut self.columns {
            let field = fields[*place];
            let mut value = Cow::Borrowed(&text[field.start..field.end]);
            if self.format.strip && !field.quoted {
                value = Cow::Borrowed(text[field.start..field.end].trim_ascii());
            }
            if field.doubled {
                value = Cow::Owned(halved(&value, text[field.start - 1])?);
            }
            read_field(self.line, name, column, &value, field.quoted)?;
        }
        self.rows += 1;
        Ok(())
    }
}

fn read_field(
    line: u64,
    name: &str,
    column: &mut Column,
    value: &[u8],
    quoted: bool,
) -> Result<()> {
    let refuse = |what: &str| Err(Error::invalid(format!("line {line}: {what}")));
    if value.is_empty() || (!quoted && value.trim_ascii().is_empty()) {
        return refuse(&format!("{name} is missing"));
    }
    if let Column::Id { ids, codes } = column {
        let code = ids.intern(value, |id| {
            if std::str::from_utf8(id).is_err() {
                return refuse(&format!("{name} is not UTF-8 text"));
            }
            if !quoted && id.contains(&b'\r') {
                return refuse(&format!("{name} holds a carriage return"));
            }
            Ok(())
        })?;
        reserve(codes, 1, VALUES)?;
        codes.push(code);
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(value) else {
        return refuse(&format!("{name} is not UTF-8 text"));
    };
    let shown = || text.chars().take(40).collect::<String>();
    match column {
        Column::Number(numbers) => match text.trim_matches([' ', '\t']).parse() {
            Ok(number) if f64::is_finite(number) => {
                reserve(numbers, 1, VALUES)?;
                numbers.push(number);
            }
            Ok(_) => return refuse(&format!("{name} {} is not a finite number", shown())),
            Err(_) => return refuse(&format!("{name} '{}' is not a number", shown())),
        },
        Column::Time(times) => {
            if !times.push(text)? {
                if times::is_beyond_64_bits(text) {
                    return refuse(&format!("{name} '{}' is beyond 64 bits", shown()));
                }
                return refuse(&format!(
                    "{name} '{}' is neither a number nor a date, or of another kind than before",
                    shown()
                ));
            }
        }
        Column::Id { .. } => {}
    }
    Ok(())
}

/// Two quotes stand for one.
fn halved(value: &[u8], quote: u8) -> Result<Vec<u8>> {
    let mut out = with_room(value.len(), RECORD)?;
    let mut at = 0;
    while at < value.len() {
        out.push(value[at]);
        at += 1 + usize::from(value[at] == quote);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
