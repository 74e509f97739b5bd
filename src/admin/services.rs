//! The services with their state.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::problem::Problem;
use super::state::Admin;
use super::view::{AccessView, ServiceView, ServicesView};

/// Lists every service with its state.
#[utoipa::path(
    get,
    path = "/api/v1/services",
    operation_id = "listServices",
    responses((status = 200, description = "The services in the order of the configuration.", body = ServicesView)),
)]
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<ServicesView> {
    let (read_requires_token, write_requires_token) = admin.access.rules().requirements();
    let snapshot = admin.runtime.current();
    let views = snapshot.services.iter().map(|service| admin.view(service));
    let access = AccessView { read_requires_token, write_requires_token };
    Json(ServicesView::new(admin.started, access, &admin.reloader.status(), views.collect()))
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
    Ok(Json(admin.view(&*admin.find_service(&name)?)))
}
