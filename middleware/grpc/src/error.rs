//! What an error of a service, or of a body, says about the status of the call.

use std::any::{Any, type_name};
use std::error::Error;
use std::fmt;

use towline_span::Failure;

use crate::code::Code;
use crate::status::Status;

/// The status that an error stands for.
///
/// The error and its causes are searched for what tells the code: tonic's status and timeout, the
/// reason of an HTTP/2 reset, a connection that could not be made or was lost. The message is a
/// status' own, else the text of the error and its causes.
pub(crate) fn status_of<E: 'static>(error: &E) -> Status {
    let Some(error) = as_error(error) else {
        let message = type_name::<E>().to_owned();
        return Status {
            code: Code::Unknown,
            message,
        };
    };
    if let Some(status) = chain(error).find_map(own_status) {
        return status;
    }
    let code = chain(error)
        .find_map(specific_code)
        .or_else(|| chain(error).find_map(general_code))
        .unwrap_or(Code::Unknown);
    Status {
        code,
        message: text(error),
    }
}

/// The error behind a generic one, if it is of a type that is known here.
fn as_error<E: 'static>(error: &E) -> Option<&(dyn Error + 'static)> {
    fn of<T: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
        error.downcast_ref::<T>().map(|error| error as _)
    }
    let error: &dyn Any = error;
    if let Some(boxed) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**boxed);
    }
    #[cfg(feature = "tonic")]
    if let Some(error) = of::<tonic::Status>(error).or_else(|| of::<tonic::transport::Error>(error))
    {
        return Some(error);
    }
    of::<hyper::Error>(error)
        .or_else(|| of::<hyper_util::client::legacy::Error>(error))
        .or_else(|| of::<h2::Error>(error))
        .or_else(|| of::<std::io::Error>(error))
}

/// An error and its causes. A chain is as long as whoever made it, so it is followed so far only.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
    .take(MAX_CHAIN)
}

