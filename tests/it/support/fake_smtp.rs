//! A mail server that takes mails, refuses them, or never says which.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Takes,
    Refuses,
    Hangs,
}

pub struct FakeSmtp {
    pub url: String,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    taken: Vec<String>,
}

impl FakeSmtp {
    pub async fn start(mood: Mood) -> FakeSmtp {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { mood, taken: Vec::new() }));
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(talk(socket, shared.clone()));
            }
        });
        FakeSmtp { url, state }
    }

    pub fn becomes(&self, mood: Mood) {
        self.state.lock().expect("the state").mood = mood;
    }

    /// Whole mails with their heads, as they were sent.
    pub fn taken(&self) -> Vec<String> {
        self.state.lock().expect("the state").taken.clone()
    }
}

async fn talk(socket: TcpStream, state: Arc<Mutex<State>>) {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read).lines();
    let _ = write.write_all(b"220 fake.example\r\n").await;
    let mut body: Option<String> = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(mut text) = body.take() {
            if line != "." {
                text.push_str(&line);
                text.push('\n');
                body = Some(text);
                continue;
            }
            state.lock().expect("the state").taken.push(text);
        } else if line == "DATA" {
            body = Some(String::new());
        }
        let mood = state.lock().expect("the state").mood;
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "RCPT" if mood == Mood::Hangs => std::future::pending().await,
            "RCPT" if mood == Mood::Refuses => format!("550 5.1.1 {line}: no such mailbox\r\n"),
            "EHLO" => "250-fake.example\r\n250 AUTH PLAIN LOGIN\r\n".to_owned(),
            // As careless as some are: it repeats what it was told.
            "AUTH" if mood == Mood::Refuses => format!("535 5.7.8 {line} is not you\r\n"),
            "AUTH" => "235 welcome\r\n".to_owned(),
            "DATA" => "354 go on\r\n".to_owned(),
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        };
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
