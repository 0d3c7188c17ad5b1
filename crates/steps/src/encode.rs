//! The feature encoder: raw columns to the numbers that trees split on.
//!
//! The engine knows numbers only. A category becomes two of them: its rank when the categories are ordered by their
//! mean target, and how often it occurred in training. With the rank, a single threshold separates low from high
//! categories, which is what a native categorical split looks for (Fisher 1958), and generalizes as well out of month
//! as the native ones of every engine that was tried. The target is the label; with several classes there is a rank for
//! each of the most frequent ones, by the share of the class; and where a model is continued, it is what the model leaves
//! unexplained. A numeric feature stays as it is; a missing or non-finite value
//! is NaN, which the engine sends down a learned branch.
//!
//! Invariants: the encoder is fitted on training rows alone; a category with fewer than [`MIN_ROWS`] training rows is
//! treated like one never seen, so that its rank cannot memorize its own few labels.

use std::collections::BTreeMap;

use refit_data::{Categories, Frame, Kind, Values};
use serde::{Deserialize, Serialize};

use crate::request::Feature;

/// Training rows that a category needs: below this its mean label is mostly the noise of its own rows.
pub(crate) const MIN_ROWS: u64 = 3;

/// Targets by which a category is ranked: with a rank for each of a hundred classes, columns would outnumber rows.
const MAX_RANKS: usize = 8;

/// A fitted encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Version of this document, 1.
    pub schema: u16,
    /// One encoding a declared feature, in order.
    pub features: Vec<FeatureEncoding>,
}

/// How one feature is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FeatureEncoding {
    /// The value itself.
    Numeric {
        /// The raw column.
        name: String,
    },
    /// Ranks by mean target, and training rows.
    Categorical {
        /// The raw column.
        name: String,
        /// The targets that it is ranked by: which outputs of the model.
        outputs: Vec<usize>,
        /// What is known of each category that has enough rows.
        categories: BTreeMap<String, Category>,
    },
}

/// What the encoder knows of one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Place in the order by each ranked target's mean, from 0.
    pub ranks: Vec<u32>,
    /// Training rows with it.
    pub rows: u64,
}

/// Why raw columns could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A column the encoder needs is not there.
    #[error("column `{name}` is missing")]
    MissingColumn {
        /// The column.
        name: String,
    },
    /// A column has another kind than the one declared.
    #[error("column `{name}` is {found} where {expected} was declared")]
    WrongKind {
        /// The column.
        name: String,
        /// What was declared.
        expected: Kind,
        /// What it is.
        found: Kind,
    },
}

/// Numbers by column; missing is NaN.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    /// One name a column.
    pub names: Vec<String>,
    /// How many rows each column has.
    pub rows: usize,
    /// The columns, one after another.
    pub data: Vec<f64>,
}

impl Matrix {
    /// The values of column `index`.
    #[must_use]
    pub fn column(&self, index: usize) -> &[f64] {
        &self.data[index * self.rows..(index + 1) * self.rows]
    }
}

impl Encoder {
    /// Fits the encoder to raw training rows and their targets, by output.
    ///
    /// # Errors
    /// When a declared feature is missing or of another kind.
    pub fn fit(features: &[Feature], frame: &Frame, targets: &[Vec<f64>]) -> Result<Encoder, EncodeError> {
        let outputs = ranked_outputs(targets);
        let mut encodings = Vec::with_capacity(features.len());
        for feature in features {
            let values = get_values(frame, &feature.name)?;
            encodings.push(match (feature.kind, values) {
                (Kind::Numeric, Values::Numeric(_)) => FeatureEncoding::Numeric { name: feature.name.clone() },
                (Kind::Categorical, Values::Categorical(values)) => FeatureEncoding::Categorical {
                    name: feature.name.clone(),
                    outputs: outputs.clone(),
                    categories: rank_categories(values, outputs.iter().filter_map(|it| targets.get(*it))),
                },
                (expected, other) => {
                    return Err(EncodeError::WrongKind { name: feature.name.clone(), expected, found: other.kind() });
                }
            });
        }
        Ok(Encoder { schema: 1, features: encodings })
    }

