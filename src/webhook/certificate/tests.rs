//! Replicas with one Secret and one configuration, in simulated months.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::{Value, json};

use super::checked::Checked;
use super::issued::Pair;
use super::keeper::Keeper;
use super::serving::Serving;
use super::stored::Stored;
use super::trusted::Trusted;
use crate::clock::test_clock;
use crate::metrics::WebhookMetrics;
use crate::webhook::cluster::{ApiError, Objects};
use crate::webhook::own_objects::OwnObjects;
use crate::webhook::readiness::Readiness;

const DAY: Duration = Duration::from_secs(24 * 3600);
const NAME: &str = "hook.here.svc";

/// The two objects, with the rules of an API server for versions and patches.
#[derive(Clone)]
struct Cluster(Arc<Mutex<State>>);

struct State {
    secret: Option<Value>,
    configuration: Value,
    version: u64,
    is_down: bool,
    writes: usize,
    conflicts: usize,
}

impl Cluster {
    fn new() -> Self {
        let own = json!({ "service": { "name": "hook", "namespace": "here" } });
        let other = json!({ "service": { "name": "other", "namespace": "here" }, "caBundle": "b3RoZXI=" });
        let configuration = json!({
            "metadata": { "resourceVersion": "1" },
            "webhooks": [{ "clientConfig": own }, { "clientConfig": other }, { "clientConfig": own }],
        });
        Self(Arc::new(Mutex::new(State {
            secret: None,
            configuration,
            version: 1,
            is_down: false,
            writes: 0,
            conflicts: 0,
        })))
    }

    fn stored(&self) -> Stored {
        Stored::read(self.0.lock().secret.as_ref().expect("a Secret"))
    }

    /// What the API server trusts for the first entry of the webhook.
    fn trusted(&self) -> Trusted {
        use base64::Engine as _;
        let state = self.0.lock();
        let of = |index: usize| state.configuration["webhooks"][index]["clientConfig"]["caBundle"].clone();
        assert_eq!(of(0), of(2), "both entries trust the same");
        assert_eq!(of(1), "b3RoZXI=", "the entry of another webhook is left alone");
        let bundle =
            of(0).as_str().map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap());
        Trusted::read(&bundle.unwrap_or_default())
    }

    fn writes_and_conflicts(&self) -> (usize, usize) {
        let state = self.0.lock();
        (state.writes, state.conflicts)
    }

    fn is_up(&self) -> Result<(), ApiError> {
        if self.0.lock().is_down {
            return Err(ApiError::Failed { what: "it".into(), message: "down".into() });
        }
        Ok(())
    }
}

fn conflict<T>(state: &mut State) -> Result<T, ApiError> {
    state.conflicts += 1;
    Err(ApiError::Conflict { what: "it".into() })
}

#[async_trait]
impl Objects for Cluster {
    async fn secret(&self) -> Result<Option<Value>, ApiError> {
        self.is_up()?;
        let secret = self.0.lock().secret.clone();
        // Another replica may be faster here.
        tokio::task::yield_now().await;
        Ok(secret)
    }

    async fn write_secret(&self, secret: &Value) -> Result<(), ApiError> {
        self.is_up()?;
        let mut state = self.0.lock();
        let current =
            state.secret.as_ref().map_or(Value::Null, |old| old["metadata"]["resourceVersion"].clone());
        if secret["metadata"]["resourceVersion"] != current {
            return conflict(&mut state);
        }
        state.version += 1;
        state.writes += 1;
        let mut secret = secret.clone();
        secret["metadata"]["resourceVersion"] = state.version.to_string().into();
        state.secret = Some(secret);
        Ok(())
    }

    async fn configuration(&self) -> Result<Value, ApiError> {
        self.is_up()?;
        let configuration = self.0.lock().configuration.clone();
        tokio::task::yield_now().await;
        Ok(configuration)
    }

    async fn patch_configuration(&self, operations: &Value) -> Result<(), ApiError> {
        self.is_up()?;
        let mut state = self.0.lock();
        for operation in operations.as_array().unwrap() {
            let (path, value) = (operation["path"].as_str().unwrap(), operation["value"].clone());
            let (parent, name) = path.rsplit_once('/').unwrap();
            match operation["op"].as_str().unwrap() {
                "test" if state.configuration.pointer(path) != Some(&value) => return conflict(&mut state),
                "test" => {}
                "add" => state.configuration.pointer_mut(parent).unwrap()[name] = value,
                other => panic!("{other}"),
            }
        }
        state.version += 1;
        state.configuration["metadata"]["resourceVersion"] = state.version.to_string().into();
        Ok(())
    }
}

