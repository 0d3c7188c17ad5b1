//! The learner, behind one small module so that it can change: gradient boosting over the regression trees of forust-ml.
//!
//! The library grows one tree from gradients; the rounds around it are here, because its own can neither go on from an
//! ensemble that exists nor learn more than two classes. Squared loss for regression, logistic loss for binary tasks,
//! softmax for several classes, one tree a class and round. Trees add up to *margins*; [`Loss::to_scores`] makes answers
//! of them. Nothing of forust-ml appears in a signature of another module; its JSON form appears in `model.json`.
//!
//! Invariants: training runs on one thread and every draw comes from the seed, so the same rows, settings, margins and
//! seed give the same bytes. Trees read from a document are checked before use: forust-ml itself follows node numbers
//! blindly, so a damaged document could index out of bounds or never end.

mod loss;

use forust_ml::binning::bin_matrix;
use forust_ml::constraints::ConstraintMap;
use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::sampler::SampleMethod;
use forust_ml::splitter::MissingImputerSplitter;
use forust_ml::tree::Tree;
use serde::{Deserialize, Serialize};

pub(crate) use loss::Loss;

use crate::encode::Matrix;
use crate::hyperparameters::Hyperparameters;

/// Fitted trees: in the order of their growth, so round by round, and output by output within a round.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Trees {
    trees: Vec<Tree>,
}

/// Margins by output, each as long as there are rows.
pub(crate) type Margins = Vec<Vec<f64>>;

/// Why the engine did not fit.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// All labels of a classification are equal.
    #[error("every one of the {rows} training labels is {label}; a {task} model needs at least two classes")]
    OneClass {
        /// Training rows.
        rows: usize,
        /// The only label.
        label: String,
        /// The task.
        task: crate::request::Task,
    },
    /// The library refused.
    #[error("gradient boosting could not be fitted")]
    Fit(#[source] forust_ml::errors::ForustError),
}

/// What trees are grown on.
pub(crate) struct Examples<'a> {
    /// Encoded rows.
    pub(crate) matrix: &'a Matrix,
    /// A label a row: the number itself, 0 or 1, or the index of the class.
    pub(crate) labels: &'a [f64],
}

/// Grows `rounds` of trees on top of `margins`, which move along.
pub(crate) fn boost(
    loss: Loss,
    examples: &Examples<'_>,
    margins: &mut Margins,
    settings: &Hyperparameters,
    rounds: usize,
    seed: u64,
) -> Result<Trees, EngineError> {
    let Examples { matrix, labels } = examples;
    let columns = matrix.names.len();
    let data = forust_ml::Matrix::new(&matrix.data, matrix.rows, columns);
    let weights = vec![1.0; matrix.rows];
    let binned = bin_matrix(&data, &weights, settings.bins, f64::NAN, false).map_err(EngineError::Fit)?;
    let bins = forust_ml::Matrix::new(&binned.binned_data, matrix.rows, columns);
    let splitter = MissingImputerSplitter {
        l1: settings.l1,
        l2: settings.l2,
        max_delta_step: 0.0,
        gamma: settings.gamma,
        min_leaf_weight: settings.min_leaf_weight,
        learning_rate: settings.learning_rate,
        allow_missing_splits: true,
        constraints_map: ConstraintMap::new(),
    };
    // The tree sums gradients another way when rows are left out.
    let sampling = if settings.subsample < 1.0 { SampleMethod::Random } else { SampleMethod::None };
    let mut draws = Draws(seed);
    let mut trees = Vec::with_capacity(rounds * margins.len());
    for _ in 0..rounds {
        let rows = draws.rows(matrix.rows, settings.subsample);
        let chosen = draws.columns(columns, settings.colsample);
        // All outputs of a round answer to the margins at its beginning.
        let slopes = loss.slopes(labels, margins);
        for (margin, (gradients, curvatures)) in margins.iter_mut().zip(&slopes) {
            let mut tree = Tree::new();
            let leaves = tree.fit(
                &bins,
                rows.clone(),
                &chosen,
                &binned.cuts,
                gradients,
                curvatures,
                &splitter,
                settings.max_leaves,
                settings.max_depth,
                false,
                &sampling,
                &GrowPolicy::LossGuide,
            );
            match leaves.filter(|_| rows.len() == matrix.rows) {
                Some(leaves) => {
                    for (rows, weight) in leaves.leaves(&tree) {
                        rows.iter().for_each(|row| margin[*row] += weight);
                    }
                }
                None => add(&tree, &data, margin),
            }
            trees.push(tree);
        }
    }
    Ok(Trees { trees })
}

fn add(tree: &Tree, data: &forust_ml::Matrix<'_, f64>, margin: &mut [f64]) {
    for (sum, value) in margin.iter_mut().zip(tree.predict(data, false, &f64::NAN)) {
        *sum += value;
    }
}

impl Trees {
    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.trees.len()
    }

    /// Adds what the trees say of encoded rows to their margins.
    pub(crate) fn add_to(&self, matrix: &Matrix, margins: &mut Margins) {
        if matrix.rows == 0 {
            return;
        }
        let data = forust_ml::Matrix::new(&matrix.data, matrix.rows, matrix.names.len());
        let outputs = margins.len();
        for (index, tree) in self.trees.iter().enumerate() {
            add(tree, &data, &mut margins[index % outputs]);
        }
    }

    /// Says what makes these trees unusable for `outputs` margins of rows of `width` columns, if anything does.
    pub(crate) fn find_problem(&self, outputs: usize, width: usize) -> Option<String> {
        if !self.trees.len().is_multiple_of(outputs.max(1)) {
            return Some(format!("{} trees do not make whole rounds of {outputs}", self.trees.len()));
        }
        for (number, tree) in self.trees.iter().enumerate() {
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

impl std::fmt::Debug for Trees {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trees").field("count", &self.trees.len()).finish()
    }
}

/// Which rows and columns a round sees: a splitmix64 sequence (Steele, Lea and Flood 2014).
struct Draws(u64);

impl Draws {
    /// Uniform in [0, 1).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About `share` of the rows; all of them when none was drawn.
    fn rows(&mut self, count: usize, share: f32) -> Vec<usize> {
        if 1.0 <= share {
            return (0..count).collect();
        }
        let chosen: Vec<usize> = (0..count).filter(|_| self.next() < f64::from(share)).collect();
        if chosen.is_empty() { (0..count).collect() } else { chosen }
    }

    /// `share` of the columns, at least one, in order.
    fn columns(&mut self, count: usize, share: f64) -> Vec<usize> {
        let mut columns: Vec<usize> = (0..count).collect();
        let wanted = ((count as f64 * share).floor() as usize).max(1);
        while wanted < columns.len() {
            let leaves = (self.next() * columns.len() as f64) as usize;
            columns.remove(leaves.min(columns.len() - 1));
        }
        columns
    }
}

#[cfg(test)]
mod tests;
