//! `type: github_app`: an installation token of a GitHub App. The app signs a token of its own, and gets one for the installation, which
//! is replaced before it expires.

mod installation;
mod settings;
mod source;

pub use self::settings::Settings;
use self::source::InstallationTokens;
use crate::config::ValueServer;
use crate::config::auth::placement::Placement;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::Keys;
use crate::credential::{
    Build, BuildError, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle, Token,
    UpstreamErrors, store_or_new,
};

/// The kind `github_app`.
pub struct GithubApp;

impl Kind for GithubApp {
    const NAME: &'static str = "github_app";
    const KEYS: Keys = settings::KEYS;
    const UPSTREAM_ERRORS: UpstreamErrors = &[(
        "Resource not accessible by integration",
        "The token has not the permission that this path needs: add it to the app, accept it at the installation, and look at \
             `permissions` and `repositories` in `auth`.",
    )];
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        settings::read(mapping)
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn unshareable(_: &Settings) -> Option<&'static str> {
        None
    }

    fn refresh(
        settings: &Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let source = InstallationTokens::new(settings.clone(), context)?;
        Ok(Some(Refresh::new(source.into_source(context), store_or_new(reuse, source::MIN_INTERVAL))))
    }

    /// A token that was issued for an old key is for the same installation.
    fn keeps_value(old: &Settings, new: &Settings) -> bool {
        old != new && Settings { key: new.key.clone(), ..old.clone() } == *new
    }

    fn build(_: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        Box::new(Token::new(build.store(), &Placement::bearer()))
    }

    fn servers(settings: &Settings) -> Vec<ValueServer> {
        vec![ValueServer::of("GitHub's API", "api_url", &settings.api)]
    }

    fn value_server(settings: &Settings) -> Option<String> {
        Some(settings.api.url.to_string())
    }

    fn explain_401(_: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let others = [
            "GitHub issued the token, but the upstream rejects it: is `upstream` the API that `api_url` belongs to?",
            "Has the installation been suspended or removed since?",
            "A git server (`https://github.com/OWNER/NAME.git`) takes the token as a password of HTTP Basic only.",
        ];
        rejection.of_scheme("Bearer").into_iter().chain(others.map(str::to_owned)).collect()
    }
}