/// The status that an error *is*.
#[cfg(feature = "tonic")]
fn own_status(error: &(dyn Error + 'static)) -> Option<Status> {
    let status = error.downcast_ref::<tonic::Status>()?;
    let code = Code::ALL.get(status.code() as usize).copied();
    let code = code.unwrap_or(Code::Unknown);
    // tonic makes CANCELLED of its own timeout, and UNKNOWN of a lost connection: the causes tell.
    let vague = matches!(code, Code::Cancelled | Code::Unknown);
    let causes = || chain(status).skip(1).filter(|_| vague);
    let told = causes()
        .find_map(specific_code)
        .or_else(|| causes().find_map(general_code));
    Some(Status {
        code: told.unwrap_or(code),
        message: bounded(&status.message()),
    })
}

#[cfg(not(feature = "tonic"))]
fn own_status(_error: &(dyn Error + 'static)) -> Option<Status> {
    None
}

/// What says the code outright, and wins wherever in the chain it stands.
fn specific_code(error: &(dyn Error + 'static)) -> Option<Code> {
    #[cfg(feature = "tonic")]
    {
        if error.is::<tonic::TimeoutExpired>() || error.is::<tower::timeout::error::Elapsed>() {
            return Some(Code::DeadlineExceeded);
        }
        if error.is::<tower::load_shed::error::Overloaded>() {
            return Some(Code::ResourceExhausted);
        }
        if error.is::<tonic::ConnectError>() {
            return Some(Code::Unavailable);
        }
    }
    let error = error.downcast_ref::<h2::Error>()?;
    if error.is_go_away() && error.is_remote() {
        // The whole connection went, whatever for; the table is about single calls.
        return Some(Code::Unavailable);
    }
    error.reason().map(Code::from_reset)
}

/// What says that the connection is the trouble.
fn general_code(error: &(dyn Error + 'static)) -> Option<Code> {
    let lost = if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // "Canceled" is what hyper calls a request that it could not send any more.
        error.is_canceled()
            || error.is_closed()
            || error.is_timeout()
            || error.is_incomplete_message()
    } else if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
        error.is_connect()
    } else if let Some(error) = error.downcast_ref::<h2::Error>() {
        error.is_io()
    } else {
        error.is::<std::io::Error>()
    };
    lost.then_some(Code::Unavailable)
}

/// The text of an error and its causes, as far as a description is kept.
fn text(error: &(dyn Error + 'static)) -> String {
    struct Chain<'a>(&'a (dyn Error + 'static));

    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for (place, error) in chain(self.0).enumerate() {
                let separator = if place == 0 { "" } else { ": " };
                write!(f, "{separator}{error}")?;
            }
            Ok(())
        }
    }

    bounded(&Chain(error))
}

fn bounded(text: &impl fmt::Display) -> String {
    Failure::from_error(text).description().to_owned()
}

const MAX_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::io;

    use towline_span::MAX_DESCRIPTION_BYTES;

    use super::*;

    type BoxError = Box<dyn Error + Send + Sync>;

    #[derive(Debug)]
    struct Wrapper(&'static str, Option<Box<Self>>);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }

    #[test]
    fn errors_tell_their_code() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(status_of(&refused).code, Code::Unavailable);
        let boxed: BoxError = Box::new(refused);
        assert_eq!(status_of(&boxed).code, Code::Unavailable);
        for (reason, code) in [
            (h2::Reason::REFUSED_STREAM, Code::Unavailable),
            (h2::Reason::CANCEL, Code::Cancelled),
            (h2::Reason::PROTOCOL_ERROR, Code::Internal),
        ] {
            let boxed: BoxError = Box::new(h2::Error::from(reason));
            assert_eq!(status_of(&boxed).code, code, "{reason}");
            assert_eq!(status_of(&h2::Error::from(reason)).code, code, "{reason}");
        }
        let boxed: BoxError = "odd".into();
        assert_eq!(status_of(&boxed).code, Code::Unknown);
    }

    #[test]
    fn an_error_of_a_type_that_is_not_known_is_named_after_it() {
        let status = status_of(&Wrapper("text", None));
        assert_eq!(status.code, Code::Unknown);
        assert_eq!(status.message, type_name::<Wrapper>());
    }

    #[test]
    fn the_message_is_the_text_of_the_chain_as_far_as_it_is_kept() {
        let cause = Box::new(Wrapper("cause", None));
        let boxed: BoxError = Box::new(Wrapper("effect", Some(cause)));
        assert_eq!(status_of(&boxed).message, "effect: cause");
        let boxed: BoxError = "é".repeat(MAX_DESCRIPTION_BYTES).into();
        assert_eq!(
            status_of(&boxed).message,
            "é".repeat(MAX_DESCRIPTION_BYTES / 2)
        );
    }

    #[test]
    fn a_chain_without_end_is_followed_so_far_only() {
        #[derive(Debug)]
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("again")
            }
        }
        impl Error for Endless {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
        let boxed: BoxError = Box::new(Endless);
        let status = status_of(&boxed);
        assert_eq!(status.message.matches("again").count(), MAX_CHAIN);
        assert_eq!(status.code, Code::Unknown);
    }

    #[cfg(feature = "tonic")]
    #[test]
    fn tonics_errors_tell_theirs() {
        let status = status_of(&tonic::Status::resource_exhausted("too much"));
        assert_eq!(
            (status.code, &*status.message),
            (Code::ResourceExhausted, "too much")
        );
        for code in Code::ALL {
            let status = tonic::Status::new(tonic::Code::from_i32(code as i32), "");
            assert_eq!(status_of(&status).code, code);
        }
        // The cause knows better than what is around it.
        let cause = tonic::Status::from_error(Box::new(tonic::TimeoutExpired(())));
        let boxed: BoxError = Box::new(io::Error::other(cause));
        assert_eq!(status_of(&boxed).code, Code::DeadlineExceeded);
        let expired = || -> BoxError { Box::new(tonic::TimeoutExpired(())) };
        assert_eq!(status_of(&expired()).code, Code::DeadlineExceeded);
        let status = tonic::Status::from_error(expired());
        assert_eq!(status.code(), tonic::Code::Cancelled);
        assert_eq!(status_of(&status).code, Code::DeadlineExceeded);
        let mut status = tonic::Status::unknown("lost");
        status.set_source(std::sync::Arc::new(io::Error::other("reset")));
        assert_eq!(status_of(&status).code, Code::Unavailable);
        let mut status = tonic::Status::not_found("no such file");
        status.set_source(std::sync::Arc::new(io::Error::other("ENOENT")));
        assert_eq!(status_of(&status).code, Code::NotFound);
        let elapsed: BoxError = Box::new(tower::timeout::error::Elapsed::new());
        assert_eq!(status_of(&elapsed).code, Code::DeadlineExceeded);
        let overloaded: BoxError = Box::new(tower::load_shed::error::Overloaded::new());
        assert_eq!(status_of(&overloaded).code, Code::ResourceExhausted);
    }
}
