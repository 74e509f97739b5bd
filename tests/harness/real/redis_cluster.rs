//! A cluster of three primaries, and a replica for each.

use std::time::Duration;

use super::super::{Pki, assert_eventually, port};
use super::redis::{Redis, StoreServer};

const WAIT: Duration = Duration::from_secs(60);
/// The password of all nodes.
const PASSWORD: &str = "pa55-of-the-cluster-CANARY";

/// The nodes: three primaries, and then their replicas in the same order.
pub struct RedisCluster {
    pub nodes: Vec<Redis>,
    ca_file: Option<String>,
}

impl RedisCluster {
    /// Starts three primaries with a password, and as many replicas as `with_replicas` says. A primary that does not answer for
    /// two seconds is replaced.
    pub async fn start(software: StoreServer, pki: Option<&Pki>, with_replicas: bool) -> Self {
        let tls = if pki.is_some() { "yes" } else { "no" };
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..if with_replicas { 6 } else { 3 } {
            let bus = port::free().to_string();
            let options = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                "2000",
                "--tls-cluster",
                tls,
                "--tls-replication",
                tls,
                "--requirepass",
                PASSWORD,
                "--masterauth",
                PASSWORD,
            ];
            let mut node = Redis::start_as(software, &options, pki).await;
            node.log_in(PASSWORD);
            nodes.push(node);
            buses.push(bus);
        }
        let cluster = Self { nodes, ca_file: pki.map(Pki::ca_file) };
        let first = &cluster.nodes[0];
        for (index, node) in cluster.nodes.iter().enumerate() {
            if let Some((from, to)) = [("0", "5460"), ("5461", "10922"), ("10923", "16383")].get(index) {
                assert_eq!(node.cli(&["CLUSTER", "ADDSLOTSRANGE", from, to]).await.trim(), "OK");
            }
            if index > 0 {
                let meet = ["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &buses[index]];
                assert_eq!(first.cli(&meet).await.trim(), "OK");
            }
        }
        let count = cluster.nodes.len();
        for node in &cluster.nodes {
            assert_eventually(WAIT, "the nodes know each other", async || {
                let known = node.cli(&["CLUSTER", "INFO"]).await;
                known.contains("cluster_state:ok")
                    && known.contains(&format!("cluster_known_nodes:{count}\r"))
            })
            .await;
        }
        for (index, replica) in cluster.nodes.iter().enumerate().skip(3) {
            let id = cluster.nodes[index - 3].cli(&["CLUSTER", "MYID"]).await;
            assert_eventually(WAIT, "the node is a replica", async || {
                replica.cli(&["CLUSTER", "REPLICATE", id.trim()]).await.trim() == "OK"
            })
            .await;
            assert_eventually(WAIT, "the replica has a copy", async || {
                replica.info("master_link_status").await.as_deref() == Some("up")
            })
            .await;
        }
        cluster
    }

    /// The section `shared`, with this key.
    pub fn shared(&self, key: &str) -> String {
        let scheme = if self.ca_file.is_some() { "rediss" } else { "redis" };
        let urls: Vec<_> =
            self.nodes.iter().map(|node| format!("'{scheme}://127.0.0.1:{}'", node.port)).collect();
        let tls =
            self.ca_file.as_ref().map(|file| format!(", tls: {{ ca_file: {file} }}")).unwrap_or_default();
        format!(
            "shared: {{ url: [{}], cluster: true, password: {PASSWORD}, key: {key}, timeout: 1s{tls} }}",
            urls.join(", ")
        )
    }

    /// Which of the first three nodes has the keys of the default prefix, as the cluster says.
    pub async fn node_of_records(&self) -> usize {
        let slot: u16 =
            self.nodes[0].cli(&["CLUSTER", "KEYSLOT", "{sidekey}:x"]).await.trim().parse().unwrap();
        usize::from(slot / 5461)
    }

    /// Which of the first three nodes has the slot of the default prefix now, as the cluster says.
    pub async fn node_that_serves(&self) -> usize {
        let slot = self.slot().await;
        for (index, node) in self.nodes.iter().take(3).enumerate() {
            // Of another node's slot it answers nothing but MOVED.
            if !node.cli(&["EXISTS", "{sidekey}:x"]).await.contains("MOVED") {
                return index;
            }
        }
        panic!("no node has slot {slot}");
    }

    async fn slot(&self) -> String {
        self.nodes[0].cli(&["CLUSTER", "KEYSLOT", "{sidekey}:x"]).await.trim().to_owned()
    }

    async fn set_slot(&self, node: usize, arguments: &[&str]) {
        let slot = self.slot().await;
        let command = [&["CLUSTER", "SETSLOT", &slot][..], arguments].concat();
        assert_eq!(self.nodes[node].cli(&command).await.trim(), "OK", "{arguments:?}");
    }

    async fn id(&self, node: usize) -> String {
        self.nodes[node].cli(&["CLUSTER", "MYID"]).await.trim().to_owned()
    }

    /// Begins to move the slot of the default prefix, and moves the keys that are there.
    pub async fn begin_move(&self, from: usize, to: usize) {
        self.set_slot(to, &["IMPORTING", &self.id(from).await]).await;
        self.set_slot(from, &["MIGRATING", &self.id(to).await]).await;
        self.move_keys(from, to).await;
    }

    /// Ends a move that was begun.
    pub async fn end_move(&self, from: usize, to: usize) {
        self.move_keys(from, to).await;
        let id = self.id(to).await;
        for node in [to, from, 3 - to - from] {
            self.set_slot(node, &["NODE", &id]).await;
        }
    }

    async fn move_keys(&self, from: usize, to: usize) {
        let slot = self.slot().await;
        let keys = self.nodes[from].cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]).await;
        let keys: Vec<_> = keys.lines().filter(|key| !key.is_empty()).collect();
        if !keys.is_empty() {
            let port = self.nodes[to].port.to_string();
            let head = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "AUTH", PASSWORD, "KEYS"];
            let answer = self.nodes[from].cli(&[&head[..], &keys].concat()).await;
            assert!(["OK", "NOKEY"].contains(&answer.trim()), "{answer}");
        }
    }
}
