//! Laws of the reader: chunks do not matter, what RFC 4180 writes is read back.

use proptest::prelude::*;

use super::{Format, Kind, Quoting, Reader, Times, Values};
use crate::base::{Progress, Result};

fn format(separator: &str, quoting: Quoting, width: usize) -> Format {
    Format {
        separator: separator.as_bytes().to_vec(),
        quoting,
        width,
        strip: false,
    }
}

/// All fields of a text whose columns are all ids, or the message.
fn read(text: &str, format: Format, chunk: usize) -> std::result::Result<Vec<Vec<String>>, String> {
    let columns = (0..format.width)
        .map(|c| (c, format!("c{c}"), Kind::Id))
        .collect();
    let mut reader = Reader::new(format, columns, false).map_err(|e| e.to_string())?;
    feed_all(&mut reader, text.as_bytes(), chunk).map_err(|e| e.to_string())?;
    let taken = reader.take();
    let mut rows = vec![Vec::new(); reader.rows() as usize];
    for (column, values) in taken.iter().enumerate() {
        let ids: Vec<&str> = reader.ids(column).collect();
        let Values::Codes(codes) = values else {
            panic!("ids have codes")
        };
        for (row, &code) in rows.iter_mut().zip(codes) {
            row.push(ids[code as usize].to_owned());
        }
    }
    Ok(rows)
}

fn feed_all(reader: &mut Reader, text: &[u8], chunk: usize) -> Result<()> {
    let progress = Progress::new();
    text.chunks(chunk)
        .try_for_each(|part| reader.feed(part, &progress))?;
    reader.finish(&progress)
}

fn rfc(separator: &str, width: usize) -> Format {
    format(separator, Quoting::Rfc4180(b'"'), width)
}

fn written(rows: &[Vec<String>], separator: &str, end: &str) -> String {
    let quoted = |field: &String| {
        // Blanks alone are a missing field, unless they are quoted; and a part of a separator
        // beside one may be taken for the other.
        let special = field.contains(|c| separator.contains(c) || "\"\n\r".contains(c));
        if special || field.trim().is_empty() {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field.clone()
        }
    };
    rows.iter()
        .map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(separator) + end)
        .collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_whatever_the_chunks(
        rows in prop::collection::vec(prop::collection::vec("[a\",;:\t\n\r é0]{1,6}", 3), 1..20),
        separator in prop::sample::select(vec![",", ";", "::", "\t", ":,:;"]),
        end in prop::sample::select(vec!["\n", "\r\n"]),
        chunk in 1..40_usize,
    ) {
        let text = written(&rows, separator, end);
        prop_assert_eq!(read(&text, rfc(separator, 3), chunk), Ok(rows));
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop::collection::vec(prop::sample::select(b"a\",\n\r\t\xff".to_vec()), 0..60),
        chunk in 1..20_usize,
    ) {
        for quoting in [
            Quoting::Off,
            Quoting::Rfc4180(b'"'),
            Quoting::Rfc4180UnlessAmbiguous(b'"'),
            Quoting::OffUnlessAmbiguous(b'"'),
        ] {
            let columns = vec![(0, "user".to_owned(), Kind::Id), (1, "item".to_owned(), Kind::Id)];
            let mut outcomes = Vec::new();
            for size in [chunk, 64] {
                let columns = columns.clone();
                let mut reader = Reader::new(format(",", quoting, 2), columns, false).unwrap();
                let read = feed_all(&mut reader, &bytes, size);
                outcomes.push(read.map(|()| (reader.rows(), reader.lines(), reader.take())));
            }
            // Quotes that are closed in a later chunk alone tell an ambiguous field.
            if quoting != Quoting::OffUnlessAmbiguous(b'"') {
                prop_assert_eq!(&outcomes[0], &outcomes[1]);
            }
        }
    }
}

#[test]
fn without_quoting_a_quote_is_a_character() {
    let text = "u\tm\t\"7\nv\tn\t12\"\n";
    let rows = read(text, format("\t", Quoting::Off, 3), 5).unwrap();
    assert_eq!(rows, [["u", "m", "\"7"], ["v", "n", "12\""]]);
}

#[test]
fn a_field_that_may_or_may_not_be_quoted_is_refused() {
    let auto = || format("\t", Quoting::OffUnlessAmbiguous(b'"'), 2);
    let refused = read("\"a\"\tb\n", auto(), 64).unwrap_err();
    assert!(
        refused.starts_with("line 1: field 1 begins and ends with a quote"),
        "{refused}"
    );
    assert_eq!(
        read("\"a\" x\tb\n", auto(), 64).unwrap(),
        [["\"a\" x", "b"]]
    );
    assert_eq!(read("\"a\tb\n", auto(), 64).unwrap(), [["\"a", "b"]]);
}

