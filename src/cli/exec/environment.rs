//! The variables of a command: those of this process, without secrets, and with the way to Sidekey.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;

use url::Url;

use super::launcher::Variables;
use super::tables::{
    ADDING_CA_FILES, HTTP_PROXIES, HTTPS_PROXIES, LOCAL_HOSTS, NO_PROXIES, OTHER_PROXIES, PLACEHOLDER,
    REPLACING_CA_FILES, SDKS, Sdk,
};
use super::trust::TrustFiles;
use crate::config::UpstreamUrl;

/// The prefix of Sidekey's own variables, of which the command gets none.
const OWN: &str = "SIDEKEY_";

/// The variable with Sidekey's address, below which each service has its path prefix.
const URL: &str = "SIDEKEY_URL";

/// What the variables depend on.
pub(super) struct Facts<'f> {
    /// The address of the proxy.
    pub(super) proxy: SocketAddr,
    /// The files with certificates.
    pub(super) trust: &'f TrustFiles,
    /// The name and the URLs of each service that runs.
    pub(super) services: &'f [(String, Vec<UpstreamUrl>)],
    /// The variables that hold secrets of the configuration.
    pub(super) secrets: &'f BTreeSet<String>,
    /// The variables that stay, whatever they hold.
    pub(super) kept: &'f [OsString],
    /// Whether hosts of no service are refused.
    pub(super) denies_unmatched: bool,
}

/// The variables of a command.
#[derive(Debug)]
pub(super) struct ChildEnvironment {
    variables: BTreeMap<OsString, OsString>,
    /// What is worth knowing about them, without values.
    pub(super) warnings: Vec<String>,
}

impl ChildEnvironment {
    /// The variables for a command, made of those of this process.
    pub(super) fn new(parent: impl IntoIterator<Item = (OsString, OsString)>, facts: &Facts<'_>) -> Self {
        let variables = parent.into_iter().filter(|(name, _)| {
            let text = name.to_string_lossy();
            let is_removed = facts.secrets.contains(&*text) || text.starts_with(OWN);
            !is_removed || facts.kept.contains(name)
        });
        let mut made = Self { variables: variables.collect(), warnings: Vec::new() };
        made.set_proxy(facts);
        made.set_certificates(facts.trust);
        made.set_java(facts);
        for sdk in SDKS {
            made.set_sdk(sdk, facts);
        }
        made.set(URL, format!("http://{}", facts.proxy));
        made
    }

    /// The variables.
    pub(super) fn into_variables(self) -> Variables {
        self.variables.into_iter().collect()
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
    }

    fn set_proxy(&mut self, facts: &Facts<'_>) {
        let proxy = format!("http://{}", facts.proxy);
        let has_plain_upstream =
            facts.services.iter().flat_map(|(_, upstreams)| upstreams).any(|url| !url.tls);
        let mut proxies = HTTPS_PROXIES.to_vec();
        // Sidekey does not forward plain HTTP to hosts of no service, so that it is their proxy only if they are to be refused.
        if facts.denies_unmatched || has_plain_upstream {
            proxies.extend(HTTP_PROXIES);
        }
        if facts.denies_unmatched {
            proxies.extend(OTHER_PROXIES);
        }
        if let Some(name) = HTTPS_PROXIES.iter().find(|name| self.get(name).is_some()) {
            let others = if facts.denies_unmatched { "are refused" } else { "are called without it" };
            self.warnings.push(format!(
                "{name} of this environment is replaced by Sidekey: hosts of no service {others}; a service uses the `proxy` of its own"
            ));
        }
        let without: Vec<_> = NO_PROXIES.iter().filter_map(|name| self.text(name)).collect();
        // With `--deny-unmatched` no host but this machine is called past Sidekey.
        let without = if facts.denies_unmatched { String::new() } else { without.join(",") };
        let mut hosts: Vec<&str> = LOCAL_HOSTS.to_vec();
        for host in without.split([',', ' ']).filter(|host| !host.is_empty()) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        self.warnings.extend(bypassing(&hosts, facts.services));
        for name in proxies {
            self.set(name, proxy.as_str());
        }
        for name in NO_PROXIES {
            self.set(name, hosts.join(","));
        }
        self.set("NODE_USE_ENV_PROXY", "1");
    }

