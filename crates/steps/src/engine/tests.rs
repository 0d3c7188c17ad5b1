use forust_ml::GradientBooster;
use forust_ml::objective::ObjectiveType;

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

/// Fits from nothing; the scores of the training rows and the trees.
fn fit(loss: Loss, labels: &[f64], classes: &[String], settings: &Hyperparameters) -> (Margins, Trees) {
    let (matrix, _) = grid();
    let base = loss.base(labels, classes).expect("several labels");
    let mut margins: Margins = base.iter().map(|it| vec![*it; matrix.rows]).collect();
    let examples = Examples { matrix: &matrix, labels };
    let trees = boost(loss, &examples, &mut margins, settings, settings.iterations, 5).expect("fits");
    let mut again: Margins = base.iter().map(|it| vec![*it; matrix.rows]).collect();
    trees.add_to(&matrix, &mut again);
    assert_eq!(again, margins, "the margins that moved along are those that the trees give");
    (loss.to_scores(margins), trees)
}

fn json(trees: &Trees) -> String {
    serde_json::to_string(trees).expect("json")
}

#[test]
fn regression_learns_and_repeats_itself_byte_for_byte() {
    let (matrix, labels) = grid();
    let settings = Hyperparameters { subsample: 0.7, colsample: 0.7, ..Hyperparameters::default() };
    let (scores, trees) = fit(Loss::Squared, &labels, &[], &settings);
    let text = json(&trees);
    assert_eq!(text, json(&fit(Loss::Squared, &labels, &[], &settings).1));
    let read: Trees = serde_json::from_str(&text).expect("parses");
    assert_eq!(read.find_problem(1, 3), None);
    let mut margins = vec![vec![Loss::Squared.base(&labels, &[]).expect("mean")[0]; matrix.rows]];
    read.add_to(&matrix, &mut margins);
    assert_eq!(margins, scores);
    let error: f64 = scores[0].iter().zip(&labels).map(|(a, b)| (a - b).abs()).sum::<f64>() / 400.0;
    assert!(error < 2.0, "{error}");
}

/// The library's own rounds are the oracle where it has them.
#[test]
fn rounds_are_those_of_the_library() {
    let (matrix, numbers) = grid();
    let classes: Vec<f64> = numbers.iter().map(|it| f64::from(u8::from(30.0 < *it))).collect();
    let settings = Hyperparameters::default();
    for (loss, objective, labels) in
        [(Loss::Squared, ObjectiveType::SquaredLoss, &numbers), (Loss::Logistic, ObjectiveType::LogLoss, &classes)]
    {
        let mut booster = GradientBooster::default()
            .set_objective_type(objective)
            .set_iterations(settings.iterations)
            .set_learning_rate(settings.learning_rate)
            .set_max_depth(settings.max_depth)
            .set_max_leaves(settings.max_leaves)
            .set_min_leaf_weight(settings.min_leaf_weight)
            .set_nbins(settings.bins)
            .set_initialize_base_score(true)
            .set_parallel(false);
        booster.grow_policy = GrowPolicy::LossGuide;
        let data = forust_ml::Matrix::new(&matrix.data, matrix.rows, 3);
        booster.fit_unweighted(&data, labels, None).expect("fits");
        let (scores, trees) = fit(loss, labels, &[], &settings);
        assert_eq!(json(&trees), serde_json::to_string(&booster.trees).expect("json"), "{loss:?}");
        assert_eq!(loss.to_scores(vec![booster.predict(&data, false)]), scores, "{loss:?}");
    }
}

#[test]
fn probabilities_are_probabilities_and_one_class_is_refused() {
    let (_, labels) = grid();
    let labels: Vec<f64> = labels.iter().map(|it| f64::from(u8::from(30.0 < *it))).collect();
    let (scores, _) = fit(Loss::Logistic, &labels, &[], &Hyperparameters::default());
    assert!(scores[0].iter().all(|it| 0.0 < *it && *it < 1.0));
    let refused = Loss::Logistic.base(&[1.0; 400], &[]).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "every one of the 400 training labels is 1; a binary model needs at least two classes"
    );
    let refused = Loss::Softmax.base(&[1.0; 4], &["x".to_owned(), "y".to_owned()]).expect_err("refused");
    assert!(refused.to_string().starts_with("every one of the 4 training labels is `y`; a multiclass"), "{refused}");
}

#[test]
fn several_classes_are_told_apart_and_their_probabilities_add_up() {
    let (_, labels) = grid();
    let labels: Vec<f64> = labels.iter().map(|it| (*it / 20.0).floor()).collect();
    let names: Vec<String> = (0..4).map(|it| format!("class {it}")).collect();
    let (scores, trees) = fit(Loss::Softmax, &labels, &names, &Hyperparameters::default());
    assert_eq!(trees.count(), 800, "a tree a class and round");
    assert_eq!(trees.find_problem(4, 3), None);
    assert!(trees.find_problem(3, 3).is_some());
    let mut right = 0;
    for (row, label) in labels.iter().enumerate() {
        let row: Vec<f64> = scores.iter().map(|it| it[row]).collect();
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let best = (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).expect("a class");
        right += usize::from(best as f64 == *label);
    }
    assert!(390 <= right, "{right} of 400");
}

/// Softmax over two classes is the logistic loss: the same direction and, after the widening, twice the curvature of each
/// of two margins that move apart.
#[test]
fn two_classes_have_the_slopes_of_the_logistic_loss() {
    let labels = [0.0, 1.0, 1.0];
    let margins = vec![vec![0.3, -0.2, 1.0]];
    let both = vec![vec![0.0; 3], margins[0].clone()];
    let (one, two) = (Loss::Logistic.slopes(&labels, &margins), Loss::Softmax.slopes(&labels, &both));
    for row in 0..3 {
        assert!((one[0].0[row] - two[1].0[row]).abs() < 1e-6);
        assert!((two[0].0[row] + two[1].0[row]).abs() < 1e-6);
        assert!((2.0 * one[0].1[row] - two[1].1[row]).abs() < 1e-6);
    }
}

#[test]
fn a_damaged_tree_is_found_out() {
    let (_, labels) = grid();
    let mut trees = fit(Loss::Squared, &labels, &[], &Hyperparameters::default()).1;
    assert!(trees.find_problem(1, 0).is_some());
    trees.trees[0].nodes[0].left_child = 0;
    assert_eq!(trees.find_problem(1, 3).as_deref(), Some("node 0 of tree 0 leads nowhere"));
}