    /// Encodes raw rows.
    ///
    /// # Errors
    /// When a feature is missing or of another kind than in training.
    pub fn encode(&self, frame: &Frame) -> Result<Matrix, EncodeError> {
        let mut matrix = Matrix { names: self.column_names(), rows: frame.rows(), data: Vec::new() };
        for feature in &self.features {
            match feature {
                FeatureEncoding::Numeric { name } => match get_values(frame, name)? {
                    Values::Numeric(values) => {
                        matrix.data.extend(values.iter().map(|it| it.filter(|it| it.is_finite()).unwrap_or(f64::NAN)));
                    }
                    other @ (Values::Categorical(_) | Values::Time(_)) => {
                        return Err(wrong_kind(name, Kind::Numeric, other));
                    }
                },
                FeatureEncoding::Categorical { name, outputs, categories } => match get_values(frame, name)? {
                    Values::Categorical(values) => {
                        let known: Vec<Option<&Category>> =
                            values.dictionary.iter().map(|it| categories.get(it)).collect();
                        let known_in = |code: &u32| known.get(*code as usize).copied().flatten();
                        for place in 0..outputs.len() {
                            let rank = |it: &Category| it.ranks.get(place).map_or(f64::NAN, |it| f64::from(*it));
                            matrix.data.extend(values.codes.iter().map(|it| known_in(it).map_or(f64::NAN, rank)));
                        }
                        matrix.data.extend(values.codes.iter().map(|it| known_in(it).map_or(0.0, |it| it.rows as f64)));
                    }
                    other @ (Values::Numeric(_) | Values::Time(_)) => {
                        return Err(wrong_kind(name, Kind::Categorical, other));
                    }
                },
            }
        }
        Ok(matrix)
    }

    /// The names of the columns that [`Encoder::encode`] makes, in order.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        let names = self.features.iter().flat_map(|feature| match feature {
            FeatureEncoding::Numeric { name } => vec![format!("value:{name}")],
            FeatureEncoding::Categorical { name, outputs, .. } => {
                let ranks = outputs.iter().map(|output| match output {
                    0 => format!("rank:{name}"),
                    output => format!("rank-{output}:{name}"),
                });
                ranks.chain([format!("rows:{name}")]).collect()
            }
        });
        names.collect()
    }
}

fn get_values<'a>(frame: &'a Frame, name: &str) -> Result<&'a Values, EncodeError> {
    let column = frame.find_column(name).ok_or_else(|| EncodeError::MissingColumn { name: name.to_owned() })?;
    Ok(&column.values)
}

fn wrong_kind(name: &str, expected: Kind, found: &Values) -> EncodeError {
    EncodeError::WrongKind { name: name.to_owned(), expected, found: found.kind() }
}

/// The outputs whose targets differ most from row to row, in order: of classes, the most frequent ones.
fn ranked_outputs(targets: &[Vec<f64>]) -> Vec<usize> {
    let spread = |output: &usize| {
        let mut group = Group::default();
        targets[*output].iter().for_each(|it| group.add(*it));
        group.deviations
    };
    let mut outputs: Vec<usize> = (0..targets.len()).collect();
    if MAX_RANKS < outputs.len() {
        let spreads: Vec<f64> = outputs.iter().map(spread).collect();
        outputs.sort_by(|a, b| spreads[*b].total_cmp(&spreads[*a]).then(a.cmp(b)));
        outputs.truncate(MAX_RANKS);
        outputs.sort_unstable();
    }
    outputs
}

