//! How the sidecar is to be: the defaults, which flags change for a run, and annotations for a Pod.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::names::{ImageRef, ObjectName};
use super::quantity::Quantity;
use crate::config::Network;

/// How the sidecar is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Whether only Pods that ask for it get the sidecar (`sidekey.io/inject: enabled`). If not, all do that do not refuse it.
    pub only_if_enabled: bool,
    /// The image of the sidecar.
    pub image: ImageRef,
    /// When the kubelet pulls the image.
    pub image_pull_policy: PullPolicy,
    /// The ConfigMap with `services.yaml`.
    pub config: ObjectName,
    /// The Secrets whose keys are files in the folder of the sidecar for secrets. There may be none.
    pub secrets: Vec<ObjectName>,
    /// Whether the sidecar is an init container that stays.
    pub native_sidecar: NativeSidecar,
    /// The version of the cluster, which decides for [`NativeSidecar::Auto`]. Without it, the cluster has native sidecars.
    pub kubernetes: Option<KubernetesVersion>,
    /// CPU that the sidecar is guaranteed.
    pub cpu_request: Quantity,
    /// CPU above which the sidecar is throttled. By default there is no limit: throttling a proxy delays every request behind it.
    pub cpu_limit: Option<Quantity>,
    /// Memory that the sidecar is guaranteed.
    pub memory_request: Quantity,
    /// Memory above which the sidecar is ended.
    pub memory_limit: Option<Quantity>,
    /// Which proxy variables the app's containers get.
    pub proxy_env: ProxyEnv,
    /// Networks of the cluster, which apps call without the proxy.
    pub cluster_networks: Vec<Network>,
    /// The level of the log, or a filter. By default the configuration decides.
    pub log_level: Option<String>,
    /// How long the sidecar continues to serve after SIGTERM, before it drains.
    pub wait_before_exit: Option<Duration>,
    /// The port of `listen` in the configuration.
    pub port: u16,
    /// The port of `admin` in the configuration.
    pub admin_port: u16,
    /// The user of the sidecar's process. Without it, the image or the cluster decides (OpenShift).
    pub run_as_user: Option<u32>,
}

/// The user of the image, which is no user of an app.
const IMAGE_USER: u32 = 65532;

/// Private networks, of which Pods, Services and nodes have their addresses as a rule: RFC 1918, RFC 6598 and RFC 4193.
const PRIVATE_NETWORKS: [&str; 5] =
    ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"];

impl Default for Settings {
    fn default() -> Self {
        let quantity = |text: &str| text.parse().expect("a test reads the defaults");
        Self {
            only_if_enabled: false,
            image: concat!("sidekey:", env!("CARGO_PKG_VERSION")).parse().expect("a test reads the defaults"),
            image_pull_policy: PullPolicy::IfNotPresent,
            config: "sidekey".parse().expect("a test reads the defaults"),
            secrets: vec!["sidekey".parse().expect("a test reads the defaults")],
            native_sidecar: NativeSidecar::Auto,
            kubernetes: None,
            cpu_request: quantity("50m"),
            cpu_limit: None,
            memory_request: quantity("32Mi"),
            memory_limit: Some(quantity("128Mi")),
            proxy_env: ProxyEnv::Off,
            cluster_networks: PRIVATE_NETWORKS
                .map(|network| network.parse().expect("a test reads the defaults"))
                .to_vec(),
            log_level: None,
            wait_before_exit: None,
            port: 8080,
            admin_port: 9090,
            run_as_user: Some(IMAGE_USER),
        }
    }
}

impl Settings {
    /// Whether the sidecar is an init container with `restartPolicy: Always`.
    pub fn is_native(&self) -> bool {
        match self.native_sidecar {
            NativeSidecar::Always => true,
            NativeSidecar::Never => false,
            NativeSidecar::Auto => {
                self.kubernetes.is_none_or(|version| version >= KubernetesVersion::NATIVE_SIDECARS)
            }
        }
    }

