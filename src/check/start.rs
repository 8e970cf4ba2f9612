//! Checks the states that have no column in the log.

use crate::config::SignalSpec;
use crate::resolve::Faults;
use crate::schema::Role;

/// Reports contradictions between `start` and the other keys of a signal.
pub(super) fn start(faults: &mut Faults<'_>, signal: &SignalSpec) {
    if let (Some(start), Some(column)) = (&signal.start, &signal.column) {
        let message = format!("`{}` has both a start value ({}) and a column", signal.name.value, start.value);
        faults.add(
            "contradiction",
            &column.span,
            message,
            "keep `column` if the state is logged, and `start` otherwise",
        );
    }
    if let (Some(start), None, Role::State) = (&signal.start, &signal.next, *signal.role) {
        let message =
            format!("the later values of `{}` are unknown, because this state has no equation", signal.name.value);
        let help = "add `next = \"…\"`, the value at the next step, like `next = \"stock + receipt - sales\"`";
        faults.add("missing-key", &start.span, message, help);
    }
    if let (Some(start), Some(true)) = (&signal.start, signal.residual.as_ref().map(|r| r.value)) {
        let message = format!(
            "the error of the equation of `{}` cannot be learned, because this state is not logged",
            signal.name.value
        );
        faults.add("contradiction", &start.span, message, "remove `residual`, or give the state a `column`");
    }
}
