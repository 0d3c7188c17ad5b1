//! Evaluations: `refit gate` on files, `refit compare` of two runs, and the page of one.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use refit_app::measure::{Predictions, Wanted, measure_outputs};
use refit_app::state::find_run;
use refit_app::use_cases::policy;
use refit_core::RunId;
use refit_core::evaluation::{Evaluation, Verdict, evaluate};
use refit_core::policy::{Metric, ModelPolicy, Policy, Task};
use refit_core::run::Run;
use refit_data::{Kind, ReadOptions, Values};
use refit_local::report::{EvaluationPage, render_evaluation};
use refit_local::world::{Access, World};
use serde::Deserialize;
use serde_json::json;

use super::validate::read_policy;
use crate::arguments::{Format, GateArguments};
use crate::output::{Exit, answer, escaped, say, table, word};
use crate::state;

/// Most bytes of an object that a page is made from.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

#[derive(Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    classes: Vec<String>,
}

/// `refit gate`: judges files by a policy; nothing is stored.
pub(crate) fn gate(arguments: &GateArguments, format: Format) -> anyhow::Result<Exit> {
    let policy = read_policy(&arguments.policy)?;
    let model = find_model(&policy, arguments.model.as_deref())?;
    let (evaluation, folder) = if arguments.evaluation.is_dir() {
        (arguments.evaluation.join("evaluation.json"), arguments.evaluation.clone())
    } else {
        (arguments.evaluation.clone(), arguments.evaluation.parent().map(Path::to_owned).unwrap_or_default())
    };
    let predictions = arguments.predictions.clone().unwrap_or_else(|| folder.join("predictions.parquet"));
    let (evaluation, predictions) = (read(&evaluation)?, read(&predictions)?);
    let classes = match model.task {
        Task::Regression | Task::Binary => Vec::new(),
        Task::Multiclass => {
            let path = folder.join("manifest.json");
            let manifest: Manifest = serde_json::from_slice(&read(&path)?)
                .with_context(|| format!("`{}` is not a manifest", path.display()))?;
            manifest.classes
        }
    };
    let has_champion = has_champion(&predictions, model.task);
    let document: serde_json::Value = serde_json::from_slice(&evaluation).unwrap_or_default();
    let name = document["run_id"].as_str().unwrap_or("evaluation").to_owned();
    let evidence =
        measure_outputs(model, &evaluation, &predictions, &classes, has_champion, &name).map_err(|it| anyhow!(it))?;
    let auto = model.promotion.auto_promote.as_ref();
    let evaluation = evaluate(evidence, &model.gates, auto, has_champion, None);
    if let Some(path) = &arguments.report {
        let segments: Vec<String> = Vec::new();
        let wanted = Wanted { task: model.task, classes: &classes, has_champion, segments: &segments };
        let predictions = Predictions::read(&predictions, wanted).ok();
        let page = EvaluationPage {
            title: &name,
            policy: model,
            run: None,
            evaluation: &evaluation,
            predictions: predictions.as_ref(),
            classes: &classes,
        };
        write_page(path, &page)?;
    }
    let document = json!({
        "schema": 1, "model": model.id, "verdict": evaluation.verdict, "has_champion": has_champion,
        "gates": evaluation.gates, "auto_promotion": evaluation.auto_promotion, "evidence": evaluation.evidence,
    });
    answer(format, &document, |_| show(&evaluation, has_champion))?;
    Ok(if evaluation.verdict == Verdict::Passed { Exit::Yes } else { Exit::No })
}

