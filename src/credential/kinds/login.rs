//! `type: login`: a session that is opened with one request, sent with every request, replaced before it ends, and ended when it is
//! not used any more.

mod csrf;
mod html;
mod place;
mod settings;
mod source;

pub use self::settings::Settings;
use self::source::Sessions;
use crate::config::ValueServer;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::Keys;
use crate::credential::{
    Build, BuildError, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle, Token,
    store_or_new,
};
use crate::refresh::{SourceError, SourceErrorKind};

/// The kind `login`.
pub struct Login;

impl Kind for Login {
    const NAME: &'static str = "login";
    const KEYS: Keys = settings::KEYS;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        settings::read(mapping)
    }

    fn owned(settings: &Settings) -> Owned {
        Owned::at(&settings.token)
    }

    fn refresh(
        settings: &Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let source = Sessions::new(settings.clone(), context)?.into_source(context);
        Ok(Some(Refresh::new(source, store_or_new(reuse, source::MIN_INTERVAL))))
    }

    /// A session that was opened with an old password is one of the same account.
    fn keeps_value(old: &Settings, new: &Settings) -> bool {
        let (credentials, previous) = (new.credentials.clone(), new.previous.clone());
        old != new && Settings { credentials, previous, ..old.clone() } == *new
    }

    fn build(settings: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        Box::new(Token::new(build.store(), &settings.token))
    }

    fn servers(settings: &Settings) -> Vec<ValueServer> {
        vec![ValueServer::of("login server", "login_url", &settings.server)]
    }

    fn value_server(settings: &Settings) -> Option<String> {
        Some(settings.server.url.to_string())
    }

    fn explain_failure(_: &Settings, error: &SourceError) -> Vec<String> {
        let sentences: &[&str] = match error.kind {
            SourceErrorKind::Refused => &[
                "Are the names under `fields` those that the login expects, and the values right?",
                "Compare `session` with an answer: `curl -i` shows its header fields, cookies and JSON.",
                "Too many wrong logins may have locked the account.",
            ],
            SourceErrorKind::Malformed => {
                &["Compare `session`, `lifetime_field` and `csrf` with an answer (`curl -i`)."]
            }
            _ => &[],
        };
        sentences.iter().map(|sentence| (*sentence).to_owned()).collect()
    }

    fn explain_401(settings: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let scheme = settings.token.scheme().and_then(|scheme| rejection.of_scheme(scheme));
        let others = [
            "The login worked, but the upstream rejects its session: does `session` name the right part of the answer?",
            "Does the session go where the API expects it (`token`)?",
            "Some servers allow one session for each account: does something else log in with the same one?",
        ];
        scheme.into_iter().chain(others.map(str::to_owned)).collect()
    }
}
