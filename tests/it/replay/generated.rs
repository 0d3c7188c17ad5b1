//! Small data sets and policies, the same on every machine.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use refit_data::{Column, Frame, Values};

/// The reference pipeline.
const DEFINITION: &str = include_str!("../../../infra/pipelines/retrain.json");
/// A Thursday, so that windows of a week, which are counted from the epoch, begin with the data.
const START: &str = "2024-01-04T00:00:00Z";

/// A linear congruential generator (Knuth, MMIX).
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64) -> Draws {
        Draws(seed)
    }

    /// Uniform in [0, 1).
    pub(super) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// `value`, or missing in five of a hundred draws.
    fn sometimes<T>(&mut self, value: T) -> Option<T> {
        (0.05 <= self.next()).then_some(value)
    }

    /// The numbers below `count` in random order (Fisher and Yates).
    pub(super) fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, (self.next() * (last + 1) as f64) as usize);
        }
        order
    }
}

/// The moment `days` into a generated data set.
pub(super) fn day(days: i64) -> Timestamp {
    START.parse::<Timestamp>().expect("a time") + SignedDuration::from_hours(24 * days)
}

/// How a generated label is made from the day of the row, its number `a`, the effect of its text, and noise in [0, 1).
type Label = fn(i64, f64, f64, f64) -> f64;

/// Rows evenly over the days; of three numbers and a text the label depends on `a` and `kind` only.
fn rows(seed: u64, days: i64, rows_per_day: i64, label: Label) -> Frame {
    let mut draws = Draws::new(seed);
    let mut times = Vec::new();
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    let (mut kinds, mut labels) = (Vec::new(), Vec::new());
    for row in 0..days * rows_per_day {
        let since = SignedDuration::from_secs(row * 86_400 / rows_per_day);
        times.push(Some((day(0) + since).as_microsecond()));
        let (kind, effect) = [("red", -1.0), ("green", 0.0), ("blue", 1.0)][(3.0 * draws.next()) as usize];
        let values = [0; 3].map(|_| (200.0 * draws.next()).round() / 100.0 - 1.0);
        labels.push(Some(label(row / rows_per_day, values[0], effect, draws.next())));
        a.push(draws.sometimes(values[0]));
        b.push(draws.sometimes(values[1]));
        c.push(draws.sometimes(values[2]));
        kinds.push(draws.sometimes(kind));
    }
    build(times, [a, b, c], &kinds, Values::Numeric(labels))
}

/// The columns of a generated data set.
fn build(times: Vec<Option<i64>>, numbers: [Vec<Option<f64>>; 3], kinds: &[Option<&str>], labels: Values) -> Frame {
    let [a, b, c] = numbers;
    let numeric = |name: &str, values| Column { name: name.to_owned(), values: Values::Numeric(values) };
    Frame::new(vec![
        Column { name: "ts".to_owned(), values: Values::Time(times) },
        numeric("a", a),
        numeric("b", b),
        numeric("c", c),
        Column { name: "kind".to_owned(), values: Values::Categorical(kinds.iter().copied().collect()) },
        Column { name: "y".to_owned(), values: labels },
    ])
    .expect("columns of equal length")
}

/// The day from which on the label of [`binary`] depends on the features the other way round.
pub(super) const CHANGE: i64 = 70;

/// 120 days of 60 rows with a label of 0 or 1.
pub(super) fn binary() -> Frame {
    rows(7, 120, 60, |day, a, effect, noise| {
        let sign = if day < CHANGE { 1.0 } else { -1.0 };
        let probability = 1.0 / (1.0 + (-sign * (3.0 * a + effect)).exp());
        f64::from(u8::from(noise < probability))
    })
}

/// 77 days of 200 rows with a label of 0 or 1. From day [`TURN`] on `a`, which alone decides it, is nearly 0 in every row: what
/// the label depends on stays as it was, and hardly anything can be predicted any more.
pub(super) fn fading() -> Frame {
    const PER_DAY: i64 = 200;
    let mut draws = Draws::new(13);
    let mut times = Vec::new();
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    let (mut kinds, mut labels) = (Vec::new(), Vec::new());
    for row in 0..77 * PER_DAY {
        times.push(Some((day(0) + SignedDuration::from_secs(row * 86_400 / PER_DAY)).as_microsecond()));
        let mut values = [0; 3].map(|_| (200.0 * draws.next()).round() / 100.0 - 1.0);
        if TURN <= row / PER_DAY {
            values[0] /= 10.0;
        }
        labels.push(Some(f64::from(u8::from(draws.next() < 1.0 / (1.0 + (-6.0 * values[0]).exp())))));
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(Some(value));
        }
        kinds.push(Some(["red", "green", "blue"][(3.0 * draws.next()) as usize]));
    }
    build(times, columns, &kinds, Values::Numeric(labels))
}

