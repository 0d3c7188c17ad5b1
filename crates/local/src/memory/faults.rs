//! Faults at any call of any port: a killed process, a throttled service, an answer that was lost.
//!
//! One decorator ([`Faults::wrap`]) around all ports asks one [`FaultPlan`] before each call. A crash stops the calling
//! future for ever: whoever polls it sees that it is pending, asks [`Faults::has_crashed`], and drops it, which is all that
//! a killed process leaves undone. The clock is not wrapped: reading it cannot fail.
//!
//! Faults are true to the services: one that cannot happen at a call leaves the call alone ([`Fault::applies_to`]).

mod ports;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use refit_app::ports::Ports;

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// State.
    Table,
    /// Documents and data.
    Objects,
    /// Training.
    Pipelines,
    /// The model registry.
    Packages,
    /// Serving.
    Endpoints,
    /// Events and alerts.
    Publisher,
}

/// One call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its number, from 1, over all ports.
    pub index: u64,
    /// The port.
    pub port: Port,
    /// The method.
    pub method: &'static str,
    /// Whether the method changes anything.
    pub is_write: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} {:?}::{}", self.index, self.port, self.method)
    }
}

/// What goes wrong at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies before the call has an effect.
    CrashBefore,
    /// The process dies after the call had its effect.
    CrashAfter,
    /// The service asks to slow down; no effect.
    Throttled,
    /// The service cannot be reached; no effect.
    Unavailable,
    /// The call had its effect, but the answer was lost.
    UnavailableAfter,
    /// Somebody else writes an item first, so that the transaction is refused.
    Conflict,
    /// The call had its effect; the service's own repetition of it was refused because of that.
    ConflictAfter,
    /// Only the first entry of a batch had its effect; a page of a listing ends after its first entry.
    Partial,
    /// The answer is older than what was written last: an index does not know of it yet.
    StaleRead,
    /// The account takes no more of it now; no effect.
    QuotaHit,
    /// The process is frozen before the call and goes on with it when its future is polled again.
    Pause,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Fault; 11] = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::Throttled,
        Fault::Unavailable,
        Fault::UnavailableAfter,
        Fault::Conflict,
        Fault::ConflictAfter,
        Fault::Partial,
        Fault::StaleRead,
        Fault::QuotaHit,
        Fault::Pause,
    ];

    /// Whether the fault can happen at the call and differs there from every fault before it in [`Fault::ALL`].
    #[must_use]
    pub fn applies_to(self, call: &Call) -> bool {
        match self {
            Fault::CrashBefore | Fault::Unavailable | Fault::Pause => true,
            Fault::CrashAfter | Fault::UnavailableAfter => call.is_write,
            // The other ports do not tell throttling and outage apart.
            Fault::Throttled => call.port == Port::Table,
            Fault::Conflict => call.port == Port::Table && call.is_write,
            Fault::ConflictAfter => matches!(call.port, Port::Table | Port::Objects) && call.is_write,
            Fault::Partial => matches!(
                (call.port, call.method),
                (Port::Publisher, "publish") | (Port::Table, "query" | "list_due") | (Port::Objects, "list")
            ),
            // The table's other reads are consistent, and so is the object store; the pipeline service's lag is its own.
            Fault::StaleRead => call.port == Port::Table && call.method == "list_due",
            Fault::QuotaHit => call.port == Port::Pipelines && call.method == "ensure_started",
        }
    }
}

/// Decides what goes wrong.
pub trait FaultPlan: Send + Sync {
    /// What goes wrong at this call, if anything. Asked once for each call, in their order.
    fn decide(&self, call: &Call) -> Option<Fault>;
}

/// One fault at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// The call's number.
    pub index: u64,
    /// What goes wrong there.
    pub fault: Fault,
}

impl FaultPlan for At {
    fn decide(&self, call: &Call) -> Option<Fault> {
        (call.index == self.index).then_some(self.fault)
    }
}

/// Nothing goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calm;

impl FaultPlan for Calm {
    fn decide(&self, _call: &Call) -> Option<Fault> {
        None
    }
}

/// Counts calls and injects faults. Clones are handles on the same count.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    plan: Box<dyn FaultPlan>,
    calls: AtomicU64,
    injected: AtomicU64,
    has_crashed: AtomicBool,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

impl Faults {
    /// Faults by `plan`, counting from the first call.
    #[must_use]
    pub fn new(plan: impl FaultPlan + 'static) -> Faults {
        Faults::resume(plan, 0)
    }

    /// Faults by `plan` in a history that was begun earlier and saw `calls` calls.
    #[must_use]
    pub fn resume(plan: impl FaultPlan + 'static, calls: u64) -> Faults {
        let shared = Shared {
            plan: Box::new(plan),
            calls: AtomicU64::new(calls),
            injected: AtomicU64::new(0),
            has_crashed: AtomicBool::new(false),
        };
        Faults { shared: Arc::new(shared) }
    }

    /// The same ports with faults; the clock is as before.
    #[must_use]
    pub fn wrap(&self, ports: Ports) -> Ports {
        ports::wrap(self, ports)
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// How many faults had an effect.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.shared.injected.load(Ordering::SeqCst)
    }

    /// Whether a call has stopped its caller for ever since this was asked last.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.shared.has_crashed.swap(false, Ordering::SeqCst)
    }

    /// Counts a call and says what goes wrong there.
    fn decide(&self, port: Port, method: &'static str, is_write: bool) -> Option<Fault> {
        let index = self.shared.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let call = Call { index, port, method, is_write };
        let fault = self.shared.plan.decide(&call).filter(|it| it.applies_to(&call));
        if fault.is_some() {
            self.shared.injected.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }

    /// Freezes the calling process until it is polled again.
    async fn pause(&self) {
        let mut is_frozen = true;
        std::future::poll_fn(|_| if std::mem::take(&mut is_frozen) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// The end of the calling process.
    async fn crash<T>(&self) -> T {
        self.shared.has_crashed.store(true, Ordering::SeqCst);
        std::future::pending().await
    }
}
