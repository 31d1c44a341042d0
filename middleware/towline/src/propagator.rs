use towline_propagation::{Propagator, PropagatorKind};

use crate::TowlineBuilder;
use crate::environment::NamedPropagators;

/// The headers that carry the context, by the first who says so: code, file, environment, default.
pub(crate) fn find(builder: &TowlineBuilder, by_environment: NamedPropagators) -> Propagator {
    builder
        .propagator
        .clone()
        .or_else(|| {
            let kinds = builder
                .code
                .propagators()
                .or(builder.config.propagators())?;
            Some(Propagator::of(kinds.iter().copied()))
        })
        .or_else(|| Some(Propagator::of(by_environment.kinds?)))
        .unwrap_or_else(|| Propagator::of(PropagatorKind::DEFAULT.iter().copied()))
}
