//! Which problems which routes can answer with, for the OpenAPI document.

use crate::serve::http::problem::ProblemBody;
use utoipa::IntoResponses;

macro_rules! problems {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $status:literal,)+ }) => {
        $(#[$meta])*
        #[derive(IntoResponses)]
        #[allow(dead_code, reason = "stands for responses in the OpenAPI document only")]
        pub(crate) enum $name {
            $(
                $(#[$doc])*
                #[response(status = $status, content_type = "application/problem+json")]
                $variant(ProblemBody),
            )+
        }
    };
}

problems! {
    /// What every route but the probes can answer.
    ServiceProblems {
        /// `unauthorized`: the service has keys and the request carries none of them.
        Unauthorized = 401,
        /// `internal`: the service is at fault; the log has the reason.
        Internal = 500,
        /// `not_ready` or `draining`: try again after `Retry-After`.
        Unavailable = 503,
        /// `timeout`: the answer did not come in time.
        Timeout = 504,
    }
}

problems! {
    /// What routes with a query string can answer.
    QueryProblems {
        /// `malformed_query` or `malformed_body`: the detail says what was expected.
        Malformed = 400,
        /// `unknown_drop`, `unknown_policy` or `not_found`.
        Unknown = 404,
    }
}

problems! {
    /// What routes that take images can answer.
    ImageProblems {
        /// `body_timeout`: the body did not arrive in time.
        BodyTimeout = 408,
        /// `body_too_large` or `too_many_images`.
        TooLarge = 413,
        /// `unsupported_media_type` or `unsupported_content_encoding`.
        Unsupported = 415,
        /// `undecodable_image` or `image_outside_limits`.
        Unprocessable = 422,
        /// `overloaded`: the queue is full; try again after `Retry-After`.
        Overloaded = 429,
    }
}

problems! {
    /// What routes with more than one representation can answer.
    NegotiationProblems {
        /// `not_acceptable`: `Accept` admits none of them.
        NotAcceptable = 406,
    }
}

problems! {
    /// What routes that show nothing without keys can answer.
    ForbiddenProblems {
        /// `forbidden`: the service was started without keys.
        Forbidden = 403,
    }
}

problems! {
    /// What routes that name a model can answer.
    NamedProblems {
        /// `not_found`: no such model or version.
        NotFound = 404,
    }
}
