use towline_propagation::{Propagator, PropagatorKind};

use crate::TowlineBuilder;
use crate::environment::NamedPropagators;

/// The headers that carry the context, by the first who says so: code, environment, default.
pub(crate) fn find(builder: &TowlineBuilder, by_environment: NamedPropagators) -> Propagator {
    builder
        .propagator
        .clone()
        .or_else(|| Some(Propagator::of(by_environment.kinds?)))
        .unwrap_or_else(|| Propagator::of(PropagatorKind::DEFAULT.iter().copied()))
}
