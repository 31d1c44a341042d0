//! The forwarder as a process: real sockets before it, a scripted collector behind it.

mod check;
mod client;
mod daemon;
mod received;
mod secured;
mod stopped;
