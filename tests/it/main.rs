//! The integration tests: one program, so that it is linked once.

mod fake_upstream;
mod support;
