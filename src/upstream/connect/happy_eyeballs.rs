//! Happy eyeballs (RFC 8305 §5): the next address is tried after a delay, before the previous one has failed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::net::exhaustion;

/// The "Connection Attempt Delay" of RFC 8305 §8.
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The attempts to connect, and their errors.
#[derive(Default)]
pub(crate) struct Attempts {
    /// Each attempt that was started; `None` until it fails.
    pub(crate) tried: Vec<(SocketAddr, Option<io::Error>)>,
}

impl Attempts {
    /// Takes the error of an attempt for which no descriptor was left.
    pub(crate) fn take_exhaustion(&mut self) -> Option<io::Error> {
        let mut errors = self.tried.iter_mut().map(|(_, error)| error);
        errors.find_map(|error| error.take_if(|error| exhaustion::is_exhaustion(error)))
    }

    fn failed(&mut self, address: SocketAddr, error: io::Error) {
        if let Some(attempt) = self.tried.iter_mut().find(|(tried, _)| *tried == address) {
            attempt.1 = Some(error);
        }
    }
}

/// Connects to the first address that accepts; `None` if none does. `on_attempt` is called for each address
/// that is tried.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    mut on_attempt: impl FnMut(SocketAddr),
    attempts: &mut Attempts,
) -> Option<(TcpStream, SocketAddr)> {
    let mut waiting = addresses.iter().copied();
    let mut running = JoinSet::new();
    loop {
        if let Some(address) = waiting.next() {
            on_attempt(address);
            attempts.tried.push((address, None));
            // A single attempt needs no task.
            if running.is_empty() && waiting.len() == 0 {
                match TcpStream::connect(address).await {
                    Ok(stream) => return Some((stream, address)),
                    Err(error) => attempts.failed(address, error),
                }
                return None;
            }
            running.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let joined = if waiting.len() == 0 {
            running.join_next().await
        } else {
            match tokio::time::timeout(CONNECTION_ATTEMPT_DELAY, running.join_next()).await {
                Ok(joined) => joined,
                Err(_) => continue,
            }
        };
        match joined {
            Some(Ok((address, Ok(stream)))) => return Some((stream, address)),
            Some(Ok((address, Err(error)))) => attempts.failed(address, error),
            Some(Err(_)) => {}
            None if waiting.len() == 0 => return None,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A socket that is bound and does not listen: connections are refused, and no other socket gets the
    /// port.
    fn refusing() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[tokio::test]
    async fn connect_returns_first_success_and_records_failures() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let (_one, refused) = refusing();
        let mut attempts = Attempts::default();
        let connected = connect(&[refused, good], |_| (), &mut attempts).await;
        assert_eq!(connected.unwrap().1, good);
        assert_eq!(attempts.tried.len(), 2);
        assert!(attempts.tried[0].1.is_some() && attempts.tried[1].1.is_none());
        let mut attempts = Attempts::default();
        assert!(connect(&[refused, refused], |_| (), &mut attempts).await.is_none());
        assert!(connect(&[], |_| (), &mut attempts).await.is_none());
    }

    #[tokio::test]
    async fn silent_address_does_not_delay_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // A full backlog neither accepts nor refuses connections.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(0).unwrap();
        let silent = full.local_addr().unwrap();
        let mut backlog = JoinSet::new();
        for _ in 0..4 {
            backlog.spawn(TcpStream::connect(silent));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut attempts = Attempts::default();
        let connected = connect(&[silent, good], |_| (), &mut attempts).await;
        assert_eq!(connected.unwrap().1, good);
        assert_eq!(attempts.tried[0].0, silent);
        assert!(attempts.tried[0].1.is_none(), "it neither accepted nor failed");
    }
}