    /// Checks what depends on more than one setting.
    ///
    /// # Errors
    ///
    /// If two settings contradict each other. The message begins with the name of one of them.
    pub fn check(&self) -> Result<(), String> {
        let limits = [
            ("cpu", &self.cpu_request, &self.cpu_limit),
            ("memory", &self.memory_request, &self.memory_limit),
        ];
        for (name, request, limit) in limits {
            if let Some(limit) = limit.as_ref().filter(|limit| *limit < request) {
                return Err(format!("{name}-limit {limit} is below {name}-request {request}"));
            }
        }
        if self.port == self.admin_port {
            return Err(format!("port is {}, and so is admin-port", self.port));
        }
        Ok(())
    }
}

/// When the kubelet pulls an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// At each start of a container.
    Always,
    /// If the node has no copy.
    IfNotPresent,
    /// Never: the node has a copy.
    Never,
}

impl PullPolicy {
    const ALL: [(&str, Self); 3] =
        [("Always", Self::Always), ("IfNotPresent", Self::IfNotPresent), ("Never", Self::Never)];
}

impl FromStr for PullPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        one_of(&Self::ALL, text)
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Whether the sidecar is an init container that stays, which Kubernetes has since 1.29.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeSidecar {
    /// If the cluster has them, as far as its version is known.
    Auto,
    /// In any case.
    Always,
    /// In no case: the sidecar is a container beside the app's.
    Never,
}

impl NativeSidecar {
    const ALL: [(&str, Self); 3] = [("auto", Self::Auto), ("true", Self::Always), ("false", Self::Never)];
}

impl FromStr for NativeSidecar {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        one_of(&Self::ALL, text)
    }
}

/// Which proxy variables the app's containers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyEnv {
    /// None.
    Off,
    /// `HTTP_PROXY`: calls by `http://` go through Sidekey, and calls by `https://` are as they were.
    Http,
    /// `HTTPS_PROXY` as well, which needs `intercept`, and `connect.unmatched: tunnel` for every other host.
    All,
}

impl ProxyEnv {
    const ALL: [(&str, Self); 3] = [("false", Self::Off), ("true", Self::Http), ("all", Self::All)];
}

impl FromStr for ProxyEnv {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        one_of(&Self::ALL, text)
    }
}

/// The version of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion {
    /// 1 in 1.29.
    pub major: u16,
    /// 29 in 1.29.
    pub minor: u16,
}

impl KubernetesVersion {
    /// The first version in which native sidecars are enabled by default.
    const NATIVE_SIDECARS: Self = Self { major: 1, minor: 29 };
}

impl FromStr for KubernetesVersion {
    type Err = String;

    /// Parses `1.29`, and what the API server says of itself: `v1.29.3+k3s1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.trim_start_matches('v').split(['.', '+', '-']);
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err("not a version of Kubernetes; example: `1.29`".into()),
        }
    }
}

fn one_of<T: Copy>(all: &[(&str, T)], text: &str) -> Result<T, String> {
    all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        format!("must be one of: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn default_settings_are_consistent() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn native_sidecar_goes_by_version_if_it_is_known() {
        let is_native = |native_sidecar, version: Option<&str>| {
            let kubernetes = version.map(|version| version.parse().unwrap());
            Settings { native_sidecar, kubernetes, ..Settings::default() }.is_native()
        };
        assert!(is_native(NativeSidecar::Auto, None));
        assert!(is_native(NativeSidecar::Auto, Some("v1.29.3+k3s1")));
        assert!(!is_native(NativeSidecar::Auto, Some("1.28")));
        assert!(is_native(NativeSidecar::Always, Some("1.28")));
        assert!(!is_native(NativeSidecar::Never, Some("1.37")));
        assert!("one".parse::<KubernetesVersion>().is_err());
    }

    #[test]
    fn limit_below_request_is_an_error() {
        let settings = Settings { cpu_limit: Some("20m".parse().unwrap()), ..Settings::default() };
        assert_eq!(settings.check().unwrap_err(), "cpu-limit 20m is below cpu-request 50m");
        let settings = Settings { port: 9090, ..Settings::default() };
        assert!(settings.check().is_err());
    }
}
