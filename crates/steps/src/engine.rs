//! The learner, behind one small module so that it can change: gradient-boosted trees by forust-ml.
//!
//! Squared loss for regression, logistic loss for binary tasks, whose predictions are probabilities. Nothing of
//! forust-ml appears in a signature of another module; its JSON form appears in `model.json` under `booster`.
//!
//! Invariants: training runs on one thread and every draw comes from the seed, so the same rows, settings and seed give
//! the same bytes. A booster read from a document is checked before use: forust-ml itself follows node numbers blindly,
//! so a damaged document could index out of bounds or never end.

use forust_ml::GradientBooster;
use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;
use serde::{Deserialize, Serialize};

use crate::encode::Matrix;
use crate::hyperparameters::Hyperparameters;
use crate::request::Task;

/// A fitted ensemble.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Engine {
    booster: GradientBooster,
}

/// Why the engine did not fit.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// All labels of a binary task are equal.
    #[error("every one of the {rows} training labels is {label}; a binary model needs both 0 and 1")]
    OneClass {
        /// Training rows.
        rows: usize,
        /// The only label.
        label: f64,
    },
    /// The library refused.
    #[error("gradient boosting could not be fitted")]
    Fit(#[source] forust_ml::errors::ForustError),
}

impl Engine {
    /// Fits an ensemble to encoded rows.
    pub(crate) fn fit(
        task: Task,
        matrix: &Matrix,
        labels: &[f64],
        hyperparameters: &Hyperparameters,
        seed: u64,
    ) -> Result<Engine, EngineError> {
        let objective = match task {
            Task::Regression => ObjectiveType::SquaredLoss,
            Task::Binary => {
                if let Some(&label) = labels.first().filter(|first| labels.iter().all(|it| it == *first)) {
                    return Err(EngineError::OneClass { rows: labels.len(), label });
                }
                ObjectiveType::LogLoss
            }
        };
        let sampling = if hyperparameters.subsample < 1.0 { SampleMethod::Random } else { SampleMethod::None };
        let mut booster = GradientBooster::default()
            .set_objective_type(objective)
            .set_iterations(hyperparameters.iterations)
            .set_learning_rate(hyperparameters.learning_rate)
            .set_max_depth(hyperparameters.max_depth)
            .set_max_leaves(hyperparameters.max_leaves)
            .set_l1(hyperparameters.l1)
            .set_l2(hyperparameters.l2)
            .set_gamma(hyperparameters.gamma)
            .set_min_leaf_weight(hyperparameters.min_leaf_weight)
            .set_subsample(hyperparameters.subsample)
            .set_colsample_bytree(hyperparameters.colsample)
            .set_nbins(hyperparameters.bins)
            .set_sample_method(sampling)
            .set_seed(seed)
            .set_initialize_base_score(true)
            .set_parallel(false);
        booster.grow_policy = GrowPolicy::LossGuide;
        let data = forust_ml::Matrix::new(&matrix.data, matrix.rows, matrix.names.len());
        booster.fit_unweighted(&data, labels, None).map_err(EngineError::Fit)?;
        Ok(Engine { booster })
    }

