//! One change: drafted, tested, written, in use.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;

use super::view::ChangeView;
use crate::admin::managing::DraftTester;
use crate::admin::problem::Problem;
use crate::admin::state::Admin;
use crate::manage::{Draft, ManageError, ManagedFolder, NO_TEST_PATH, Operation, Rejection, why_not_tested};

/// How long a change waits until it is in use. The reload continues after that.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// A change that was asked for.
pub(super) struct Change {
    pub(super) service: String,
    pub(super) operation: Operation,
    pub(super) is_dry_run: bool,
    pub(super) revision: Option<String>,
    pub(super) test: bool,
    pub(super) test_path: Option<String>,
}

impl Change {
    /// Makes the change. It is finished also if nobody waits for it any more.
    pub(super) async fn make(self, admin: Arc<Admin>) -> Result<ChangeView, Problem> {
        let task = tokio::spawn(async move {
            let managing = admin.managing()?;
            let Some(permit) = managing.begin() else {
                let detail = "Another change is being made; one is made at a time.";
                return Err(Problem::new(StatusCode::CONFLICT, detail));
            };
            let for_draft = admin.clone();
            let drafted = tokio::task::spawn_blocking(move || self.make_blocking(&for_draft)).await;
            let mut view = drafted.map_err(|_| broken())??;
            if view.written {
                admin.put_in_use(&mut view).await;
            }
            drop(permit);
            Ok(view)
        });
        task.await.map_err(|_| broken())?
    }

    fn make_blocking(self, admin: &Admin) -> Result<ChangeView, Problem> {
        let managing = admin.managing()?;
        let folder = admin.access.rules().managed_folder();
        let Self { service, operation, is_dry_run, revision, test, test_path } = self;
        let action = operation.as_str();
        let view = ChangeView { service: service.clone(), ..ChangeView::default() };
        let draft = managing.manager.draft(&service, operation, folder.as_ref(), revision.as_deref());
        let draft = match draft {
            Ok(draft) => draft,
            Err(Rejection::Mistakes(mistakes)) => {
                let errors: Vec<_> = mistakes.into_iter().map(Into::into).collect();
                let message = "Nothing was written, because of what is wrong.".into();
                return Ok(ChangeView { message, errors, ..view });
            }
            Err(Rejection::Files(error)) => return Err(problem(&error)),
        };
        let mut view = of_draft(&draft, view);
        if !is_dry_run && !draft.is_managed() {
            return Err(not_managed(&draft, folder.as_ref()));
        }
        if draft.is_tested && test {
            match test_path.as_deref().or(draft.test_path.as_deref()) {
                Some(path) => test_draft(&draft, path, managing.tester.as_ref(), &mut view),
                None => view.not_tested = Some(NO_TEST_PATH.into()),
            }
        }
        view.ok = view.test.as_ref().is_none_or(|report| report.ok);
        let file = draft.file().display().to_string();
        view.message = match view.ok {
            _ if draft.is_empty() => format!("Nothing changes: {file} is as it should be."),
            true if is_dry_run && draft.is_managed() => format!("This can be written to {file}."),
            true if is_dry_run => {
                format!("Commit this change of {file}. It was checked without its secrets.")
            }
            true => String::new(),
            false => "Nothing was written, because the test failed.".into(),
        };
        if !is_dry_run && view.ok && !draft.is_empty() {
            write(&draft, action, &mut view)?;
        }
        Ok(view)
    }
}

fn of_draft(draft: &Draft, view: ChangeView) -> ChangeView {
    ChangeView {
        file: Some(draft.file().display().to_string()),
        managed: draft.is_managed(),
        diff: draft.changed_lines.clone(),
        lines: draft.lines.clone(),
        revision: Some(draft.revision.clone()),
        ..view
    }
}

fn test_draft(draft: &Draft, path: &str, tester: &dyn DraftTester, view: &mut ChangeView) {
    if let Some(why) = why_not_tested(&draft.service, path, &draft.config, draft.main()) {
        view.not_tested = Some(why);
        return;
    }
    match tester.test(&draft.config, &draft.service, path) {
        Ok(report) => {
            tracing::info!(
                sidekey.service = draft.service,
                test.url = report.url,
                test.ok = report.ok,
                user.name = "admin",
                "change of a service tested through the admin API"
            );
            view.test = Some(report);
        }
        Err(why) => view.not_tested = Some(why),
    }
}

fn write(draft: &Draft, action: &'static str, view: &mut ChangeView) -> Result<(), Problem> {
    let written = draft.write().map_err(|error| problem(&error))?;
    tracing::info!(
        sidekey.service = draft.service,
        admin.action = action,
        config.file = %draft.file().display(),
        user.name = "admin",
        "service changed through the admin API"
    );
    view.written = true;
    view.new_secret_files = written.secrets.iter().map(|path| path.display().to_string()).collect();
    view.unused_secret_files = written.unused;
    Ok(())
}

impl Admin {
    /// Waits until what was written is in use, and says whether the service runs.
    async fn put_in_use(&self, view: &mut ChangeView) {
        let outcome = tokio::time::timeout(RELOAD_TIMEOUT, self.reloader.reload_now()).await;
        let name = view.service.clone();
        let snapshot = self.runtime.current();
        let is_running = snapshot.services.iter().any(|service| service.name == name);
        let is_there = is_running || snapshot.index_of(&name).is_some();
        view.running = Some(is_running);
        let file = view.file.clone().unwrap_or_default();
        view.message = match outcome {
            Ok(Ok(_)) => match (is_running, is_there, snapshot.problem_of(&name)) {
                (_, _, Some(problem)) => format!("Written to {file}, and not in use: {}", problem.error),
                (true, ..) => format!("Written to {file}. The service runs."),
                (false, true, _) => format!("Written to {file}. The service is switched off."),
                (false, false, _) => format!("Written to {file}. The service is gone."),
            },
            Ok(Err(error)) => format!("Written to {file}, and not in use: {error}"),
            Err(_) => format!("Written to {file}; the reload has not ended yet."),
        };
    }
}

fn not_managed(draft: &Draft, folder: Option<&ManagedFolder>) -> Problem {
    let file = draft.file().display();
    let detail = match folder {
        Some(folder) => format!(
            "{file} is not in {}, the only folder that this writes to; commit the change there.",
            folder.path.display()
        ),
        None => {
            "Nothing is written here: the configuration has no `admin.manage`, or it is new since the start."
                .into()
        }
    };
    Problem::new(StatusCode::CONFLICT, detail)
}

/// The problem document of an error. Errors of the configuration are those before the change.
pub(super) fn problem(error: &ManageError) -> Problem {
    let status = match error {
        ManageError::NoService(_) => StatusCode::NOT_FOUND,
        ManageError::Changed(_)
        | ManageError::Edit { .. }
        | ManageError::Config(_)
        | ManageError::NotManaged(_)
        | ManageError::SecretExists(_) => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Problem::new(status, format!("{error}"))
}

fn broken() -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The change was not finished, because of a fault in Sidekey.",
    )
}