struct Replica {
    keeper: Keeper<Cluster>,
    serving: Arc<Serving>,
    readiness: Arc<Readiness>,
}

fn replica(cluster: &Cluster) -> Replica {
    let metrics = WebhookMetrics::new(&Registry::new()).unwrap();
    let (serving, readiness) = (Serving::new(metrics.clone()), Arc::new(Readiness::default()));
    readiness.shape_is_known();
    let label = |text: &str| text.parse().unwrap();
    let names = OwnObjects {
        namespace: label("here"),
        service: label("hook"),
        secret: label("tls"),
        configuration: label("hook"),
    };
    let keeper = Keeper {
        objects: Arc::new(cluster.clone()),
        names,
        lifetime: 30 * DAY,
        clock: test_clock::now,
        serving: serving.clone(),
        readiness: readiness.clone(),
        metrics,
        presented: None,
        trusted_since: None,
    };
    Replica { keeper, serving, readiness }
}

/// Whether the API server can verify what a replica presents.
fn is_verified(replica: &Replica, cluster: &Cluster, known: &[Pair]) -> bool {
    let Some(certificate) = &replica.keeper.presented else { return false };
    let Some(pair) = known.iter().find(|pair| pair.certificate == *certificate) else { return false };
    replica.serving.is_valid(test_clock::now())
        && Checked::new(pair, &cluster.trusted(), NAME, test_clock::now()).is_ok()
}

#[tokio::test(start_paused = true)]
async fn two_replicas_make_one_certificate() {
    let _clock = test_clock::start();
    let cluster = Cluster::new();
    let (mut one, mut two) = (replica(&cluster), replica(&cluster));
    assert!(one.readiness.problem(one.serving.is_valid(test_clock::now())).is_some());
    let (first, second) = tokio::join!(one.keeper.turn(), two.keeper.turn());
    assert!(first.is_ok() != second.is_ok(), "one was faster: {first:?} {second:?}");
    one.keeper.turn().await.unwrap();
    two.keeper.turn().await.unwrap();
    assert_eq!(cluster.writes_and_conflicts(), (1, 1));
    let known = [cluster.stored().current.unwrap()];
    for replica in [&one, &two] {
        assert!(is_verified(replica, &cluster, &known));
        assert_eq!(replica.readiness.problem(replica.serving.is_valid(test_clock::now())), None);
    }
}

#[tokio::test(start_paused = true)]
async fn rotation_never_presents_what_is_not_trusted() {
    let _clock = test_clock::start();
    let cluster = Cluster::new();
    let mut replicas = [replica(&cluster), replica(&cluster)];
    let mut known: Vec<Pair> = Vec::new();
    for replica in &mut replicas {
        replica.keeper.turn().await.unwrap();
    }
    // Four months, in steps of about three hours; one replica at a time is away for a day.
    for step in 0..1000_u32 {
        tokio::time::advance(Duration::from_secs(10_800 + u64::from(fastrand::u32(..60)))).await;
        cluster.0.lock().is_down = fastrand::u32(..50) == 0;
        for (index, replica) in replicas.iter_mut().enumerate() {
            let is_away = step % 80 < 8 && (step / 80) as usize % 2 == index;
            if !is_away {
                // Conflicts and failures are tried again at the next step.
                let _ = replica.keeper.turn().await;
            }
        }
        let stored = cluster.stored();
        for pair in stored.current.into_iter().chain(stored.next) {
            if !known.contains(&pair) {
                known.push(pair);
            }
        }
        for replica in &replicas {
            assert!(is_verified(replica, &cluster, &known), "step {step}");
        }
        assert!(cluster.trusted().certificates().len() <= 3, "expired CAs are removed");
    }
    assert!((6..=9).contains(&known.len()), "{} certificates in four months", known.len());
}