fn find_model<'a>(policy: &'a Policy, named: Option<&str>) -> anyhow::Result<&'a ModelPolicy> {
    match (named, policy.models.as_slice()) {
        (None, [model]) => Ok(model),
        (None, models) => bail!("the policy has {} models: name one with --model", models.len()),
        (Some(name), models) => {
            models.iter().find(|it| it.id.as_ref() == name).ok_or_else(|| anyhow!("the policy has no model `{name}`"))
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading `{}`", path.display()))
}

/// Whether the champion's scores are there: some of them, so that gaps are an error and not a missing champion.
fn has_champion(predictions: &[u8], task: Task) -> bool {
    let column = match task {
        Task::Regression | Task::Binary => "champion",
        Task::Multiclass => "champion_0",
    };
    let Ok(frame) = refit_data::read(&predictions, &ReadOptions::columns(&[(column, Kind::Numeric)])) else {
        return false;
    };
    match frame.find_column(column).map(|it| &it.values) {
        Some(Values::Numeric(values)) => values.iter().flatten().any(|it| it.is_finite()),
        Some(Values::Categorical(_) | Values::Time(_)) | None => false,
    }
}

fn show(evaluation: &Evaluation, has_champion: bool) -> String {
    let rows: Vec<Vec<String>> = evaluation
        .gates
        .iter()
        .map(|it| {
            let trial = if it.is_enforced() { "" } else { " (dry run)" };
            vec![it.gate.metric.name().to_owned(), format!("{}{trial}", it.verdict.name()), it.reasons.join("; ")]
        })
        .collect();
    let champion = if has_champion { "candidate and champion" } else { "candidate alone, no champion" };
    format!(
        "{}: {champion} on {} held-out rows\n{}promotion without a person: {}",
        evaluation.verdict.name(),
        evaluation.evidence.rows,
        if rows.is_empty() { "the policy has no gates\n".to_owned() } else { table(&["GATE", "ANSWER", "WHY"], &rows) },
        escaped(&evaluation.auto_promotion.reason),
    )
}

fn write_page(path: &Path, page: &EvaluationPage<'_>) -> anyhow::Result<()> {
    std::fs::write(path, render_evaluation(page)).with_context(|| format!("writing `{}`", path.display()))?;
    say(&format!("the report is in {}", path.display()));
    Ok(())
}

fn get_run(world: &World, id: &str) -> anyhow::Result<Arc<Run>> {
    let id: RunId = id.parse()?;
    let run = world.block_on(find_run(&*world.context.ports.table, &id))?;
    run.ok_or_else(|| anyhow!("there is no run {id}; `refit runs` lists them"))
}

fn evaluated(run: &Run) -> anyhow::Result<&Evaluation> {
    run.evaluation.as_deref().ok_or_else(|| anyhow!("run {} was not evaluated: it is {}", run.id, run.status))
}

/// `refit runs RUN --report FILE`: the page of one evaluation.
pub(crate) fn report(id: &str, path: &Path, state: &Path) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let run = get_run(&world, id)?;
    let evaluation = evaluated(&run)?;
    let model = run.id.model();
    let head = world.block_on(refit_app::queries::get_head(&*world.context.ports.table, &model))?;
    let policy = world.block_on(policy::in_force(&world.context, &head))?.model;
    let object = |name: &str| {
        let uri = run.request.as_ref()?.output.join(name).ok()?;
        world.block_on(world.context.ports.objects.get(&uri, MAX_BYTES)).ok().map(|it| it.bytes)
    };
    let manifest: Manifest =
        object("manifest.json").and_then(|it| serde_json::from_slice(&it).ok()).unwrap_or_default();
    let has_champion = run.champion.is_some();
    let wanted = Wanted { task: policy.task, classes: &manifest.classes, has_champion, segments: &[] };
    let predictions = object("predictions.parquet").and_then(|it| Predictions::read(&it, wanted).ok());
    let page = EvaluationPage {
        title: run.id.as_ref(),
        policy: &policy,
        run: Some(&run),
        evaluation,
        predictions: predictions.as_ref(),
        classes: &manifest.classes,
    };
    write_page(path, &page)?;
    Ok(Exit::Yes)
}

