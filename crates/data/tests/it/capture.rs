//! Data capture and ground truth, with the quirks that real files have.

use refit_data::{
    Answers, CaptureLine, CaptureOptions, Frame, Kind, Label, ReadOptions, feature_object, read_capture,
    read_capture_with, read_ground_truth, write_capture_line, write_ground_truth_line,
};

use crate::{categorical, numeric, time};

const TIME: i64 = 1_644_859_549_000_000;

fn features() -> Vec<(String, Kind)> {
    vec![("carrier".to_owned(), Kind::Categorical), ("distance".to_owned(), Kind::Numeric)]
}

/// A line whose two sides are given as JSON, either of which may be empty.
fn line(input: &str, output: &str) -> String {
    let sides: Vec<String> = [("endpointInput", input), ("endpointOutput", output)]
        .iter()
        .filter(|(_, body)| !body.is_empty())
        .map(|(side, body)| format!("\"{side}\":{body}"))
        .collect();
    format!(
        "{{\"captureData\":{{{}}},\"eventMetadata\":{{\"eventId\":\"e\",\"inferenceTime\":\"2022-02-14T17:25:49Z\"}},\"eventVersion\":\"0\"}}\n",
        sides.join(",")
    )
}

fn body(data: &str, encoding: &str) -> String {
    serde_json::json!({"observedContentType": "x", "mode": "y", "data": data, "encoding": encoding}).to_string()
}

type Row<'a> = (&'a str, Option<f64>, Option<&'a str>, Option<f64>);

