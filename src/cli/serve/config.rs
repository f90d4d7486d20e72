//! The options of `goodnet serve` as validated.

use super::args::{InferenceArgs, LimitArgs, QuarantineArgs, ServeArgs, TimeoutArgs, TrustArgs};
use crate::bundle::signature::Verifier;
use crate::cli::CliError;
use crate::engine::SessionConfig;
use crate::quarantine;
use crate::serve::config::{
    Access, Config, Inference, Quarantine, ServeLimits, Source, Timeouts, decoding_for,
    default_workers,
};
use crate::serve::http::hosts::LOOPBACK;
use crate::serve::http::keys::Keys;
use crate::serve::inference::pool::PoolConfig;
use std::net::SocketAddr;

/// The hosts that requests may be meant for where none are named; none: any.
pub(super) fn default_hosts(listen: SocketAddr) -> Option<Vec<String>> {
    let loopback = listen.ip().is_loopback();
    loopback.then(|| LOOPBACK.map(str::to_owned).to_vec())
}

impl ServeArgs {
    /// The settings, validated.
    ///
    /// # Errors
    /// If a key file is not usable.
    pub fn config(&self) -> Result<Config, CliError> {
        let verifier = self.trust.require_signature.as_deref();
        let keys = self.trust.keys.as_deref();
        let poll = self.trust.reload_interval;
        let inference = self.inference.validated();
        Ok(Config {
            source: Source {
                dir: self.bundle.clone(),
                poll: (!poll.is_zero()).then_some(poll),
                verifier: verifier
                    .map(Verifier::from_file)
                    .transpose()
                    .map_err(CliError::bad_input)?,
            },
            limits: self.limits.validated(inference.pool.workers),
            inference,
            timeouts: self.timeouts.validated(),
            access: Access {
                keys: keys
                    .map(Keys::from_file)
                    .transpose()
                    .map_err(CliError::bad_input)?,
                keys_file: self.trust.keys.clone(),
                allowed_hosts: self.trust.allowed_hosts(self.listen),
                open_metrics: self.trust.open_metrics,
                cors_origins: self.trust.cors_origins.clone(),
            },
            model_name: self.model_name.clone(),
            quarantine: self.quarantine.validated(),
            collector: self.logs.otlp.clone(),
        })
    }
}

impl TrustArgs {
    /// The hosts that requests may be meant for; none: any.
    fn allowed_hosts(&self, listen: SocketAddr) -> Option<Vec<String>> {
        if self.allowed_hosts.iter().any(|host| host == "*") {
            return None;
        }
        let mut hosts = self.allowed_hosts.clone();
        hosts.extend(default_hosts(listen).unwrap_or_default());
        (!hosts.is_empty()).then_some(hosts)
    }
}

impl InferenceArgs {
    fn validated(&self) -> Inference {
        Inference {
            pool: PoolConfig {
                workers: self.workers.map_or_else(default_workers, usize::from),
                queue: usize::from(self.queue),
            },
            session: SessionConfig {
                intra_threads: usize::from(self.intra_threads),
            },
            separate: self.separate,
            default_drop: self.default_drop,
            policy: self.policy,
        }
    }
}

impl LimitArgs {
    fn validated(&self, workers: usize) -> ServeLimits {
        ServeLimits {
            body: self.max_body,
            batch_body: self.max_batch_body,
            bodies: self.max_bodies,
            answers: self.max_answers,
            decoding: self.max_decoding.unwrap_or(decoding_for(workers)),
            batch_images: self.max_batch,
            pixels: self.max_pixels,
            side: self.max_side,
            connections: self.max_connections.max(1),
            connections_per_peer: self
                .max_connections_per_peer
                .unwrap_or(self.max_connections)
                .max(1),
            exact_decode: false,
        }
    }
}

impl TimeoutArgs {
    fn validated(&self) -> Timeouts {
        Timeouts {
            headers: self.header_timeout,
            body: self.body_timeout,
            request: self.request_timeout,
            write: self.write_timeout,
            answer: self.answer_timeout,
            drain_delay: self.drain_delay,
            drain: self.drain_timeout,
        }
    }
}

impl QuarantineArgs {
    fn validated(&self) -> Option<Quarantine> {
        Some(Quarantine {
            dir: self.quarantine.clone()?,
            limits: quarantine::RetentionLimits {
                bytes: self.quarantine_size,
                age: self.quarantine_days,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn without_options_the_settings_are_those_of_the_library() {
        let typed = Typed::try_parse_from(["serve", "--bundle", "there"]).unwrap();
        let mut expected = Config::new("there".into());
        expected.access.allowed_hosts = Some(LOOPBACK.map(str::to_owned).to_vec());
        let found = typed.serve.config().unwrap();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }
}
