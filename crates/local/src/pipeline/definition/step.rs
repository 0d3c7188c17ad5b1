//! The steps of a definition: what the interpreter needs of them, and nothing that matters on AWS alone.

use std::collections::BTreeMap;

use super::Branch;
use super::cache::CacheExpiry;
use super::expression::Expression;
use super::retry::RetryPolicy;

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Runs a program over data.
    Processing(Processing),
    /// Runs a program that leaves a model behind.
    Training(Training),
    /// Registers a model package.
    RegisterModel(RegisterModel),
    /// Decides between two lists of steps: all conditions must hold.
    Condition(Vec<Condition>),
    /// Fails the execution with this message.
    Fail(Expression),
}

impl StepKind {
    /// The type's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            StepKind::Processing(_) => "Processing",
            StepKind::Training(_) => "Training",
            StepKind::RegisterModel(_) => "RegisterModel",
            StepKind::Condition(_) => "Condition",
            StepKind::Fail(_) => "Fail",
        }
    }
}

/// A program and how it is started.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// The container's image, which does not run here but tells programs apart.
    pub image: Option<Expression>,
    /// The container's entrypoint.
    pub entrypoint: Vec<Expression>,
    /// The arguments after it.
    pub arguments: Vec<Expression>,
    /// Environment variables.
    pub environment: BTreeMap<String, Expression>,
    /// After how many seconds it is stopped; a day when the definition does not say.
    pub max_runtime_s: Expression,
}

/// A folder that is filled from objects before, or turned into objects after a program runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    /// The name of the input, output or channel.
    pub name: String,
    /// The address of the objects.
    pub uri: Expression,
    /// The folder in the container, below `/opt/ml/`.
    pub local_path: String,
}

/// A file of an output that `Std:JsonGet` may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyFile {
    /// Its name.
    pub name: String,
    /// The output that holds it.
    pub output: String,
    /// Its path within that output.
    pub path: String,
}

/// A processing job.
#[derive(Debug, Clone, PartialEq)]
pub struct Processing {
    /// What runs.
    pub program: Program,
    /// What it reads.
    pub inputs: Vec<Folder>,
    /// What it writes.
    pub outputs: Vec<Folder>,
    /// Files whose content other steps read.
    pub property_files: Vec<PropertyFile>,
}

/// A training job.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// What runs.
    pub program: Program,
    /// What it reads.
    pub channels: Vec<Folder>,
    /// Values for the program.
    pub hyperparameters: BTreeMap<String, Expression>,
    /// Where the model goes.
    pub output_path: Expression,
}

/// A model package to be registered.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterModel {
    /// The group.
    pub group: Expression,
    /// The approval status; `PendingManualApproval` when the definition does not say.
    pub approval: Expression,
    /// The model archive.
    pub model_data_url: Expression,
    /// Customer metadata.
    pub metadata: BTreeMap<String, Expression>,
    /// What describes the package beyond that, such as its containers and metrics.
    pub details: BTreeMap<String, Detail>,
}

/// A part of a request that is passed on as it is written, with the values of its expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// An expression or a plain value.
    Value(Expression),
    /// A list.
    List(Vec<Detail>),
    /// An object.
    Object(BTreeMap<String, Detail>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// Left = right, both of one type.
    Equals,
    /// Left > right.
    GreaterThan,
    /// Left >= right.
    GreaterThanOrEqualTo,
    /// Left < right.
    LessThan,
    /// Left <= right.
    LessThanOrEqualTo,
}

/// A comparison of a condition step.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// How.
    pub comparator: Comparator,
    /// The left value.
    pub left: Expression,
    /// The right value.
    pub right: Expression,
    /// Where it stands in the definition.
    pub(super) pointer: String,
}

/// What a condition step asks; each may stand inside another one.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Two values compare as they should.
    Compare(Comparison),
    /// A value equals one of others.
    In {
        /// The value.
        query: Expression,
        /// The others.
        values: Vec<Expression>,
        /// Where it stands in the definition.
        pointer: String,
    },
    /// The condition inside does not hold.
    Not(Box<Condition>),
    /// At least one of these holds.
    Or(Vec<Condition>),
}

/// A step as it stands in the document: `kind` is missing when it has problems.
pub(super) struct Parsed {
    pub(super) name: String,
    pub(super) type_name: String,
    pub(super) pointer: String,
    pub(super) kind: Option<StepKind>,
    pub(super) depends_on: Vec<(String, String)>,
    pub(super) uses: Vec<(String, Expression)>,
    pub(super) branch: Option<Branch>,
    pub(super) retry: Vec<RetryPolicy>,
    pub(super) cache: Option<CacheExpiry>,
}