/// What changes half-way through a generated data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    Nothing,
    /// What the label depends on; the features stay as they were.
    Concept,
    /// The features move; what the label depends on stays as it was.
    Drift,
}

/// The day of the change, at the border of two windows of a week.
pub(super) const TURN: i64 = 49;

/// 91 days of 60 rows with one of three classes as label, or with 0 or 1, and a change on day [`TURN`].
pub(super) fn changing(task: &str, change: Change) -> Frame {
    let mut draws = Draws::new(11);
    let (mut times, mut kinds, mut names, mut numbers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for row in 0..91 * 60 {
        let has_turned = TURN <= row / 60;
        let since = SignedDuration::from_secs(row * 86_400 / 60);
        times.push(Some((day(0) + since).as_microsecond()));
        let (kind, effect) = [("red", -1.0), ("green", 0.0), ("blue", 1.0)][(3.0 * draws.next()) as usize];
        let mut values = [0; 3].map(|_| (200.0 * draws.next()).round() / 100.0 - 1.0);
        if has_turned && change == Change::Drift {
            values = values.map(|it| it / 2.0 + 0.8);
        }
        let sign = if has_turned && change == Change::Concept { -1.0 } else { 1.0 };
        let noise = draws.next();
        let score = sign * (3.0 * values[0] + effect);
        // Thresholds of an ordered logit: one for two classes, two for three.
        let above = |threshold: f64| noise < 1.0 / (1.0 + (-2.0 * (score - threshold)).exp());
        numbers.push(Some(f64::from(u8::from(above(0.0)))));
        names.push(Some(if above(1.0) {
            "late"
        } else if above(-1.0) {
            "on time"
        } else {
            "early"
        }));
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(draws.sometimes(value));
        }
        kinds.push(draws.sometimes(kind));
    }
    let labels = match task {
        "multiclass" => Values::Categorical(names.into_iter().collect()),
        _ => Values::Numeric(numbers),
    };
    build(times, columns, &kinds, labels)
}

/// 40 days of 30 rows with a number as label; what it depends on moves from day to day.
pub(super) fn regression(seed: u64) -> Frame {
    rows(seed, 40, 30, |day, a, effect, noise| 10.0 + 5.0 * a + 0.2 * day as f64 * effect + (noise - 0.5))
}

/// What a model is kept fresh by: the part of a policy in which the generated data sets differ.
pub(super) struct Rules<'a> {
    /// `regression`, `binary` or `multiclass`.
    pub task: &'a str,
    /// `full` or `incremental`.
    pub strategy: &'a str,
    /// Windows, training, triggers, gates and promotion, each indented by four spaces.
    pub rules: &'a str,
}

/// Writes a policy for generated data, and the pipeline it names.
pub(super) fn write_policy(folder: &Path, rules: &Rules<'_>) -> PathBuf {
    let Rules { task, strategy, rules } = rules;
    let text = format!(
        r#"schema: 1
notifications:
  - {{ email: ml-team@example.com, on: [failure, drift, approval, before_promotion, promotion, rollback] }}
models:
  - id: toy
    task: {task}
    endpoint: {{ name: toy, variant: champion }}
    package_group: toy
    pipeline:
      definition: retrain.json
      parameters: {{ ImageUri: refit-step, RoleArn: "arn:aws:iam::000000000000:role/refit-pipeline" }}
      strategy: {strategy}
      timeout: 2h
    data:
      reference: s3://toy/reference/
      capture: s3://toy/capture/
      labels: s3://toy/labels/
      time: ts
      label: y
      prediction: score
      segments: [kind]
      label_delay: 1d
      features: {{ a: numeric, b: numeric, c: numeric, kind: categorical }}
{rules}
    rollout: {{ strategy: immediate }}
"#
    );
    let path = folder.join("refit.yaml");
    std::fs::write(&path, text).expect("the policy is written");
    std::fs::write(folder.join("retrain.json"), DEFINITION).expect("the definition is written");
    path
}
