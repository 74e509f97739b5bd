//! The page that the browser shows in the end. It loads nothing and contains nothing of the login.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

/// The outcome that the page shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Page {
    LoggedIn,
    NotLoggedIn,
    NotOurs,
    Malformed,
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Self::LoggedIn => (StatusCode::OK, "Logged in", "You can close this page."),
            Self::NotLoggedIn => {
                (StatusCode::BAD_REQUEST, "Not logged in", "See the terminal for the reason.")
            }
            Self::NotOurs => (
                StatusCode::BAD_REQUEST,
                "Not this login",
                "This page belongs to another login. Open the address that the terminal shows.",
            ),
            Self::Malformed => (
                StatusCode::BAD_REQUEST,
                "Malformed answer",
                "The login goes on. Open the address that the terminal shows again.",
            ),
        };
        let html = format!(
            "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>{title} · Sidekey</title>\
             <style>body{{font:1.1rem system-ui;margin:20vh auto;max-width:30rem;text-align:center;\
             color:#222;background:#fff}}@media(prefers-color-scheme:dark){{body{{color:#eee;background:#111}}}}</style>\
             <h1>{title}</h1><p>{text}"
        );
        // The address contains the code, so it is not cached and not sent as a referrer.
        let headers = [
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
            ),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONNECTION, "close"),
        ];
        (status, headers, Html(html)).into_response()
    }
}
