//! What the specifications demand of Towline, case by case, against its public interfaces.
//!
//! Each specification has a folder in `tests/`; this library is empty.
//!
//! | folder | contract |
//! |---|---|
//! | `w3c_trace_context` | the W3C validation suite for Trace Context, levels 1 and 2, and what that suite misses |
