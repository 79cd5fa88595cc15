//! Cutting one record of delimited text into fields.

use memchr::{memchr, memchr_iter, memmem};

use crate::base::memory::reserve;
use crate::base::{Error, Result};

/// What a quote character at the beginning of a field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// Nothing: it is a character like any other.
    Off,
    /// RFC 4180: the field ends at the next single quote; two of them stand for one.
    Rfc4180(u8),
    /// RFC 4180, but a record of several lines, each of which would be one, is refused.
    Rfc4180UnlessAmbiguous(u8),
    /// Nothing, but a field that is read and would be another one under RFC 4180 is refused.
    OffUnlessAmbiguous(u8),
}

/// How text is cut into records and fields.
#[derive(Debug, Clone)]
pub struct Format {
    /// One or more bytes between two fields.
    pub separator: Vec<u8>,
    /// Meaning of quotes.
    pub quoting: Quoting,
    /// Fields of every record.
    pub width: usize,
    /// Whether blanks around a field that is not quoted do not belong to it.
    pub strip: bool,
}

/// Place of a field in the bytes of its record, and whether doubled quotes are to be halved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quoted: bool,
    pub(super) doubled: bool,
}

/// A record that was cut: bytes up to and with its line end, the line ends it holds, and how many
/// fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) end: usize,
    pub(super) lines: u64,
    pub(super) fields: usize,
}

/// The fields of a record, of which no more are kept than it should have: another record holds
/// millions.
struct Fields<'a> {
    kept: &'a mut Vec<Field>,
    most: usize,
    n: usize,
}

impl<'a> Fields<'a> {
    fn new(kept: &'a mut Vec<Field>, most: usize) -> Self {
        kept.clear();
        Self { kept, most, n: 0 }
    }

    fn push(&mut self, field: Field) -> Result<()> {
        if self.kept.len() < self.most {
            reserve(self.kept, 1, "fields of a record")?;
            self.kept.push(field);
        }
        self.n += 1;
        Ok(())
    }
}

impl Format {
    /// Cut the record that begins at `text[0]` into `fields`, as many as there should be.
    ///
    /// None if the record is not complete in `text`, which cannot be once `last` says that no more
    /// follows. `line` is the number of its first line, for messages.
    pub(super) fn cut(
        &self,
        text: &[u8],
        last: bool,
        line: u64,
        wanted: &[usize],
        fields: &mut Vec<Field>,
    ) -> Result<Option<Cut>> {
        let (content, end) = match memchr(b'\n', text) {
            Some(at) => (&text[..at], at + 1),
            None if last => (text, text.len()),
            None => return Ok(None),
        };
        let mut found = Fields::new(fields, self.width.max(1));
        if let Quoting::Rfc4180(quote) | Quoting::Rfc4180UnlessAmbiguous(quote) = self.quoting
            && memchr(quote, content).is_some()
        {
            return self.cut_quoted(text, quote, last, line, &mut found);
        }
        self.cut_plain(trimmed(content), &mut found)?;
        let n = found.n;
        if let Quoting::OffUnlessAmbiguous(quote) = self.quoting
            && memchr(quote, content).is_some()
        {
            self.refuse_ambiguous(text, trimmed(content).len(), quote, line, wanted, fields)?;
        }
        Ok(Some(Cut {
            end,
            lines: 1,
            fields: n,
        }))
    }

    fn cut_plain(&self, content: &[u8], fields: &mut Fields<'_>) -> Result<()> {
        let mut start = 0;
        let mut push = |at: usize| {
            let field = Field {
                start,
                end: at,
                quoted: false,
                doubled: false,
            };
            start = at + self.separator.len();
            fields.push(field)
        };
        if let [separator] = self.separator[..] {
            memchr_iter(separator, content).try_for_each(&mut push)?;
        } else {
            memmem::find_iter(content, &self.separator).try_for_each(&mut push)?;
        }
        push(content.len())
    }

