//! `sidekey webhook`: the admission webhook that adds the sidecar to pods.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::cannot_start;
use super::inject::SettingsArgs;
use super::serve;
use crate::app;
use crate::config::reader::duration;
use crate::config::{ListenerTlsConfig, Log};
use crate::hardening::{Writable, harden};
use crate::logging;
use crate::webhook::{Certificate, InCluster, Label, Options, OwnObjects, ServiceAccount, Webhook};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where reviews are answered, by HTTPS: ADDRESS:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Where health and metrics are shown, by HTTP: /livez, /readyz, /metrics.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9090")]
    admin: SocketAddr,
    /// Present the certificate in this PEM file, leaf first, and its successors. Without it, the webhook
    /// makes one and rotates it.
    #[arg(long, value_name = "PATH", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The PEM file with the key of the certificate.
    #[arg(long, value_name = "PATH", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// The namespace of the webhook. Default: that of its service account.
    #[arg(long, value_name = "NAME", env = "POD_NAMESPACE")]
    namespace: Option<Label>,
    /// The Service by which the API server calls the webhook.
    #[arg(long, value_name = "NAME", default_value = "sidekey-webhook")]
    service: Label,
    /// The Secret in which the replicas share the certificate that they make.
    #[arg(long, value_name = "NAME", default_value = "sidekey-webhook-tls")]
    secret: Label,
    /// The `MutatingWebhookConfiguration` that has the API server trust that certificate.
    #[arg(long, value_name = "NAME", default_value = "sidekey-webhook")]
    configuration: Label,
    /// How long a certificate is valid that the webhook makes. The next one is made in the last third.
    #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = lifetime)]
    certificate_lifetime: Duration,
    /// The folder with the token of the service account.
    #[arg(long, value_name = "PATH", default_value = "/var/run/secrets/kubernetes.io/serviceaccount")]
    service_account: PathBuf,
    /// How long reviews are answered after SIGTERM while /readyz says no, so that the API server learns of it
    /// before.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration::parse)]
    shutdown_delay: Duration,
    #[command(flatten)]
    sidecar: SettingsArgs,
}

/// The shortest time for which a certificate is valid.
const MIN_LIFETIME: Duration = Duration::from_secs(10);

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration::parse(text)?;
    if lifetime < MIN_LIFETIME { Err("shorter than 10s".into()) } else { Ok(lifetime) }
}

/// Answers reviews until SIGTERM or SIGINT.
pub(super) fn webhook(args: &Args) -> ExitCode {
    // Before a key is made, and before there are threads.
    let in_force = harden(&Writable::default());
    let running =
        logging::init(&Log::default(), app::ACCEPT_LOG).map_err(anyhow::Error::from).and_then(|_| {
            in_force.log();
            serve::block_on(run(args))
        });
    match running {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_start(&error),
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    tracing::info!(sidekey.version = env!("CARGO_PKG_VERSION"), "the webhook starts");
    app::raise_descriptor_limit();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let webhook = Webhook::start(options(args)?)?;
    let name = ended(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = name, "received {name}, shutting down");
    // A second signal ends the process at once.
    tokio::select! {
        () = webhook.stop() => {}
        _ = ended(&mut terminate, &mut interrupt) => {}
    }
    Ok(())
}

async fn ended(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

fn options(args: &Args) -> anyhow::Result<Options> {
    let account = ServiceAccount::new(args.service_account.clone());
    let namespace = match &args.namespace {
        Some(namespace) => Some(namespace.clone()),
        None => account.namespace().map(|name| name.parse()).transpose().context("the namespace file")?,
    };
    let own_namespace = namespace.as_ref().map(ToString::to_string);
    let certificate = match (&args.cert_file, &args.key_file) {
        (Some(cert_file), Some(key_file)) => Certificate::Files(ListenerTlsConfig {
            cert_file: cert_file.clone(),
            key_file: key_file.clone(),
            client_ca_file: None,
        }),
        _ => own_certificate(args, account, namespace)?,
    };
    Ok(Options {
        listen: args.listen,
        admin: args.admin,
        certificate,
        sidecar: args.sidecar.settings().map_err(anyhow::Error::msg)?,
        namespace: own_namespace,
        shutdown_delay: args.shutdown_delay,
    })
}

fn own_certificate(
    args: &Args,
    account: ServiceAccount,
    namespace: Option<Label>,
) -> anyhow::Result<Certificate> {
    let Some(namespace) = namespace else {
        bail!(
            "the namespace of the webhook is not known; give --namespace, or the certificate in files (--cert-file)"
        );
    };
    let objects = OwnObjects {
        namespace,
        service: args.service.clone(),
        secret: args.secret.clone(),
        configuration: args.configuration.clone(),
    };
    let api = InCluster::new(account, objects.clone(), |name| std::env::var(name).ok())?;
    Ok(Certificate::Own { api: Box::new(api), objects, lifetime: args.certificate_lifetime })
}
