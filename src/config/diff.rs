//! Compares two configurations: a reload keeps what did not change.

use super::service::entry::ServiceConfig;

impl ServiceConfig {
    /// Whether requests go to the same upstream in the same way, so that its connections can be kept. All
    /// fields count but those named here.
    pub fn has_same_upstream(&self, other: &Self) -> bool {
        let Self { name, hosts, listen, auth, headers, rules, token_wait, readiness, labels, .. } =
            other.clone();
        let same =
            Self { name, hosts, listen, auth, headers, rules, token_wait, readiness, labels, ..self.clone() };
        // The wildcards of `hosts` lead to hosts of the upstream.
        same == *other && (self.upstream.pattern().is_none() || self.hosts == other.hosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Host, UpstreamUrl};

    fn service(more: &str, auth: &str) -> ServiceConfig {
        let text = format!(
            "services: {{ a: {{ upstream: 'https://a.example/v1', auth: {{ type: oauth2, token_url: 'https://t.example', \
             grant_type: client_credentials, {auth} }}{more} }} }}"
        );
        Config::parse(&text, "test", crate::credential::READERS)
            .unwrap_or_else(|error| panic!("{error}"))
            .services
            .remove(0)
    }

    #[test]
    fn has_same_upstream_ignores_the_credential() {
        let one = service("", "client_id: a, client_secret: s");
        let with = |more| service(more, "client_id: b, client_secret: t");
        assert!(one.has_same_upstream(&with(
            ", readiness: never, labels: { a: b }, hosts: [b.example], headers: { remove: X-A }"
        )));
        for more in [", timeouts: { idle: 1s }", ", tls: { server_name: b.example }"] {
            assert!(!one.has_same_upstream(&with(more)), "{more}");
        }
        let wildcard = |hosts| {
            let pattern = Host::Name("*.a.example".into());
            let service = with(hosts);
            ServiceConfig { upstream: UpstreamUrl { host: pattern, ..service.upstream.clone() }, ..service }
        };
        assert!(wildcard(", hosts: [b.example]").has_same_upstream(&wildcard(", hosts: [b.example]")));
        assert!(!wildcard("").has_same_upstream(&wildcard(", hosts: [b.example]")));
    }
}
