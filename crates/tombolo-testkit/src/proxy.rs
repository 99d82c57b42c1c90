//! A network that fails on purpose: a proxy between a client and a real server.
//!
//! [`FaultProxy`] listens on a free port of the loopback interface and passes bytes on as they are, until a [`ProxyPlan`] says
//! otherwise. Plans are changed while connections are open.

mod link;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What happens to the bytes of one direction. A position is a number of bytes that have passed unharmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// Each piece waits for so long. What follows waits behind it.
    Delay(Duration),
    /// No more than so many bytes pass in a second.
    Throttle(u64),
    /// Both sides are told that the connection is broken (RST).
    ResetAt(u64),
    /// Nothing more passes until the plan is changed.
    StallAt(u64),
    /// The receiver sees an orderly end (FIN); what the sender still sends is thrown away.
    TruncateAt(u64),
    /// The lowest bit of the byte is turned, so that text mostly stays text.
    CorruptAt(u64),
}

/// Which bytes are counted together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counting {
    /// Those of all connections since the plan was set: a fault happens once.
    #[default]
    Together,
    /// Those of one connection since the plan was set or the connection opened: a fault happens in each.
    PerConnection,
}

/// What a proxy does to connections. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct ProxyPlan {
    faults: Vec<(Direction, LinkFault)>,
    counting: Counting,
    refuses: bool,
}

impl ProxyPlan {
    /// A fault in one direction.
    #[must_use]
    pub fn on(mut self, direction: Direction, fault: LinkFault) -> Self {
        self.faults.push((direction, fault));
        self
    }

    /// How bytes are counted.
    #[must_use]
    pub fn counted(mut self, counting: Counting) -> Self {
        self.counting = counting;
        self
    }

    /// Nobody listens: new connections are refused, as by a server that is down. Open ones go on.
    #[must_use]
    pub fn refusing(mut self) -> Self {
        self.refuses = true;
        self
    }
}

/// A plan at work.
#[derive(Debug, Default)]
struct Active {
    plan: ProxyPlan,
    ledger: Arc<Ledger>,
}

/// Bytes that are counted together, and which faults have happened at them.
#[derive(Debug, Default)]
struct Ledger {
    bytes: [AtomicU64; 2],
    done: Vec<AtomicBool>,
}

impl Ledger {
    fn of(plan: &ProxyPlan) -> Arc<Self> {
        let done = plan.faults.iter().map(|_| AtomicBool::new(false)).collect();
        Arc::new(Self { bytes: Default::default(), done })
    }
}

/// What a proxy has seen since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyCounts {
    /// Connections accepted.
    pub connections: u64,
    /// Connections that are open.
    pub open: u64,
    /// Bytes passed on to the server.
    pub to_server: u64,
    /// Bytes passed on to the client.
    pub to_client: u64,
    /// Faults at positions that have happened.
    pub fired: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    passed: [AtomicU64; 2],
    fired: AtomicU64,
}

/// A proxy in front of one server. Dropping it closes its port and all connections.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    plan: watch::Sender<Arc<Active>>,
    resets: watch::Sender<u64>,
    counters: Arc<Counters>,
    /// Owns the task that listens, which owns those of the connections.
    _tasks: JoinSet<()>,
}

impl FaultProxy {
    /// Listens on a free port of the loopback interface for connections to a server.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (plan, plans) = watch::channel(Arc::default());
        let (resets, _) = watch::channel(0);
        let counters = Arc::<Counters>::default();
        let doors = Doors { address, server, plans, resets: resets.clone(), counters: Arc::clone(&counters) };
        let mut tasks = JoinSet::new();
        tasks.spawn(doors.serve(listener));
        Ok(Self { address, plan, resets, counters, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens, to open and to new connections. Bytes and faults are counted from zero.
    pub fn set(&self, plan: ProxyPlan) {
        self.counters.fired.store(0, Ordering::Release);
        let ledger = Ledger::of(&plan);
        self.plan.send_replace(Arc::new(Active { plan, ledger }));
    }

    /// Lets everything pass again.
    pub fn clear(&self) {
        self.set(ProxyPlan::default());
    }

    /// Breaks all open connections, as a server does that is started anew.
    pub fn reset_connections(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }

    /// What it has seen.
    pub fn counts(&self) -> ProxyCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let Counters { connections, open, passed: [to_server, to_client], fired } = &*self.counters;
        ProxyCounts {
            connections: read(connections),
            open: read(open),
            to_server: read(to_server),
            to_client: read(to_client),
            fired: read(fired),
        }
    }
}

/// The task that listens.
struct Doors {
    address: SocketAddr,
    server: SocketAddr,
    plans: watch::Receiver<Arc<Active>>,
    resets: watch::Sender<u64>,
    counters: Arc<Counters>,
}

impl Doors {
    async fn serve(mut self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut listener = Some(listener);
        loop {
            let refuses = self.plans.borrow_and_update().plan.refuses;
            if refuses {
                // Only a port on which nobody listens refuses as a server does that is down.
                listener = None;
            } else if listener.is_none() {
                listener = self.listen_again().await;
            }
            tokio::select! {
                changed = self.plans.changed() => if changed.is_err() { return },
                Some(_) = connections.join_next() => {}
                accepted = accept(listener.as_ref()) => if let Ok(client) = accepted {
                    self.counters.connections.fetch_add(1, Ordering::AcqRel);
                    connections.spawn(link::serve(
                        client,
                        self.server,
                        self.plans.clone(),
                        self.resets.subscribe(),
                        Arc::clone(&self.counters),
                    ));
                },
            }
        }
    }

    /// Takes the port back, which another program may have got in between.
    async fn listen_again(&self) -> Option<TcpListener> {
        for _ in 0..100 {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                return Some(listener);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the port of the proxy, {}, was taken by another program", self.address)
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
