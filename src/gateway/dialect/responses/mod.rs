//! The responses API of OpenAI, without anything that would have to be kept from one call to the next.

mod calls;
mod input;
mod output;
mod request;
mod stream;
mod thoughts;
mod tools;

pub(super) use request::read;
pub(crate) use stream::Writer;
pub(crate) use tools::Names;
