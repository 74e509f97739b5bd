//! The configuration: reads one YAML file into a [`Config`], which is valid by its types.
//!
//! [`reader`] parses the file and reports every error at once, each with its line. One file for each section
//! has the type of the section and its reader: `listen`, `service`, `tls`, `auth` and `oauth2` are folders of
//! them. `load` reads the file as a whole. Nothing is validated after construction.
//!
//! Imports no other module of the program but `secret`.

pub mod auth;
mod authority;
mod basic_auth;
mod browser_origins;
mod callers;
mod credential_server;
mod diff;
mod downstream_timeouts;
mod draft;
pub mod edit;
mod effective;
mod exposure;
mod file;
mod hardening;
mod host;
mod hosts;
mod http_url;
mod inactive;
mod include;
mod listen;
mod load;
mod log;
mod manage;
mod model;
mod name_constraints;
mod oauth2;
pub mod reader;
mod readers;
mod reload;
mod restrictions;
mod schema;
mod secret_stores;
mod secret_variables;
mod selection;
mod service;
mod settle;
mod shared_store;
mod shutdown;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod tracing;
mod value_server;
mod watched_files;
pub mod wildcard;

pub use auth::list::MAX_CREDENTIALS;
pub use auth::settings::{Auth, AuthFacts, AuthKind, AuthKinds};
pub use authority::{Authority, default_port, port};
pub use basic_auth::{
    PASSWORD, PREVIOUS_PASSWORD, RotatedLogin, USERNAME, Username, name_and_password, rotated_login,
};
pub use callers::audit::AuditConfig;
pub use callers::bearer::KeyHash;
pub use callers::caller::{ANONYMOUS, CallerConfig};
pub use callers::certificate::{CertificateIdentity, spiffe_segments};
pub use callers::jwt::{JwksSource, JwksUrl, JwtIdentity};
pub use callers::network::Network;
pub use callers::role::{GrantConfig, RoleConfig};
pub use callers::unix::UnixIdentity;
pub use credential_server::{
    API_URL, CredentialServer, SERVER_PLAINTEXT, SERVER_PROXY, SERVER_TLS, STORE_URL,
};
pub use downstream_timeouts::DownstreamTimeouts;
pub use draft::Draft;
pub(crate) use exposure::Content;
pub use exposure::of_socket as socket_exposure;
pub use hardening::Hardening;
pub use host::Host;
pub(crate) use http_url::{HTTP_URL, UrlPolicy, parse as parse_http_url};
pub use inactive::{Effect, InactiveReason, InactiveService, LastGood, Problem, Subject};
pub use listen::address::ListenAddress;
pub use listen::admin::Admin;
pub use listen::intercept::{CaKey, Intercept, InterceptFiles, Tunnel, Unmatched};
pub use listen::listener::ListenerConfig;
pub use listen::tls::{ListenerTlsConfig, ListenerTlsFiles};
pub use log::{Log, LogFormat};
pub use model::Config;
pub use oauth2::caller_tokens::CallerTokenLimits;
pub use oauth2::client_auth::{ASSERTION_TYPE, Assertion, BasicEncoding, ClientAuth};
pub(crate) use oauth2::client_auth::{
    KEY_ID, PRIVATE_KEY, SIGNING_ALG, algorithm as read_signing_alg, text as read_text,
};
pub use oauth2::dpop::Dpop;
pub use oauth2::grant::{AuthorizationCode, DeviceCode, Grant, Password};
pub use oauth2::issuer::{Issuer, TokenUrl};
pub use oauth2::jwt_bearer::{JwtBearer, ServiceAccountKey};
pub(crate) use oauth2::jwt_bearer::{OBJECT as JSON_OBJECT, object as read_json_object};
pub use oauth2::schema::schema as oauth2_schema;
pub use oauth2::settings::{KEYS as OAUTH2_KEYS, OAuth2, read as read_oauth2};
pub use oauth2::token_exchange::{SubjectToken, TokenExchange};
pub use oauth2::token_field::TokenField;
pub use oauth2::token_request::{RequestFormat, TokenRequest};
pub(crate) use reader::document::read_file as read_services_file;
pub use reader::error::{ConfigError, Diagnostic, Warning};
pub use reader::interpolate::Environment;
pub use reader::stores::Store;
pub use reader::value::{SourceKind, SourceKinds};
pub use readers::Readers;
pub use reload::Reload;
pub use restrictions::Restrictions;
pub use schema::{included_schema, schema};
pub use secret_stores::{SecretStoreServers, StoreKind, StoreKinds, find as find_store};
pub use secret_variables::secret_variables;
pub use selection::Selection;
pub use service::entry::{LeakGuardMode, Origin, Place, ServiceConfig};
pub use service::headers::HeaderChanges;
pub use service::labels::Labels;
pub use service::protocol::Protocol;
pub use service::proxy::ProxyConfig;
pub use service::readiness::Readiness;
pub use service::timeouts::Timeouts;
pub use service::upstream::{CircuitBreakerConfig, PoolLimits, RateLimit, UpstreamOptions};
pub use service::upstream_url::UpstreamUrl;
pub use service::{RefreshOn, ResponseHeadLimits};
pub use shared_store::{Sentinel, SharedStore, StoreServer, StoreServers, Topology, WhenUnavailable};
pub use shutdown::Shutdown;
pub use state::State;
pub use tls::date::rfc3339;
pub use tls::files::{TlsFiles, UnusableFile};
pub(crate) use tls::key_kind::SUPPORTED_KEYS;
pub use tls::model::{ClientCertificate, Tls, TlsVersion};
pub(crate) use tls::signatures::{verify_signatures, verify_tls12, verify_tls13};
pub use tls::trust::TrustedCertificates;
pub use tls::verifiers::ServerVerifier;
pub use tracing::protocol::OtlpProtocol;
pub use tracing::settings::Tracing;
pub use value_server::ValueServer;
pub use watched_files::{FileKind, WatchedFile};
