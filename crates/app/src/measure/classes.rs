//! Answers of models that tell classes apart, brought to one list of classes.
//!
//! Answers of several models may stand side by side, each in the order of its own classes, and a label may name a class
//! that none of them knows. The list is the union, sorted; a class that a model did not know had probability 0.

use std::collections::BTreeSet;

use refit_core::package::Package;
use refit_data::ClassAnswer;
use refit_stats::quality::Scored;

use super::outputs::CLASSES;

/// The classes of a package in the order of its answers; empty when it has none.
#[must_use]
pub fn classes_of(package: &Package) -> Vec<String> {
    package.metadata.get(CLASSES).and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default()
}

/// One answer with what turned out to be true.
#[derive(Debug, Clone, Copy)]
pub struct ClassRow<'a> {
    /// The classes of the model that answered, in the order of its answer.
    pub classes: &'a [String],
    /// The answer. A list that ends early has probability 0 for the classes after it.
    pub answer: &'a ClassAnswer,
    /// The class that turned out to be true.
    pub label: &'a str,
}

/// The rows, ready to be measured; `None` without rows, or when an answer is no list of probabilities for its classes.
///
/// Where one answer is but a name, only the predicted class of every row counts: the first of those with the highest
/// probability.
#[must_use]
pub fn score_classes(rows: &[ClassRow<'_>]) -> Option<Scored> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut known: Option<&[String]> = None;
    for row in rows {
        // Rows mostly share their classes: a list is taken once.
        if known != Some(row.classes) {
            names.extend(row.classes.iter().map(String::as_str));
            known = Some(row.classes);
        }
        names.insert(row.label);
        if let ClassAnswer::Class(name) = row.answer {
            names.insert(name);
        }
    }
    let names: Vec<&str> = names.into_iter().collect();
    let position = |name: &str| names.binary_search(&name).ok();
    let labels: Vec<f64> = rows.iter().map(|it| position(it.label).map(|it| it as f64)).collect::<Option<_>>()?;
    if rows.iter().any(|it| matches!(it.answer, ClassAnswer::Class(_))) {
        let predicted: Option<Vec<f64>> =
            rows.iter().map(|it| Some(position(predicted(it.classes, it.answer)?)? as f64)).collect();
        return Scored::predicted_classes(&labels, &predicted?, names.len()).ok();
    }
    let mut scores = vec![0.0; rows.len() * names.len()];
    for (row, scores) in rows.iter().zip(scores.chunks_exact_mut(names.len().max(1))) {
        let ClassAnswer::Probabilities(values) = row.answer else { return None };
        if row.classes.len() < values.len() {
            return None;
        }
        for (name, value) in row.classes.iter().zip(values) {
            *scores.get_mut(position(name)?)? = *value;
        }
    }
    Scored::multiclass(&labels, &scores).ok()
}

/// The class that an answer predicts, the first of those with the highest probability; `None` when it has none, or one that
/// is not among the model's classes.
pub(super) fn predicted<'a>(classes: &'a [String], answer: &'a ClassAnswer) -> Option<&'a str> {
    match answer {
        ClassAnswer::Class(name) => Some(name),
        ClassAnswer::Probabilities(values) => {
            let mut best: Option<(usize, f64)> = None;
            for (class, value) in values.iter().enumerate() {
                if best.is_none_or(|(_, highest)| highest < *value) {
                    best = Some((class, *value));
                }
            }
            classes.get(best?.0).map(String::as_str)
        }
    }
}

#[cfg(test)]
mod tests {
    use refit_stats::quality::Metric;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    fn list(values: &[f64]) -> ClassAnswer {
        ClassAnswer::Probabilities(values.to_vec())
    }

    #[test]
    fn answers_of_two_models_are_measured_together() {
        let (old, new) = (names(&["a", "c"]), names(&["a", "b", "c"]));
        let (first, second) = (list(&[0.75, 0.25]), list(&[0.25, 0.5, 0.25]));
        let rows = [
            ClassRow { classes: &old, answer: &first, label: "a" },
            ClassRow { classes: &new, answer: &second, label: "b" },
        ];
        let scored = score_classes(&rows).expect("measurable");
        assert_eq!(scored.scores(), [0.75, 0.0, 0.25, 0.25, 0.5, 0.25]);
        assert_eq!(scored.labels(), [0.0, 1.0]);
        assert_eq!(scored.value(Metric::Accuracy), Some(1.0));
    }

    #[test]
    fn a_class_that_the_model_does_not_know_has_probability_0() {
        let classes = names(&["a", "b"]);
        let answer = list(&[0.5, 0.5]);
        let rows = [ClassRow { classes: &classes, answer: &answer, label: "new" }];
        let scored = score_classes(&rows).expect("measurable");
        assert_eq!((scored.scores(), scored.labels()), (&[0.5, 0.5, 0.0][..], &[2.0][..]));
        assert_eq!(scored.value(Metric::Accuracy), Some(0.0));
        let short = list(&[0.5, 0.5]);
        let three = names(&["a", "b", "z"]);
        let rows = [ClassRow { classes: &three, answer: &short, label: "z" }];
        assert_eq!(score_classes(&rows).expect("measurable").scores(), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn names_alone_are_measured_without_probabilities() {
        let classes = names(&["a", "b"]);
        let (name, tie) = (ClassAnswer::Class("b".to_owned()), list(&[0.5, 0.5]));
        let rows = [
            ClassRow { classes: &classes, answer: &name, label: "b" },
            ClassRow { classes: &classes, answer: &tie, label: "b" },
        ];
        let scored = score_classes(&rows).expect("measurable");
        assert_eq!(scored.value(Metric::Accuracy), Some(0.5));
        assert_eq!(scored.value(Metric::LogLoss), None);
    }

    #[test]
    fn what_cannot_be_read_is_not_measured() {
        let classes = names(&["a", "b"]);
        let long = list(&[0.2, 0.3, 0.5]);
        assert!(score_classes(&[ClassRow { classes: &classes, answer: &long, label: "a" }]).is_none());
        assert!(score_classes(&[]).is_none());
    }
}