#[tokio::test(start_paused = true)]
async fn next_certificate_waits_until_its_ca_is_trusted() {
    let _clock = test_clock::start();
    let cluster = Cluster::new();
    let mut replica = replica(&cluster);
    replica.keeper.turn().await.unwrap();
    let first = cluster.stored().current.unwrap();
    tokio::time::advance(21 * DAY).await;
    replica.keeper.turn().await.unwrap();
    let stored = cluster.stored();
    assert!(stored.current == Some(first.clone()) && stored.next.is_some());
    assert_eq!(cluster.trusted(), stored.trusted);
    replica.keeper.turn().await.unwrap();
    assert!(cluster.stored().current == Some(first.clone()), "not at once");
    tokio::time::advance(Duration::from_secs(5 * 60)).await;
    replica.keeper.turn().await.unwrap();
    assert!(cluster.stored().current == stored.next && cluster.stored().next.is_none());
    assert_eq!(
        cluster.trusted().certificates().len(),
        2,
        "the previous CA is kept while another replica may need it"
    );
}

#[tokio::test(start_paused = true)]
async fn lost_secret_and_lost_bundle_are_made_again() {
    let _clock = test_clock::start();
    let cluster = Cluster::new();
    let mut replica = replica(&cluster);
    replica.keeper.turn().await.unwrap();
    let first = cluster.stored().current.unwrap();
    // As if the manifest was applied again, which has no bundle.
    {
        let mut state = cluster.0.lock();
        for index in [0, 2] {
            state.configuration["webhooks"][index]["clientConfig"]
                .as_object_mut()
                .unwrap()
                .remove("caBundle");
        }
    }
    replica.keeper.turn().await.unwrap();
    assert_eq!(cluster.trusted(), cluster.stored().trusted);
    for broken in [Value::Null, json!("garbage"), json!({ "tls.crt": "AAAA", "tls.key": 1, "ca.crt": "!" })] {
        cluster.0.lock().secret.as_mut().unwrap()["data"] = broken;
        replica.keeper.turn().await.unwrap();
        let current = cluster.stored().current.unwrap();
        assert!(current != first && is_verified(&replica, &cluster, &[current]));
    }
    cluster.0.lock().secret = None;
    replica.keeper.turn().await.unwrap();
    assert!(is_verified(&replica, &cluster, &[cluster.stored().current.unwrap()]));
}

#[tokio::test(start_paused = true)]
async fn configuration_without_this_webhook_is_not_ready() {
    let _clock = test_clock::start();
    let cluster = Cluster::new();
    cluster.0.lock().configuration["webhooks"] = json!([]);
    let mut replica = replica(&cluster);
    let error = replica.keeper.turn().await.unwrap_err().to_string();
    assert_eq!(error, "mutatingwebhookconfiguration hook has no webhook with the service here/hook");
    assert!(replica.readiness.problem(true).is_some());
}

#[tokio::test(start_paused = true)]
async fn certificate_stays_in_use_while_the_api_is_down() {
    let _clock = test_clock::start();
    let cluster = Cluster::new();
    let mut replica = replica(&cluster);
    replica.keeper.turn().await.unwrap();
    cluster.0.lock().is_down = true;
    tokio::time::advance(29 * DAY).await;
    assert!(replica.keeper.turn().await.is_err());
    let problem = |replica: &Replica| replica.readiness.problem(replica.serving.is_valid(test_clock::now()));
    assert_eq!(problem(&replica), None);
    tokio::time::advance(2 * DAY).await;
    assert!(replica.keeper.turn().await.is_err());
    assert_eq!(problem(&replica), Some("no valid certificate"));
    cluster.0.lock().is_down = false;
    replica.keeper.turn().await.unwrap();
    assert_eq!(problem(&replica), None);
}

#[test]
fn stored_certificates_survive_in_a_secret_with_other_members() {
    let now = SystemTime::now();
    let (one, two) =
        (super::issued::issue(NAME, now, DAY).unwrap(), super::issued::issue(NAME, now, DAY).unwrap());
    let mut trusted = Trusted::default();
    trusted.add(one.ca);
    trusted.add(two.ca.clone());
    trusted.add(two.ca);
    let mut stored = Stored { current: Some(one.pair), next: Some(two.pair), trusted };
    let mut secret = json!({ "metadata": { "labels": { "a": "b" } }, "data": { "mine": "AAAA" } });
    stored.write(&mut secret);
    assert!(Stored::read(&secret) == stored && stored.trusted.certificates().len() == 2);
    stored.next = None;
    stored.write(&mut secret);
    assert!(Stored::read(&secret) == stored);
    assert_eq!((&secret["data"]["mine"], &secret["metadata"]["labels"]["a"]), (&json!("AAAA"), &json!("b")));
    assert_eq!(secret["data"].as_object().unwrap().len(), 4);
}