    /// Predicts encoded rows; probabilities for a binary task.
    pub(crate) fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        if matrix.rows == 0 {
            return Vec::new();
        }
        let data = forust_ml::Matrix::new(&matrix.data, matrix.rows, matrix.names.len());
        let mut scores = self.booster.predict(&data, false);
        match self.booster.objective_type {
            ObjectiveType::SquaredLoss => {}
            ObjectiveType::LogLoss => scores.iter_mut().for_each(|it| *it = 1.0 / (1.0 + (-*it).exp())),
        }
        scores
    }

    /// Says what makes this ensemble unusable for rows of `width` columns, if anything does.
    pub(crate) fn find_problem(&self, task: Task, width: usize) -> Option<String> {
        let fits_task = matches!(
            (task, &self.booster.objective_type),
            (Task::Regression, ObjectiveType::SquaredLoss) | (Task::Binary, ObjectiveType::LogLoss)
        );
        if !fits_task {
            return Some("its loss does not belong to its task".to_owned());
        }
        if !self.booster.base_score.is_finite() {
            return Some("its base score is not a finite number".to_owned());
        }
        for (number, tree) in self.booster.trees.iter().enumerate() {
            if tree.nodes.is_empty() {
                return Some(format!("tree {number} has no nodes"));
            }
            for (index, node) in tree.nodes.iter().enumerate() {
                // Children come after their parent, so every walk ends.
                let leads_on = |child: usize| index < child && child < tree.nodes.len();
                let is_sound = node.weight_value.is_finite()
                    && (node.is_leaf
                        || node.split_feature < width
                            && [node.left_child, node.right_child, node.missing_node].into_iter().all(leads_on));
                if !is_sound {
                    return Some(format!("node {index} of tree {number} leads nowhere"));
                }
            }
        }
        None
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("trees", &self.booster.trees.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> (Matrix, Vec<f64>) {
        let rows = 400;
        let mut data: Vec<f64> = (0..rows).map(|it| f64::from(it % 20)).collect();
        data.extend((0..rows).map(|it| if it % 7 == 0 { f64::NAN } else { f64::from(it % 3) }));
        data.extend((0..rows).map(|_| 1.0));
        let labels = (0..rows).map(|it| 3.0 * f64::from(it % 20) + f64::from(it % 3)).collect();
        let names = ["a", "b", "constant"].map(str::to_owned).to_vec();
        (Matrix { names, rows: rows as usize, data }, labels)
    }

    #[test]
    fn regression_learns_and_repeats_itself_byte_for_byte() {
        let (matrix, labels) = grid();
        let hyperparameters = Hyperparameters { subsample: 0.7, ..Hyperparameters::default() };
        let fit = || Engine::fit(Task::Regression, &matrix, &labels, &hyperparameters, 5).expect("fits");
        let first = serde_json::to_string(&fit()).expect("json");
        assert_eq!(first, serde_json::to_string(&fit()).expect("json"));
        let engine: Engine = serde_json::from_str(&first).expect("parses");
        assert_eq!(engine.find_problem(Task::Regression, 3), None);
        assert_eq!(engine.predict(&matrix), fit().predict(&matrix));
        let predicted = engine.predict(&matrix);
        let error: f64 = predicted.iter().zip(&labels).map(|(a, b)| (a - b).abs()).sum::<f64>() / 400.0;
        assert!(error < 2.0, "{error}");
    }

    #[test]
    fn binary_predictions_are_probabilities() {
        let (matrix, labels) = grid();
        let labels: Vec<f64> = labels.iter().map(|it| f64::from(u8::from(30.0 < *it))).collect();
        let engine = Engine::fit(Task::Binary, &matrix, &labels, &Hyperparameters::default(), 5).expect("fits");
        assert!(engine.predict(&matrix).iter().all(|it| 0.0 < *it && *it < 1.0));
        let refused = Engine::fit(Task::Binary, &matrix, &[1.0; 400], &Hyperparameters::default(), 5);
        assert!(matches!(refused, Err(EngineError::OneClass { rows: 400, .. })));
    }

    #[test]
    fn a_damaged_ensemble_is_found_out() {
        let (matrix, labels) = grid();
        let mut engine = Engine::fit(Task::Regression, &matrix, &labels, &Hyperparameters::default(), 5).expect("fits");
        assert!(engine.find_problem(Task::Binary, 3).is_some());
        assert!(engine.find_problem(Task::Regression, 0).is_some());
        engine.booster.trees[0].nodes[0].left_child = 0;
        assert_eq!(engine.find_problem(Task::Regression, 3).as_deref(), Some("node 0 of tree 0 leads nowhere"));
    }
}
