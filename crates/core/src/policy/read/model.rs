//! One model: its names, pipeline, windows and training data.

use std::collections::BTreeMap;

use super::field::{Field, Keys, Log, longest};
use super::{Names, data, gates, preset, runs, triggers, words};
use crate::names::{ModelId, NameError, is_name};
use crate::policy::yaml::shown;
use crate::policy::{
    EndpointPolicy, ModelPolicy, PipelinePolicy, Priority, Resources, RetentionPolicy, Span, Strategy, TrainingPolicy,
    WindowPolicy, Zone,
};

const MODEL: Keys = Keys {
    built: &[
        "id",
        "preset",
        "task",
        "priority",
        "endpoint",
        "package_group",
        "pipeline",
        "data",
        "window",
        "training",
        "triggers",
        "gates",
        "promotion",
        "rollout",
        "retention",
    ],
    not_built: &["watch"],
};
const RETENTION: Keys = Keys { built: &["runs"], not_built: &[] };
const ENDPOINT: Keys = Keys { built: &["name", "variant"], not_built: &[] };
const PIPELINE: Keys =
    Keys { built: &["definition", "parameters", "strategy", "timeout", "retry", "resources"], not_built: &[] };
const WINDOW: Keys = Keys { built: &["size", "hop", "lateness"], not_built: &[] };
const TRAINING: Keys = Keys { built: &["window", "holdout"], not_built: &[] };

/// The longest window; the shortest is an hour.
const MAX_WINDOW_DAYS: i64 = 366;

const DEFAULT_VARIANT: &str = "champion";
const DEFAULT_TIMEOUT_HOURS: i64 = 2;

/// The parameters by which Refit tells a pipeline execution what to do; a policy may not fix them.
const CONTRACT: [&str; 13] = [
    "RefitRunId",
    "TrainStart",
    "TrainEnd",
    "HoldoutStart",
    "HoldoutEnd",
    "ReferenceUri",
    "CaptureUri",
    "LabelsUri",
    "ModelPackageGroup",
    "ChampionPackageArn",
    "ChampionModelUri",
    "OutputUri",
    "Strategy",
];

/// SageMaker takes 200 parameters for an execution, the contract's included (API reference, `StartPipelineExecution`).
const MAX_PARAMETERS: usize = 200 - CONTRACT.len();

/// SageMaker's longest parameter name (API reference, `Parameter`) and its longest value.
const MAX_PARAMETER_NAME: usize = 256;
const MAX_PARAMETER_VALUE: usize = 1_024;

/// Linux's limit of a path, less room for the directory it is relative to.
const MAX_DEFINITION: usize = 1_024;

/// The longest timeout: SageMaker stops a pipeline execution after 28 days itself.
const MAX_TIMEOUT_DAYS: i64 = 28;

pub(super) fn read_model(field: Field<'_>, timezone: &Zone, names: &mut Names, log: &mut Log) -> Option<ModelPolicy> {
    let expanded = preset::expand(&field);
    let field = expanded.as_ref().map_or(field.clone(), |it| field.with(it));
    let section = field.section(&MODEL, log)?;
    let id = section.required("id", log, |it, log| read_id(&it, names, log));
    let default_name = id.as_ref().map(ModelId::to_string);
    section.optional("preset", log, |it, log| it.word(&preset::NAMES, &[], log));
    let task = section.required("task", log, |it, log| it.word(&words::TASKS, &[], log));

    let priority = section.or("priority", Priority::Normal, log, |it, log| it.word(&words::PRIORITIES, &[], log));
    let endpoint = match section.find("endpoint") {
        Some(it) => read_endpoint(it, default_name.as_deref(), names, log),
        None => default_name.clone().and_then(|name| {
            let id = section.find("id")?;
            names.endpoints.take(&name, &id, log)?;
            Some(EndpointPolicy { name, variant: DEFAULT_VARIANT.to_owned() })
        }),
    };
    let package_group = match section.find("package_group") {
        Some(it) => read_name(&it, log).filter(|name| names.package_groups.take(name, &it, log).is_some()),
        None => default_name
            .filter(|name| section.find("id").is_some_and(|id| names.package_groups.take(name, &id, log).is_some())),
    };

    let pipeline = section.required("pipeline", log, read_pipeline);
    let data = section.required("data", log, data::read_data);
    if let (Some(data), Some(field)) = (&data, section.find("data")) {
        names.take_data(data, &field, log);
    }
    let window = section.required("window", log, read_window);
    let training = section.required("training", log, read_training);
    let triggers = section.required("triggers", log, |it, log| {
        triggers::read_triggers(it, task, data.as_ref().map(|it| &it.features), timezone, log)
    });
    let gates = section.or("gates", Vec::new(), log, |it, log| gates::read_gates(&it, task, data.as_ref(), log));
    let promotion = gates::read_promotion(section.find("promotion"), task, log);
    let rollout = gates::read_rollout(section.find("rollout"), log);
    let retention = section.optional("retention", log, read_retention);

    let model = ModelPolicy {
        id: id?,
        task: task?,
        priority: priority?,
        endpoint: endpoint?,
        package_group: package_group?,
        pipeline: pipeline?,
        data: data?,
        window: window?,
        training: training?,
        triggers: triggers?,
        gates: gates?,
        promotion: promotion?,
        rollout: rollout?,
        retention: retention?,
    };
    names.pipelines.take(&model.pipeline_name(), &section.find("pipeline")?, log)?;
    Some(model)
}

