//! Model Monitor's files: what the service writes is read, what is written reads back.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use refit_data::drift::{ExactOptions, OneWorker, compare_exact};
use refit_data::monitor::{Constraints, InferredType, Statistics, Violations, statistics_of, violations_of};
use refit_data::report::{
    Choice, DriftReport, IgnoredColumn, Method, NOT_IN_REFERENCE, RowsReport, SCHEMA, WindowReport, judge_comparisons,
};
use refit_data::{Kind, ReadOptions, Table};
use refit_stats::verdict::Rules;

/// As the service writes them, with the quirks that have been seen.
pub(crate) const FILES: &[(&str, &str)] = &[
    (
        "statistics",
        r#"{"version":0.0,"dataset":{"item_count":5},"features":[
        {"name":"x","inferred_type":"Fractional","numerical_statistics":{"common":{"num_present":4,"num_missing":1},"mean":2.5,"sum":10.0,"std_dev":1.1,
         "min":1.0,"max":4.0,"distribution":{"kll":{"buckets":[{"lower_bound":1.0,"upper_bound":1.3,"count":1.0}],
         "sketch":{"parameters":{"c":0.64,"k":2048.0},"data":[[1.0,2.0],["NaN","Infinity"]]}}}}},
        {"name":"c","inferred_type":"String","string_statistics":{"common":{"num_present":5,"num_missing":0},"distinct_count":2,
         "distribution":{"categorical":{"buckets":[{"value":"a","count":3},{"value":"b","count":2}]}}}}]}"#,
    ),
    (
        "quality",
        r#"{"version":0,"dataset":{"item_count":150,"evaluation_time":"2022"},"binary_classification_metrics":{
        "auc":{"value":0.9,"standard_deviation":"NaN"},"confusion_matrix":{"0":{"0":1,"1":2}},"f1":{"value":0.5}}}"#,
    ),
    (
        "constraints",
        r#"{"version":0,"features":[{"name":"x","inferred_type":"Integral","completeness":1.0,"num_constraints":{"is_non_negative":true},
        "monitoring_config_overrides":{"a":1}},{"name":"c","inferred_type":"Strange","completeness":1,
        "string_constraints":{"domains":["a"],"monitoringConfigOverrides":{"b":2}}}],
        "monitoring_config":{"evaluate_constraints":"Enabled","emit_metrics":"Enabled","datatype_check_threshold":1.0,"domain_content_threshold":1.0,
        "distribution_constraints":{"perform_comparison":"Enabled","comparison_threshold":0.1,"comparison_method":"Robust"}},
        "regression_constraints":{"mae":{"threshold":5.0,"comparison_operator":"GreaterThanThreshold"}}}"#,
    ),
    (
        "violations",
        r#"{"violations":[{"feature_name":"x","constraint_check_type":"baseline_drift_check",
        "description":"Numerical distance: 0.4 exceeds threshold: 0.1"},
        {"metric_name":"f2","constraint_check_type":"LessThanThreshold","description":"Metric gini with 0.6111 was LessThanThreshold 0.6611"},
        {"facet":"age","facet_value":"1","metric_name":"DPL","constraint_check_type":"bias_drift_check","description":"Value 0.1"},
        {"feature_name":"y","constraint_check_type":"a_check_of_tomorrow","description":"?"}]}"#,
    ),
];

fn file(name: &str) -> &'static [u8] {
    FILES.iter().find(|it| it.0 == name).expect("a file").1.as_bytes()
}

