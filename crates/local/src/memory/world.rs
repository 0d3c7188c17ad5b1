//! The services of the test world put together, with a bus that delivers one event at a time.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{Clock, Ports, Table};
use refit_app::use_cases::policy::{KnownPolicies, apply};
use refit_app::{AppError, Context, ErrorClass, Memo, Settings};
use refit_core::policy::{Policy, read};
use refit_core::{Actor, ObjectUri};
use refit_handlers::{Function, Response, handle};
use serde_json::{Value, json};

use super::faults::{Calm, Faults};
use super::{
    EndpointsSnapshot, MemoryEndpoints, MemoryPackages, MemoryPipelines, MemoryPublisher, PackagesSnapshot,
    PipelinesSnapshot, PublisherSnapshot, Ran, hash_words, poll,
};
use crate::clock::ManualClock;
use crate::routing::{envelope, targets, targets_of_fact};
use crate::store::{MemoryObjects, MemoryTable, ObjectsSnapshot, TableSnapshot};

/// The id of the one model of the test world.
pub const MODEL: &str = "m";

/// How often an event is delivered again after a failure, as Lambda does for asynchronous events.
const RETRIES: u32 = 2;

/// The parameters that the model's pipeline declares.
pub(crate) const PARAMETERS: [&str; 8] = [
    "RefitRunId",
    "TrainStart",
    "TrainEnd",
    "HoldoutStart",
    "HoldoutEnd",
    "ModelPackageGroup",
    "ChampionPackageArn",
    "OutputUri",
];

/// Who decides about promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promotion {
    /// A person.
    Manual,
    /// The bar for promotion without a person.
    Automatic,
}

/// The policy of the test world: regression model `m`, checked once a day on windows of a day.
///
/// # Panics
/// Never: the text is a constant.
#[must_use]
pub fn policy(promotion: Promotion) -> Policy {
    let promotion = match promotion {
        Promotion::Manual => "mode: manual",
        Promotion::Automatic => {
            "mode: auto, auto_promote: { metric: mae, min_improvement: 0.05, lower_bound_above: 0 }"
        }
    };
    let text = include_str!("policy.yaml").replace("mode: manual", promotion);
    read(&text).unwrap_or_else(|problems| panic!("the policy of the test world is wrong: {problems:?}"))
}

/// An event on its way to a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The function.
    pub function: Function,
    /// The event; whoever it is delivered to reads it.
    pub event: Arc<Value>,
    /// How often it may still be delivered again.
    pub retries: u32,
}

impl Delivery {
    /// An event for one function.
    #[must_use]
    pub fn new(function: Function, event: Value, retries: u32) -> Delivery {
        Delivery { function, event: Arc::new(event), retries }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.event.get("detail-type").or_else(|| self.event.get("kind")).and_then(Value::as_str);
        write!(f, "{} <- {}", self.function, kind.unwrap_or("stream"))
    }
}

/// What became of a delivery.
#[derive(Debug)]
pub enum Delivered {
    /// The function answered.
    Answered(Response),
    /// The function failed.
    Failed(AppError),
    /// The function was killed.
    Killed,
}

/// The test world.
pub struct MemoryWorld {
    /// Time.
    pub clock: ManualClock,
    /// State.
    pub table: MemoryTable,
    /// Documents and data.
    pub objects: MemoryObjects,
    /// Training.
    pub pipelines: MemoryPipelines,
    /// The model registry.
    pub packages: MemoryPackages,
    /// Serving.
    pub endpoints: MemoryEndpoints,
    /// Events and alerts.
    pub publisher: MemoryPublisher,
    /// Events under way, the next first.
    pub queue: VecDeque<Delivery>,
    /// Failures that a person has to look at.
    pub dead_letters: Vec<String>,
    /// What functions work with.
    ports: Ports,
    /// Events of the bus that are lost on their way.
    lost: Option<Lost>,
    faults: Faults,
    /// What functions remember from call to call, when they are kept warm.
    known: Option<KnownPolicies>,
    /// What pure functions gave, in all worlds of this thread.
    memo: Memo,
}

/// Most results of a kind that are remembered on a thread.
const MOST_REMEMBERED: usize = 4_096;

thread_local! {
    static MEMO: Memo = Memo::of(MOST_REMEMBERED);
}

type Lost = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

impl fmt::Debug for MemoryWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWorld").field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Everything a [`MemoryWorld`] held at one moment.
#[derive(Debug, Clone)]
pub struct WorldSnapshot {
    now: Timestamp,
    table: TableSnapshot,
    objects: ObjectsSnapshot,
    pipelines: PipelinesSnapshot,
    packages: PackagesSnapshot,
    endpoints: EndpointsSnapshot,
    publisher: PublisherSnapshot,
    queue: VecDeque<Delivery>,
    dead_letters: Vec<String>,
}