fn read_id(field: &Field<'_>, names: &mut Names, log: &mut Log) -> Option<ModelId> {
    let text = field.text(log)?;
    if is_device(text) {
        field.report(log, format!("`{text}` is the name of a device on some systems; choose another id"));
        return None;
    }
    let id: ModelId = field.parse("a name", log)?;
    names.ids.take(text, field, log)?;
    Some(id)
}

/// Ids become file names; these cannot be files on Windows.
fn is_device(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    let is_numbered =
        |prefix| upper.strip_prefix(prefix).is_some_and(|rest: &str| matches!(rest.as_bytes(), [b'1'..=b'9']));
    matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL") || is_numbered("COM") || is_numbered("LPT")
}

fn read_name(field: &Field<'_>, log: &mut Log) -> Option<String> {
    let text = field.text(log)?;
    if !is_name(text) {
        field.report(log, NameError::Name(shown(text)).to_string());
        return None;
    }
    Some(text.to_owned())
}

fn read_endpoint(
    field: Field<'_>,
    default_name: Option<&str>,
    names: &mut Names,
    log: &mut Log,
) -> Option<EndpointPolicy> {
    let section = field.section(&ENDPOINT, log)?;
    let (name, named_at) = match section.find("name") {
        Some(it) => (read_name(&it, log), it),
        None => (default_name.map(str::to_owned), field),
    };
    let name = name.filter(|name| names.endpoints.take(name, &named_at, log).is_some());
    let variant = section.or("variant", DEFAULT_VARIANT.to_owned(), log, |it, log| read_name(&it, log));
    Some(EndpointPolicy { name: name?, variant: variant? })
}

fn read_pipeline(field: Field<'_>, log: &mut Log) -> Option<PipelinePolicy> {
    let section = field.section(&PIPELINE, log)?;
    let definition = section.required("definition", log, read_definition);
    let parameters = section.or("parameters", BTreeMap::new(), log, read_parameters);
    let strategy = section.or("strategy", Strategy::Full, log, |it, log| it.word(&words::STRATEGIES, &[], log));
    let timeout = section.or("timeout", Span::hours(DEFAULT_TIMEOUT_HOURS), log, |it, log| {
        it.span(Span::minutes(1)..=Span::days(MAX_TIMEOUT_DAYS), log)
    });
    let retry = section.or("retry", runs::DEFAULT_RETRY, log, runs::read_retry);
    let resources = section.or("resources", Resources::default(), log, runs::read_resources);
    if let (Some(parameters), Some(resources), Some(field)) = (&parameters, &resources, section.find("resources")) {
        for name in resources.parameters().into_keys().filter(|it| parameters.contains_key(*it)) {
            field.report(log, format!("it sets `{name}`, which `pipeline.parameters` sets, too; remove one of both"));
        }
    }
    Some(PipelinePolicy {
        definition: definition?,
        parameters: parameters?,
        strategy: strategy?,
        timeout: timeout?,
        retry: retry?,
        resources: resources?,
    })
}