#[test]
fn files_of_the_service_are_read_and_written_back() {
    let statistics = Statistics::read(file("statistics")).expect("readable");
    assert_eq!((statistics.features[0].completeness(), statistics.features[1].completeness()), (0.8, 1.0));
    let quality = Statistics::read(file("quality")).expect("readable");
    let names: Vec<&str> = quality.binary_classification_metrics.keys().map(String::as_str).collect();
    assert_eq!(names, ["auc", "f1"]);
    let constraints = Constraints::read(file("constraints")).expect("readable");
    assert_eq!(constraints.features[1].inferred_type, InferredType::Unknown);
    assert!(constraints.features[0].monitoring_config_overrides.is_some());
    let texts = constraints.features[1].string_constraints.as_ref().expect("of a text");
    assert!(texts.monitoring_config_overrides.is_some());
    let violations = Violations::read(file("violations")).expect("readable");
    assert_eq!(violations.violations[0].distance(), Some((0.4, 0.1)));
    assert_eq!(violations.violations[3].constraint_check_type, "a_check_of_tomorrow");
    // NaN is not equal to itself, so texts are compared.
    let again = Statistics::read(&statistics.write()).expect("readable");
    assert_eq!(again.write(), statistics.write());
    assert_eq!(Constraints::read(&constraints.write()).expect("readable"), constraints);
    assert_eq!(Violations::read(&violations.write()).expect("readable"), violations);
}

#[test]
fn what_is_no_such_file_is_refused_with_its_place() {
    for (text, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\"version\":0,\"version\":0}", "duplicate field `version` at line 1 column 22"),
        ("{\"features\":[{\"name\":\"x\"}]}", "missing field `inferred_type` at line 1 column 25"),
        (
            "{\"version\":\"one\"}",
            "invalid value: string \"one\", expected a number, or the text NaN, Infinity or -Infinity at line 1 column 16",
        ),
    ] {
        let error = Statistics::read(text.as_bytes()).expect_err("refused");
        let source = std::error::Error::source(&error).expect("a cause");
        assert_eq!(
            (error.to_string().as_str(), source.to_string().as_str()),
            ("it is not a statistics file", expected)
        );
    }
}

#[test]
fn a_comparison_gives_files_for_dashboards() {
    let rows = |shift: i32, text: &str| {
        let row = |it: i32| format!("{},{}\n", it + shift, if it % 4 == 0 { text } else { "b" });
        format!("x,c\n{}", (0..200).map(row).collect::<String>()).into_bytes()
    };
    let (before, now) = (rows(0, "a"), rows(150, "new"));
    let open = |bytes| [Table::open(bytes, &ReadOptions::all()).expect("readable")];
    let (reference, current) = (open(&before), open(&now));
    let names = ["x", "c"];
    let baseline = statistics_of(&reference, &names).expect("readable");
    let numbers = baseline.features[0].numerical_statistics.as_ref().expect("numbers");
    assert_eq!((numbers.mean.0, numbers.min.0, numbers.max.0), (99.5, 0.0, 199.0));
    let buckets = &numbers.distribution.as_ref().expect("values").kll.buckets;
    assert_eq!(buckets.iter().map(|it| it.count.0).collect::<Vec<_>>(), [20.0; 10]);
    let constraints = Constraints::suggest(&baseline);
    assert_eq!(constraints.features[1].string_constraints.as_ref().expect("a text").domains, ["b", "a"]);
    let compared = compare_exact(&reference, &current, &names, ExactOptions::default(), &OneWorker).expect("readable");
    let choices = [Choice::usual(Kind::Numeric), Choice::usual(Kind::Categorical)];
    let generator = |_: &str| -> Box<dyn refit_stats::Rng> { Box::new(ChaCha8Rng::seed_from_u64(1)) };
    let (features, dataset) = judge_comparisons(&compared[..1], &choices, &Rules::DEFAULT, &generator);
    let report = DriftReport {
        schema: SCHEMA,
        method: Method::Exact,
        baseline_id: String::new(),
        reference: RowsReport { rows: 200 },
        current: WindowReport { rows: 200, window: None },
        features,
        dataset,
        prediction: None,
        target: None,
        quality: Vec::new(),
        segments: Vec::new(),
        ignored: vec![IgnoredColumn { name: "z".to_owned(), reason: NOT_IN_REFERENCE.to_owned() }],
    };
    let found = violations_of(&constraints, &statistics_of(&current, &names).expect("readable"), &report);
    let told: Vec<(&str, &str)> = found
        .violations
        .iter()
        .map(|it| (it.feature_name.as_deref().unwrap_or_default(), it.constraint_check_type.as_str()))
        .collect();
    let expected = [("c", "categorical_values_check"), ("z", "extra_column_check"), ("x", "baseline_drift_check")];
    assert_eq!(told, expected);
    assert!(found.violations[2].distance().is_some());
}
