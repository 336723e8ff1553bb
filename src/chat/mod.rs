//! The chat room: for whoever is signed in, without a key to make and without a program.
//!
//! What is always true here:
//! - A message is a call like any other: admitted, metered and settled by the gateway, booked on the member.
//! - The browser gets no key. Its session and the form's token stand for it, and are asked for every message.
//! - Nothing of a conversation is kept here. The browser keeps it, and sends what the next answer needs.

pub mod api;
pub mod pages;
mod told;