/// Orders the categories that have enough rows by their shrunk mean of each target; ties go by name.
fn rank_categories<'a>(values: &Categories, targets: impl Iterator<Item = &'a Vec<f64>>) -> BTreeMap<String, Category> {
    let mut categories: BTreeMap<String, Category> = BTreeMap::new();
    for target in targets {
        let mut groups = vec![Group::default(); values.dictionary.len()];
        for (&code, &value) in values.codes.iter().zip(target) {
            if let Some(group) = groups.get_mut(code as usize) {
                group.add(value);
            }
        }
        let shrinkage = Shrinkage::estimate(&groups);
        let mut order: Vec<(f64, &str, u64)> = groups
            .iter()
            .zip(&values.dictionary)
            .filter(|(group, _)| MIN_ROWS <= group.rows)
            .map(|(group, name)| (shrinkage.apply(group), name.as_str(), group.rows))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
        for (rank, (_, name, rows)) in (0_u32..).zip(order) {
            let category = categories.entry(name.to_owned()).or_insert(Category { ranks: Vec::new(), rows });
            category.ranks.push(rank);
        }
    }
    categories
}

/// Rows, mean and squared deviations of one category, by Welford's updates.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    rows: u64,
    mean: f64,
    deviations: f64,
}

impl Group {
    fn add(&mut self, label: f64) {
        self.rows += 1;
        let before = label - self.mean;
        self.mean += before / self.rows as f64;
        self.deviations += before * (label - self.mean);
    }
}

/// Pulls a category's mean towards the mean of all rows, the more so the fewer rows it has.
///
/// The strength is the variance within categories over the variance between them, in the method of moments of the
/// one-way random-effects model, so that it needs no setting: labels that categories explain are hardly pulled.
struct Shrinkage {
    mean: f64,
    strength: f64,
}

impl Shrinkage {
    fn estimate(groups: &[Group]) -> Shrinkage {
        let seen: Vec<&Group> = groups.iter().filter(|it| 0 < it.rows).collect();
        let rows: f64 = seen.iter().map(|it| it.rows as f64).sum();
        let mean = seen.iter().map(|it| it.rows as f64 * it.mean).sum::<f64>() / rows.max(1.0);
        let count = seen.len() as f64;
        let within = seen.iter().map(|it| it.deviations).sum::<f64>() / (rows - count).max(1.0);
        let spread: f64 = seen.iter().map(|it| it.rows as f64 * (it.mean - mean).powi(2)).sum();
        let typical_rows = rows - seen.iter().map(|it| (it.rows as f64).powi(2)).sum::<f64>() / rows.max(1.0);
        let between = (spread - (count - 1.0) * within) / typical_rows.max(f64::MIN_POSITIVE);
        // Without any variance between categories every mean is the common one: a finite strength keeps the order.
        let strength = if 0.0 < between { (within / between).min(1e6) } else { 1e6 };
        Shrinkage { mean, strength }
    }

    fn apply(&self, group: &Group) -> f64 {
        let rows = group.rows as f64;
        (rows * group.mean + self.strength * self.mean) / (rows + self.strength)
    }
}

#[cfg(test)]
mod tests {
    use refit_data::{Column, MISSING};

    use super::*;

    fn categorical(texts: &[Option<&str>]) -> Values {
        let mut categories = Categories::default();
        for text in texts {
            let code = match text {
                None => MISSING,
                Some(text) => {
                    let known = categories.dictionary.iter().position(|it| it == text);
                    known.unwrap_or_else(|| {
                        categories.dictionary.push((*text).to_owned());
                        categories.dictionary.len() - 1
                    }) as u32
                }
            };
            categories.codes.push(code);
        }
        Values::Categorical(categories)
    }

    fn frame(values: Values) -> Frame {
        Frame::new(vec![Column { name: "x".to_owned(), values }]).expect("frame")
    }

    fn declared(kind: Kind) -> Vec<Feature> {
        vec![Feature { name: "x".to_owned(), kind }]
    }

