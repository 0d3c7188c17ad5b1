//! The OpenAPI document, written from the table of routes.

use serde_json::{Map, Value, json};

use crate::route::{Method, ROUTES, Route};

/// OpenAPI 3.1.
#[must_use]
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.name()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Refit", "version": "1",
            "description": "Requests are signed with AWS Signature Version 4, or carry a token of the configured issuer.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "responses": { "Problem": {
                "description": "What is wrong, and what to do (RFC 9457).",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
            "schemas": { "Problem": {
                "type": "object", "required": ["type", "title", "status", "detail"],
                "properties": {
                    "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" },
                    "detail": { "type": "string" },
                },
            } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let header = |name: &str, is_required: bool| json!({ "name": name, "in": "header", "required": is_required, "schema": { "type": "string" } });
    let is_list = route.id.starts_with("list_") || route.id == "get_retraining_history";
    if is_list {
        parameters.push(
            json!({ "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 500 } }),
        );
        parameters.push(json!({ "name": "after", "in": "query", "schema": { "type": "string" } }));
    }
    if route.path.starts_with("/retraining/") {
        parameters.push(json!({ "name": "model", "in": "query", "schema": { "type": "string" } }));
    }
    let is_config = route.path.starts_with("/v1/config");
    let is_export = route.id == "export_retraining";
    if route.method == Method::Post && !is_config && !is_export {
        parameters.push(header("Idempotency-Key", true));
    }
    if route.method != Method::Get && (is_config || route.id == "vote_approval") {
        parameters.push(header("If-Match", true));
    }
    let success = if route.method == Method::Post && !is_config && !is_export { "202" } else { "200" };
    let said = if success == "202" { "Recorded; what follows from it is under way." } else { "What was asked for." };
    let mut operation = json!({
        "operationId": route.id, "summary": route.summary, "parameters": parameters,
        "responses": {
            success: { "description": said, "content": { "application/json": { "schema": { "type": "object" } } } },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    if !route.body.is_empty() {
        operation["requestBody"] = body(route);
    }
    operation
}

fn body(route: &Route) -> Value {
    let properties: Map<String, Value> =
        route.body.iter().map(|(name, kind, _)| ((*name).to_owned(), json!({ "type": kind }))).collect();
    let required: Vec<&str> = route.body.iter().filter(|it| it.2).map(|it| it.0).collect();
    json!({
        "required": !required.is_empty(),
        "content": { "application/json": { "schema": {
            "type": "object", "additionalProperties": false, "properties": properties, "required": required,
        } } },
    })
}
