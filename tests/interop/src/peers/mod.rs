//! The peers, one a module: how it is started, and how what it has got is read.

pub mod collector;
pub mod rotel;
pub mod test_agent;
pub mod towline;