#[track_caller]
fn check(text: &str, rows: &[Row<'_>]) {
    let found = read_capture(text.as_bytes(), &features()).expect("readable");
    let expected = Frame::new(vec![
        categorical("id", &rows.iter().map(|it| Some(it.0)).collect::<Vec<_>>()),
        time("ts", &vec![Some(TIME); rows.len()]),
        numeric("prediction", &rows.iter().map(|it| it.1).collect::<Vec<_>>()),
        categorical("carrier", &rows.iter().map(|it| it.2).collect::<Vec<_>>()),
        numeric("distance", &rows.iter().map(|it| it.3).collect::<Vec<_>>()),
    ]);
    assert_eq!(found.frame, expected.expect("a frame"), "{text}");
}

#[test]
fn every_encoding_of_a_request_and_response_is_understood() {
    let object = "{\"distance\":1400,\"carrier\":\"UA\",\"extra\":[1]}";
    let json = body(object, "JSON");
    // The same object in base64.
    let base64 = body("eyJkaXN0YW5jZSI6MTQwMCwiY2FycmllciI6IlVBIiwiZXh0cmEiOlsxXX0=", "BASE64");
    let csv = body("UA,1400\n", "CSV");
    let one: &[Row<'_>] = &[("e", Some(0.025), Some("UA"), Some(1400.0))];
    for input in [&json, &base64, &csv] {
        for output in [
            body("0.025", "JSON"),
            body("{\"score\":0.025}", "JSON"),
            body("[{\"score\":\"0.025\"}]", "JSON"),
            body("{\"predictions\":[{\"score\":0.025}]}", "JSON"),
            body("0.025,1\n", "CSV"),
            body("eyJzY29yZSI6MC4wMjV9", "BASE64"),
        ] {
            check(&line(input, &output), one);
        }
    }
    check(&line(&json, ""), &[("e", None, Some("UA"), Some(1400.0))]);
    check(&line("", &body("0.5", "CSV")), &[("e", Some(0.5), None, None)]);
    check(&line(&body("{}", "JSON"), &body("null", "JSON")), &[("e", None, None, None)]);
    let two: &[Row<'_>] = &[("e/0", Some(1.0), Some("UA"), Some(1.0)), ("e/1", Some(2.0), Some("B6"), None)];
    check(&line(&body("UA,1\nB6,\n", "CSV"), &body("1\n2\n", "CSV")), two);
    check(
        &line(&body("[{\"carrier\":\"UA\",\"distance\":1},{\"carrier\":\"B6\"}]", "JSON"), &body("[1,2]", "JSON")),
        two,
    );
    check(
        &line(&body("{\"carrier\":\"UA\",\"distance\":1}\n{\"carrier\":\"B6\"}\n", "JSON"), &body("1\n2", "JSON")),
        two,
    );
}

#[test]
fn a_bad_line_is_named() {
    let good = line(&body("UA,1", "CSV"), &body("1", "CSV"));
    for (bad, expected) in [
        ("{".to_owned(), "line 2 is not a valid record"),
        ("{}".to_owned(), "line 2 is not a valid record"),
        (line("", ""), "line 2: neither request nor response was captured"),
        (line(&body("UA", "CSV"), ""), "line 2: request has 1 values for 2 features"),
        (line(&body("UA,1\nUA,1", "CSV"), &body("1", "CSV")), "line 2: request has 2 rows and response 1"),
        (line(&body("", "CSV"), ""), "line 2: request and response are empty"),
        (line(&body("UA,far", "CSV"), ""), "line 2: column `distance`: `far` is not a numeric value"),
        (line("", &body("high", "CSV")), "line 2: prediction `high` is not a number"),
        (line("", &body("{\"p\":1}", "JSON")), "line 2: response has no `score`"),
        (line("", &body("1", "XML")), "line 2: encoding `XML` is not CSV, JSON or BASE64"),
        (line("", &body("?", "BASE64")), "line 2: data is not base64"),
        (good.replace("2022-02-14T", "2022-02-30T"), "line 2: inferenceTime `2022-02-30T17:25:49Z` is not a time"),
    ] {
        let text = format!("{good}{bad}");
        assert_eq!(read_capture(text.as_bytes(), &features()).expect_err("refused").to_string(), expected);
    }
    let twice = line(&body("{\"distance\":1,\"distance\":2}", "JSON"), "");
    read_capture(twice.as_bytes(), &features()).expect_err("refused");
}

#[test]
fn written_captures_and_labels_join_again() {
    let frame =
        Frame::new(vec![categorical("carrier", &[Some("UA")]), numeric("distance", &[Some(0.1)])]).expect("a frame");
    let input = serde_json::Value::from(feature_object(&frame, 0, &["carrier", "distance", "other"])).to_string();
    let capture = CaptureLine {
        event_id: "e",
        inference_id: Some("f000001"),
        time_micros: TIME,
        input: &input,
        output: "{\"p\":0.1}",
    };
    let text = write_capture_line(&capture);
    assert_eq!(
        text,
        concat!(
            r#"{"captureData":{"endpointInput":{"observedContentType":"application/json","mode":"INPUT","data":"{\"carrier\":\"UA\",\"distance\":0.1}","encoding":"JSON"},"#,
            r#""endpointOutput":{"observedContentType":"application/json","mode":"OUTPUT","data":"{\"p\":0.1}","encoding":"JSON"}},"#,
            r#""eventMetadata":{"eventId":"e","inferenceId":"f000001","inferenceTime":"2022-02-14T17:25:49Z"},"eventVersion":"0"}"#,
            "\n"
        )
    );
    let found = read_capture_with(
        text.as_bytes(),
        CaptureOptions { features: &features(), score_key: "p", answers: Answers::Numbers },
    )
    .expect("readable");
    assert_eq!((found.invocations, found.without_input, found.without_output), (1, 0, 0));
    assert_eq!(found.frame.find_column("id").expect("id").values, categorical("id", &[Some("f000001")]).values);
    assert_eq!(found.frame.find_column("prediction").expect("prediction").values, numeric("p", &[Some(0.1)]).values);
}

#[test]
fn labels_are_numbers_or_texts() {
    for label in
        [Label::Number(0.1), Label::Number(-3.0), Label::Text("late, very".to_owned()), Label::Text("NaN".to_owned())]
    {
        let text = write_ground_truth_line("f1", &label);
        assert_eq!(read_ground_truth(text.as_bytes()).expect("readable"), [("f1".to_owned(), label)]);
    }
    assert_eq!(
        write_ground_truth_line("f1", &Label::Number(1.0)),
        "{\"groundTruthData\":{\"data\":\"1\",\"encoding\":\"CSV\"},\"eventMetadata\":{\"eventId\":\"f1\"},\"eventVersion\":\"0\"}\n"
    );
    let several = write_ground_truth_line("f1", &Label::Number(1.0)).replace("\"1\"", "\"1\\n2\\n\"");
    let expected = [("f1/0".to_owned(), Label::Number(1.0)), ("f1/1".to_owned(), Label::Number(2.0))];
    assert_eq!(read_ground_truth(several.as_bytes()).expect("readable"), expected);
    for (data, expected) in [("", "line 1: label is empty"), ("1,2", "line 1: label has 2 values")] {
        let text = write_ground_truth_line("f1", &Label::Number(1.0)).replace("\"1\"", &format!("\"{data}\""));
        assert_eq!(read_ground_truth(text.as_bytes()).expect_err("refused").to_string(), expected);
    }
}

#[test]
fn captured_rows_are_a_table_without_a_policy() {
    let json = line(&body("{\"carrier\":\"UA\",\"distance\":1400}", "JSON"), &body("{\"score\":0.5}", "JSON"));
    let base64 = line(&body("eyJkaXN0YW5jZSI6MTQwMCwiY2FycmllciI6IlVBIn0=", "BASE64"), &body("0.5", "CSV"));
    let text = format!("{json}{base64}");
    let columns = || {
        vec![
            categorical("id", &[Some("e"), Some("e")]),
            time("ts", &[Some(TIME), Some(TIME)]),
            numeric("prediction", &[Some(0.5), Some(0.5)]),
            categorical("carrier", &[Some("UA"), Some("UA")]),
            numeric("distance", &[Some(1400.0), Some(1400.0)]),
        ]
    };
    let found = refit_data::read(&text.as_bytes(), &ReadOptions::all()).expect("readable");
    let by_name = |name: &str| found.find_column(name).cloned().expect(name);
    assert_eq!(columns().iter().map(|it| by_name(&it.name)).collect::<Vec<_>>(), columns());
    // Named columns give CSV requests their names.
    let csv = line(&body("UA,1400\nB6,\n", "CSV"), &body("a\nb\n", "CSV"));
    let wanted = [("carrier", Kind::Categorical), ("distance", Kind::Numeric), ("prediction", Kind::Categorical)];
    let found = refit_data::read(&csv.as_bytes(), &ReadOptions::columns(&wanted)).expect("readable");
    let expected = vec![
        categorical("carrier", &[Some("UA"), Some("B6")]),
        numeric("distance", &[Some(1400.0), None]),
        categorical("prediction", &[Some("a"), Some("b")]),
    ];
    assert_eq!(found, Frame::new(expected).expect("a frame"));
    let found = refit_data::read(&csv.as_bytes(), &ReadOptions::all()).expect("readable");
    assert_eq!(found.find_column("_c1").expect("a column").values, numeric("", &[Some(1400.0), None]).values);
    let error = refit_data::read(&csv.as_bytes(), &ReadOptions::columns(&wanted[1..])).expect_err("refused");
    assert_eq!(error.to_string(), "line 1: request has 2 values for 1 features");
    // JSON Lines that only mention the key are JSON Lines.
    let lines = "{\"a\":\"captureData\",\"b\":1}\n";
    assert_eq!(refit_data::read(&lines.as_bytes(), &ReadOptions::all()).expect("readable").columns().len(), 2);
}
