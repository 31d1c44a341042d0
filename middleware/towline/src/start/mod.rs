//! From what was said to what runs.

mod announce;
mod certificates;
mod exporter;
pub(crate) mod limits;
mod plan;
mod provided;
mod reload;
mod report;
mod target;

use std::time::Duration;

pub(crate) use self::reload::Basis;
pub use self::reload::{Change, Reload};
pub use self::report::CheckReport;

use self::plan::Plan;
use crate::{StartError, Towline, TowlineBuilder};

/// Starts what was planned, if nothing is wrong with it.
pub(crate) fn start(builder: TowlineBuilder) -> Result<Towline, StartError> {
    let mut planned = plan::make(builder);
    if !planned.problems.is_empty() {
        // Nothing is started; what else is wrong is told with the rest.
        plan::check(&mut planned);
        return Err(StartError::new(planned.problems));
    }
    match planned.plan {
        None => Err(StartError::new(planned.problems)),
        Some(Plan::Off(off)) => Ok(off.start()),
        Some(Plan::Provided(provided)) => Ok(provided.start()),
        Some(Plan::Own(own)) => own.start(),
    }
}

/// Finds what is wrong, and starts nothing. With a deadline the collector is tried as well, if nothing is wrong so far.
pub(crate) fn check(builder: TowlineBuilder, deadline: Option<Duration>) -> CheckReport {
    let mut planned = plan::make(builder);
    plan::check(&mut planned);
    let is_reached = deadline
        .filter(|_| planned.problems.is_empty())
        .and_then(|deadline| plan::connect(&mut planned, deadline));
    report::of(planned).with_connection(is_reached)
}
