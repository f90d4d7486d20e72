//! What the outside world tells a running service: reload, leave.

use tokio::sync::mpsc;

/// What the service is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Load the bundle again.
    Reload,
    /// Exit; `delayed` by the drain delay, so that load balancers notice, or at once.
    Shutdown {
        /// Wait for the drain delay first?
        delayed: bool,
    },
}

/// Tells a running service.
pub type Control = mpsc::Sender<Event>;
/// The service's end.
pub type Events = mpsc::Receiver<Event>;

/// A pair to drive a service by hand.
#[must_use]
pub fn manual() -> (Control, Events) {
    mpsc::channel(8)
}

/// Events from signals: SIGTERM leaves after the drain delay, SIGINT (Ctrl-C) at once, SIGHUP reloads.
///
/// # Errors
/// If the handlers cannot be installed.
#[cfg(unix)]
pub fn from_signals() -> std::io::Result<Events> {
    use tokio::signal::unix::{SignalKind, signal};
    let (control, events) = manual();
    let signals = [
        (SignalKind::terminate(), Event::Shutdown { delayed: true }),
        (SignalKind::interrupt(), Event::Shutdown { delayed: false }),
        (SignalKind::hangup(), Event::Reload),
    ];
    for (kind, event) in signals {
        let mut stream = signal(kind)?;
        let control = control.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                if control.send(event).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(events)
}

/// Events from signals: Ctrl-C leaves.
///
/// # Errors
/// None; the signature is that of the other systems.
#[cfg(not(unix))]
pub fn from_signals() -> std::io::Result<Events> {
    let (control, events) = manual();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if control
                .send(Event::Shutdown { delayed: false })
                .await
                .is_err()
            {
                return;
            }
        }
    });
    Ok(events)
}
