//! A credential that is the same for every request.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderValue;

use super::owned::AUTHORIZATION;
use super::{CredentialVersion, Injection, NotReady, OutboundRequest, Owned, Signer};
use crate::config::auth::placement::{Placement, RequestPart};
use crate::proto::FieldName;
use crate::secret::Echoes;

/// Header fields, query parameters and cookies that never change.
pub struct Fixed {
    owned: Arc<Owned>,
    fields: Box<[(Cow<'static, str>, HeaderValue)]>,
    query: Option<HeaderValue>,
    cookie: Option<HeaderValue>,
    echoes: Arc<Echoes>,
}

impl Fixed {
    /// A credential in these header fields.
    pub fn fields(fields: impl IntoIterator<Item = (FieldName, HeaderValue)>) -> Self {
        let mut owned = Owned::default();
        let mut written = Vec::new();
        for (name, value) in fields {
            owned = owned.with_header(name.name().clone());
            written.push((name.as_written().to_owned().into(), value));
        }
        Self {
            owned: Arc::new(owned),
            fields: written.into(),
            query: None,
            cookie: None,
            echoes: Arc::default(),
        }
    }

    /// A credential in `Authorization`.
    pub fn authorization(value: HeaderValue) -> Self {
        let fields = [(AUTHORIZATION.into(), value)].into();
        Self {
            owned: Arc::new(Owned::authorization()),
            fields,
            query: None,
            cookie: None,
            echoes: Arc::default(),
        }
    }

    /// A credential at this place, as it is written there.
    ///
    /// # Panics
    ///
    /// If the name of the place was not read by the configuration.
    pub fn placed(placement: &Placement, value: HeaderValue) -> Self {
        let name = placement.name.clone();
        match placement.part {
            RequestPart::Header => {
                let name = FieldName::try_from(&*name).expect("the configuration has checked the name");
                Self::fields([(name, value)])
            }
            RequestPart::Query => Self::fields([]).with_query([name], value),
            RequestPart::Cookie => Self::fields([]).with_cookie(name, value),
        }
    }

    /// Masks these secrets in what the upstream answers.
    #[must_use]
    pub fn with_echoes<'s>(self, secrets: impl IntoIterator<Item = &'s str>) -> Self {
        Self { echoes: Arc::new(Echoes::of(secrets)), ..self }
    }

    /// Replaces the query parameters: `names`, and the encoded `pairs`.
    #[must_use]
    pub fn with_query(self, names: impl IntoIterator<Item = String>, pairs: HeaderValue) -> Self {
        let owned = names.into_iter().fold((*self.owned).clone(), Owned::with_query);
        Self { owned: Arc::new(owned), query: Some(pairs), ..self }
    }

    /// Replaces the cookie: its `name`, and the `pair` `name=value`.
    #[must_use]
    pub fn with_cookie(self, name: String, pair: HeaderValue) -> Self {
        let owned = (*self.owned).clone().with_cookie(name);
        Self { owned: Arc::new(owned), cookie: Some(pair), ..self }
    }
}

impl Signer for Fixed {
    fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    fn sign<'s>(
        &'s self,
        _: &OutboundRequest<'_>,
        injection: &mut Injection<'s>,
    ) -> Result<CredentialVersion, NotReady> {
        for (name, value) in &self.fields {
            injection.field(name, value.clone());
        }
        if let Some(pairs) = &self.query {
            injection.query(pairs.clone());
        }
        if let Some(pairs) = &self.cookie {
            injection.cookie(pairs.clone());
        }
        Ok(CredentialVersion::STATIC)
    }

    fn mask(&self, text: &mut [u8]) -> u64 {
        self.echoes.mask(text)
    }

    fn echoes(&self) -> Vec<Arc<Echoes>> {
        vec![self.echoes.clone()]
    }
}