impl Hash for WorldSnapshot {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let WorldSnapshot { now, table, objects, pipelines, packages, endpoints, publisher, queue, dead_letters } =
            self;
        (now, table, objects, pipelines, packages, endpoints, publisher, dead_letters).hash(hasher);
        hash_words(queue, hasher);
    }
}

impl MemoryWorld {
    /// A world at `now` without a policy; the model's pipeline is defined and the reference is there.
    ///
    /// # Panics
    /// Never: the addresses are constants.
    #[must_use]
    pub fn new(now: Timestamp) -> MemoryWorld {
        let world = MemoryWorld::empty(now);
        world.pipelines.define("m-retrain", &PARAMETERS);
        let reference: String = (0..40).map(|it| format!("{it}\n")).collect();
        let uri = "s3://data/reference/rows.csv".parse().expect("invariant: a constant address");
        world.objects.overwrite(&uri, format!("x\n{reference}").as_bytes()).expect("invariant: a constant address");
        world
    }

    fn empty(now: Timestamp) -> MemoryWorld {
        let clock = ManualClock::new(now);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let objects = MemoryObjects::new(Arc::clone(&shared));
        let packages = MemoryPackages::default();
        let pipelines = MemoryPipelines::new(packages.clone(), objects.clone(), clock.clone());
        let table = MemoryTable::new(Arc::clone(&shared));
        let (endpoints, publisher) = (MemoryEndpoints::default(), MemoryPublisher::default());
        let ports = Ports {
            table: Arc::new(table.clone()),
            objects: Arc::new(objects.clone()),
            pipelines: Arc::new(pipelines.clone()),
            packages: Arc::new(packages.clone()),
            endpoints: Arc::new(endpoints.clone()),
            publisher: Arc::new(publisher.clone()),
            clock: shared,
        };
        MemoryWorld {
            clock,
            table,
            objects,
            pipelines,
            packages,
            endpoints,
            publisher,
            ports,
            queue: VecDeque::new(),
            dead_letters: Vec::new(),
            lost: None,
            faults: Faults::new(Calm),
            known: None,
            memo: MEMO.with(Memo::clone),
        }
    }

    /// A world of its own that begins at the snapshot; without faults.
    #[must_use]
    pub fn at(snapshot: &WorldSnapshot) -> MemoryWorld {
        let mut world = MemoryWorld::empty(snapshot.now);
        world.table.restore(&snapshot.table);
        world.objects.restore(&snapshot.objects);
        world.pipelines.restore(&snapshot.pipelines);
        world.packages.restore(&snapshot.packages);
        world.endpoints.restore(&snapshot.endpoints);
        world.publisher.restore(&snapshot.publisher);
        world.queue.clone_from(&snapshot.queue);
        world.dead_letters.clone_from(&snapshot.dead_letters);
        world
    }

    /// What the world holds now.
    #[must_use]
    pub fn snapshot(&self) -> WorldSnapshot {
        WorldSnapshot {
            now: self.clock.now(),
            table: self.table.snapshot(),
            objects: self.objects.snapshot(),
            pipelines: self.pipelines.snapshot(),
            packages: self.packages.snapshot(),
            endpoints: self.endpoints.snapshot(),
            publisher: self.publisher.snapshot(),
            queue: self.queue.clone(),
            dead_letters: self.dead_letters.clone(),
        }
    }

    /// Lets the functions work with another table than the world's own, usually one around it.
    pub fn watch_table(&mut self, table: Arc<dyn Table>) {
        self.ports.table = table;
    }

    /// Lets functions remember from call to call what a warm process remembers. Without it each call is a process of its
    /// own, and a history can be gone on with from any moment.
    pub fn keep_warm(&mut self) {
        self.known = Some(KnownPolicies::default());
    }

    /// Injects faults into every port from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// The faults that are injected.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Loses the bus's events that `is_lost`, wake-ups included.
    pub fn lose(&mut self, is_lost: impl Fn(&Value) -> bool + Send + Sync + 'static) {
        self.lost = Some(Arc::new(is_lost));
    }

