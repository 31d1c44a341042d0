//! What the peers make of Towline's spans.

mod files;
mod forwarded;
mod measured;
mod refused;
mod sent;
