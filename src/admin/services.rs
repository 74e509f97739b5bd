//! The services with their state.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;
use super::state::Admin;
use super::view::{AccessView, Counts, ServiceView, ServicesView};

/// Lists every service with its state.
#[utoipa::path(
    get,
    path = "/api/v1/services",
    operation_id = "listServices",
    params(Since),
    responses((status = 200, description = "The services in the order of the configuration.", body = ServicesView)),
)]
pub(super) async fn list(State(admin): State<Arc<Admin>>, Query(query): Query<Since>) -> Json<ServicesView> {
    let (read_requires_token, write_requires_token) = admin.access.rules().requirements();
    let snapshot = admin.runtime.current();
    let views = admin.views(&snapshot);
    let access = AccessView { read_requires_token, write_requires_token, can_manage: admin.can_manage() };
    let counts = Counts::of(&views);
    let changes = admin.revisions.since(query.since.as_deref(), views);
    let reload = admin.reloader.status();
    Json(ServicesView::new(
        &admin.instance,
        admin.started,
        access,
        (&reload, &snapshot.problems),
        counts,
        changes,
    ))
}

/// What a client has already.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// The `revision` of an earlier response: only the services that have changed since are listed.
    since: Option<String>,
}

/// Returns one service with its state.
#[utoipa::path(
    get,
    path = "/api/v1/services/{name}",
    operation_id = "getService",
    params(("name" = String, Path, description = "The service's name in the configuration.")),
    responses(
        (status = 200, description = "The service.", body = ServiceView),
        (status = 404, description = "There is no service of that name."),
    ),
)]
pub(super) async fn one(
    State(admin): State<Arc<Admin>>,
    Path(name): Path<String>,
) -> Result<Json<ServiceView>, Problem> {
    let snapshot = admin.runtime.current();
    if let Some(service) = snapshot.inactive.iter().find(|service| service.name == name) {
        return Ok(Json(admin.view_inactive(service, snapshot.problem_of(&name))));
    }
    Ok(Json(admin.view(&*admin.find_service(&name)?)))
}
