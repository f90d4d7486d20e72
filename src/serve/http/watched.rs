//! The service of one connection, watched: the requests that run, and the answers that its client has not taken.

use crate::serve::http::activity::Activity;
use crate::serve::http::answers::AnswerLimits;
use axum::response::Response;
use hyper::service::Service;

/// A service, every request of which is noticed from its headers to those of its answer, and every answer counted until it is
/// taken.
#[derive(Debug, Clone)]
pub(crate) struct Watched<S> {
    pub(crate) activity: Activity,
    pub(crate) answers: AnswerLimits,
    pub(crate) service: S,
}

impl<R, S> Service<R> for Watched<S>
where
    S: Service<R, Response = Response>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<Response, S::Error>>;

    fn call(&self, request: R) -> Self::Future {
        let running = self.activity.begin();
        let answer = self.service.call(request);
        let limits = self.answers.clone();
        Box::pin(async move {
            let answer = limits.count(answer.await?).await;
            drop(running);
            Ok(answer)
        })
    }
}
