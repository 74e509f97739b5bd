//! A name server for tests: sends a scripted reply to every query, and counts the queries.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

pub(crate) struct NameServer {
    address: SocketAddr,
    reply: Arc<Mutex<Reply>>,
    queries: Arc<AtomicUsize>,
    task: AbortHandle,
}

#[derive(Clone)]
pub(crate) enum Reply {
    Addresses(Vec<IpAddr>, u32),
    NoSuchName,
    ServerFailure,
    Nothing,
}

impl Reply {
    pub(crate) fn of(addresses: &[&str], ttl: u32) -> Self {
        Self::Addresses(addresses.iter().map(|address| address.parse().unwrap()).collect(), ttl)
    }
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (reply, queries) = (Arc::new(Mutex::new(Reply::Nothing)), Arc::new(AtomicUsize::new(0)));
        let (script, count) = (reply.clone(), queries.clone());
        let task = tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                count.fetch_add(1, Ordering::SeqCst);
                let reply = script.lock().clone();
                if let Some(answer) = answer(&query[..length], &reply) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        Self { address, reply, queries, task: task.abort_handle() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn reply(&self, reply: Reply) {
        *self.reply.lock() = reply;
    }

    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Writes a reply (RFC 1035 §4): the header, the question, and an answer for each address of the queried
/// type.
fn answer(query: &[u8], reply: &Reply) -> Option<Vec<u8>> {
    let name = 12 + query[12..].iter().position(|&byte| byte == 0)? + 1;
    let question = &query[12..name + 4];
    let wants_v6 = question[question.len() - 3] == 28;
    let (code, addresses, ttl) = match reply {
        Reply::Addresses(all, ttl) => {
            (0, all.iter().filter(|address| address.is_ipv6() == wants_v6).collect(), *ttl)
        }
        Reply::NoSuchName => (3, vec![], 0),
        Reply::ServerFailure => (2, vec![], 0),
        Reply::Nothing => return None,
    };
    let mut out = query[..2].to_vec();
    out.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
    out.extend(question);
    for address in addresses {
        // A pointer to the name of the question, and its type and class.
        out.extend([0xc0, 12, 0, question[question.len() - 3], 0, 1]);
        out.extend(ttl.to_be_bytes());
        match address {
            IpAddr::V4(ip) => out.extend([&[0, 4], &ip.octets()[..]].concat()),
            IpAddr::V6(ip) => out.extend([&[0, 16], &ip.octets()[..]].concat()),
        }
    }
    Some(out)
}
