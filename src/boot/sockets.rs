//! Connections of clients, as they come.

use std::any::Any;
use std::time::Duration;

use tokio::net::TcpStream;

/// A client that takes next to nothing of what was sent to it for so long is not waited for. Long enough for a laptop that is
/// closed for a moment, and for anybody who reads some hundred bytes a second.
const TAKEN_WITHIN: Duration = Duration::from_secs(300);

/// What every connection of a client is set to.
pub fn prepare(connection: &dyn Any) {
    let Some(socket) = connection.downcast_ref::<TcpStream>() else { return };
    // Each chunk of a stream leaves at once instead of waiting for the last one's receipt.
    socket.set_nodelay(true).ok();
    // Nothing above it bounds how long an answer may take to leave; see tcp(7), `TCP_USER_TIMEOUT`.
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(socket).set_tcp_user_timeout(Some(TAKEN_WITHIN)).ok();
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_not_waited_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        prepare(&socket);
        assert_eq!(socket2::SockRef::from(&socket).tcp_user_timeout().expect("known"), Some(TAKEN_WITHIN));
        assert!(socket.nodelay().expect("known"));
    }
}
