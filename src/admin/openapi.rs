//! The document that describes the API (OpenAPI 3.1). It is generated from the handlers and the types of the API.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::Operation;
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{self, Content, ContentBuilder, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema as _};

use super::problem::ProblemDocument;
use super::{actions, changes, log_level, reload, services};

static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| Document::openapi().to_json().expect("the document is text and numbers"));

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sidekey admin API",
        version = "1",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "The state of a Sidekey and its services, and actions on them. No response holds a secret or a token.\n\n\
            Requests that change something are POST or PUT with `Content-Type: application/json` and the admin token (`admin.token`) \
            as `Authorization: Bearer TOKEN`; on a Unix socket without a configured token they need none. Page and API answer under \
            IP addresses, `localhost` and the names in `admin.hosts` only.",
    ),
    servers((url = "http://127.0.0.1:9090")),
    security((), ("admin_token" = [])),
    paths(
        describe,
        services::list,
        services::one,
        changes::handlers::add,
        changes::handlers::edit,
        changes::handlers::definition,
        changes::handlers::enable,
        changes::handlers::disable,
        changes::handlers::remove,
        changes::presets::list,
        actions::refresh,
        actions::test,
        log_level::get,
        log_level::set,
        reload::reload,
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Conventions),
)]
struct Document;

/// Returns this document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "describe",
    responses((status = 200, description = "This document.", body = Object)),
)]
pub(super) async fn describe() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// What is true of every operation and of every schema, so that no handler has to say it.
struct Conventions;

impl Modify for Conventions {
    fn modify(&self, document: &mut openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            if let Some(operation) = &mut item.get {
                complete(operation, &ACCESS_ERRORS);
            }
            for operation in item.put.iter_mut().chain(&mut item.post) {
                complete(operation, &ACCESS_ERRORS);
                complete(operation, &[("415", "The content type is not `application/json`.")]);
            }
        }
        let components = document.components.get_or_insert_default();
        components.schemas.values_mut().for_each(close);
        components.add_security_scheme("admin_token", admin_token());
    }
}

/// The errors of every operation, because `api` checks access before it calls a handler.
const ACCESS_ERRORS: [(&str, &str); 2] = [
    ("401", "The admin token is required, or is wrong."),
    ("403", "Not under this name, not from another web page, or nothing can be changed at this address."),
];

/// Adds errors to an operation, and the problem document to all of its errors.
fn complete(operation: &mut Operation, errors: &[(&str, &str)]) {
    // The tag would be the name of the module.
    operation.tags = None;
    let responses = &mut operation.responses.responses;
    for (status, description) in errors {
        responses.insert((*status).to_owned(), ResponseBuilder::new().description(*description).into());
    }
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && is_optional(body)
    {
        body.required = Some(Required::False);
    }
    for (status, response) in responses {
        if let RefOr::T(response) = response
            && status.as_str() >= "400"
        {
            let problem = Ref::from_schema_name(ProblemDocument::name());
            let content = ContentBuilder::new().schema(Some(problem));
            response.content.insert("application/problem+json".into(), content.into());
        }
    }
}

/// Whether a request body may be left out: it is an object, and all of its fields have defaults.
fn is_optional(body: &RequestBody) -> bool {
    body.content.values().all(|content| match content {
        RefOr::T(Content { schema: Some(RefOr::T(Schema::Object(object))), .. }) => {
            object.required.is_empty()
        }
        _ => false,
    })
}

/// Closes an object: responses leave no field out, and have no others.
fn close(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema
        && !object.properties.is_empty()
    {
        object.required = object.properties.keys().cloned().collect();
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

fn admin_token() -> SecurityScheme {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    SecurityScheme::Http(scheme.description(Some("`admin.token` of the configuration.")).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The routes of `api`, without the one for everything else.
    fn routes() -> Vec<&'static str> {
        let source = include_str!("api.rs");
        let paths = source.match_indices(".route(\"").map(|(at, start)| &source[at + start.len()..]);
        paths.filter_map(|rest| rest.split('"').next()).filter(|path| !path.contains("{*")).collect()
    }

    #[test]
    fn document_has_every_route() {
        let document: serde_json::Value = serde_json::from_str(&DOCUMENT).unwrap();
        let mut routes = routes();
        routes.sort_unstable();
        // Sorted, because it is a map.
        let described: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(described, routes);
    }
}
