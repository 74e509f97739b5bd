//! The TLS sessions with servers that a new connection can resume.
//!
//! A session of TLS 1.3 can be resumed as often as the server has given tickets for it: a ticket is used once (RFC 8446 §C.4).
//! Connections that are opened at the same time need a ticket each, and a connection that finds none does a full handshake.
//! So the number of tickets that are kept for a server grows with the number of connections that found none.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// The limit on the servers whose sessions are kept. The one that was added first makes room.
const MAX_SERVERS: usize = 1024;
/// The number of tickets that are kept for a server at first.
const MIN_TICKETS: usize = 4;
/// The limit on the tickets for a server. Each ticket comes with a copy of the server's certificates.
const MAX_TICKETS: usize = 128;

/// The sessions of one client configuration, for all workers. Its lock is taken when a connection is opened, never for a
/// request.
#[derive(Default)]
pub(super) struct Sessions {
    servers: Mutex<Servers>,
}

#[derive(Default)]
struct Servers {
    by_name: HashMap<ServerName<'static>, Server>,
    /// The names in the order in which they were added.
    order: VecDeque<ServerName<'static>>,
}

struct Server {
    /// The group of the last key exchange, so that the next one needs no second attempt.
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// The oldest ticket is first.
    tickets: VecDeque<Tls13ClientSessionValue>,
    max_tickets: usize,
}

impl Server {
    fn new() -> Self {
        Self { group: None, tls12: None, tickets: VecDeque::new(), max_tickets: MIN_TICKETS }
    }

    fn insert_ticket(&mut self, ticket: Tls13ClientSessionValue) {
        if self.tickets.len() >= self.max_tickets {
            self.tickets.pop_front();
        }
        self.tickets.push_back(ticket);
    }

    /// Takes the newest ticket. If there is none, more tickets are kept from now on.
    fn take_ticket(&mut self) -> Option<Tls13ClientSessionValue> {
        let ticket = self.tickets.pop_back();
        if ticket.is_none() {
            self.max_tickets = (2 * self.max_tickets).min(MAX_TICKETS);
        }
        ticket
    }
}

impl Servers {
    fn server(&mut self, name: &ServerName<'static>) -> &mut Server {
        if !self.by_name.contains_key(name) {
            if self.order.len() >= MAX_SERVERS
                && let Some(first) = self.order.pop_front()
            {
                self.by_name.remove(&first);
            }
            self.order.push_back(name.clone());
        }
        self.by_name.entry(name.clone()).or_insert_with(Server::new)
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.servers.lock().server(&name).group = Some(group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.servers.lock().by_name.get(name).and_then(|server| server.group)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.servers.lock().server(&name).tls12 = Some(session);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.servers.lock().by_name.get(name).and_then(|server| server.tls12.clone())
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        if let Some(server) = self.servers.lock().by_name.get_mut(name) {
            server.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.servers.lock().server(&name).insert_ticket(ticket);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.servers.lock().server(name).take_ticket()
    }
}

/// Shows no session: each one holds a secret.
impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("servers", &self.servers.lock().order.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ServerName<'static> {
        ServerName::try_from(format!("host{number}.example")).unwrap()
    }

    #[test]
    fn server_added_first_makes_room() {
        let sessions = Sessions::default();
        for number in 0..=MAX_SERVERS {
            sessions.set_kx_hint(name(number), NamedGroup::X25519);
        }
        let hint = |number| sessions.kx_hint(&name(number));
        assert_eq!((hint(0), hint(1), hint(MAX_SERVERS)), (None, Some(NamedGroup::X25519), hint(1)));
        let servers = sessions.servers.lock();
        assert_eq!((servers.by_name.len(), servers.order.len()), (MAX_SERVERS, MAX_SERVERS));
    }

    #[test]
    fn connections_without_ticket_raise_the_limit_of_their_server() {
        let sessions = Sessions::default();
        let limit = |number| sessions.servers.lock().server(&name(number)).max_tickets;
        assert_eq!(limit(1), MIN_TICKETS);
        assert!(sessions.take_tls13_ticket(&name(1)).is_none());
        assert_eq!((limit(1), limit(2)), (2 * MIN_TICKETS, MIN_TICKETS));
        for _ in 0..100 {
            sessions.take_tls13_ticket(&name(1));
        }
        assert_eq!(limit(1), MAX_TICKETS);
    }
}
