//! What the peers make of Towline's spans.

mod files;
mod refused;
mod sent;
