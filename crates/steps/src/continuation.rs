//! Where training begins: from nothing, or from the champion's model.
//!
//! `preprocess` decides, since it sees both the rows and the champion, and says so in `training.json` beside the
//! encoder; `train` does what stands there. An incremental run that cannot go on from the champion trains in full and says
//! why: a run that fails for lack of a champion would never make one.
//!
//! A continued model grows by a stage. Old stages cost time and hold on to what was true once, so after [`MAX_STAGES`] the
//! next run starts over.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::{Model, Training};
use crate::request::{Interval, Request, Strategy, Task};
use crate::{StepError, files};

/// Stages that a model may have. With each run adding half the rounds of a full one, the largest model is less than five
/// times a full one.
pub(crate) const MAX_STAGES: usize = 8;

/// Rows that the champion has not seen which a stage needs; as many as training from nothing.
pub(crate) const MIN_NEW_ROWS: usize = 50;

/// `training.json`: what `train` is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// Version of this document, 1.
    pub(crate) schema: u16,
    /// The strategy, and why.
    pub(crate) training: Training,
    /// The classes in the order of the outputs; empty unless the task is multiclass.
    pub(crate) classes: Vec<String>,
    /// The rows to learn from.
    pub(crate) train: Interval,
}

impl Plan {
    pub(crate) fn new(request: &Request, start: &Start, classes: Vec<String>) -> Plan {
        let asked = request.strategy;
        let (training, train) = match start {
            Start::Nothing { reason } => {
                let used = Strategy::Full;
                (Training { asked, used, reason: reason.clone(), stages: 1 }, request.train)
            }
            Start::Champion { model, train } => {
                let stages = model.stages.len() + 1;
                (Training { asked, used: Strategy::Incremental, reason: String::new(), stages }, *train)
            }
        };
        Plan { schema: 1, training, classes, train }
    }
}

/// Where training begins.
#[derive(Debug)]
pub(crate) enum Start {
    /// From nothing; with the reason if it was to go on from the champion.
    Nothing { reason: String },
    /// From this model, on the rows of this interval.
    Champion { model: Box<Model>, train: Interval },
}

/// What the rows say about going on.
pub(crate) struct Rows<'a> {
    /// The label of each row as a class or number, in words; with its time.
    pub(crate) labels: &'a [(i64, String)],
}

/// Decides where training begins.
///
/// # Errors
/// When there is a champion and its file cannot be read.
pub(crate) fn find_start(request: &Request, folder: &Path, rows: &Rows<'_>) -> Result<Start, StepError> {
    match request.strategy {
        Strategy::Full => return Ok(Start::Nothing { reason: String::new() }),
        Strategy::Incremental => {}
    }
    let path = folder.join("model.tar.gz");
    if !path.exists() {
        return Ok(Start::Nothing { reason: "there is no champion to go on from".to_owned() });
    }
    let model = match Model::from_tar_gz(&files::read(&path)?) {
        Ok(model) => model,
        Err(error) => {
            let why = crate::with_causes(&error);
            return Ok(Start::Nothing { reason: format!("the champion's model cannot be used: {why}") });
        }
    };
    // Rows that the champion learned from would count twice.
    let train = Interval { start: request.train.start.max(model.train.end), end: request.train.end };
    Ok(match find_obstacle(request, &model, train, rows) {
        Some(reason) => Start::Nothing { reason },
        None => Start::Champion { model: Box::new(model), train },
    })
}

/// Why this champion cannot be continued on these rows.
fn find_obstacle(request: &Request, model: &Model, train: Interval, rows: &Rows<'_>) -> Option<String> {
    if model.task != request.task {
        return Some(format!("the champion's task is {}, not {}", model.task, request.task));
    }
    if model.features != request.features {
        return Some("the champion's features are not those of the request".to_owned());
    }
    if MAX_STAGES <= model.stages.len() {
        return Some(format!("the champion has {} stages, the most there may be; starting over", model.stages.len()));
    }
    let new: Vec<&str> =
        rows.labels.iter().filter(|(time, _)| train.contains_micros(*time)).map(|(_, label)| label.as_str()).collect();
    if new.len() < MIN_NEW_ROWS {
        let found = new.len();
        return Some(format!("{found} labeled rows are newer than the champion's, and {MIN_NEW_ROWS} are needed"));
    }
    match request.task {
        Task::Regression => None,
        Task::Binary | Task::Multiclass => {
            if new.iter().all(|it| it == &new[0]) {
                return Some(format!("every label newer than the champion's is `{}`", new[0]));
            }
            let unknown = new.iter().find(|it| !model.classes.iter().any(|class| class == *it));
            unknown
                .filter(|_| request.task == Task::Multiclass)
                .map(|it| format!("the champion does not know class `{it}`, which its successor is to learn"))
        }
    }
}
