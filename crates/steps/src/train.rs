//! `train`: fits the candidate to the encoded rows, from nothing or on top of the champion.

use refit_data::Kind;

use crate::continuation::Plan;
use crate::encode::{Encoder, Matrix};
use crate::engine::{Examples, Loss, Margins, boost};
use crate::hyperparameters::Hyperparameters;
use crate::model::{MODEL_FILE, Model, Stage};
use crate::preprocess::margin_name;
use crate::request::{Request, Strategy, Task};
use crate::table::{LABEL, numbers};
use crate::{Paths, StepError, files, table};

pub(crate) fn run(paths: &Paths) -> Result<(), StepError> {
    let request = Request::read(&paths.channel("request").join("request.json"))?;
    let hyperparameters = read_hyperparameters(paths)?;
    let features = paths.channel("features");
    let encoder: Encoder = files::read_json(&features.join("features.json"))?;
    let plan: Plan = files::read_json(&features.join("training.json"))?;
    let mismatch = |problem: String| StepError::Mismatch { problem };
    for (name, schema) in [("features.json", encoder.schema), ("training.json", plan.schema)] {
        if schema != 1 {
            return Err(mismatch(format!("{name} has unknown schema {schema}")));
        }
    }
    let champion = match plan.training.used {
        Strategy::Full => None,
        Strategy::Incremental => {
            let bytes = files::read(&features.join("champion.json"))?;
            Some(Model::from_json(&bytes).map_err(|source| StepError::Model { role: "champion", source })?)
        }
    };
    let outputs = match request.task {
        Task::Regression | Task::Binary => 1,
        Task::Multiclass => plan.classes.len(),
    };

    let names = encoder.column_names();
    let margin_names: Vec<String> = champion.iter().flat_map(|_| (0..outputs).map(margin_name)).collect();
    let mut columns: Vec<(String, Kind)> = names.iter().map(|name| (name.clone(), Kind::Numeric)).collect();
    columns.extend(margin_names.iter().map(|name| (name.clone(), Kind::Numeric)));
    columns.push((LABEL.to_owned(), Kind::Numeric));
    let rows = table::read(&paths.channel("train").join("train.parquet"), &columns)?;
    let data = names.iter().flat_map(|name| numbers(&rows, name)).collect();
    let matrix = Matrix { names, rows: rows.rows(), data };
    let labels = numbers(&rows, LABEL);
    let is_label = |it: &f64| match request.task {
        Task::Regression | Task::Binary => it.is_finite(),
        Task::Multiclass => plan.classes.get(*it as usize).is_some() && it.fract() == 0.0 && 0.0 <= *it,
    };
    if let Some(row) = labels.iter().position(|it| !is_label(it)) {
        return Err(mismatch(format!("row {} has no label that can be learned", row + 1)));
    }
    let given: Margins = margin_names.iter().map(|name| numbers(&rows, name)).collect();
    if given.iter().flatten().any(|it| !it.is_finite()) {
        return Err(mismatch("a margin of the champion is not a finite number".to_owned()));
    }

    let examples = Examples { matrix: &matrix, labels: &labels };
    let model = fit(&request, plan, champion, encoder, &examples, given, hyperparameters)?;
    let path = paths.model().join(MODEL_FILE);
    files::write(&path, &files::to_json(&model, &path)?)?;
    println!(
        "{}",
        serde_json::json!({"step": "train", "run_id": request.run_id, "rows": matrix.rows, "training": model.training})
    );
    Ok(())
}

/// Grows the trees: all rounds from nothing, half of them on top of a champion, of which less is left to learn.
fn fit(
    request: &Request,
    plan: Plan,
    champion: Option<Model>,
    encoder: Encoder,
    examples: &Examples<'_>,
    given: Margins,
    hyperparameters: Hyperparameters,
) -> Result<Model, StepError> {
    let loss = Loss::of(request.task);
    let (base, mut stages, mut margins, rounds) = match champion {
        None => {
            let base = loss.base(examples.labels, &plan.classes).map_err(StepError::Engine)?;
            let margins = base.iter().map(|it| vec![*it; examples.matrix.rows]).collect();
            (base, Vec::new(), margins, hyperparameters.iterations)
        }
        Some(champion) => (champion.base, champion.stages, given, hyperparameters.iterations.div_ceil(2)),
    };
    // Another seed for each stage, so that sampling does not leave out the same places again.
    let seed = request.seed.wrapping_add(stages.len() as u64);
    let trees = boost(loss, examples, &mut margins, &hyperparameters, rounds, seed).map_err(StepError::Engine)?;
    let rows = examples.matrix.rows;
    stages.push(Stage { run_id: request.run_id.clone(), train: plan.train, rows, encoder, trees });
    Ok(Model {
        schema: Model::SCHEMA,
        run_id: request.run_id.clone(),
        task: request.task,
        classes: plan.classes,
        features: request.features.clone(),
        train: plan.train,
        rows,
        seed: request.seed,
        hyperparameters,
        training: plan.training,
        base,
        stages,
    })
}

/// A job without hyperparameters has no file, or an empty object.
fn read_hyperparameters(paths: &Paths) -> Result<Hyperparameters, StepError> {
    let path = paths.hyperparameters();
    if !path.exists() {
        return Ok(Hyperparameters::default());
    }
    Hyperparameters::parse(&files::read(&path)?).map_err(StepError::Hyperparameters)
}
