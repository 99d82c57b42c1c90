use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Counting, Direction, FaultProxy, LinkFault, ProxyPlan};

/// Bytes that the server sends for each that it is asked for.
const BULK: usize = 100_000;

/// A server that sends a known row of bytes for each byte that comes, and ends when its client does.
struct Bulk {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Bulk {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let mut asked = [0; 64];
                    while let Ok(read @ 1..) = client.read(&mut asked).await {
                        for &byte in &asked[..read] {
                            if client.write_all(&bulk(byte)).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
        Self { address, _tasks: tasks }
    }
}

fn bulk(asked: u8) -> Vec<u8> {
    (0..BULK).map(|index| asked.wrapping_add((index % 251) as u8)).collect()
}

async fn proxy() -> (Bulk, FaultProxy) {
    let server = Bulk::start().await;
    let proxy = FaultProxy::start(server.address).await.unwrap();
    (server, proxy)
}

/// Asks once on a new connection, says that no more is asked, and reads to the end.
async fn ask(proxy: &FaultProxy) -> (Vec<u8>, Option<ErrorKind>) {
    let mut connection = TcpStream::connect(proxy.address()).await.unwrap();
    connection.write_all(&[7]).await.unwrap();
    connection.shutdown().await.unwrap();
    read(&mut connection).await
}

async fn read(connection: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        match connection.read(&mut buffer).await {
            Ok(0) => return (bytes, None),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) => return (bytes, Some(error.kind())),
        }
    }
}

async fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn to_client(fault: LinkFault) -> ProxyPlan {
    ProxyPlan::default().on(Direction::ToClient, fault)
}

#[tokio::test]
async fn without_a_plan_all_bytes_pass_and_are_counted() {
    let (_server, proxy) = proxy().await;
    for nth in 1..=3 {
        assert_eq!(ask(&proxy).await, (bulk(7), None));
        let counts = proxy.counts();
        assert_eq!((counts.connections, counts.to_server, counts.to_client), (nth, nth, nth * BULK as u64));
    }
    assert_eq!(proxy.counts().fired, 0);
}

#[tokio::test]
async fn a_truncated_stream_ends_in_order_after_exactly_so_many_bytes() {
    let (_server, proxy) = proxy().await;
    for at in [0, 1, 16_383, 16_384, 50_000, BULK - 1] {
        proxy.set(to_client(LinkFault::TruncateAt(at as u64)));
        assert_eq!(ask(&proxy).await, (bulk(7)[..at].to_vec(), None), "at {at}");
        assert_eq!(proxy.counts().fired, 1);
        assert_eq!(ask(&proxy).await, (bulk(7), None), "counted together a fault happens once");
    }
    proxy.set(to_client(LinkFault::TruncateAt(BULK as u64)));
    assert_eq!(ask(&proxy).await, (bulk(7), None), "nothing is behind the last byte");
    assert_eq!(proxy.counts().fired, 0);
}

#[tokio::test]
async fn a_reset_is_an_error_and_nothing_behind_it_comes() {
    let (_server, proxy) = proxy().await;
    for at in [0, 1, 50_000, BULK as u64 - 1] {
        proxy.set(to_client(LinkFault::ResetAt(at)).counted(Counting::PerConnection));
        for _ in 0..2 {
            let (bytes, error) = ask(&proxy).await;
            assert_eq!(error, Some(ErrorKind::ConnectionReset), "at {at}");
            // What was on its way may be thrown away with the connection.
            assert!(bytes.len() as u64 <= at && bulk(7).starts_with(&bytes), "at {at}: {} bytes", bytes.len());
        }
        assert_eq!(proxy.counts().fired, 2, "counted by connection it happens in each");
    }
}

#[tokio::test]
async fn one_bit_is_corrupted_and_no_other() {
    let (_server, proxy) = proxy().await;
    for at in [0, 16_384, 77_777, BULK - 1] {
        proxy.set(to_client(LinkFault::CorruptAt(at as u64)));
        let (bytes, error) = ask(&proxy).await;
        let mut wanted = bulk(7);
        wanted[at] ^= 1;
        assert!(bytes == wanted && error.is_none(), "at {at}");
    }
    proxy.set(ProxyPlan::default().on(Direction::ToServer, LinkFault::CorruptAt(0)));
    assert_eq!(ask(&proxy).await, (bulk(7 ^ 1), None));
}

