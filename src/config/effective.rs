//! The settings of a service as they are in effect, with those that the file does not have.

use std::path::Path;

use super::load::{Input, Mistakes};
use super::model::Config;
use super::reader::document;
use super::reader::error::ConfigError;
use super::reader::report::{Report, child};
use super::reader::settings::Setting;
use super::readers::Readers;
use super::selection::{Selection, UNKNOWN};
use crate::secret::SecretCache;

impl Config {
    /// The settings of a service, with paths below it, such as `auth.type`. `None` if the file has no such service. No secret is
    /// fetched. A credential by name has the settings of that credential.
    pub fn effective(
        path: &Path,
        service: &str,
        readers: Readers,
    ) -> Result<Option<Vec<Setting>>, ConfigError> {
        let name = path.display().to_string();
        let text = document::read_file(path)?;
        // Of the others nothing is recorded: a service `a.b` and a key `b` of a service `a` have the same path.
        let selection = Selection::Named([service.to_owned()].into());
        let (environment, secrets) = (|name: &str| std::env::var_os(name), SecretCache::with_placeholders());
        let report = Report::recording(&environment, &secrets);
        let input = Input { selection: &selection, ..Input::new(&text, &name, Some(path)) };
        if let Err(error) = Self::read_reporting(&input, readers, Mistakes::Reject, &report) {
            let is_unknown = error.diagnostics().iter().all(|error| error.message.starts_with(UNKNOWN));
            return if is_unknown { Ok(None) } else { Err(error) };
        }
        let all = report.take_settings();
        let mut settings = below(&all, &child("services", service));
        let used: Vec<_> = settings.iter().filter_map(used_credential).collect();
        for (auth, name) in used {
            let of_credential = below(&all, &child("credentials", &name)).into_iter();
            settings.extend(
                of_credential.map(|setting| Setting { path: child(&auth, &setting.path), ..setting }),
            );
        }
        Ok(Some(settings))
    }
}

/// The path of a credential that is used by its name, and the name.
fn used_credential(setting: &Setting) -> Option<(String, String)> {
    let auth = setting.path.strip_suffix(".use").filter(|auth| auth.starts_with("auth"))?;
    Some((auth.to_owned(), setting.value.as_str()?.to_owned()))
}

/// The settings below a path, each once. What is in a list, or below a name that the operator chose, is part of the setting above; but
/// each credential of a list has settings of its own.
fn below(all: &[Setting], above: &str) -> Vec<Setting> {
    let mut found: Vec<Setting> = Vec::new();
    for setting in all {
        let path = setting.path.strip_prefix(above).and_then(|path| path.strip_prefix('.'));
        let Some(path) = path else { continue };
        if path == "auth" && setting.value.is_array() {
            continue;
        }
        let is_known = |known: &Setting| {
            path.strip_prefix(&*known.path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if !found.iter().any(is_known) {
            found.push(Setting { path: path.to_owned(), ..setting.clone() });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const FILE: &str = "
credentials:
  shared: { type: basic, username: me, password: { exec: [get-password, CANARY-argument] } }
services:
  a:
    upstream: https://a.example/v1
    proxy: { url: 'http://proxy.example:3128', username: you, password: { env: PROXY_PASSWORD } }
    timeouts: { connect: 1s }
    allow: [GET /x]
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://login.example/token?tenant=CANARY-query
      client_id: me
      client_secret: { file: /run/secrets/a }
      scopes: [one, two]
      token_request: { headers: { X-Key: CANARY-header } }
  b: { upstream: https://b.example, auth: { use: shared } }
  list: { upstream: https://d.example, auth: [{ type: api_key, name: X-Key, value: CANARY-token }, { use: shared }] }
  a.b: { upstream: https://c.example, auth: { type: bearer, token: CANARY-token } }
";

    fn effective(service: &str) -> Option<Vec<Setting>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), FILE).unwrap();
        Config::effective(file.path(), service, crate::credential::READERS).unwrap()
    }

    fn get<'s>(settings: &'s [Setting], path: &str) -> (String, bool) {
        let mut found = settings.iter().filter(|setting| setting.path == path);
        let setting: &'s Setting = found.next().unwrap_or_else(|| panic!("{path} in {settings:?}"));
        assert!(found.next().is_none(), "{path} twice");
        (setting.value.to_string(), setting.is_default)
    }

    #[test]
    fn settings_have_values_defaults_and_sources() {
        let settings = effective("a").unwrap();
        assert!(!format!("{settings:?}").contains("CANARY"), "{settings:?}");
        let of_file = |text: &str| (text.to_owned(), false);
        let default = |text: &str| (text.to_owned(), true);
        assert_eq!(get(&settings, "upstream"), of_file("\"https://a.example/v1\""));
        assert_eq!(get(&settings, "timeouts.connect"), of_file("\"1s\""));
        assert_eq!(get(&settings, "timeouts.idle"), default("\"60s\""));
        assert_eq!(get(&settings, "token_wait"), default("\"5s\""));
        assert_eq!(get(&settings, "readiness"), default("\"first\""));
        assert_eq!(get(&settings, "auth.scopes"), of_file("[\"one\",\"two\"]"));
        assert_eq!(get(&settings, "auth.client_id"), of_file("\"me\""));
        assert_eq!(get(&settings, "auth.client_secret"), of_file("{\"file\":\"/run/secrets/a\"}"));
        assert_eq!(get(&settings, "proxy.password"), of_file("{\"env\":\"PROXY_PASSWORD\"}"));
        assert_eq!(get(&settings, "auth.token_url"), of_file("\"https://login.example/token?hidden\""));
        assert!(
            settings.iter().all(|setting| !setting.path.starts_with("auth.client_secret.")),
            "{settings:?}"
        );
        let secrets = settings.iter().filter(|setting| setting.is_secret).map(|setting| &*setting.path);
        assert!(secrets.collect::<Vec<_>>().contains(&"auth.client_secret"));
        assert!(settings.iter().all(|setting| !setting.path.starts_with("b.")), "{settings:?}");
    }

    #[test]
    fn section_that_is_not_there_has_its_defaults() {
        let settings = effective("a.b").unwrap();
        assert_eq!(get(&settings, "timeouts.connect"), ("\"5s\"".into(), true));
        assert_eq!(get(&settings, "auth.token"), ("\"…\"".into(), false));
    }

    #[test]
    fn each_credential_of_a_list_has_its_settings() {
        let settings = effective("list").unwrap();
        assert!(!format!("{settings:?}").contains("CANARY"), "{settings:?}");
        assert_eq!(get(&settings, "auth[0].type"), ("\"api_key\"".into(), false));
        assert_eq!(get(&settings, "auth[0].value"), ("\"…\"".into(), false));
        assert_eq!(get(&settings, "auth[1].use"), ("\"shared\"".into(), false));
        assert_eq!(get(&settings, "auth[1].type"), ("\"basic\"".into(), false));
        assert!(settings.iter().all(|setting| setting.path != "auth"), "{settings:?}");
    }

    #[test]
    fn credential_by_name_has_its_settings() {
        let settings = effective("b").unwrap();
        assert_eq!(get(&settings, "auth.use"), ("\"shared\"".into(), false));
        assert_eq!(get(&settings, "auth.type"), ("\"basic\"".into(), false));
        assert_eq!(get(&settings, "auth.password"), ("{\"exec\":[\"get-password\",\"…\"]}".into(), false));
        assert_eq!(effective("none"), None);
    }
}
