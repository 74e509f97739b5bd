//! The operations.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::change::{Change, problem};
use super::request::{Addition, Edition, Options, TestedOptions, checked, places, read};
use super::view::{ChangeView, DefinitionView, SecretView};
use crate::admin::problem::Problem;
use crate::admin::state::Admin;
use crate::manage::{Definition, Operation};
use crate::presets;

/// Adds a service from a preset.
///
/// Without `dry_run: false` nothing is written. The service gets a file of its own in the folder `admin.manage`, and a secret that is
/// given as `value` one in the folder `secrets` there. Without `admin.manage` the response has the lines to commit, and no secret is
/// read. Mistakes are `errors` of a response with `ok: false`.
#[utoipa::path(
    post,
    path = "/api/v1/services",
    operation_id = "addService",
    request_body(content = inline(Addition)),
    responses(
        (status = 200, description = "The outcome.", body = ChangeView),
        (status = 400, description = "The body has another form, or names no preset."),
        (status = 409, description = "Nothing can be written, or another change is being made."),
        (status = 500, description = "It cannot be written."),
    ),
)]
pub(in crate::admin) async fn add(
    State(admin): State<Arc<Admin>>,
    body: Bytes,
) -> Result<Json<ChangeView>, Problem> {
    let Addition { name, preset, answers, secrets, lines, dry_run, test, test_path } = read(body)?;
    checked(test_path.as_ref())?;
    let preset = presets::find(&preset).ok_or_else(|| {
        let detail = "There is no such preset; GET /api/v1/presets lists them.";
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let operation = Operation::Add { preset, answers, secrets: places(secrets)?, lines };
    let change = Change { service: name, operation, is_dry_run: dry_run, revision: None, test, test_path };
    change.make(admin).await.map(Json)
}

/// Returns a service as it stands in its file, without its secrets.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/definition",
    operation_id = "getDefinition",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    responses(
        (status = 200, description = "The service.", body = DefinitionView),
        (status = 404, description = "There is no service of that name."),
        (status = 409, description = "The service has no lines of its own, or this Sidekey was not started from a file."),
        (status = 500, description = "The files cannot be read."),
    ),
)]
pub(in crate::admin) async fn definition(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Json<DefinitionView>, Problem> {
    let folder = admin.access.rules().managed_folder();
    let service = name.clone();
    let found = tokio::task::spawn_blocking(move || {
        admin.managing()?.manager.definition(&name, folder.as_ref()).map_err(|error| problem(&error))
    });
    let fault = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The files cannot be read.");
    let Definition { file, is_managed, lines, secrets, revision } = found.await.map_err(fault)??;
    let secrets = secrets.into_iter().map(|(key, source)| SecretView { key, source }).collect();
    let file = file.display().to_string();
    Ok(Json(DefinitionView { service, file, managed: is_managed, lines, secrets, revision }))
}

/// Changes a service.
///
/// Without `dry_run: false` nothing is written. A service that stands outside of the folder `admin.manage` is not written, and none of
/// its secrets is read; the response has the lines to commit.
#[utoipa::path(
    put,
    path = "/api/v1/services/{name}",
    operation_id = "editService",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    request_body(content = inline(Edition)),
    responses(
        (status = 200, description = "The outcome.", body = ChangeView),
        (status = 400, description = "The body has another form."),
        (status = 404, description = "There is no service of that name."),
        (status = 409, description = "The file was changed in the meantime, cannot be written, or another change is being made."),
        (status = 500, description = "It cannot be written."),
    ),
)]
pub(in crate::admin) async fn edit(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<ChangeView>, Problem> {
    let Edition { lines, secrets, dry_run, revision, test, test_path } = read(body)?;
    checked(test_path.as_ref())?;
    let operation = Operation::Edit { lines, secrets: places(secrets)? };
    let change = Change { service: name, operation, is_dry_run: dry_run, revision, test, test_path };
    change.make(admin).await.map(Json)
}

/// Switches a service on.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/enable",
    operation_id = "enableService",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    request_body(content = inline(TestedOptions)),
    responses(
        (status = 200, description = "The outcome.", body = ChangeView),
        (status = 400, description = "The body has another form."),
        (status = 404, description = "There is no service of that name."),
        (status = 409, description = "The file was changed in the meantime, cannot be written, or another change is being made."),
        (status = 500, description = "It cannot be written."),
    ),
)]
pub(in crate::admin) async fn enable(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<ChangeView>, Problem> {
    let TestedOptions { dry_run, revision, test, test_path } = read(body)?;
    checked(test_path.as_ref())?;
    let operation = Operation::Enable;
    let change = Change { service: name, operation, is_dry_run: dry_run, revision, test, test_path };
    change.make(admin).await.map(Json)
}

/// Switches a service off. Its settings stay.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/disable",
    operation_id = "disableService",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    request_body(content = inline(Options)),
    responses(
        (status = 200, description = "The outcome.", body = ChangeView),
        (status = 400, description = "The body has another form."),
        (status = 404, description = "There is no service of that name."),
        (status = 409, description = "The file was changed in the meantime, cannot be written, or another change is being made."),
        (status = 500, description = "It cannot be written."),
    ),
)]
pub(in crate::admin) async fn disable(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<ChangeView>, Problem> {
    untested(admin, name, Operation::Disable, body).await
}

/// Removes a service. Files of its secrets stay.
#[utoipa::path(
    post,
    path = "/api/v1/services/{name}/remove",
    operation_id = "removeService",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    request_body(content = inline(Options)),
    responses(
        (status = 200, description = "The outcome.", body = ChangeView),
        (status = 400, description = "The body has another form."),
        (status = 404, description = "There is no service of that name."),
        (status = 409, description = "The file was changed in the meantime, cannot be written, or another change is being made."),
        (status = 500, description = "It cannot be written."),
    ),
)]
pub(in crate::admin) async fn remove(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<ChangeView>, Problem> {
    untested(admin, name, Operation::Remove, body).await
}

async fn untested(
    admin: Arc<Admin>,
    service: String,
    operation: Operation,
    body: Bytes,
) -> Result<Json<ChangeView>, Problem> {
    let Options { dry_run, revision } = read(body)?;
    let change = Change { service, operation, is_dry_run: dry_run, revision, test: false, test_path: None };
    change.make(admin).await.map(Json)
}
