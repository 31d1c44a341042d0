//! How a call ends, and what its span says then.

use super::*;

#[test]
fn ok_in_the_head_is_kept_unless_the_trailers_know_better() {
    let message = || BodyStep::data("message");
    for (steps, expected, outcome) in [
        (vec![], "OK", Outcome::Completed),
        (vec![message()], "OK", Outcome::Completed),
        (
            vec![message(), BodyStep::trailer("grpc-status", "15")],
            "DATA_LOSS",
            Outcome::Completed,
        ),
        (
            vec![message(), BodyStep::trailer("x-other", "1")],
            "OK",
            Outcome::Completed,
        ),
        (
            vec![message(), BodyStep::Hang],
            "CANCELLED",
            Outcome::CancelledDuringBody,
        ),
        (
            vec![message(), BodyStep::Error("odd")],
            "UNKNOWN",
            Outcome::Failed,
        ),
    ] {
        for (kind, tracing) in sides() {
            let head = [("grpc-status", "0")];
            through(&kind, &tracing, answering(&head, steps.clone()));
            assert_eq!(code(&tracing.only()), expected, "{kind:?} {steps:?}");
            assert_outcome(&tracing.only(), outcome);
        }
    }
}

#[test]
fn an_error_in_the_head_ends_the_call_there() {
    for (kind, tracing) in sides() {
        let head = [("grpc-status", "14"), ("grpc-message", "later")];
        // Whoever reads it as gRPC says does not look at what is behind it.
        through(&kind, &tracing, answering(&head, [BodyStep::Hang]));
        let span = tracing.only();
        assert_eq!(code(&span), "UNAVAILABLE", "{kind:?}");
        assert_eq!(error_description(&span), Some("later"));
        assert_outcome(&span, Outcome::Completed);
    }
}

#[test]
fn a_panic_ends_the_call_as_one() {
    let panics = [
        || ScriptedFuture::panicking("in the future"),
        || answering(&[], [BodyStep::Panic("in the body")]),
    ];
    for panic in panics {
        for (kind, tracing) in sides() {
            let call = AssertUnwindSafe(|| through(&kind, &tracing, panic()));
            catch_unwind(call).unwrap_err();
            let span = tracing.only();
            assert_outcome(&span, Outcome::Panicked);
            assert_eq!(
                text_attribute(&span, "error.type").as_deref(),
                Some("panic")
            );
            assert_eq!(code(&span), "UNKNOWN");
        }
    }
}

#[test]
fn an_error_of_the_service_is_told_with_its_causes() {
    for (kind, tracing) in sides() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        through(&kind, &tracing, ScriptedFuture::ready(Err(refused.into())));
        let span = tracing.only();
        assert_eq!(code(&span), "UNAVAILABLE", "{kind:?}");
        assert_eq!(error_description(&span), Some("connection refused"));
        assert_outcome(&span, Outcome::Failed);
    }
}

#[test]
fn ok_is_never_set_as_a_status() {
    for (kind, tracing) in sides() {
        through(&kind, &tracing, ok());
        assert_eq!(tracing.only().status, Status::Unset, "{kind:?}");
    }
}
