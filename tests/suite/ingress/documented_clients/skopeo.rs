//! skopeo, with a registry that demands basic authentication.

use std::path::Path;
use std::process::Command;

use ring::digest;
use serde_json::{Value, json};

use super::stage::{Api, Stage};
use crate::harness::{DockerRegistry, Pki, run, tool};

/// An image in a folder (OCI image layout) with one empty layer.
struct Layout<'a>(&'a Path);

impl Layout<'_> {
    /// Writes a blob, and returns its descriptor.
    fn blob(&self, kind: &str, content: &[u8]) -> Value {
        let digest = digest::digest(&digest::SHA256, content);
        let name = digest.as_ref().iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"));
        std::fs::write(self.0.join("blobs/sha256").join(&name), content).unwrap();
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{name}"),
            "size": content.len(),
        })
    }

    /// Writes the image with this tag. `layer` makes it different from others.
    fn write(&self, tag: &str, layer: &[u8]) {
        std::fs::create_dir_all(self.0.join("blobs/sha256")).unwrap();
        let layer = self.blob("layer.v1.tar", layer);
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
        });
        let config = self.blob("config.v1+json", config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": [layer],
        });
        let mut manifest = self.blob("manifest.v1+json", manifest.to_string().as_bytes());
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
        std::fs::write(self.0.join("index.json"), index.to_string()).unwrap();
        std::fs::write(self.0.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    }
}

/// Writes the image `app:1` and a policy that accepts images without a signature, as Debian's does.
fn write_image(dir: &Path) {
    // Another layer for each command, so that each one uploads it. A TAR archive ends with empty blocks.
    let mut layer = vec![0; 1024 * 1024];
    layer.extend(std::iter::repeat_n(0, 512 * fastrand::usize(2..1000)));
    Layout(&dir.join("app")).write("1", &layer);
    let containers = dir.join(".config/containers");
    std::fs::create_dir_all(&containers).unwrap();
    std::fs::write(containers.join("policy.json"), r#"{"default": [{"type": "insecureAcceptAnything"}]}"#)
        .unwrap();
}

/// Puts the image `base:1` into the registry, without Sidekey.
async fn push_base(registry: &DockerRegistry) {
    let dir = tempfile::tempdir().unwrap();
    write_image(dir.path());
    let mut skopeo = Command::new(tool("skopeo"));
    skopeo.current_dir(dir.path()).env("HOME", dir.path());
    skopeo.args(["copy", "--dest-tls-verify=false", "--dest-creds=pusher:pa55", "oci:app:1"]);
    skopeo.arg(format!("docker://localhost:{}/base:1", registry.port));
    let output = run(skopeo, b"").await;
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn documented_skopeo_commands_do_what_is_said() {
    let pki = Pki::new();
    let registry = DockerRegistry::start(&pki).await;
    push_base(&registry).await;
    let api = Api {
        service: "registry",
        documented: "registry.example.com",
        here: &format!("registry.example.com:{}", registry.port),
        secret: "pa55",
    };
    Stage::set("skopeo", &pki, api).await.run_all(async |dir| write_image(dir)).await;
}