#[tokio::test]
async fn a_stall_lasts_until_the_plan_is_changed() {
    let (_server, proxy) = proxy().await;
    proxy.set(to_client(LinkFault::StallAt(40_000)));
    let mut asking = Box::pin(ask(&proxy));
    assert!(timeout(Duration::from_millis(200), &mut asking).await.is_err());
    assert_eq!(proxy.counts().to_client, 40_000);
    proxy.clear();
    assert_eq!(asking.await, (bulk(7), None));
}

#[tokio::test]
async fn delays_and_throttles_take_their_time_and_change_nothing() {
    let (_server, proxy) = proxy().await;
    for (fault, at_least) in [
        (LinkFault::Delay(Duration::from_millis(30)), Duration::from_millis(30)),
        (LinkFault::Throttle(BULK as u64 * 4), Duration::from_millis(240)),
    ] {
        proxy.set(to_client(fault));
        let begun = Instant::now();
        assert_eq!(ask(&proxy).await, (bulk(7), None), "{fault:?}");
        assert!(begun.elapsed() >= at_least, "{fault:?} took {:?}", begun.elapsed());
        assert!(begun.elapsed() < at_least * 20 + Duration::from_secs(1), "{fault:?} took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn connections_are_refused_until_the_server_is_up_again() {
    let (_server, proxy) = proxy().await;
    let mut open = TcpStream::connect(proxy.address()).await.unwrap();
    open.write_all(&[1]).await.unwrap();
    let mut first = vec![0; BULK];
    open.read_exact(&mut first).await.unwrap();
    proxy.set(ProxyPlan::default().refusing());
    let begun = Instant::now();
    // Another task closes the port; what waits at it in that moment is reset.
    while !is_refused(proxy.address()).await {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    open.write_all(&[2]).await.unwrap();
    open.read_exact(&mut first).await.unwrap();
    assert_eq!(first, bulk(2), "what is open goes on");
    proxy.clear();
    while is_refused(proxy.address()).await {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ask(&proxy).await, (bulk(7), None));
}

#[tokio::test]
async fn open_connections_are_reset_on_demand() {
    let (_server, proxy) = proxy().await;
    let mut connection = TcpStream::connect(proxy.address()).await.unwrap();
    connection.write_all(&[1]).await.unwrap();
    connection.read_exact(&mut vec![0; BULK]).await.unwrap();
    proxy.reset_connections();
    assert_eq!(read(&mut connection).await, (Vec::new(), Some(ErrorKind::ConnectionReset)));
    assert_eq!(ask(&proxy).await, (bulk(7), None));
}

#[tokio::test]
async fn a_server_that_is_down_is_a_broken_connection() {
    let (server, proxy) = proxy().await;
    drop(server);
    tokio::task::yield_now().await;
    let mut connection = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut connection).await, (Vec::new(), Some(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn dropping_a_proxy_ends_its_tasks_and_connections() {
    let server = Bulk::start().await;
    tokio::task::yield_now().await;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let proxy = FaultProxy::start(server.address).await.unwrap();
    let address = proxy.address();
    proxy.set(to_client(LinkFault::StallAt(10)));
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(&[7]).await.unwrap();
    connection.read_exact(&mut [0; 10]).await.unwrap();
    assert_eq!(proxy.counts().open, 1);
    drop(proxy);
    let ended = timeout(Duration::from_secs(5), read(&mut connection)).await.unwrap();
    assert!(ended.0.is_empty());
    let begun = Instant::now();
    while !is_refused(address).await {
        assert!(begun.elapsed() < Duration::from_secs(5), "somebody listens");
    }
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > before {
        assert!(begun.elapsed() < Duration::from_secs(5), "a task is left");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