    fn set_certificates(&mut self, trust: &TrustFiles) {
        for name in ADDING_CA_FILES {
            self.set(name, trust.added.as_os_str());
        }
        for name in REPLACING_CA_FILES {
            self.set(name, trust.bundle.as_os_str());
        }
        // An empty entry is the folder that PHP was built with.
        let mut folders = self.get("PHP_INI_SCAN_DIR").map(OsStr::to_owned).unwrap_or_default();
        folders.push(":");
        folders.push(&trust.php);
        self.set("PHP_INI_SCAN_DIR", folders);
    }

    /// Java reads its proxy and its CAs from properties, and those from this variable.
    fn set_java(&mut self, facts: &Facts<'_>) {
        let without = self.text(NO_PROXIES[0]).unwrap_or_default();
        let mut properties = vec![
            format!("-Dhttps.proxyHost={}", facts.proxy.ip()),
            format!("-Dhttps.proxyPort={}", facts.proxy.port()),
            format!("-Dhttp.nonProxyHosts={}", non_proxy_hosts(without)),
            quoted(&format!("-Djavax.net.ssl.trustStore={}", display(&facts.trust.trust_store))),
            "-Djavax.net.ssl.trustStoreType=PKCS12".to_owned(),
        ];
        if self.text(HTTP_PROXIES[0]) == Some(&format!("http://{}", facts.proxy)) {
            properties.push(format!("-Dhttp.proxyHost={}", facts.proxy.ip()));
            properties.push(format!("-Dhttp.proxyPort={}", facts.proxy.port()));
        }
        let own = self.text("JAVA_TOOL_OPTIONS").map(str::to_owned);
        self.set("JAVA_TOOL_OPTIONS", own.into_iter().chain(properties).collect::<Vec<_>>().join(" "));
    }

    /// Sets base URL and placeholders of a library whose API is a service.
    fn set_sdk(&mut self, sdk: &Sdk, facts: &Facts<'_>) {
        let own = sdk.base_url.and_then(|name| self.text(name));
        let Some(called) = own.or(sdk.default).and_then(|url| Url::parse(url).ok()) else { return };
        let Some((service, path)) = facts.services.iter().find_map(|(name, upstreams)| {
            Some((name, upstreams.iter().find_map(|upstream| below(upstream, &called))?))
        }) else {
            return;
        };
        let url = format!("http://{}/{service}{path}", facts.proxy);
        if let Some(name) = sdk.base_url.filter(|name| !facts.kept.iter().any(|kept| kept == name)) {
            self.set(name, url);
        }
        for key in sdk.keys {
            match self.get(key) {
                None => self.set(key, PLACEHOLDER),
                Some(value) if value == PLACEHOLDER || facts.kept.iter().any(|kept| kept == key) => {}
                Some(_) => self.warnings.push(format!(
                    "{key} is not read by the configuration, so the command gets it; Sidekey replaces it in requests to `{service}`, and \
                     without it in this environment the command gets a placeholder"
                )),
            }
        }
    }
}

/// The rest of the path of a URL below that of an upstream; `None` if it is not below it.
fn below(upstream: &UpstreamUrl, url: &Url) -> Option<String> {
    let is_host = url.host_str().is_some_and(|host| host == upstream.host.to_string());
    if !is_host || url.port_or_known_default() != Some(upstream.port) {
        return None;
    }
    let path = url.path().trim_end_matches('/').strip_prefix(&upstream.base_path)?;
    (path.is_empty() || path.starts_with('/')).then(|| path.to_owned())
}

/// Warnings about services whose host is called without a proxy.
fn bypassing(hosts: &[&str], services: &[(String, Vec<UpstreamUrl>)]) -> Vec<String> {
    let is_without_proxy = |url: &UpstreamUrl| {
        let name = url.host.to_string();
        let matches = |entry: &&str| {
            let entry = entry.trim_start_matches('*').trim_start_matches('.');
            entry.is_empty()
                || name == entry
                || name.strip_suffix(entry).is_some_and(|rest| rest.ends_with('.'))
        };
        url.host.is_loopback() || hosts.iter().any(matches)
    };
    let warned = services.iter().filter(|(_, upstreams)| upstreams.iter().any(is_without_proxy));
    warned
        .map(|(name, _)| {
            format!(
                "the host of `{name}` is called without a proxy (NO_PROXY), and so without a credential; \
                 ${URL}/{name} leads to the service"
            )
        })
        .collect()
}

