//! Whether a service can be tested, and does no harm by it.

use std::path::Path;

use crate::config::{Config, Grant, OAuth2, ServiceConfig};

/// Why the service of a preset without a path to test with is not tested.
pub const NO_TEST_PATH: &str = "its API has no request that needs no resource";

/// The service, if a test of it is possible and does no harm. `file` is the main file of the configuration.
///
/// # Errors
///
/// Why it is not tested.
pub fn testable<'c>(
    name: &str,
    path: &str,
    config: &'c Config,
    file: &Path,
) -> Result<&'c ServiceConfig, String> {
    let Some(service) = config.services.iter().find(|service| service.name == name) else {
        let names: Vec<_> = config.services.iter().map(|service| service.name.as_str()).collect();
        return Err(format!("{} has no service `{}`; it has {}", file.display(), name, names.join(", ")));
    };
    let is_url = service.upstream.pattern().is_some();
    if is_url && service.upstream.below(path).is_none() {
        return Err(format!(
            "the upstream of `{name}` is a wildcard ({}): instead of a path, a test needs the whole URL of one of its hosts",
            service.upstream
        ));
    }
    if (!is_url && !path.starts_with('/')) || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(
            "PATH must begin with `/` and consist of visible ASCII; percent-encode anything else".into()
        );
    }
    let mut grants = service.auth.all_settings::<OAuth2>().map(|oauth2| &oauth2.grant);
    // Most providers accept a refresh token only once, and without `state` the next one would be lost.
    if grants.any(|grant| matches!(grant, Grant::RefreshToken(_))) && config.state.is_none() {
        return Err(format!(
            "a test of `{name}` might use up its refresh token, and the next one would be lost: configure `state` first, \
             which keeps it"
        ));
    }
    Ok(service)
}

/// Why a new or changed service is not tested, if it is not: beside [`testable`], because a person has to log in first.
pub fn why_not_tested(name: &str, path: &str, config: &Config, file: &Path) -> Option<String> {
    if let Some(why) = config.why_inactive(name) {
        return Some(why);
    }
    let service = match testable(name, path, config, file) {
        Ok(service) => service,
        Err(why) => return Some(why),
    };
    let needs_login = service.auth.all_settings::<OAuth2>().any(|oauth2| oauth2.grant.needs_login());
    needs_login.then(|| format!("it needs a login first: `sidekey login {}`", service.name))
}
