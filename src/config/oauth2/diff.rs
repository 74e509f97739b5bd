//! Compares two settings of `type: oauth2`: whether they belong to the same client and user.

use super::grant::{Grant, Password};
use super::jwt_bearer::JwtBearer;
use super::settings::OAuth2;

impl OAuth2 {
    /// Whether the two differ only in the secret of the client or the user. A token that was issued with the
    /// old secret belongs to the same client and user.
    pub fn differs_in_secret_only(&self, other: &Self) -> bool {
        let (client_auth, grant) = (other.client_auth.clone(), self.grant.with_secret_of(&other.grant));
        self != other
            && self.client_auth.as_str() == client_auth.as_str()
            && Self { grant, client_auth, ..self.clone() } == *other
    }
}

impl Grant {
    /// This grant with the password or signing key of the other one, if they are of the same kind. A refresh
    /// token is different: it may belong to another user.
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
    use crate::config::Config;

    fn granted(grant: &str, auth: &str) -> OAuth2 {
        let text = format!(
            "services: {{ a: {{ upstream: 'https://a.example/v1', auth: {{ type: oauth2, token_url: 'https://t.example', \
             grant_type: {grant}, {auth} }} }} }}"
        );
        let mut config = Config::parse(&text, "test", crate::credential::READERS)
            .unwrap_or_else(|error| panic!("{error}"));
        config.services.remove(0).auth.settings::<OAuth2>().unwrap().clone()
    }

    fn oauth2(auth: &str) -> OAuth2 {
        granted("client_credentials", auth)
    }

    #[test]
    fn differs_in_secret_only_compares_other_keys() {
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
        let granted =
            |grant: &str, auth: &str| granted(grant, &format!("client_id: a, client_secret: s, {auth}"));
        let of_user = |name: &str, password: &str| {
            granted("password", &format!("username: {name}, password: {password}"))
        };
        assert!(of_user("u", "p").differs_in_secret_only(&of_user("u", "q")));
        assert!(!of_user("u", "p").differs_in_secret_only(&of_user("v", "q")));
        let seeded = |seed: &str| granted("refresh_token", &format!("refresh_token: {seed}"));
        assert!(!seeded("one").differs_in_secret_only(&seeded("another-user")));
    }
}
