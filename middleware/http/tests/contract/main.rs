//! What both layers promise, whichever side they stand on: every sentence here is proven of the
//! server's layer and of the client's.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

/// Makes a test for each side of generic functions that prove a sentence of any side.
macro_rules! on_both_sides {
    ($($sentence:ident),+ $(,)?) => {
        mod server {
            $(
                #[test]
                fn $sentence() {
                    super::$sentence::<crate::side::Server>();
                }
            )+
        }

        mod client {
            $(
                #[test]
                fn $sentence() {
                    super::$sentence::<crate::side::Client>();
                }
            )+
        }
    };
}

mod exchange;
mod side;

mod announced_lengths;
mod auto_traits;
mod backpressure;
mod cancellations;
mod current_context;
mod endings;
mod failures;
mod frames;
mod heads;
mod messages;
mod panics;