    /// The ports without faults.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports.clone()
    }

    /// What functions are called with: the ports with their faults.
    #[must_use]
    pub fn context(&self) -> Context {
        self.context_of(self.faults.wrap(self.ports()))
    }

    /// The same with other ports.
    #[must_use]
    pub(crate) fn context_of(&self, ports: Ports) -> Context {
        Context {
            ports,
            settings: Settings { bucket: "state".to_owned() },
            policies: self.known.clone().unwrap_or_else(|| KnownPolicies::of_new_process(&self.memo)),
        }
    }

    /// Applies a policy as an administrator does.
    ///
    /// # Errors
    /// See [`AppError`].
    pub fn apply_policy(&self, policy: &Policy, origin: Timestamp) -> Ran<Result<(), AppError>> {
        let context = self.context();
        poll(async { apply(&context, policy, &Actor::person("admin"), origin).await })
    }

    /// Writes a file and tells the bus, as S3 does.
    ///
    /// # Panics
    /// For an address without a key.
    pub fn upload(&mut self, uri: &str, bytes: &[u8]) {
        let uri: ObjectUri = uri.parse().expect("invariant: files are uploaded to valid addresses");
        self.objects.overwrite(&uri, bytes).expect("invariant: files have names");
        self.send(s3_event(&uri));
    }

    /// Puts an event on the bus.
    pub fn send(&mut self, event: Value) {
        let functions = targets(&event);
        self.send_to(functions, event);
    }

    fn send_to(&mut self, functions: Vec<Function>, event: Value) {
        if self.lost.as_ref().is_some_and(|is_lost| is_lost(&event)) {
            return;
        }
        let event = Arc::new(event);
        for function in functions {
            self.queue.push_back(Delivery { function, event: Arc::clone(&event), retries: RETRIES });
        }
    }

    /// Puts on the bus whatever the services have to say: changes of the log, published facts, status changes.
    pub fn pump(&mut self) {
        let records = self.table.read_stream(usize::MAX);
        if let Some(last) = records.last() {
            self.table.acknowledge_stream(last.seq);
            let record = |pk: &str, sk: &str| json!({ "eventSource": "aws:dynamodb", "dynamodb": { "Keys": { "pk": { "S": pk }, "sk": { "S": sk } } } });
            let records: Vec<Value> = records.iter().map(|it| record(&it.key.partition, &it.key.sort)).collect();
            let event = json!({ "Records": records });
            if !self.lost.as_ref().is_some_and(|is_lost| is_lost(&event)) {
                self.queue.push_back(Delivery::new(Function::PublishEvents, event, RETRIES));
            }
        }
        for event in self.publisher.take_events() {
            let functions = targets_of_fact(&event);
            if !functions.is_empty() {
                self.send_to(functions, envelope(&event));
            }
        }
        for event in self.pipelines.take_events() {
            self.send(event);
        }
    }

    /// Delivers an event and collects what follows from it. What fails for now or is killed comes again next.
    pub fn deliver(&mut self, delivery: Delivery) -> Delivered {
        let delivered = self.call(delivery.function, &delivery.event);
        self.pump();
        let is_wrong = match &delivered {
            Delivered::Answered(_) => return delivered,
            Delivered::Killed => false,
            Delivered::Failed(error) => error.class() == ErrorClass::Bug,
        };
        if is_wrong || delivery.retries == 0 {
            self.dead_letters.push(format!("{delivery}: {}", explain(&delivered)));
        } else {
            self.queue.push_front(Delivery { retries: delivery.retries - 1, ..delivery });
        }
        delivered
    }

    /// Delivers the next event; `None` when there is none.
    pub fn step(&mut self) -> Option<(Delivery, Delivered)> {
        self.pump();
        let next = self.queue.pop_front()?;
        let delivered = self.deliver(next.clone());
        Some((next, delivered))
    }

    /// Delivers events until there is none.
    ///
    /// # Panics
    /// When there is no end to them.
    pub fn drain(&mut self) {
        for _ in 0..1_000 {
            if self.step().is_none() {
                return;
            }
        }
        panic!("the bus does not come to rest: {:?}", self.queue.front());
    }

    /// Calls a function as a person does, and waits for its answer.
    pub fn call(&self, function: Function, event: &Value) -> Delivered {
        let context = self.context();
        match poll(async { handle(function, &context, event).await }) {
            Ran::Done(Ok(response)) => Delivered::Answered(response),
            Ran::Done(Err(error)) => Delivered::Failed(error),
            Ran::Killed => {
                assert!(self.faults.has_crashed(), "{function} waits for something that never comes");
                Delivered::Killed
            }
        }
    }

    /// Moves the clock on and sweeps, then delivers events until there is none.
    pub fn sweep_after(&mut self, by: SignedDuration) {
        self.clock.advance(by);
        self.send(scheduled_event());
        self.drain();
    }
}

fn explain(delivered: &Delivered) -> String {
    match delivered {
        Delivered::Answered(response) => response.outcome.to_owned(),
        Delivered::Failed(error) => refit_app::chain(error),
        Delivered::Killed => "killed".to_owned(),
    }
}

/// What EventBridge sends on a schedule.
#[must_use]
pub fn scheduled_event() -> Value {
    json!({ "version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} })
}

/// What S3 sends about a new object.
#[must_use]
pub fn s3_event(uri: &ObjectUri) -> Value {
    json!({
        "version": "0", "source": "aws.s3", "detail-type": "Object Created",
        "detail": { "bucket": { "name": uri.bucket() }, "object": { "key": uri.key() } },
    })
}
