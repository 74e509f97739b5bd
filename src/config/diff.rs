//! What of two configurations is the same: a reload keeps that.

use super::oauth2::grant::{Grant, Password};
use super::oauth2::jwt_bearer::JwtBearer;
use super::{OAuth2, ServiceConfig};

impl ServiceConfig {
    /// Whether requests go to the same upstream in the same way, so that its connections can be kept. What is not named
    /// here counts.
    pub fn has_same_upstream(&self, other: &Self) -> bool {
        let Self { name, hosts, listen, auth, token_wait, optional, .. } = other.clone();
        Self { name, hosts, listen, auth, token_wait, optional, ..self.clone() } == *other
    }
}

impl OAuth2 {
    /// Whether only a secret is another that client or user proves who they are with: a token that was issued under the old
    /// one is a token of the same client and user still.
    pub fn differs_in_secret_only(&self, other: &Self) -> bool {
        let (client_auth, grant) = (other.client_auth.clone(), self.grant.with_secret_of(&other.grant));
        self != other
            && self.client_auth.as_str() == client_auth.as_str()
            && Self { grant, client_auth, ..self.clone() } == *other
    }
}

impl Grant {
    /// With the other's password or signing key, where it is of the same kind. A refresh token is no such secret: it may be
    /// another user's.
    fn with_secret_of(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Password(own), Self::Password(other)) => {
                Self::Password(Password { password: other.password.clone(), ..own.clone() })
            }
            (Self::JwtBearer(own), Self::JwtBearer(other)) => {
                let (key, key_id) = (other.key.clone(), other.key_id.clone());
                Self::JwtBearer(Box::new(JwtBearer { key, key_id, ..(**own).clone() }))
            }
            _ => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::{Auth, Config};

    fn service(more: &str, auth: &str) -> ServiceConfig {
        of_grant("client_credentials", more, auth)
    }

    fn of_grant(grant: &str, more: &str, auth: &str) -> ServiceConfig {
        let text = format!(
            "services: {{ a: {{ upstream: 'https://a.example/v1', auth: {{ type: oauth2, token_url: 'https://t.example', \
             grant_type: {grant}, {auth} }}{more} }} }}"
        );
        Config::parse(&text, "test").unwrap_or_else(|error| panic!("{error}")).services.remove(0)
    }

    fn oauth2(auth: &str) -> OAuth2 {
        let Auth::OAuth2(oauth2) = service("", auth).auth else { unreachable!() };
        *oauth2
    }

    #[test]
    fn the_upstream_is_the_same_whatever_the_credential() {
        let one = service("", "client_id: a, client_secret: s");
        let with = |more| service(more, "client_id: b, client_secret: t");
        assert!(one.has_same_upstream(&with(", optional: true, hosts: [b.example], token_wait: 1s")));
        for more in [", timeouts: { idle: 1s }", ", tls: { server_name: b.example }"] {
            assert!(!one.has_same_upstream(&with(more)), "{more}");
        }
    }

    #[test]
    fn only_the_secret_may_differ() {
        let one = oauth2("client_id: a, client_secret: s");
        assert!(one.differs_in_secret_only(&oauth2("client_id: a, client_secret: t")));
        for other in [
            "client_id: a, client_secret: s",
            "client_id: b, client_secret: t",
            "client_id: a, client_secret: t, scopes: [x]",
            "client_id: a, client_secret: t, auth_method: client_secret_post",
        ] {
            assert!(!one.differs_in_secret_only(&oauth2(other)), "{other}");
        }
        let granted = |grant: &str, auth: &str| {
            let auth = format!("client_id: a, client_secret: s, {auth}");
            let Auth::OAuth2(oauth2) = of_grant(grant, "", &auth).auth else { unreachable!() };
            *oauth2
        };
        let of_user = |name: &str, password: &str| {
            granted("password", &format!("username: {name}, password: {password}"))
        };
        assert!(of_user("u", "p").differs_in_secret_only(&of_user("u", "q")));
        assert!(!of_user("u", "p").differs_in_secret_only(&of_user("v", "q")));
        let seeded = |seed: &str| granted("refresh_token", &format!("refresh_token: {seed}"));
        assert!(!seeded("one").differs_in_secret_only(&seeded("another-user")));
    }
}
