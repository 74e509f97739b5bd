//! A connection and nodes of a cluster that redirect its commands. The nodes are scripted: what each of them answers decides.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::Registry;
use redis::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::connection::Connection;
use super::dialer::Dialer;
use super::slot::slot_of;
use crate::config::{Host, SharedStore, StoreServer, StoreServers, Tls, Topology, WhenUnavailable};
use crate::fleet::store::StoreError;
use crate::metrics::FleetMetrics;
use crate::net::dns::Resolver;
use crate::tls::client::TlsClients;

const PREFIX: &str = "sidekey";
const TIMEOUT: Duration = Duration::from_millis(500);
const WRONG_SLOT: u16 = 1;

type Answer = Box<dyn Fn(usize) -> String + Send + Sync>;

/// A node. It has all slots, if it is asked who has them.
struct Node {
    server: StoreServer,
    /// The commands for records, and `ASKING`, in their order.
    seen: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Answer>>,
}

impl Node {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = StoreServer { host: Host::Ip([127, 0, 0, 1].into()), port };
        let answer: Answer = Box::new(|_| ":1\r\n".into());
        let node = Self { server, seen: Arc::default(), answer: Arc::new(Mutex::new(answer)) };
        let (seen, answer) = (node.seen.clone(), node.answer.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, port, seen.clone(), answer.clone()));
            }
        });
        node
    }

    /// Answers commands for records with this error, by how many of them came before.
    fn answers(&self, answer: impl Fn(usize) -> String + Send + Sync + 'static) {
        *self.answer.lock() = Box::new(answer);
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }

    /// `ASK` or `MOVED` to this node.
    fn named(&self, code: &str) -> String {
        format!("-{code} {} {}\r\n", slot_of(PREFIX), self.server)
    }
}

async fn serve(stream: TcpStream, port: u16, seen: Arc<Mutex<Vec<String>>>, answer: Arc<Mutex<Answer>>) {
    let mut stream = BufReader::new(stream);
    while let Some(command) = command(&mut stream).await {
        let reply = match command.as_str() {
            "CLUSTER" => {
                format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n")
            }
            "CLIENT" => "+OK\r\n".into(),
            "ASKING" => {
                seen.lock().push(command);
                "+OK\r\n".into()
            }
            _ => {
                let count = seen.lock().iter().filter(|command| *command != "ASKING").count();
                seen.lock().push(command);
                (answer.lock())(count)
            }
        };
        stream.write_all(reply.as_bytes()).await.unwrap();
    }
}

/// The name of the next command.
async fn command(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut words = Vec::new();
    for _ in 0..number(stream).await? {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8(word).unwrap().trim_end().to_owned());
    }
    words.into_iter().next()
}

async fn number(stream: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().get(1..)?.parse().ok()
}

/// A connection by way of this node.
fn connection(to: &Node, topology: Topology) -> Connection {
    let config = SharedStore {
        url: StoreServers { servers: vec![to.server.clone()], is_tls: false, database: 0 },
        topology,
        allows_plaintext: false,
        username: None,
        password: None,
        tls: Tls::default(),
        keys: Vec::new(),
        prefix: PREFIX.into(),
        timeout: TIMEOUT,
        when_unavailable: WhenUnavailable::Wait,
        is_default: false,
    };
    let resolver = Resolver::from_system().unwrap();
    let dialer = Dialer::new(&config, &TlsClients::new(), &resolver).unwrap();
    Connection::new(Arc::new(dialer), FleetMetrics::new(&Registry::new()).unwrap())
}

async fn send(connection: &Connection) -> Result<Value, StoreError> {
    connection.send(&redis::cmd("EVAL")).await
}

#[tokio::test]
async fn node_that_is_to_be_asked_gets_the_command_alone() {
    let [old, new] = [Node::start().await, Node::start().await];
    let answer = new.named("ASK");
    old.answers(move |_| answer.clone());
    let connection = connection(&old, Topology::Cluster);
    for round in 1..=2 {
        assert_eq!(send(&connection).await, Ok(Value::Int(1)));
        assert_eq!(old.seen(), vec!["EVAL"; round], "it has the slot until it says otherwise");
        assert_eq!(new.seen(), ["ASKING", "EVAL"].repeat(round));
    }
    assert_eq!(connection.server(), Some(old.server.clone()));
}