/// `NO_PROXY` as Java writes it.
fn non_proxy_hosts(hosts: &str) -> String {
    let mut patterns = vec!["localhost".to_owned(), "127.*".to_owned(), "[::1]".to_owned()];
    for host in hosts.split(',').filter(|host| !LOCAL_HOSTS.contains(host) && !host.contains('/')) {
        let name = host.trim_start_matches('*').trim_start_matches('.');
        let is_pattern = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
        if is_pattern && !name.is_empty() {
            patterns.extend([name.to_owned(), format!("*.{name}")]);
        } else if host == "*" {
            patterns.push("*".to_owned());
        }
    }
    patterns.join("|")
}

/// An option of `JAVA_TOOL_OPTIONS`, which are separated by white space.
fn quoted(option: &str) -> String {
    if option.contains(char::is_whitespace) { format!("\"{option}\"") } else { option.to_owned() }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Host;

    const PROXY: &str = "http://127.0.0.1:4321";

    fn upstream(tls: bool, host: &str, base_path: &str) -> UpstreamUrl {
        let port = if tls { 443 } else { 80 };
        UpstreamUrl { tls, host: Host::Name(host.into()), port, base_path: base_path.into() }
    }

    struct Case<'c> {
        services: Vec<(String, Vec<UpstreamUrl>)>,
        secrets: &'c [&'c str],
        kept: &'c [&'c str],
        denies_unmatched: bool,
    }

    impl Case<'_> {
        fn made(&self, parent: &[(&str, &str)]) -> ChildEnvironment {
            let trust = TrustFiles {
                added: "/t/ca.pem".into(),
                bundle: "/t/bundle.pem".into(),
                trust_store: "/t/a b.p12".into(),
                php: "/t/php".into(),
            };
            let kept: Vec<_> = self.kept.iter().map(OsString::from).collect();
            let facts = Facts {
                proxy: "127.0.0.1:4321".parse().unwrap(),
                trust: &trust,
                services: &self.services,
                secrets: &self.secrets.iter().map(ToString::to_string).collect(),
                kept: &kept,
                denies_unmatched: self.denies_unmatched,
            };
            ChildEnvironment::new(parent.iter().map(|(name, value)| (name.into(), value.into())), &facts)
        }
    }

    fn openai(base_path: &str) -> Case<'static> {
        let services = vec![("ai".to_owned(), vec![upstream(true, "api.openai.com", base_path)])];
        Case { services, secrets: &["OPENAI_API_KEY", "TOKEN"], kept: &[], denies_unmatched: false }
    }

    #[test]
    fn command_has_no_variable_with_a_secret() {
        let parent = [("TOKEN", "t"), ("SIDEKEY_ADMIN_TOKEN", "s"), ("HOME", "/h"), ("OPENAI_API_KEY", "sk")];
        let made = openai("/v1").made(&parent);
        assert_eq!(made.text("TOKEN"), None);
        assert_eq!(made.text("SIDEKEY_ADMIN_TOKEN"), None);
        assert_eq!(made.text("HOME"), Some("/h"));
        assert_eq!(made.text("OPENAI_API_KEY"), Some(PLACEHOLDER));
        assert_eq!(made.warnings, [""; 0]);
        let kept = Case { kept: &["TOKEN", "OPENAI_API_KEY"], ..openai("/v1") }.made(&parent);
        assert_eq!((kept.text("TOKEN"), kept.text("OPENAI_API_KEY")), (Some("t"), Some("sk")));
        assert_eq!(kept.warnings, [""; 0]);
    }

    #[test]
    fn key_that_the_configuration_does_not_read_is_warned_of() {
        let made = Case { secrets: &[], ..openai("/v1") }.made(&[("OPENAI_API_KEY", "sk-live")]);
        assert_eq!(made.text("OPENAI_API_KEY"), Some("sk-live"));
        assert!(made.warnings[0].starts_with("OPENAI_API_KEY is not read by the configuration"));
        assert!(!made.warnings[0].contains("sk-live"));
    }

    #[test]
    fn base_url_is_that_of_the_service_with_the_upstream() {
        let url = |base_path: &str, parent: &[(&str, &str)]| {
            openai(base_path).made(parent).text("OPENAI_BASE_URL").map(str::to_owned)
        };
        assert_eq!(url("/v1", &[]), Some(format!("{PROXY}/ai")));
        assert_eq!(url("", &[]), Some(format!("{PROXY}/ai/v1")));
        assert_eq!(url("/v2", &[]), None);
        let other = ("OPENAI_BASE_URL", "https://gateway.example/v1");
        assert_eq!(url("/v1", &[other]).unwrap(), other.1);
        let own = ("OPENAI_BASE_URL", "https://api.openai.com/v1/eu/");
        assert_eq!(url("/v1", &[own]), Some(format!("{PROXY}/ai/eu")));
        assert_eq!(openai("/v1").made(&[]).text("ANTHROPIC_BASE_URL"), None);
    }

    #[test]
    fn plain_http_is_sent_to_sidekey_only_if_it_serves_or_refuses_it() {
        let case = openai("/v1");
        let made =
            case.made(&[("http_proxy", "http://corporate:3128"), ("https_proxy", "http://corporate:3128")]);
        for name in ["HTTPS_PROXY", "https_proxy"] {
            assert_eq!(made.text(name), Some(PROXY), "{name}");
        }
        assert_eq!(made.text("http_proxy"), Some("http://corporate:3128"));
        assert!(
            made.warnings[0].contains("https_proxy of this environment is replaced"),
            "{:?}",
            made.warnings
        );
        let all = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        let denying = Case { denies_unmatched: true, ..openai("/v1") };
        let denying = denying.made(&[("NO_PROXY", "example.com"), ("ALL_PROXY", "socks5://corporate")]);
        for name in all {
            assert_eq!(denying.text(name), Some(PROXY), "{name}");
        }
        assert_eq!(denying.text("NO_PROXY"), Some("localhost,127.0.0.1,::1"));
        let services = vec![("plain".to_owned(), vec![upstream(false, "plain.example", "")])];
        assert_eq!(Case { services, ..case }.made(&[]).text("http_proxy"), Some(PROXY));
    }

    #[test]
    fn hosts_without_a_proxy_are_kept_and_services_among_them_warned_of() {
        let made = openai("/v1").made(&[("no_proxy", "example.com, localhost,.openai.com")]);
        for name in NO_PROXIES {
            assert_eq!(made.text(name), Some("localhost,127.0.0.1,::1,example.com,.openai.com"));
        }
        assert!(
            made.warnings[0].starts_with("the host of `ai` is called without a proxy"),
            "{:?}",
            made.warnings
        );
        let java = made.text("JAVA_TOOL_OPTIONS").unwrap();
        assert!(
            java.contains("=localhost|127.*|[::1]|example.com|*.example.com|openai.com|*.openai.com "),
            "{java}"
        );
    }

    #[test]
    fn certificates_are_named_for_every_runtime() {
        let parent =
            [("JAVA_TOOL_OPTIONS", "-Xmx1g"), ("PHP_INI_SCAN_DIR", "/php"), ("SSL_CERT_FILE", "/own")];
        let made = openai("/v1").made(&parent);
        for name in REPLACING_CA_FILES {
            assert_eq!(made.text(name), Some("/t/bundle.pem"), "{name}");
        }
        assert_eq!(made.text("NODE_EXTRA_CA_CERTS"), Some("/t/ca.pem"));
        assert_eq!(made.text("PHP_INI_SCAN_DIR"), Some("/php:/t/php"));
        let java = made.text("JAVA_TOOL_OPTIONS").unwrap();
        assert!(java.starts_with("-Xmx1g -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=4321 "), "{java}");
        assert!(java.contains(" \"-Djavax.net.ssl.trustStore=/t/a b.p12\" "), "{java}");
    }
}
