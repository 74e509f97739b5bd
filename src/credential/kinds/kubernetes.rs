//! `type: kubernetes`: the projected token of a service account, for the API of its own cluster. The kubelet replaces the file
//! before the token in it expires. The file is read again at every change.

mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::source::ServiceAccountToken;
use crate::config::auth::placement::Placement;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::Keys;
use crate::credential::token_file::TOKEN_FILE;
use crate::credential::{
    Build, BuildError, Kind, Owned, Refresh, Rejection, Signer, SourceContext, StoreHandle, Token, advice,
    store_or_new, token_file,
};
use crate::oauth2::source::access_token_source::AccessTokenSource;
use crate::refresh::SourceError;
use crate::secret::Source;

/// The kind `kubernetes`.
pub struct Kubernetes;

/// The file with the token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings(Source);

/// Where the kubelet mounts the token of the pod's service account.
const MOUNTED: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A token that the API rejects is read again no earlier.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

impl Kind for Kubernetes {
    const NAME: &'static str = "kubernetes";
    const KEYS: Keys = &[TOKEN_FILE];
    const REJECTED_WITH: &'static [u16] = &[401, 403];
    const IS_OF_PLATFORM: bool = true;
    type Settings = Settings;

    fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
        token_file::read(mapping, |_| Some(PathBuf::from(MOUNTED))).map(Settings)
    }

    fn owned(_: &Settings) -> Owned {
        Owned::authorization()
    }

    fn refresh(
        settings: &Settings,
        context: &SourceContext<'_>,
        reuse: Option<StoreHandle>,
    ) -> Result<Option<Refresh>, BuildError> {
        let source = ServiceAccountToken::new(settings.0.clone(), context.users.clone());
        let source = AccessTokenSource::new(source, None, Placement::bearer(), Arc::default());
        Ok(Some(Refresh::new(Arc::new(source), store_or_new(reuse, MIN_INTERVAL))))
    }

    fn build(_: &Settings, build: &Build<'_>) -> Box<dyn Signer> {
        Box::new(Token::new(build.store(), &Placement::bearer()))
    }

    fn value_server(_: &Settings) -> Option<String> {
        Some("the kubelet, which writes the token file".into())
    }

    fn explain_failure(_: &Settings, _: &SourceError) -> Vec<String> {
        vec![
            "Check the token file in the message: in a pod it is a projected volume (`serviceAccountToken`), and \
             `automountServiceAccountToken` may be off."
                .into(),
        ]
    }

    fn explain_401(_: &Settings, rejection: &Rejection<'_>) -> Vec<String> {
        let unauthorized = [
            "Is the token for this API? Compare `aud` of the token (`sidekey test` shows it) with `--api-audiences` of the API server: \
             a volume with an `audience` of its own is for something else.",
            "Is `upstream` the API of the same cluster? In a pod it is `https://kubernetes.default.svc`.",
            "A token ends with its pod and its service account, and when a clock is wrong: compare its `exp` with the time.",
        ];
        let forbidden = [
            "The API knows the service account, and RBAC does not allow the request: `kubectl auth can-i VERB RESOURCE \
             --as=system:serviceaccount:NAMESPACE:NAME` answers the same.",
            "A Role is for one namespace: is it the one in the path?",
        ];
        advice::of_rejection(rejection, &forbidden, &unauthorized)
    }
}