#[test]
fn lines_that_are_records_by_themselves_are_no_quoted_field() {
    let auto = |width| format(",", Quoting::Rfc4180UnlessAmbiguous(b'"'), width);
    for text in [
        "u,m,\"7\nv,n,x\nw,o,12\"\n",
        "u,m,\"7\r\n\r\nv,n,12\"\r\n",
        "\"u,1\",m,\"7\nv,n,\"\"\nw,o,12\"\n",
    ] {
        for chunk in [1, 64] {
            let refused = read(text, auto(3), chunk).unwrap_err();
            assert!(
                refused.starts_with("line 1: a field in quotes goes on to line 3,"),
                "{refused}"
            );
            read(text, rfc(",", 3), chunk).unwrap();
        }
    }
    for text in ["u,m,\"a\nb\"\n", "u,m,\"a, b\nc, d\ne, f\"\n"] {
        assert_eq!(read(text, auto(3), 64), read(text, rfc(",", 3), 64));
    }
}

#[test]
fn zeros_are_no_text_wherever_they_stand() {
    for (text, line) in [
        ("a,b\n\0\0\0c,d\n", 2),
        ("a,\"b\n\0\"\n", 2),
        ("a,b\nc,d\n\0\0", 3),
        ("\0,b", 1),
    ] {
        let columns = vec![(0, "user".to_owned(), Kind::Id)];
        for chunk in [1, 64] {
            let mut reader = Reader::new(rfc(",", 2), columns.clone(), false).unwrap();
            let error = feed_all(&mut reader, text.as_bytes(), chunk).unwrap_err();
            let start = format!("line {line}: a NUL byte");
            assert!(error.to_string().starts_with(&start), "{error}");
        }
    }
}

#[test]
fn every_refusal_names_its_line() {
    for (text, message) in [
        ("a,b\nc\n", "line 2: 1 field, but line 1 has 2"),
        (
            "a,b\nc,12\" mix\n",
            "line 2: a quote inside a field that does not begin with one",
        ),
        ("a,b\nc,\"d\n", "line 2: a quote is opened and never closed"),
        (
            "a,\"b\"c\n",
            "line 1: a quoted field goes on after its closing quote",
        ),
        ("a,b\n\n,c\n", "line 3: c0 is missing"),
    ] {
        assert_eq!(read(text, rfc(",", 2), 64), Err(message.to_owned()));
    }
}

#[test]
fn rows_know_their_lines() {
    let text = "\nu,\"a\nb\"\n\nv,c\nw,d";
    let columns = vec![
        (0, "user".to_owned(), Kind::Id),
        (1, "item".to_owned(), Kind::Id),
    ];
    let mut reader = Reader::new(rfc(",", 2), columns, false).unwrap();
    feed_all(&mut reader, text.as_bytes(), text.len()).unwrap();
    assert_eq!([0, 1, 2].map(|row| reader.line_of(row)), [2, 5, 6]);
    assert_eq!((reader.rows(), reader.blank(), reader.lines()), (3, 2, 6));
}

#[test]
fn an_id_that_is_refused_is_refused_again() {
    let columns = vec![(0, "user".to_owned(), Kind::Id)];
    let mut reader = Reader::new(rfc(",", 1), columns, false).unwrap();
    for (id, what) in [(&b"\xdd\n"[..], "UTF-8 text"), (b"a\rb\n", "carriage")] {
        for _ in 0..2 {
            let error = feed_all(&mut reader, id, 64).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
    assert_eq!(reader.ids(0).len(), 0);
}

#[test]
fn numbers_and_times_are_parsed() {
    let columns = vec![
        (0, "rating".to_owned(), Kind::Number),
        (1, "timestamp".to_owned(), Kind::Time),
    ];
    let mut reader = Reader::new(rfc(",", 2), columns, true).unwrap();
    feed_all(&mut reader, b"r,t\n4.5,10\n 3,20\n", 64).unwrap();
    let taken = reader.take();
    assert_eq!(taken[0], Values::Numbers(vec![4.5, 3.0]));
    assert_eq!(taken[1], Values::Times(Times::Whole(vec![10, 20])));
    let error = feed_all(&mut reader, b"x,1\n", 64).unwrap_err().to_string();
    assert_eq!(error, "line 4: rating 'x' is not a number");
}

#[test]
fn an_open_quote_does_not_take_time_for_each_line_after_it() {
    let text = "1,\"x\n".to_owned() + &"12345,67890\n".repeat(1 << 20);
    let started = std::time::Instant::now();
    let mut reader =
        Reader::new(rfc(",", 2), vec![(0, "user".to_owned(), Kind::Id)], false).unwrap();
    let error = feed_all(&mut reader, text.as_bytes(), 1 << 20).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a quote is opened and never closed")
    );
    // Twelve megabytes, looked through for each of a million lines, would take an hour.
    assert!(started.elapsed().as_secs() < 20);
}

#[test]
fn a_record_of_too_many_fields_is_counted_and_not_stored() {
    let text = ",".repeat(1 << 20) + "\n";
    let error = read(&text, format(",", Quoting::Off, 2), 1 << 22).unwrap_err();
    assert_eq!(error, "line 1: 1048577 fields, but line 1 has 2");
    let error = read(&text, rfc(",", 2), 1 << 22).unwrap_err();
    assert_eq!(error, "line 1: 1048577 fields, but line 1 has 2");
}