    fn cut_quoted(
        &self,
        text: &[u8],
        quote: u8,
        last: bool,
        line: u64,
        fields: &mut Fields<'_>,
    ) -> Result<Option<Cut>> {
        let (mut at, mut lines) = (0, 1);
        loop {
            let quoted = text.get(at) == Some(&quote);
            let mut field = if quoted {
                let Some(closed) = close(text, at, quote) else {
                    return if last {
                        Err(Error::invalid(format!(
                            "line {}: a quote is opened and never closed",
                            line + lines - 1
                        )))
                    } else {
                        Ok(None)
                    };
                };
                if !last && closed.end + 1 + self.separator.len() > text.len() {
                    return Ok(None);
                }
                lines += memchr_iter(b'\n', &text[at..closed.end]).count() as u64;
                closed
            } else {
                let end = self.end_of_plain(&text[at..]).map(|n| at + n);
                let end = match end {
                    Some(end) => end,
                    None if last => text.len(),
                    None => return Ok(None),
                };
                if memchr(quote, &text[at..end]).is_some() {
                    return Err(Error::invalid(format!(
                        "line {}: a quote inside a field that does not begin with one",
                        line + lines - 1
                    )));
                }
                Field {
                    start: at,
                    end,
                    quoted: false,
                    doubled: false,
                }
            };
            let after = field.end + usize::from(field.quoted);
            let rest = &text[after..];
            if rest.starts_with(&self.separator) {
                fields.push(field)?;
                at = after + self.separator.len();
                continue;
            }
            let end = match rest {
                [] => after,
                [b'\n', ..] => after + 1,
                [b'\r', b'\n', ..] => after + 2,
                [b'\r'] if last => after + 1,
                [b'\r'] => return Ok(None),
                _ => {
                    return Err(Error::invalid(format!(
                        "line {}: a quoted field goes on after its closing quote",
                        line + lines - 1
                    )));
                }
            };
            if !quoted
                && field.end > field.start
                && text[field.end - 1] == b'\r'
                && text.get(field.end) != Some(&b'\r')
            {
                field.end -= 1;
            }
            fields.push(field)?;
            let fields = fields.n;
            if lines > 1
                && matches!(self.quoting, Quoting::Rfc4180UnlessAmbiguous(_))
                && self.all_are_records(&text[..end], quote)
            {
                return Err(Error::invalid(format!(
                    "line {line}: a field in quotes goes on to line {}, but each of these lines \
                     has {} fields by itself, so that the quotes may belong to fields or enclose \
                     one",
                    line + lines - 1,
                    self.width
                )));
            }
            return Ok(Some(Cut { end, lines, fields }));
        }
    }

    /// Whether all lines of `text` but blank ones are records by themselves.
    fn all_are_records(&self, text: &[u8], quote: u8) -> bool {
        text.split(|&byte| byte == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .all(|line| self.fields_of_line(trimmed(line), quote) == self.width)
    }

    /// Fields of a line, of which those that a quote opens and closes are quoted.
    fn fields_of_line(&self, line: &[u8], quote: u8) -> usize {
        let (mut at, mut n) = (0, 1);
        loop {
            let closed = (line.get(at) == Some(&quote))
                .then(|| close(line, at, quote))
                .flatten()
                .map(|field| field.end + 1)
                .filter(|&end| end == line.len() || line[end..].starts_with(&self.separator));
            let end = closed.or_else(|| self.end_of_plain(&line[at..]).map(|end| at + end));
            match end {
                Some(end) if end < line.len() => at = end + self.separator.len(),
                _ => return n,
            }
            n += 1;
        }
    }

    /// Bytes of an unquoted field that begins at `text[0]`: up to a separator or line end.
    fn end_of_plain(&self, text: &[u8]) -> Option<usize> {
        let line = memchr(b'\n', text);
        let within = &text[..line.unwrap_or(text.len())];
        let separator = if let [byte] = self.separator[..] {
            memchr(byte, within)
        } else {
            memmem::find(within, &self.separator)
        };
        separator.or(line)
    }

    /// Refuse a field of `wanted` that RFC 4180 would read differently, and any quoted field that
    /// holds a separator; `content` is the length of the record without its line end.
    fn refuse_ambiguous(
        &self,
        text: &[u8],
        content: usize,
        quote: u8,
        line: u64,
        wanted: &[usize],
        fields: &[Field],
    ) -> Result<()> {
        for (place, field) in fields.iter().enumerate() {
            if field.start == content || text[field.start] != quote {
                continue;
            }
            // A quote that is never closed, or not at the end of a field, is a plain character.
            let Some(closed) = close(text, field.start, quote) else {
                continue;
            };
            let rest = &text[closed.end + 1..];
            let ends = rest.is_empty()
                || rest.starts_with(&self.separator)
                || rest.starts_with(b"\n")
                || rest.starts_with(b"\r\n");
            let same_line = closed.end < content;
            let spans = same_line && closed.end + 1 > field.end;
            if ends && (spans || wanted.contains(&place)) {
                return Err(Error::invalid(format!(
                    "line {line}: field {} begins and ends with a quote, which may belong to it or \
                     enclose it",
                    place + 1
                )));
            }
        }
        Ok(())
    }
}

/// The quoted field that opens at `text[start]`; None if its quote is not closed.
fn close(text: &[u8], start: usize, quote: u8) -> Option<Field> {
    let (mut at, mut doubled) = (start + 1, false);
    loop {
        let end = at + memchr(quote, &text[at..])?;
        if text.get(end + 1) != Some(&quote) {
            return Some(Field {
                start: start + 1,
                end,
                quoted: true,
                doubled,
            });
        }
        doubled = true;
        at = end + 2;
    }
}

fn trimmed(content: &[u8]) -> &[u8] {
    content.strip_suffix(b"\r").unwrap_or(content)
}
