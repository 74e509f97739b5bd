//! The flags that say how the sidecar is to be. An annotation of a Pod wins over them.

use std::time::Duration;

use crate::config::reader::duration;
use crate::config::{Log, Network};
use crate::inject::{
    ImageRef, KubernetesVersion, NativeSidecar, ObjectName, ProxyEnv, PullPolicy, Quantity, Settings,
};

/// How the sidecar is to be, as far as it differs from the defaults.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sidecar (annotations of a Pod win over these)")]
pub(in crate::cli) struct SettingsArgs {
    /// The image of the sidecar [default: sidekey with this version].
    #[arg(long, value_name = "IMAGE")]
    image: Option<ImageRef>,
    /// When the image is pulled: Always, IfNotPresent, Never [default: IfNotPresent].
    #[arg(long, value_name = "POLICY")]
    image_pull_policy: Option<PullPolicy>,
    /// The ConfigMap with `services.yaml` [default: sidekey].
    #[arg(long, value_name = "NAME")]
    config_map: Option<ObjectName>,
    /// The Secrets whose keys are the files below /run/secrets/sidekey; one at least [default: sidekey].
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "no_secrets")]
    secrets: Option<Vec<ObjectName>>,
    /// Mount no Secret: secrets come from a store.
    #[arg(long)]
    no_secrets: bool,
    /// Whether the sidecar is an init container that stays: auto, true, false [default: auto].
    #[arg(long, value_name = "WHEN")]
    native_sidecar: Option<NativeSidecar>,
    /// The version of the cluster, for `--native-sidecar auto`: native from 1.29 on [default: a version that has them].
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<KubernetesVersion>,
    /// CPU that the sidecar is guaranteed [default: 50m].
    #[arg(long, value_name = "QUANTITY")]
    cpu_request: Option<Quantity>,
    /// CPU above which the sidecar is throttled [default: none].
    #[arg(long, value_name = "QUANTITY")]
    cpu_limit: Option<Quantity>,
    /// Memory that the sidecar is guaranteed [default: 32Mi].
    #[arg(long, value_name = "QUANTITY")]
    memory_request: Option<Quantity>,
    /// Memory above which the sidecar is ended [default: 128Mi].
    #[arg(long, value_name = "QUANTITY")]
    memory_limit: Option<Quantity>,
    /// Set HTTP_PROXY and NO_PROXY in the app's containers; with `all` HTTPS_PROXY as well [default: false].
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    proxy_env: Option<ProxyEnv>,
    /// The networks of the cluster, for NO_PROXY [default: the private networks].
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    cluster_networks: Option<Vec<Network>>,
    /// The level of the sidecar's log, or a filter [default: that of the configuration].
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    log_level: Option<String>,
    /// How long the sidecar continues to serve after SIGTERM. Only a classic sidecar needs that.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    wait_before_exit: Option<Duration>,
    /// The port of `listen` in the configuration [default: 8080].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The port of `admin` in the configuration [default: 9090].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    admin_port: Option<u16>,
    /// The user of the sidecar's process; `any` leaves it to the image or the cluster (OpenShift) [default: 65532].
    #[arg(long, value_name = "UID")]
    run_as_user: Option<RunAsUser>,
}

/// A user, or none in particular.
#[derive(Debug, Clone, Copy)]
struct RunAsUser(Option<u32>);

impl std::str::FromStr for RunAsUser {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self(None));
        }
        let user = text.parse().ok().filter(|user| *user > 0);
        user.map(|user| Self(Some(user)))
            .ok_or_else(|| "not a user other than root: a number, or `any`".into())
    }
}

fn level(text: &str) -> Result<String, String> {
    Log::check_level(text).map(|()| text.to_owned())
}

impl SettingsArgs {
    /// The settings, with the defaults of what was not said.
    ///
    /// # Errors
    ///
    /// If they contradict each other.
    pub(in crate::cli) fn settings(&self) -> Result<Settings, String> {
        let default = Settings::default();
        let secrets = self.secrets.clone().unwrap_or(default.secrets);
        let settings = Settings {
            only_if_enabled: false,
            image: self.image.clone().unwrap_or(default.image),
            image_pull_policy: self.image_pull_policy.unwrap_or(default.image_pull_policy),
            config: self.config_map.clone().unwrap_or(default.config),
            secrets: if self.no_secrets { Vec::new() } else { secrets },
            native_sidecar: self.native_sidecar.unwrap_or(default.native_sidecar),
            kubernetes: self.kubernetes_version,
            cpu_request: self.cpu_request.clone().unwrap_or(default.cpu_request),
            cpu_limit: self.cpu_limit.clone().or(default.cpu_limit),
            memory_request: self.memory_request.clone().unwrap_or(default.memory_request),
            memory_limit: self.memory_limit.clone().or(default.memory_limit),
            proxy_env: self.proxy_env.unwrap_or(default.proxy_env),
            cluster_networks: self.cluster_networks.clone().unwrap_or(default.cluster_networks),
            log_level: self.log_level.clone(),
            wait_before_exit: self.wait_before_exit,
            port: self.port.unwrap_or(default.port),
            admin_port: self.admin_port.unwrap_or(default.admin_port),
            run_as_user: self.run_as_user.map_or(default.run_as_user, |user| user.0),
        };
        settings.check().map(|()| settings)
    }
}
