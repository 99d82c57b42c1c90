use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Active, Counters, Counting, Direction, Ledger, LinkFault};

/// Bytes that are passed on at once.
const PIECE_BYTES: usize = 16 << 10;

/// How many pieces a second's bytes are cut into where they are throttled.
const PIECES_A_SECOND: u64 = 20;

/// Serves one connection until both sides have ended it or it is broken.
pub(super) async fn serve(
    mut client: TcpStream,
    server: SocketAddr,
    plans: watch::Receiver<Arc<Active>>,
    mut resets: watch::Receiver<u64>,
    counters: Arc<Counters>,
) {
    let _open = Open::count(&counters);
    let Ok(mut server) = TcpStream::connect(server).await else {
        // The client is to see what it would see without the proxy, as near as that can be.
        return broken(&client);
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let passing = async {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let link = |direction| Link::new(direction, plans.clone(), &counters);
        tokio::try_join!(
            link(Direction::ToServer).pass(from_client, to_server),
            link(Direction::ToClient).pass(from_server, to_client),
        )
    };
    let is_broken = tokio::select! {
        passed = passing => passed.is_err(),
        _ = resets.changed() => true,
    };
    if is_broken {
        broken(&client);
        broken(&server);
    }
}

/// Makes the end of a connection a reset, once it is dropped.
fn broken(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    fn count(counters: &'a Counters) -> Self {
        counters.open.fetch_add(1, Ordering::AcqRel);
        Self(&counters.open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One direction of a connection.
struct Link<'a> {
    direction: Direction,
    plans: watch::Receiver<Arc<Active>>,
    active: Arc<Active>,
    ledger: Arc<Ledger>,
    counters: &'a Counters,
}

/// Whether the direction goes on after a fault.
enum After {
    GoOn,
    Ended,
}

impl<'a> Link<'a> {
    fn new(direction: Direction, mut plans: watch::Receiver<Arc<Active>>, counters: &'a Counters) -> Self {
        let active = Arc::clone(&plans.borrow_and_update());
        let ledger = ledger(&active);
        Self { direction, plans, active, ledger, counters }
    }

    /// Takes the plan that holds now.
    fn look(&mut self) {
        if self.plans.has_changed().unwrap_or(false) {
            self.active = Arc::clone(&self.plans.borrow_and_update());
            self.ledger = ledger(&self.active);
        }
    }

    fn faults(&self) -> impl Iterator<Item = (usize, LinkFault)> {
        let mine =
            self.active.plan.faults.iter().enumerate().filter(|(_, (direction, _))| *direction == self.direction);
        mine.map(|(index, (_, fault))| (index, *fault))
    }

    /// Passes bytes on until their end.
    ///
    /// # Errors
    /// Where the connection is broken, by a fault or by one of its sides.
    async fn pass(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                return to.shutdown().await;
            }
            self.look();
            let mut from_byte = self.ledger.bytes[self.direction as usize].fetch_add(read as u64, Ordering::AcqRel);
            let mut rest = &mut buffer[..read];
            while !rest.is_empty() {
                let end = from_byte + rest.len() as u64;
                let Some((at, index, fault)) = self.next_fault(from_byte, end) else {
                    self.write(&mut to, rest).await?;
                    break;
                };
                let (before, after) = rest.split_at_mut(usize::try_from(at - from_byte).unwrap());
                self.write(&mut to, before).await?;
                (from_byte, rest) = (at, after);
                if !self.ledger.done[index].swap(true, Ordering::AcqRel)
                    && let After::Ended = self.happen(fault, rest, &mut to).await?
                {
                    while from.read(&mut buffer).await? > 0 {}
                    return Ok(());
                }
            }
        }
    }

    /// The first fault at these bytes that is still to happen.
    fn next_fault(&self, from: u64, to: u64) -> Option<(u64, usize, LinkFault)> {
        let at = |fault| match fault {
            LinkFault::ResetAt(at) | LinkFault::StallAt(at) | LinkFault::TruncateAt(at) | LinkFault::CorruptAt(at) => {
                Some(at)
            }
            LinkFault::Delay(_) | LinkFault::Throttle(_) => None,
        };
        self.faults()
            .filter_map(|(index, fault)| Some((at(fault)?, index, fault)))
            .filter(|(at, index, _)| (from..to).contains(at) && !self.ledger.done[*index].load(Ordering::Acquire))
            .min_by_key(|(at, ..)| *at)
    }

    async fn happen(&mut self, fault: LinkFault, rest: &mut [u8], to: &mut WriteHalf<'_>) -> io::Result<After> {
        self.counters.fired.fetch_add(1, Ordering::AcqRel);
        match fault {
            LinkFault::ResetAt(_) => return Err(io::ErrorKind::ConnectionReset.into()),
            LinkFault::StallAt(_) => {
                // Where the proxy is gone nothing is to pass either, and this task is about to end.
                self.plans.changed().await.map_err(|_| io::ErrorKind::ConnectionReset)?;
            }
            LinkFault::TruncateAt(_) => {
                to.shutdown().await?;
                return Ok(After::Ended);
            }
            LinkFault::CorruptAt(_) => rest[0] ^= 1,
            LinkFault::Delay(_) | LinkFault::Throttle(_) => {}
        }
        Ok(After::GoOn)
    }

    async fn write(&self, to: &mut WriteHalf<'_>, bytes: &[u8]) -> io::Result<()> {
        let mut bytes_a_second = None;
        for (_, fault) in self.faults() {
            match fault {
                LinkFault::Delay(delay) if !bytes.is_empty() => sleep(delay).await,
                LinkFault::Throttle(rate) => bytes_a_second = Some(rate.max(1)),
                _ => {}
            }
        }
        let passed = &self.counters.passed[self.direction as usize];
        let Some(rate) = bytes_a_second else {
            to.write_all(bytes).await?;
            passed.fetch_add(bytes.len() as u64, Ordering::AcqRel);
            return Ok(());
        };
        let piece = usize::try_from((rate / PIECES_A_SECOND).max(1)).unwrap_or(PIECE_BYTES);
        for piece in bytes.chunks(piece) {
            sleep(Duration::from_secs_f64(piece.len() as f64 / rate as f64)).await;
            to.write_all(piece).await?;
            passed.fetch_add(piece.len() as u64, Ordering::AcqRel);
        }
        Ok(())
    }
}

/// Where a connection's bytes are counted.
fn ledger(active: &Active) -> Arc<Ledger> {
    match active.plan.counting {
        Counting::Together => Arc::clone(&active.ledger),
        Counting::PerConnection => Ledger::of(&active.plan),
    }
}