/// `refit compare`: two runs side by side.
pub(crate) fn compare(first: &str, second: &str, state: &Path, format: Format) -> anyhow::Result<Exit> {
    let world = state::open(state, Access::Read)?;
    let runs = [get_run(&world, first)?, get_run(&world, second)?];
    let evaluations = [evaluated(&runs[0])?, evaluated(&runs[1])?];
    let same_rows = runs[0].request.as_ref().map(|it| it.holdout) == runs[1].request.as_ref().map(|it| it.holdout);
    let names: Vec<Metric> = Metric::ALL
        .into_iter()
        .filter(|it| evaluations.iter().any(|evaluation| evaluation.evidence.metrics.contains_key(it)))
        .collect();
    let value = |evaluation: &Evaluation, metric: Metric| {
        evaluation.evidence.metrics.get(&metric).and_then(|it| it.candidate).map(|it| it.value)
    };
    let metrics: Vec<_> = names
        .iter()
        .map(|metric| {
            let values = evaluations.map(|it| value(it, *metric));
            let difference = values[0].zip(values[1]).map(|(a, b)| b - a);
            json!({ "metric": metric, "direction": metric.direction(), "first": values[0], "second": values[1], "difference": difference })
        })
        .collect();
    let side = |run: &Run, evaluation: &Evaluation| {
        let request = run.request.as_ref();
        json!({
            "run": run.id, "status": run.status, "version": run.candidate, "champion": run.champion,
            "train": request.map(|it| it.train), "holdout": request.map(|it| it.holdout),
            "rows": evaluation.evidence.rows, "verdict": evaluation.verdict,
            "gates": evaluation.gates.iter().map(|it| json!({
                "metric": it.gate.metric.name(), "verdict": it.verdict, "dry_run": it.gate.dry_run, "reasons": it.reasons,
            })).collect::<Vec<_>>(),
        })
    };
    let document = json!({
        "schema": 1, "same_holdout": same_rows, "metrics": metrics,
        "first": side(&runs[0], evaluations[0]), "second": side(&runs[1], evaluations[1]),
    });
    answer(format, &document, |_| show_comparison(&runs, evaluations, &names, value, same_rows))?;
    Ok(Exit::Yes)
}

fn show_comparison(
    runs: &[Arc<Run>; 2],
    evaluations: [&Evaluation; 2],
    metrics: &[Metric],
    value: impl Fn(&Evaluation, Metric) -> Option<f64>,
    same_rows: bool,
) -> String {
    let dash = |it: Option<String>| it.unwrap_or_else(|| "-".to_owned());
    let pair = |name: &str, of: &dyn Fn(&Run, &Evaluation) -> String| {
        vec![name.to_owned(), of(&runs[0], evaluations[0]), of(&runs[1], evaluations[1]), String::new()]
    };
    let mut rows = vec![
        pair("status", &|run, _| run.status.to_string()),
        pair("version", &|run, _| dash(run.candidate.map(|it| it.to_string()))),
        pair("champion", &|run, _| dash(run.champion.map(|it| it.to_string()))),
        pair("trained on", &|run, _| dash(run.request.as_ref().map(|it| it.train.to_string()))),
        pair("held out", &|run, _| dash(run.request.as_ref().map(|it| it.holdout.to_string()))),
        pair("rows", &|_, evaluation| evaluation.evidence.rows.to_string()),
        pair("gates", &|_, evaluation| word(evaluation.verdict)),
    ];
    for metric in metrics {
        let values = [value(evaluations[0], *metric), value(evaluations[1], *metric)];
        let difference = values[0].zip(values[1]).map(|(a, b)| format!("{:+.4}", b - a));
        let [first, second] = values.map(|it| dash(it.map(|it| format!("{it:.4}"))));
        rows.push(vec![metric.name().to_owned(), first, second, dash(difference)]);
    }
    let places = evaluations[0].gates.len().max(evaluations[1].gates.len());
    for at in 0..places {
        let gate = |it: &Evaluation| {
            dash(it.gates.get(at).map(|it| format!("{} {}", it.gate.metric.name(), it.verdict.name())))
        };
        rows.push(vec![format!("gate {}", at + 1), gate(evaluations[0]), gate(evaluations[1]), String::new()]);
    }
    let note = if same_rows { "" } else { "The hold-outs differ: a difference is of the rows, too.\n" };
    let (first, second) = (runs[0].id.to_string(), runs[1].id.to_string());
    format!("{}{note}", table(&["", &first, &second, "DIFFERENCE"], &rows))
}
