//! A Pod whose app was given `HTTP_PROXY` by `sidekey inject --proxy-env`: it reaches what is behind Sidekey, and everything else as
//! before.

use std::path::Path;
use std::time::Duration;

use serde_yaml::Value;

use super::container::build_image;
use super::injected::{Pod, basic, curl, example, image_of_app, yaml};
use super::podman::Podman;
use crate::harness::{MockResponse, MockUpstream, Pki, assert_eventually, free_port};

const DEADLINE: Duration = Duration::from_secs(60);
const APP: &str = "orders-pod-0-orders";

/// The name of the API, which `services.yaml` has.
const API: &str = "billing.example.com";
/// The API server: in `NO_PROXY` by `--proxy-env`.
const KUBERNETES: &str = "kubernetes.default.svc";
/// A host of the company: in the `NO_PROXY` that the app had before.
const COMPANY: &str = "wiki.corp.example.net";
/// A host that no service and no variable names.
const OTHER: &str = "status.example.org";

/// Servers that a Pod calls, each under a name. None but the API may get a credential.
struct Servers {
    pki: Pki,
    api: MockUpstream,
    kubernetes: MockUpstream,
    company: MockUpstream,
    other: MockUpstream,
}

impl Servers {
    async fn start() -> Self {
        let pki = Pki::new();
        let tls = async |name: &str| MockUpstream::tls_with(pki.server(&[name])).await;
        let (kubernetes, other) = (tls(KUBERNETES).await, tls(OTHER).await);
        let (api, company) = (MockUpstream::plain().await, MockUpstream::plain().await);
        let servers = Self { pki, api, kubernetes, company, other };
        for (server, text) in [
            (&servers.api, "the API"),
            (&servers.kubernetes, "the API server"),
            (&servers.company, "the company"),
            (&servers.other, "another host"),
        ] {
            server.always(MockResponse::ok(text));
        }
        servers
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn app_with_proxy_env_reaches_services_and_all_else() {
    let (podman, servers) = (Podman::new(), Servers::start().await);
    build_image(&podman);
    let names = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(names.path(), "hosts: files\n").unwrap();
    let mut programs = curl();
    programs.push((names.path().into(), "etc/nsswitch.conf".to_owned()));
    let programs: Vec<(&Path, &str)> =
        programs.iter().map(|(path, place)| (path.as_path(), place.as_str())).collect();
    image_of_app(&podman, &programs);

    for (proxy_env, connect) in [
        // HTTPS is not led to Sidekey.
        ("true", "{ unmatched: deny }"),
        // HTTPS is led to Sidekey, which passes it on. The servers of this test are on this machine.
        ("all", "{ unmatched: tunnel, allow_local: true }"),
    ] {
        let (mut pod, admin) = pod(&servers, proxy_env);
        pod.services["connect"] = yaml(connect);
        let manifest = pod.manifest();
        podman.run(["play", "kube", "--network", "host", &manifest]);
        let curl = |arguments: &[&str]| {
            let fixed = ["exec", APP, "/bin/curl", "--silent", "--show-error", "--cacert", "/pki/ca.pem"];
            podman.try_run(fixed.iter().chain(arguments))
        };
        let ready = format!("http://127.0.0.1:{admin}/readyz");
        assert_eventually(DEADLINE, "ready", async || curl(&["--fail", &ready]).is_some()).await;

        let get = |url: &str| curl(&[url]).unwrap_or_else(|| panic!("{proxy_env}: {url} cannot be reached"));
        assert_eq!(get(&format!("http://{API}/api/invoices")), "the API");
        assert_eq!(
            get(&format!("https://{KUBERNETES}:{}/version", port(&servers.kubernetes))),
            "the API server"
        );
        assert_eq!(get(&format!("http://{COMPANY}:{}/", port(&servers.company))), "the company");
        assert_eq!(get(&format!("https://{OTHER}:{}/", port(&servers.other))), "another host");
        // Plain HTTP to a host that nothing names is refused.
        let refused = curl(&["--include", &format!("http://{OTHER}:{}/", port(&servers.company))]).unwrap();
        assert!(refused.starts_with("HTTP/1.1 404") && refused.contains("unknown_service"), "{refused}");

        let request = servers.api.last_request();
        assert_eq!(
            (request.target.as_str(), request.header("authorization")),
            ("/api/invoices", Some(&*basic("first")))
        );
        for server in [&servers.kubernetes, &servers.company, &servers.other] {
            assert_eq!(server.last_request().header("authorization"), None);
        }
        podman.down(&manifest);
    }
    for server in [&servers.api, &servers.kubernetes, &servers.company, &servers.other] {
        assert_eq!(server.request_count(), 2);
    }
}

/// The Pod of the example in the network of this machine, and the port of its admin listener. Its app has a `NO_PROXY` of its own.
fn pod(servers: &Servers, proxy_env: &str) -> (Pod, u16) {
    let mut app: Value = yaml(&std::fs::read_to_string(example("app/deployment.yaml")).unwrap());
    let container = &mut app["spec"]["template"]["spec"]["containers"][0];
    let own = yaml("{ name: NO_PROXY, value: '.corp.example.net' }");
    container["env"].as_sequence_mut().unwrap().push(own);
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(&file, serde_yaml::to_string(&app).unwrap()).unwrap();

    let (listen, admin) = (free_port(), free_port());
    let ports = [listen, admin].map(|port| port.to_string());
    let proxy_env = format!("--proxy-env={proxy_env}");
    let flags = [proxy_env.as_str(), "--port", &ports[0], "--admin-port", &ports[1]];
    let mut pod = Pod::injected(file.path(), &flags);
    pod.serve(&["billing"], &format!("http://{API}:{}/api", port(&servers.api)));
    pod.services["services"]["billing"]["allow_plaintext"] = true.into();
    pod.services["services"]["billing"]["resolve"] = "127.0.0.1".into();
    pod.services["listen"] = format!("127.0.0.1:{listen}").into();
    pod.services["admin"] = format!("127.0.0.1:{admin}").into();
    pod.app().insert("command".into(), yaml("[/bin/busybox, sleep, '1000']"));
    pod.mount("pki", Path::new(&servers.pki.ca_file()).parent().unwrap(), "/pki");
    // In place of DNS. The API has no name here: only Sidekey has its address.
    let hosts = pod.script("hosts", &format!("127.0.0.1 localhost {KUBERNETES} {COMPANY} {OTHER}\n"));
    pod.mount("hosts", &hosts, "/etc/hosts");
    // The kubelet replaces it by the address of the API server.
    for variable in pod.app()["env"].as_sequence_mut().unwrap() {
        let value = variable["value"].as_str().unwrap().replace("$(KUBERNETES_SERVICE_HOST)", "10.96.0.1");
        variable["value"] = value.into();
    }
    (pod, admin)
}

fn port(server: &MockUpstream) -> u16 {
    server.address().port()
}
