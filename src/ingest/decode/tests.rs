//! Payloads as table rows: what each decodes to, and the laws that hold of every payload.

use proptest::prelude::*;

use super::*;
use crate::ingest::fields::Renames;

type Decoded = (Vec<(u64, u64, String, String)>, Option<String>);

/// What a payload decodes to: a line for each row, and the error that ended it.
fn decoded(format: Format, payload: &[u8]) -> Decoded {
    let mut rows = Vec::new();
    let end = decode(format, payload, &mut |row| {
        let content = match row.content {
            Ok(fields) => fields
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" "),
            Err(finding) => format!("! {} {}", finding.code, finding.field),
        };
        rows.push((row.raw.number, row.raw.line, row.raw.verbatim, content));
        ControlFlow::Continue(())
    });
    (rows, end.err().map(|error| error.to_string()))
}

#[track_caller]
fn check_contents(format: Format, payload: &str, expected: &[&str]) {
    let (rows, error) = decoded(format, payload.as_bytes());
    assert_eq!(error, None);
    let contents: Vec<_> = rows.iter().map(|row| row.3.as_str()).collect();
    assert_eq!(contents, expected);
}

#[track_caller]
fn check_error(format: Format, payload: &str, expected: &str) {
    assert_eq!(decoded(format, payload.as_bytes()).1.as_deref(), Some(expected));
}