#[tokio::test]
async fn node_that_has_got_the_slot_is_used_from_then_on() {
    let [old, new] = [Node::start().await, Node::start().await];
    let answer = new.named("MOVED");
    old.answers(move |_| answer.clone());
    let connection = connection(&old, Topology::Cluster);
    for round in 1..=3 {
        assert_eq!(send(&connection).await, Ok(Value::Int(1)));
        assert_eq!((old.seen().len(), new.seen().len()), (1, round));
    }
    assert_eq!(connection.server(), Some(new.server.clone()));
    assert!(!new.seen().contains(&"ASKING".to_owned()));
}

#[tokio::test]
async fn command_of_a_divided_slot_is_sent_again_until_it_is_whole() {
    let [old, new] = [Node::start().await, Node::start().await];
    // As nodes do while a slot is moved, and afterwards.
    let (ask, moved) = (new.named("ASK"), new.named("MOVED"));
    old.answers(move |count| if count < 4 { ask.clone() } else { moved.clone() });
    new.answers(|count| if count < 4 { "-TRYAGAIN Multiple keys\r\n".into() } else { ":7\r\n".into() });
    let connection = connection(&old, Topology::Cluster);
    assert_eq!(send(&connection).await, Ok(Value::Int(7)));
    assert_eq!((old.seen().len(), new.seen().len()), (5, 9), "four times with ASKING, and once without");
}

#[tokio::test]
async fn slot_that_stays_divided_is_given_up_within_the_limit() {
    let node = Node::start().await;
    node.answers(|_| "-TRYAGAIN Multiple keys\r\n".into());
    let (connection, began) = (connection(&node, Topology::Cluster), Instant::now());
    let error = send(&connection).await.unwrap_err().to_string();
    assert!(error.contains("is being moved to another node (TRYAGAIN)"), "{error}");
    assert!(began.elapsed() >= TIMEOUT && began.elapsed() < TIMEOUT * 10);
    // Waits of 10 ms and more, doubled up to 160 ms, each shortened by half at most.
    assert!((4..=12).contains(&node.seen().len()), "{}", node.seen().len());
}

#[tokio::test]
async fn nodes_that_name_each_other_are_followed_a_few_times() {
    for code in ["MOVED", "ASK"] {
        let [one, other] = [Node::start().await, Node::start().await];
        let (to_one, to_other) = (one.named(code), other.named(code));
        one.answers(move |_| to_other.clone());
        other.answers(move |_| to_one.clone());
        let error = send(&connection(&one, Topology::Cluster)).await.unwrap_err().to_string();
        assert!(error.contains("do not agree"), "{error}");
        let seen = [one.seen(), other.seen()].concat();
        assert_eq!(seen.iter().filter(|command| *command == "EVAL").count(), 6, "{code}");
    }
}

#[tokio::test]
async fn server_that_tls_does_not_vouch_for_gets_nothing() {
    let node = Node::start().await;
    for code in ["MOVED", "ASK"] {
        // 192.0.2.0/24 is for documentation (RFC 5737): a connection to it would end by the limit.
        node.answers(move |_| format!("-{code} {} 192.0.2.1:6379\r\n", slot_of(PREFIX)));
        let began = Instant::now();
        let error = send(&connection(&node, Topology::Cluster)).await.unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:6379 would be sent the password unencrypted"), "{error}");
        assert!(began.elapsed() < TIMEOUT);
    }
}

#[tokio::test]
async fn redirection_is_followed_in_a_cluster_and_for_its_slot_only() {
    for (topology, is_of_slot) in [(Topology::Single, true), (Topology::Cluster, false)] {
        for code in ["MOVED", "ASK"] {
            let [node, other] = [Node::start().await, Node::start().await];
            let slot = if is_of_slot { slot_of(PREFIX) } else { WRONG_SLOT };
            let answer = format!("-{code} {slot} {}\r\n", other.server);
            node.answers(move |_| answer.clone());
            assert!(send(&connection(&node, topology.clone())).await.is_err());
            assert_eq!(other.seen(), Vec::<String>::new());
        }
    }
}
