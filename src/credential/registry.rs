//! All kinds of credentials.

use super::kind::{Build, BuildError, Entry, Refresh, SourceContext, StoreHandle};
use super::kinds::api_key::ApiKey;
use super::kinds::basic::Basic;
use super::kinds::bearer::Bearer;
use super::kinds::oauth2::OAuth2;
use super::{Credential, Signer};
use crate::config::{Auth, AuthKind, AuthKinds};

/// The kinds, in the order in which messages list them. A kind is one file in `kinds/` and one line here.
pub const KINDS: &[Entry] =
    &[Entry::of::<Basic>(), Entry::of::<Bearer>(), Entry::of::<ApiKey>(), Entry::of::<OAuth2>()];

/// The kinds, as the configuration knows them.
pub const AUTH_KINDS: AuthKinds = &auth_kinds();

const fn auth_kinds() -> [AuthKind; KINDS.len()] {
    let mut kinds = [KINDS[0].auth; KINDS.len()];
    let mut index = 0;
    while index < kinds.len() {
        kinds[index] = KINDS[index].auth;
        index += 1;
    }
    kinds
}

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static Entry> {
    KINDS.iter().find(|entry| entry.auth.name == name)
}

fn entry(auth: &Auth) -> &'static Entry {
    kind(auth.kind()).expect("settings are read by an entry of the registry")
}

/// Makes what keeps a value fresh, if credentials of this kind expire.
///
/// # Errors
///
/// What keeps the source from being made, such as a certificate file that cannot be read.
pub fn refresh(
    auth: &Auth,
    context: &SourceContext<'_>,
    reuse: Option<StoreHandle>,
) -> Result<Option<Refresh>, BuildError> {
    (entry(auth).refresh)(auth, context, reuse)
}

/// Whether a value obtained with `old` settings stays in use until the first one with `new` settings is there.
pub fn keeps_value(old: &Auth, new: &Auth) -> bool {
    old.kind() == new.kind() && (entry(old).keeps_value)(old, new)
}

/// Builds the credential of a service.
pub fn build(auth: &Auth, service: &str, store: Option<&StoreHandle>) -> Credential {
    let signer: Box<dyn Signer> = (entry(auth).build)(auth, &Build { service, store });
    Credential::new(signer)
}
