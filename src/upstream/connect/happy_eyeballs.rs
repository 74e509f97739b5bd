//! Happy eyeballs (RFC 8305 §5): addresses are tried one after another, without waiting for the one before to fail.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// "Connection Attempt Delay" (RFC 8305 §8).
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// What became of the attempts.
#[derive(Default)]
pub(crate) struct Attempts {
    /// That were begun, with the error of those that failed.
    pub(crate) tried: Vec<(SocketAddr, Option<io::Error>)>,
}

impl Attempts {
    fn failed(&mut self, address: SocketAddr, error: io::Error) {
        if let Some(attempt) = self.tried.iter_mut().find(|(tried, _)| *tried == address) {
            attempt.1 = Some(error);
        }
    }
}

/// Connects to the first address that answers; `None` where none does.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    mut tried: impl FnMut(SocketAddr),
    attempts: &mut Attempts,
) -> Option<(TcpStream, SocketAddr)> {
    let mut waiting = addresses.iter().copied();
    let mut running = JoinSet::new();
    loop {
        if let Some(address) = waiting.next() {
            tried(address);
            attempts.tried.push((address, None));
            // The last one needs no company.
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

    /// A socket that is bound and does not listen: connections are refused, and nobody else gets the port.
    fn refusing() -> (TcpSocket, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    #[tokio::test]
    async fn the_first_that_answers_is_taken_and_the_failures_are_known() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let (_one, refused) = refusing();
        let mut attempts = Attempts::default();
        let found = connect(&[refused, good], |_| (), &mut attempts).await;
        assert_eq!(found.unwrap().1, good);
        assert_eq!(attempts.tried.len(), 2);
        assert!(attempts.tried[0].1.is_some() && attempts.tried[1].1.is_none());
        let mut attempts = Attempts::default();
        assert!(connect(&[refused, refused], |_| (), &mut attempts).await.is_none());
        assert!(connect(&[], |_| (), &mut attempts).await.is_none());
    }

    #[tokio::test]
    async fn one_that_does_not_answer_does_not_hold_the_next_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // A full backlog takes no connection and refuses none.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = socket.listen(0).unwrap();
        let silent = full.local_addr().unwrap();
        let mut crowd = JoinSet::new();
        for _ in 0..4 {
            crowd.spawn(TcpStream::connect(silent));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut attempts = Attempts::default();
        let found = connect(&[silent, good], |_| (), &mut attempts).await;
        assert_eq!(found.unwrap().1, good);
        assert_eq!(attempts.tried[0].0, silent);
        assert!(attempts.tried[0].1.is_none(), "it neither answered nor failed");
    }
}
