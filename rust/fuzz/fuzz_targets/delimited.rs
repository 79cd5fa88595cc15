//! Any bytes under any dialect are read or refused, and how they are cut into chunks changes
//! nothing.
#![no_main]

use arbitrary::Arbitrary;
use ganmf_core::Progress;
use ganmf_core::delimited::{Format, Kind, Quoting, Reader, Values};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    separator: &'a [u8],
    quoting: u8,
    quote: u8,
    width: u8,
    strip: bool,
    header: bool,
    columns: Vec<(u8, u8)>,
    chunk: u8,
    bytes: &'a [u8],
}

type Outcome = Result<(u64, u64, u64, Vec<Values>), String>;

fn read(input: &Input, chunk: usize) -> Option<Outcome> {
    let quoting = match input.quoting % 3 {
        0 => Quoting::Off,
        1 => Quoting::Rfc4180(input.quote),
        _ => Quoting::OffUnlessAmbiguous(input.quote),
    };
    let format = Format {
        separator: input.separator.to_vec(),
        quoting,
        width: usize::from(input.width % 6),
        strip: input.strip,
    };
    let kinds = [Kind::Id, Kind::Number, Kind::Time];
    let columns = input.columns.iter().map(|&(place, kind)| {
        let kind = kinds[usize::from(kind) % kinds.len()];
        (usize::from(place % 8), "column".to_owned(), kind)
    });
    let columns: Vec<_> = columns.collect();
    let n_columns = columns.len();
    let progress = Progress::new();
    let mut reader = Reader::new(format, columns, input.header).ok()?;
    let fed = input.bytes.chunks(chunk);
    let done = { fed }.try_for_each(|part| reader.feed(part, &progress));
    let done = done.and_then(|()| reader.finish(&progress));
    for column in 0..=n_columns {
        assert!(reader.ids(column).all(|id| !id.is_empty()));
    }
    for row in 0..reader.rows() {
        assert!((1..=reader.lines().max(1)).contains(&reader.line_of(row)) || done.is_err());
    }
    let found = (reader.rows(), reader.blank(), reader.lines(), reader.take());
    Some(done.map(|()| found).map_err(|e| e.to_string()))
}

fuzz_target!(|input: Input| {
    let whole = read(&input, input.bytes.len().max(1));
    let cut = read(&input, usize::from(input.chunk % 16) + 1);
    // A quote that is closed in a later chunk alone tells an ambiguous field; a dialect whose signs
    // are each other's is none.
    let special = [input.quote, b'\r', b'\n'];
    let is_dialect = !input.separator.iter().any(|b| special.contains(b))
        && !matches!(input.quote, b'\r' | b'\n');
    if input.quoting % 3 != 2 && is_dialect {
        assert_eq!(whole, cut);
    }
});
