//! Every route, in one table: the router, the rights and the OpenAPI document follow it.

use axum::routing::MethodFilter;

use crate::principal::Right;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Looks.
    Get,
    /// Asks for something.
    Post,
    /// Replaces.
    Put,
}

impl Method {
    pub(crate) fn filter(self) -> MethodFilter {
        match self {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
        }
    }

    /// The word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
            Method::Put => "put",
        }
    }
}

/// What a route does.
#[expect(missing_docs, reason = "the table below says what each does")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    ListModels,
    GetModel,
    ListRuns,
    GetRun,
    GetApproval,
    ListPackages,
    ListDecisions,
    GetDecision,
    ListAudit,
    VerifyAudit,
    GetOperation,
    GetConfig,
    ListConfigs,
    GetOpenapi,
    CreateRun,
    SuspendModel,
    ResumeModel,
    RollBackModel,
    CreatePromotion,
    CancelRun,
    RetryRun,
    VoteApproval,
    ReplaceConfig,
    RollBackConfig,
    CompatStatus,
    CompatHistory,
    CompatConfig,
    CompatExport,
    CompatStart,
    CompatStop,
    CompatTrigger,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// The operation's id: verb and resource.
    pub id: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// What the caller must be allowed to do.
    pub right: Right,
    /// Members of the body, with whether each must be there; none for a request without a body.
    pub body: &'static [(&'static str, &'static str, bool)],
}

const fn look(path: &'static str, operation: Operation, id: &'static str, summary: &'static str) -> Route {
    Route { method: Method::Get, path, operation, id, summary, right: Right::See, body: &[] }
}

type Members = &'static [(&'static str, &'static str, bool)];

const fn ask(
    path: &'static str,
    operation: Operation,
    id: &'static str,
    summary: &'static str,
    right: Right,
    body: Members,
) -> Route {
    Route { method: Method::Post, path, operation, id, summary, right, body }
}

const REASON: Members = &[("reason", "string", true)];
const MODEL: &str = "/v1/models/{model}";

/// Every route.
pub const ROUTES: &[Route] = &[
    look("/v1/models", Operation::ListModels, "list_models", "The models under watch."),
    look(MODEL, Operation::GetModel, "get_model", "What a model is doing and what it waits on."),
    look("/v1/models/{model}/runs", Operation::ListRuns, "list_runs", "A model's retraining runs, oldest first."),
    look("/v1/models/{model}/packages", Operation::ListPackages, "list_packages", "A model's package versions."),
    look("/v1/models/{model}/decisions", Operation::ListDecisions, "list_decisions", "A model's decision records."),
    look("/v1/models/{model}/audit", Operation::ListAudit, "list_audit", "A model's audit log, oldest first."),
    look(
        "/v1/models/{model}/audit/verification",
        Operation::VerifyAudit,
        "verify_audit",
        "Whether a model's audit log is whole and adds up to the stored state.",
    ),
    look("/v1/decisions/{decision}", Operation::GetDecision, "get_decision", "One decision, with its numbers."),
    look("/v1/runs/{run}", Operation::GetRun, "get_run", "One retraining run."),
    look("/v1/runs/{run}/approval", Operation::GetApproval, "get_approval", "The request for approval of a run."),
    look("/v1/operations/{operation}", Operation::GetOperation, "get_operation", "What became of a request."),
    look("/v1/config", Operation::GetConfig, "get_config", "The current configuration, or with `number` an older one."),
    look("/v1/configs", Operation::ListConfigs, "list_configs", "Every configuration that was applied."),
    look("/openapi.json", Operation::GetOpenapi, "get_openapi", "This document."),
    ask(
        "/v1/models/{model}/runs",
        Operation::CreateRun,
        "create_run",
        "Ask for a retraining run; `force` skips the cooldown and nothing else, and needs a right of its own.",
        Right::Trigger,
        &[("reason", "string", true), ("force", "boolean", false)],
    ),
    ask(
        "/v1/models/{model}/suspend",
        Operation::SuspendModel,
        "suspend_model",
        "Keep a model's triggers from asking for runs.",
        Right::Trigger,
        REASON,
    ),
    ask(
        "/v1/models/{model}/resume",
        Operation::ResumeModel,
        "resume_model",
        "Let a model's triggers ask for runs again.",
        Right::Trigger,
        &[("reason", "string", false)],
    ),
    ask(
        "/v1/models/{model}/rollback",
        Operation::RollBackModel,
        "roll_back_model",
        "Take the champion back; `from` names it when a rollback is to be rolled back further.",
        Right::RollBack,
        &[("reason", "string", true), ("from", "integer", false)],
    ),
    ask(
        "/v1/models/{model}/promotions",
        Operation::CreatePromotion,
        "create_promotion",
        "Ask people to promote a version that exists.",
        Right::Trigger,
        &[("version", "integer", true), ("reason", "string", true)],
    ),
    ask("/v1/runs/{run}/cancel", Operation::CancelRun, "cancel_run", "End a run.", Right::Trigger, REASON),
    ask(
        "/v1/runs/{run}/retry",
        Operation::RetryRun,
        "retry_run",
        "Ask for a run for the reasons of one that has ended.",
        Right::Trigger,
        &[],
    ),
    ask(
        "/v1/runs/{run}/approval",
        Operation::VoteApproval,
        "vote_approval",
        "Approve or decline a candidate; `If-Match` is the generation of the request that was shown.",
        Right::Approve,
        &[("choice", "string", true), ("comment", "string", false), ("basis", "string", false)],
    ),
    Route {
        method: Method::Put,
        path: "/v1/config",
        operation: Operation::ReplaceConfig,
        id: "replace_config",
        summary: "Apply a policy, as refit.yaml says it; `If-Match` is the number of the configuration it replaces.",
        right: Right::Configure,
        body: &[("source", "string", true), ("comment", "string", false), ("dry_run", "boolean", false)],
    },
    ask(
        "/v1/config/rollback",
        Operation::RollBackConfig,
        "roll_back_config",
        "Bring an older configuration back, as a new entry.",
        Right::Configure,
        &[("number", "integer", false), ("comment", "string", false)],
    ),
    look("/retraining/status", Operation::CompatStatus, "get_retraining_status", "Compatibility: a model's status."),
    look("/retraining/history", Operation::CompatHistory, "get_retraining_history", "Compatibility: a model's runs."),
    look("/retraining/config", Operation::CompatConfig, "get_retraining_config", "Compatibility: the policy."),
    ask(
        "/retraining/export",
        Operation::CompatExport,
        "export_retraining",
        "Compatibility: status, runs and configuration of a model as one document.",
        Right::See,
        &[],
    ),
    ask(
        "/retraining/start",
        Operation::CompatStart,
        "start_retraining",
        "Compatibility: resume a model's triggers.",
        Right::Trigger,
        &[],
    ),
    ask(
        "/retraining/stop",
        Operation::CompatStop,
        "stop_retraining",
        "Compatibility: suspend a model's triggers.",
        Right::Trigger,
        &[("reason", "string", false)],
    ),
    ask(
        "/retraining/trigger",
        Operation::CompatTrigger,
        "trigger_retraining",
        "Compatibility: ask for a run.",
        Right::Trigger,
        &[("reason", "string", true), ("force", "boolean", false)],
    ),
];
