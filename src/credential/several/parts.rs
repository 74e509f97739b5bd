//! The credentials of a list, and those that expire as one store: what it says is true of the one that is worst off.

use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, join_all, select_all};

use crate::credential::Signer;
use crate::refresh::{AnyStore, Expiry, RefreshStatus, Requested, ServerFacts, SharingFacts};

/// The credentials of a list. Those that expire are one store together.
pub(super) struct Parts(pub(super) Box<[Box<dyn Signer>]>);

impl Parts {
    /// The store of the list; `None` if no credential expires.
    pub(super) fn store(&self) -> Option<&dyn AnyStore> {
        let mut stores = self.stores();
        match (stores.next(), stores.next()) {
            (one, None) => one,
            (_, Some(_)) => Some(self),
        }
    }

    fn stores(&self) -> impl Iterator<Item = &dyn AnyStore> {
        self.0.iter().filter_map(|part| part.store())
    }

    /// The store without a usable value, else the one that fails, else the one whose value ends first.
    fn worst(&self) -> &dyn AnyStore {
        let rank = |store: &&dyn AnyStore| {
            let expiry = store.expiry().filter(|expiry| !expiry.is_past());
            let ends = expiry.map_or(SystemTime::UNIX_EPOCH, |expiry| expiry.wall());
            (expiry.is_some(), store.status().failures == 0, ends)
        };
        self.stores().min_by_key(rank).expect("a list is a store only if it has some")
    }
}

impl AnyStore for Parts {
    fn status(&self) -> RefreshStatus {
        self.worst().status()
    }

    fn expiry(&self) -> Option<Expiry> {
        self.worst().expiry()
    }

    fn server(&self) -> ServerFacts {
        self.stores().map(AnyStore::server).fold(ServerFacts::default(), |all, one| ServerFacts {
            clock_skew: [all.clock_skew, one.clock_skew]
                .into_iter()
                .flatten()
                .max_by(|one, other| one.abs().total_cmp(&other.abs())),
            certificate_end: [all.certificate_end, one.certificate_end]
                .into_iter()
                .flatten()
                .min_by(f64::total_cmp),
        })
    }

    fn risk(&self) -> Option<String> {
        self.stores().find_map(AnyStore::risk)
    }

    fn is_at_risk(&self) -> Option<bool> {
        self.stores().filter_map(AnyStore::is_at_risk).reduce(|all, one| all || one)
    }

    fn sharing(&self) -> Option<SharingFacts> {
        self.stores().find_map(AnyStore::sharing)
    }

    fn min_interval(&self) -> Duration {
        self.stores().map(AnyStore::min_interval).max().unwrap_or_default()
    }

    fn request(&self, limit: Duration) -> BoxFuture<'_, Requested> {
        let all = join_all(self.stores().map(|store| store.request(limit)));
        Box::pin(async move {
            let outcomes = all.await;
            let has = |outcome| outcomes.contains(&outcome);
            if has(Requested::Failed) {
                Requested::Failed
            } else if has(Requested::New) {
                Requested::New
            } else {
                Requested::Throttled
            }
        })
    }

    fn wait_until<'a>(&'a self, is_done: &'a (dyn Fn() -> bool + Sync)) -> BoxFuture<'a, ()> {
        let any = select_all(self.stores().map(|store| store.wait_until(is_done)));
        Box::pin(async move {
            any.await;
        })
    }
}