#[test]
fn json_comes_as_an_object_an_array_or_in_an_envelope() {
    let one = [r#"cookie="a""#];
    let two = [r#"cookie="a""#, r#"cookie="b""#];
    check_contents(Format::Json, r#"{"cookie":"a"}"#, &one);
    check_contents(Format::Json, r#" [ {"cookie":"a"} , {"cookie":"b"} ] "#, &two);
    check_contents(Format::Json, r#"{"data":{"cookie":"a"}}"#, &one);
    check_contents(
        Format::Json,
        r#"{ "data" : [{"cookie":"a"},{"cookie":"b"}] }"#,
        &two,
    );
    check_contents(
        Format::Json,
        r#"{"data":[{"cookie":"a"},{"cookie":"b"}],"source":"x"}"#,
        &two,
    );
    check_contents(
        Format::Json,
        r#"{"source":"x","data":[{"cookie":"a"},{"cookie":"b"}]}"#,
        &two,
    );
    check_contents(Format::Json, "\u{feff}{\"cookie\":\"a\"}", &one);
    check_contents(Format::Json, "[]", &[]);
    check_contents(Format::Json, r#"{"data":[]}"#, &[]);
}

#[test]
fn json_elements_that_are_no_objects_are_findings_of_their_row() {
    check_contents(
        Format::Json,
        r#"[1,"x",null,[{"cookie":"a"}],{"cookie":"a"}]"#,
        &[
            "! wrong_type ",
            "! wrong_type ",
            "! wrong_type ",
            "! wrong_type ",
            r#"cookie="a""#,
        ],
    );
}

#[test]
fn json_rows_keep_their_own_text_and_line() {
    let (rows, _) = decoded(
        Format::Json,
        b"[\n{\"cookie\": \"a\"},\n {\"x\": \"}]\\\"\",\n\"cookie\":\"b\"}]",
    );
    let kept: Vec<_> = rows
        .iter()
        .map(|(number, line, text, _)| (*number, *line, text.as_str()))
        .collect();
    assert_eq!(
        kept,
        [
            (1, 2, "{\"cookie\": \"a\"}"),
            (2, 3, "{\"x\": \"}]\\\"\",\n\"cookie\":\"b\"}")
        ]
    );
}

#[test]
fn a_record_with_data_of_its_own_is_no_envelope() {
    check_contents(
        Format::Json,
        r#"{"cookie":"a","data":{"plan":"pro"}}"#,
        &[r#"cookie="a" data={"plan":"pro"}"#],
    );
    check_contents(
        Format::Json,
        r#"{"data":{"plan":"pro"},"Cookie-ID":"a"}"#,
        &[r#"cookie="a" data={"plan":"pro"}"#],
    );
    check_contents(
        Format::Json,
        r#"{"anonymousId":"a","data":[{"cookie":"b"}]}"#,
        &[r#"cookie="a" data=[{"cookie":"b"}]"#],
    );
    check_contents(Format::Json, r#"{"data":7}"#, &["data=7"]);
    // The rows of an array are handed out before the object's end is seen.
    check_contents(
        Format::Json,
        r#"{"data":[{"cookie":"b"}],"cookie":"a"}"#,
        &[r#"cookie="b""#],
    );
}

/// The line and the own text of each row.
#[track_caller]
fn check_texts(payload: &str, expected: &[(u64, &str)]) {
    let (rows, error) = decoded(Format::Json, payload.as_bytes());
    assert_eq!(error, None);
    let texts: Vec<_> = rows.iter().map(|row| (row.1, row.2.as_str())).collect();
    assert_eq!(texts, expected);
}

#[test]
fn rows_of_every_envelope_keep_their_own_text_and_line() {
    let first = r#"{"b": 1.50,  "cookie" :"a", "B":"\u0041"}"#;
    let second = "{\"cookie\":\n\"b\"}";
    check_texts(&format!("{{\"data\":\n {first}}}"), &[(2, first)]);
    for payload in [
        format!("{{\"data\":\n[{first},\n{second}],\n\"x\":1}}"),
        format!("{{\"x\":1, \"data\"\n: [{first},\n{second}]}}"),
        format!("{{\"x\": [{second}], \"data\": [{first},{second}]}}"),
    ] {
        let lines = if payload.starts_with("{\"x\": [") {
            (2, 2)
        } else {
            (2, 3)
        };
        check_texts(&payload, &[(lines.0, first), (lines.1, second)]);
    }
    check_error(
        Format::Json,
        "{\"x\":1,\n \"data\": [{\"cookie\":\"a\"}, 1e999]}",
        "number out of range at line 2 column 31",
    );
}

/// A text of three-byte characters, so that the bound falls within one.
fn long_text(bytes: usize) -> String {
    "€".repeat(bytes.div_ceil(3))
}

#[test]
fn a_row_that_is_too_long_is_cut_and_not_read() {
    let cookie = |bytes| format!("{{\"cookie\":\"{}\"}}", long_text(bytes));
    let (long, huge) = (cookie(ROW_BYTES_MAX), cookie(3 * ROW_BYTES_MAX));
    let quoted = format!("\"{}\n\"", long_text(ROW_BYTES_MAX));
    let bracket = format!("[{{\"x\":\"]{}\"}}]", long_text(ROW_BYTES_MAX));
    for (format, payload, text) in [
        (Format::Json, format!("[{long},{{\"cookie\":\"b\"}}]"), &long),
        (
            Format::Json,
            format!("[{bracket},{{\"cookie\":\"b\"}}]"),
            &bracket,
        ),
        (
            Format::Json,
            format!("{{\"x\":1,\"data\":[{huge},{{\"cookie\":\"b\"}}]}}"),
            &huge,
        ),
        (Format::Ndjson, format!("{long}\n{{\"cookie\":\"b\"}}\n"), &long),
        (Format::Ndjson, format!("{huge}\r\n{{\"cookie\":\"b\"}}"), &huge),
        (Format::Csv, format!("cookie\n{quoted}\nb\n"), &quoted),
    ] {
        let (rows, error) = decoded(format, payload.as_bytes());
        assert_eq!(error, None);
        let [(1, _, verbatim, content), (2, _, _, next)] = &rows[..] else {
            panic!("{} rows", rows.len());
        };
        assert_eq!(
            (content.as_str(), next.as_str()),
            ("! too_long ", r#"cookie="b""#)
        );
        assert!(text.starts_with(verbatim.as_str()));
        assert!((ROW_BYTES_MAX - 2..=ROW_BYTES_MAX).contains(&verbatim.len()));
    }
    let whole = decoded(Format::Json, long.as_bytes()).0;
    assert_eq!(whole[0].3, "! too_long ");
    let fits = format!("{{\"cookie\":\"{}\"}}", "a".repeat(ROW_BYTES_MAX - 13));
    assert_eq!(fits.len(), ROW_BYTES_MAX);
    for payload in [fits.clone(), format!("\u{feff}{fits}\r\n")] {
        let rows = decoded(Format::Ndjson, payload.as_bytes()).0;
        assert!(rows[0].2 == fits && rows[0].3.starts_with("cookie="));
    }
}

#[test]
fn a_line_that_is_cut_is_not_read_as_what_is_left_of_it() {
    let padded = format!("{{\"cookie\":\"a\"}}{}x", " ".repeat(2 * ROW_BYTES_MAX));
    check_contents(Format::Ndjson, &padded, &["! too_long "]);
}

#[test]
fn a_whole_object_is_bounded_unless_it_begins_with_its_data() {
    let rows = format!(
        "[{}{{\"cookie\":\"b\"}}]",
        "{\"cookie\":\"a\"},".repeat(1_200_000)
    );
    let (first, _) = decoded(Format::Json, format!("{{\"data\":{rows}}}").as_bytes());
    assert_eq!(first.len(), 1_200_001);
    check_contents(
        Format::Json,
        &format!("{{\"x\":1,\"data\":{rows}}}"),
        &["! too_long "],
    );
}

#[test]
fn json_errors_name_their_place() {
    check_error(Format::Json, "", "the payload is empty");
    check_error(Format::Json, "  \n", "the payload is empty");
    check_error(
        Format::Json,
        "hello",
        "expected an object or an array at line 1 column 1",
    );
    let half_a_mark = decoded(Format::Json, b"\xEF;\xBF{\"cookie\":\"a\"}").1;
    assert_eq!(
        half_a_mark.as_deref(),
        Some("expected an object or an array at line 1 column 2")
    );
    let (rows, refused) = decoded(Format::Json, b"{\x0C\"data\":[{\"cookie\":\"a\"}]}");
    assert!(
        rows.is_empty() && refused.is_some(),
        "a form feed is no space of JSON's"
    );
    check_error(
        Format::Json,
        "[{\"cookie\":\"a\"},\n  {\"cookie\": oops}]",
        "expected value at line 2 column 14",
    );
    check_error(
        Format::Json,
        r#"{"cookie":"a""#,
        "the document ends inside an object or array at line 1 column 14",
    );
    check_error(
        Format::Json,
        r#"{"cookie":"a"#,
        "the document ends inside a string at line 1 column 13",
    );
    check_error(
        Format::Json,
        r#"[{"cookie":"a"}"#,
        "the array does not end at line 1 column 16",
    );
    check_error(
        Format::Json,
        r#"[{"cookie":"a"},]"#,
        "expected a value at line 1 column 17",
    );
    check_error(
        Format::Json,
        r#"[{"cookie":"a"} {"cookie":"b"}]"#,
        "expected `,` or `]` at line 1 column 18",
    );
    check_error(
        Format::Json,
        r#"{"cookie":"a"} x"#,
        "trailing characters at line 1 column 16",
    );
    check_error(
        Format::Json,
        r#"{"data":[] "x"}"#,
        "expected `,` or `}` at line 1 column 12",
    );
}

#[test]
fn ndjson_goes_on_after_a_broken_line() {
    check_contents(
        Format::Ndjson,
        "{\"cookie\":\"a\"}\n\n{oops\n{\"cookie\":\"b\"}",
        &[r#"cookie="a""#, "! syntax ", r#"cookie="b""#],
    );
    check_error(Format::Ndjson, "\n \n", "the payload is empty");
}

#[test]
fn csv_columns_come_in_any_order_and_by_other_names() {
    check_contents(
        Format::Csv,
        "City,E-Mail,cookie\nParis,a@b.com,c1\n",
        &[r#"location.city="Paris" email="a@b.com" cookie="c1""#],
    );
}

#[test]
fn csv_rows_keep_their_own_text_and_line() {
    let (rows, error) = decoded(
        Format::Csv,
        b"\xEF\xBB\xBFcookie,city\r\nc1,\"New\r\nYork\"\r\n\r\nc2,\"a \"\"b\"\"\"\r\nc3\r\n",
    );
    assert_eq!(error, None);
    let kept: Vec<_> = rows
        .iter()
        .map(|(number, line, text, _)| (*number, *line, text.as_str()))
        .collect();
    assert_eq!(
        kept,
        [
            (1, 2, "c1,\"New\r\nYork\""),
            (2, 5, "c2,\"a \"\"b\"\"\""),
            (3, 6, "c3")
        ]
    );
    assert_eq!(rows[2].3, "! wrong_length ");
}

#[test]
fn csv_needs_its_header() {
    check_error(Format::Csv, "", "the payload is empty");
    check_error(Format::Csv, "cookie,email\n", "the payload is empty");
    check_error(
        Format::Csv,
        "email,city\na@b.com,x\n",
        "the header has no `cookie` column; it has: email, city",
    );
    check_error(
        Format::Csv,
        "cookie,cookie_id\na,b\n",
        "the header names `cookie` twice",
    );
}

#[test]
fn csv_that_is_not_utf_8_is_windows_1252() {
    let (rows, _) = decoded(
        Format::Csv,
        b"cookie,city\nc1,Z\xFCrich\nc2,\x80 5\nc3,Z\xC3\xBCrich\n",
    );
    let contents: Vec<_> = rows.iter().map(|row| row.3.as_str()).collect();
    assert_eq!(
        contents,
        [
            r#"cookie="c1" location.city="Zürich""#,
            r#"cookie="c2" location.city="€ 5""#,
            r#"cookie="c3" location.city="Zürich""#,
        ]
    );
    assert_eq!(rows[0].2, "c1,Zürich");
}

#[test]
fn csv_is_split_by_what_its_header_uses() {
    let expected = [r#"cookie="c1" email="a@b.com" location.city="Paris, France""#];
    check_contents(
        Format::Csv,
        "cookie;email;city\nc1;a@b.com;Paris, France\n",
        &expected,
    );
    check_contents(
        Format::Csv,
        "cookie\temail\tcity\nc1\ta@b.com\tParis, France\n",
        &expected,
    );
    check_contents(
        Format::Csv,
        "cookie|email|city\r\nc1|a@b.com|\"Paris, France\"\r\n",
        &expected,
    );
    check_contents(
        Format::Csv,
        "cookie,\"a;b;c;d\",email,city\nc1,,a@b.com,\"Paris, France\"\n",
        &[r#"cookie="c1" a;b;c;d="" email="a@b.com" location.city="Paris, France""#],
    );
    check_contents(Format::Csv, "cookie\nc1\n", &[r#"cookie="c1""#]);
    check_contents(
        Format::Csv,
        "cookie,city\rc1,a;b;c;d;e\rc2,d\r",
        &[
            r#"cookie="c1" location.city="a;b;c;d;e""#,
            r#"cookie="c2" location.city="d""#,
        ],
    );
}

#[test]
fn utf_16_with_its_mark_is_read() {
    let text = "cookie\tcity\r\nc1\tZürich\r\n";
    for payload in [
        text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ] {
        let mark: &[u8] = if payload[0] == 0 { b"\xFE\xFF" } else { b"\xFF\xFE" };
        let (rows, error) = decoded(Format::Csv, &[mark, &payload].concat());
        assert_eq!(error, None);
        assert_eq!(rows[0].2, "c1\tZürich");
        assert_eq!(rows[0].3, r#"cookie="c1" location.city="Zürich""#);
    }
}

#[test]
fn two_columns_may_be_one_attribute_and_the_later_one_counts() {
    check_contents(
        Format::Csv,
        "cookie,Phone Number,Mobile Phone Number\nc1,1,2\n",
        &[r#"cookie="c1" phone_number="1" phone_number="2""#],
    );
    check_error(
        Format::Csv,
        "cookie,Phone,phone\na,b,c\n",
        "the header names `phone_number` twice",
    );
    check_error(
        Format::Csv,
        "cookie,email,E-Mail\na,b,c\n",
        "the header names `email` twice",
    );
}

#[test]
fn a_payload_may_have_names_of_its_own() {
    let renames = || Renames::parse(["Kunde:cookie", "ort:city"], ':').unwrap();
    let read = |names: &Names, format, payload: &str| {
        let mut contents = Vec::new();
        decode_named(format, names, payload.as_bytes(), &mut |row| {
            let fields = row.content.unwrap().into_iter();
            contents.push(
                fields
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            );
            ControlFlow::Continue(())
        })
        .map(|()| contents)
    };
    let names = Names::default().renamed(renames());
    let expected = [r#"cookie="a" location.city="b""#.to_owned()];
    assert_eq!(read(&names, Format::Csv, "Kunde;Ort\na;b\n").unwrap(), expected);
    assert_eq!(
        read(&names, Format::Ndjson, "{\"Kunde\":\"a\",\"Ort\":\"b\"}").unwrap(),
        expected
    );
    // It has a cookie, so it is no envelope.
    let record = r#"{"kunde":"a","data":{"ort":"b"}}"#;
    assert_eq!(
        read(&names, Format::Json, record).unwrap(),
        [r#"data={"ort":"b"} cookie="a""#]
    );
    // A transform may make a cookie of anything.
    let sent = read(&Names::as_sent(), Format::Csv, "Customer ID,E-Mail\n7,x\n").unwrap();
    assert_eq!(sent, [r#"customer_id="7" e_mail="x""#]);
}

#[test]
fn a_csv_header_is_told_as_text() {
    for (payload, expected) in [
        (&b"cookie;\"a\nb\"\r\nc1;x\r\n"[..], "cookie;\"a\nb\""),
        (b"cookie,Pr\xE9nom\nc1,x\n", "cookie,Prénom"),
        (b"\xFF\xFEa\0\n\0b\0", "a"),
        (b"cookie", "cookie"),
        (b"", ""),
    ] {
        assert_eq!(csv_header(payload).unwrap(), expected);
    }
}

/// Payloads near the grammar, so that the walk goes deep before it fails.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"data\"",
        "\"cookie\"",
        "\"a\"",
        "1",
        "null",
        " ",
        "\n",
        "\r\n",
        "é",
        "\u{feff}",
        "-",
        "e5",
        "tru",
        ";",
        "|",
        "cookie",
        "x'; REMOVE TABLE profile;",
    ]);
    let near = prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes());
    prop_oneof![3 => near, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_payload_makes_a_decoder_panic(payload in payload()) {
        for format in [Format::Json, Format::Ndjson, Format::Csv] {
            let (rows, _) = decoded(format, &payload);
            prop_assert!(rows.iter().enumerate().all(|(at, row)| row.0 == at as u64 + 1));
        }
    }

    #[test]
    fn json_is_accepted_just_when_it_is_json(payload in payload()) {
        // The byte order mark before it is passed over.
        let text = payload.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&payload);
        let is_json = serde_json::from_slice::<serde_json::Value>(text);
        let is_container = is_json.is_ok_and(|value| value.is_object() || value.is_array());
        prop_assert_eq!(decoded(Format::Json, &payload).1.is_none(), is_container);
    }

    #[test]
    fn a_payload_reads_the_same_however_its_bytes_come(payload in payload(), size in 1_usize..7) {
        for format in [Format::Json, Format::Ndjson, Format::Csv] {
            let whole = decoded(format, &payload).0;
            let mut rows = 0;
            let trickle = std::io::BufReader::with_capacity(size, payload.as_slice());
            decode(format, trickle, &mut |row| {
                assert_eq!(row.raw.verbatim, whole[rows].2);
                rows += 1;
                ControlFlow::Continue(())
            }).ok();
            prop_assert_eq!(rows, whole.len());
        }
    }
}