    #[test]
    fn categories_are_ranked_by_mean_label_and_rare_ones_are_missing() {
        let texts: Vec<Option<&str>> = ["b", "b", "b", "a", "a", "a", "c"].into_iter().map(Some).collect();
        let labels = [1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 5.0];
        let train = frame(categorical(&texts));
        let encoder = Encoder::fit(&declared(Kind::Categorical), &train, &[labels.to_vec()]).expect("fits");
        let rows = frame(categorical(&[Some("a"), Some("b"), Some("c"), Some("new"), None]));
        let matrix = encoder.encode(&rows).expect("encodes");
        assert_eq!(matrix.names, ["rank:x", "rows:x"]);
        assert_eq!(&matrix.column(0)[..2], [1.0, 0.0]);
        assert!(matrix.column(0)[2..].iter().all(|it| it.is_nan()));
        assert_eq!(matrix.column(1), [3.0, 3.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn several_targets_give_several_ranks_and_the_most_telling_ones_are_kept() {
        let texts: Vec<Option<&str>> = ["a", "a", "a", "b", "b", "b"].into_iter().map(Some).collect();
        let train = frame(categorical(&texts));
        let first = vec![1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
        let second = first.iter().map(|it| 1.0 - it).collect::<Vec<f64>>();
        let encoder = Encoder::fit(&declared(Kind::Categorical), &train, &[first, second.clone()]).expect("fits");
        let matrix = encoder.encode(&train).expect("encodes");
        assert_eq!(matrix.names, ["rank:x", "rank-1:x", "rows:x"]);
        assert_eq!((matrix.column(0)[0], matrix.column(1)[0]), (1.0, 0.0));
        let mut many = vec![vec![0.0; 6]; 20];
        many[13] = second;
        let encoder = Encoder::fit(&declared(Kind::Categorical), &train, &many).expect("fits");
        assert!(encoder.column_names().contains(&"rank-13:x".to_owned()));
        assert_eq!(encoder.column_names().len(), MAX_RANKS + 1);
    }

    #[test]
    fn numbers_stay_and_what_is_not_finite_is_missing() {
        let rows = frame(Values::Numeric(vec![Some(1.5), None, Some(f64::INFINITY), Some(f64::NAN)]));
        let encoder = Encoder::fit(&declared(Kind::Numeric), &rows, &[vec![0.0; 4]]).expect("fits");
        let matrix = encoder.encode(&rows).expect("encodes");
        assert_eq!(matrix.data[0], 1.5);
        assert!(matrix.data[1..].iter().all(|it| it.is_nan()));
    }

    #[test]
    fn means_of_few_rows_are_pulled_to_the_common_mean() {
        let mut groups = [Group::default(); 3];
        for index in 0..100 {
            groups[0].add(f64::from(index % 7));
            groups[1].add(f64::from(index % 5));
        }
        groups[2].add(50.0);
        let shrinkage = Shrinkage::estimate(&groups);
        assert!(shrinkage.apply(&groups[2]) < 50.0);
        assert!((shrinkage.apply(&groups[0]) - groups[0].mean).abs() < 0.1);
    }

    #[test]
    fn a_missing_or_mistyped_column_is_named() {
        let rows = frame(Values::Numeric(vec![Some(1.0)]));
        let error = Encoder::fit(&declared(Kind::Categorical), &rows, &[vec![0.0]]).expect_err("wrong kind");
        assert_eq!(error.to_string(), "column `x` is numeric where categorical was declared");
        let encoder = Encoder::fit(&declared(Kind::Numeric), &rows, &[vec![0.0]]).expect("fits");
        let error = encoder.encode(&Frame::default()).expect_err("missing");
        assert_eq!(error.to_string(), "column `x` is missing");
    }

    #[test]
    fn an_encoder_survives_its_document() {
        let train = frame(categorical(&[Some("a"), Some("a"), Some("a")]));
        let encoder = Encoder::fit(&declared(Kind::Categorical), &train, &[vec![1.0, 2.0, 3.0]]).expect("fits");
        let text = serde_json::to_string(&encoder).expect("json");
        assert_eq!(serde_json::from_str::<Encoder>(&text).expect("parses"), encoder);
    }
}
