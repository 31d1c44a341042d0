//! What a request costs, held against a table.
//!
//! `budgets.txt` says for each [path](path::PATHS) how many allocations and how many instructions one request takes over
//! the bare service. `cargo test -p towline-cost` counts both and fails where they differ: allocations must be the same,
//! instructions may be 2 % more or less. Unlike nanoseconds both repeat, on a machine that is busy as well.
//!
//! | test | what it holds |
//! |---|---|
//! | `budgets` | each path against the table |
//! | `flat` | memory, while hundreds of thousands of spans go through the exporter |
//! | `threads` | allocations and accounts, while eight threads end spans at once |
//!
//! # The table
//!
//! ```text
//! UPDATE=1 CARGO_PROFILE_DEV_DEBUG=0 cargo test -p towline-cost
//! UPDATE=1 cargo test -p towline-cost
//! UPDATE=1 cargo test --release -p towline-cost
//! ```
//!
//! write it anew, each the column of its [profile](table::Profile): without optimisation, debug information takes
//! instructions of its own, some 15 %. (Lines without variables, `line-tables-only`, take none, and Cargo does not tell the
//! two apart: such a build finds that everything became cheaper.) A count that fell is an error too, and says that the table is to be
//! renewed: what was won would be lost again unnoticed.
//!
//! The table names the compiler and the C library that it was made with. With others 25 % more are allowed, and any less;
//! for another target nothing is compared. Without valgrind no instructions are counted, and one line says so.
//!
//! # How it counts
//!
//! The request is that of the project's budgets: `GET /users/42?q=abc`, or one gRPC call, with eight headers whose values
//! are slices of one buffer, as hyper leaves them; one pending poll; a body of one frame, read to its end. It runs a few
//! times before 64 are counted, one after the other. A path is set up twice, in processes of their own:
//! [bare](callgrind::Side::Bare) and [with](callgrind::Side::With) what is counted. Making the requests is not counted, and
//! neither is the exporter's own thread, which sleeps until it is asked to flush. So counts repeat: to the instruction where
//! there is no exporter, else within half a percent, for what its thread allocates when it starts.
//!
//! # Whether it would notice
//!
//! Put a needless allocation into a path, such as this into `begin` of `middleware/http/src/server/layer.rs`:
//!
//! ```text
//! drop(std::hint::black_box(Vec::<u8>::with_capacity(1)));
//! ```
//!
//! and run `cargo test -p towline-cost --test budgets`. Each `http-server` row, and that of the server's layer alone, has an
//! allocation more than the table says. Its 160 instructions in a release build, 530 in a debug build, are more than 2 % of
//! `off`, `off-caller`, `unsampled-root` and `unsampled-caller`; of a sampled request they are less, and only the allocation
//! tells.
//!
//! The same for memory: `std::mem::forget(Box::new(1_u8))` in `on_end` of `middleware/otlp/src/exporter/processor.rs` is one
//! byte for each span, and `flat` and both tests of `threads` fail.

#![allow(
    clippy::exhaustive_enums,
    reason = "nobody depends on this crate but its own tests, which look at every case"
)]

pub mod callgrind;
pub mod exchange;
pub mod path;
pub mod request;
pub mod sink;
pub mod span;
pub mod subject;
pub mod table;
pub mod work;
