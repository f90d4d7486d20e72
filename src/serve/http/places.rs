//! Places of connections: a limit in all and one a peer. When all are taken, the connection that has been idle longest goes; when
//! untaken answers fill their memory, the one that holds most of it.

use crate::serve::http::activity::Activity;
use crate::serve::http::untaken::Untaken;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The places of all connections.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    open: Arc<Mutex<Open>>,
    per_peer: usize,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Connection>,
    peers: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Connection {
    activity: Activity,
    untaken: Untaken,
    eviction: Arc<Notify>,
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    of: Arc<Mutex<Open>>,
    number: u64,
    peer: IpAddr,
    /// What the connection does.
    pub(crate) activity: Activity,
    /// The answers that its client has not taken.
    pub(crate) untaken: Untaken,
    eviction: Arc<Notify>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// `all` places, `per_peer` for one address.
    pub(crate) fn new(all: usize, per_peer: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(all)),
            open: Arc::default(),
            per_peer,
        }
    }

    /// A place for a connection from `peer`: a free one, that of the connection that has been idle longest, or else the next to
    /// become free. None where the peer has all that it may have.
    pub(crate) async fn take(&self, peer: IpAddr) -> Option<Place> {
        if lock(&self.open).peers.get(&peer).copied().unwrap_or(0) >= self.per_peer {
            return None;
        }
        if self.free.available_permits() == 0 {
            self.evict_idle();
        }
        // The semaphore is never closed.
        let permit = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let (activity, untaken) = (Activity::default(), Untaken::default());
        let eviction = Arc::new(Notify::new());
        let mut open = lock(&self.open);
        let number = open.next;
        open.next += 1;
        *open.peers.entry(peer).or_default() += 1;
        let connection = Connection {
            activity: activity.clone(),
            untaken: untaken.clone(),
            eviction: Arc::clone(&eviction),
        };
        open.connections.insert(number, connection);
        drop(open);
        Some(Place {
            of: Arc::clone(&self.open),
            number,
            peer,
            activity,
            untaken,
            eviction,
            _permit: permit,
        })
    }

    /// Tells the connection that has been idle longest to leave: no request of it runs, and its client has every answer.
    fn evict_idle(&self) {
        let open = lock(&self.open);
        let idle = open.connections.values().filter_map(|connection| {
            let since = connection.activity.idle_since()?;
            (connection.untaken.bytes() == 0).then_some((since, &connection.eviction))
        });
        if let Some((_, eviction)) = idle.min_by_key(|(since, _)| *since) {
            eviction.notify_one();
        }
    }

    /// Tells the connection whose untaken answers take most memory to leave.
    pub(crate) fn evict_most_untaken(&self) {
        let open = lock(&self.open);
        let all = open.connections.values();
        let most = all.max_by_key(|connection| connection.untaken.bytes());
        if let Some(connection) = most.filter(|connection| connection.untaken.bytes() > 0) {
            connection.eviction.notify_one();
        }
    }
}

impl Place {
    /// Ends when another connection needs the place.
    pub(crate) async fn evicted(&self) {
        self.eviction.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.of);
        open.connections.remove(&self.number);
        if let Some(count) = open.peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                open.peers.remove(&self.peer);
            }
        }
    }
}

/// Nothing panics while it holds the lock, so a poisoned one is as good as any.
fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn peer(last: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, last).into()
    }

    #[tokio::test]
    async fn when_all_are_taken_the_longest_idle_is_told_to_leave() {
        let places = Places::new(2, 2);
        let first = places.take(peer(1)).await.unwrap();
        let busy = first.activity.begin();
        let second = places.take(peer(1)).await.unwrap();
        let third = tokio::spawn({
            let places = places.clone();
            async move { places.take(peer(2)).await }
        });
        second.evicted().await;
        drop(second);
        assert!(third.await.unwrap().is_some());
        drop(busy);
        let quiet = tokio::time::timeout(Duration::from_millis(20), first.evicted());
        assert!(quiet.await.is_err(), "who works stays");
    }

    #[tokio::test]
    async fn who_is_still_taking_an_answer_is_not_idle() {
        let places = Places::new(1, 1);
        let only = places.take(peer(1)).await.unwrap();
        let held = only.untaken.begin(9);
        let next = tokio::time::timeout(Duration::from_millis(20), places.take(peer(2)));
        assert!(next.await.is_err());
        let quiet = tokio::time::timeout(Duration::from_millis(20), only.evicted());
        assert!(quiet.await.is_err(), "it is not told to leave");
        drop(held);
    }

    #[tokio::test]
    async fn one_peer_has_no_more_than_its_share() {
        let places = Places::new(10, 2);
        let held = (places.take(peer(1)).await, places.take(peer(1)).await);
        assert!(held.0.is_some() && held.1.is_some());
        assert!(places.take(peer(1)).await.is_none());
        assert!(places.take(peer(2)).await.is_some());
        drop(held);
        assert!(places.take(peer(1)).await.is_some());
        assert!(lock(&places.open).peers.is_empty());
    }
}