fn read_definition(field: Field<'_>, log: &mut Log) -> Option<String> {
    let text = field.text(log)?;
    let is_relative_path = text.len() <= MAX_DEFINITION
        && !text.chars().any(|it| it.is_control() || matches!(it, '\\' | ':'))
        && text.split('/').all(|part| !part.is_empty());
    // The file's name becomes a part of the pipeline's name.
    let stem = text.rsplit('/').next().and_then(|file| file.strip_suffix(".json"));
    if !is_relative_path || !stem.is_some_and(|it| is_name(it) && !it.ends_with('-')) {
        let rule = "the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`";
        field.report(log, format!("`{}` is not the path of a definition: give {rule}", shown(text)));
        return None;
    }
    Some(text.to_owned())
}

fn read_parameters(field: Field<'_>, log: &mut Log) -> Option<BTreeMap<String, String>> {
    let entries = field.map(log)?;
    if MAX_PARAMETERS < entries.len() {
        field.report(log, format!("{} parameters are given; at most {MAX_PARAMETERS} are read", entries.len()));
        return None;
    }
    let mut parameters = Some(BTreeMap::new());
    for (name, key, value) in entries {
        let is_valid = name.len() <= MAX_PARAMETER_NAME
            && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
        if CONTRACT.contains(&name) {
            key.report(log, format!("`{name}` is set by Refit for each run; remove it"));
        } else if !is_valid || name.is_empty() {
            key.report(
                log,
                format!("`{}` is not the name of a parameter: use 1 to 256 of `a-z A-Z 0-9 - _`", shown(name)),
            );
        }
        let text = value.scalar("a text, a number or a boolean", log).filter(|text| {
            let is_short = text.len() <= MAX_PARAMETER_VALUE;
            if !is_short {
                value
                    .report(log, format!("the value has {} bytes; at most {MAX_PARAMETER_VALUE} are read", text.len()));
            }
            is_short
        });
        match (text, &mut parameters) {
            (Some(text), Some(parameters)) => _ = parameters.insert(name.to_owned(), text.to_owned()),
            (None, _) | (Some(_), None) => parameters = None,
        }
    }
    parameters
}

fn read_window(field: Field<'_>, log: &mut Log) -> Option<WindowPolicy> {
    let section = field.section(&WINDOW, log)?;
    let size = section.required("size", log, |it, log| it.span(Span::hours(1)..=Span::days(MAX_WINDOW_DAYS), log));
    let hop = section.optional("hop", log, |it, log| it.span(Span::seconds(1)..=longest(), log).map(|hop| (hop, it)));
    let lateness = section.or("lateness", Span::ZERO, log, |it, log| it.span(Span::ZERO..=longest(), log));
    let hop = match (size, hop?) {
        (Some(size), Some((hop, field))) if hop < size => {
            field.report(
                log,
                format!("windows do not overlap: `{hop}` is less than `window.size`; use at least {size}"),
            );
            return None;
        }
        (size, hop) => hop.map(|it| it.0).or(size),
    };
    Some(WindowPolicy { size: size?, hop: hop?, lateness: lateness? })
}

fn read_training(field: Field<'_>, log: &mut Log) -> Option<TrainingPolicy> {
    let section = field.section(&TRAINING, log)?;
    let window = section.required("window", log, |it, log| it.span(Span::seconds(1)..=longest(), log));
    let holdout = section.required("holdout", log, |it, log| it.span(Span::seconds(1)..=longest(), log));
    Some(TrainingPolicy { window: window?, holdout: holdout? })
}

fn read_retention(field: Field<'_>, log: &mut Log) -> Option<RetentionPolicy> {
    let section = field.section(&RETENTION, log)?;
    let runs = section.required("runs", log, |it, log| it.span(Span::days(1)..=longest(), log));
    Some(RetentionPolicy { runs: runs? })
}

/// Checks the name of a column, or of a key of an answer.
pub(super) fn read_column(field: &Field<'_>, log: &mut Log) -> Option<String> {
    let text = field.text(log)?;
    if let Some(why) = column_problem(text) {
        field.report(log, why);
        return None;
    }
    Some(text.to_owned())
}

/// The longest name of a column.
const MAX_COLUMN: usize = 128;

/// Why a text is not the name of a column.
pub(super) fn column_problem(text: &str) -> Option<String> {
    if text.trim().is_empty() || MAX_COLUMN < text.chars().count() || text.chars().any(char::is_control) {
        let text = shown(text);
        return Some(format!(
            "`{text}` is not the name of a column: use 1 to {MAX_COLUMN} characters, no control characters"
        ));
    }
    None
}
