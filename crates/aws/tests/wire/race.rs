//! Sixteen clients at once, each with its own connection and its own faults: slots are never overdrawn, nothing runs twice,
//! and the log arrives whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use refit_app::ports::{Order, Ports, Query, Table as _};
use refit_app::settings::Settings;
use refit_app::use_cases::policy::{KnownPolicies, apply};
use refit_app::use_cases::publish_events::alert_of;
use refit_app::{AppError, Context, ErrorClass, documents};
use refit_aws::{AwsPublisher, DynamoTable, S3Objects};
use refit_core::audit::AuditEntry;
use refit_core::policy::{Policy, read};
use refit_core::{Actor, ModelId};
use refit_handlers::{Function, Response, handle};
use refit_local::memory::{Ending, MemoryEndpoints, MemoryPackages, MemoryPipelines};
use refit_local::{clock::ManualClock, store::MemoryObjects};
use serde_json::{Value, json};

use crate::alerts::Outlets;
use crate::emulator::{LIMITS, bucket, config, create_table, shared, unique};
use crate::proxy::{Fault, Proxy};

const CLIENTS: usize = 16;
const SLOTS: usize = 3;
/// Far more attempts than a client needs.
const MAX_ATTEMPTS: usize = 200;

fn model(number: usize) -> String {
    format!("m{number:02}")
}

fn fleet(bucket: &str) -> Policy {
    let mut text = format!("schema: 1\nfleet: {{ concurrent_runs: {SLOTS} }}\nmodels:\n");
    for id in (0..CLIENTS).map(model) {
        text += &format!(
            "  - id: {id}
    task: regression
    pipeline: {{ definition: retrain.json, timeout: 2d }}
    data:
      reference: s3://{bucket}/reference/
      capture: s3://{bucket}/capture/{id}/
      labels: s3://{bucket}/labels/{id}/
      time: ts
      label: y
      features: {{ x: numeric }}
    window: {{ size: 1d, hop: 1d, lateness: 1h }}
    training: {{ window: 7d, holdout: 8d }}
    triggers:
      check_every: 7d
      events:
        - {{ source: test.{id}, detail_type: Retrain, reason: the test asks }}
    gates:
      - {{ metric: mae, max: 15 }}
    promotion: {{ mode: manual, approvals: 1, expires: 12h, notice_timeout: 15m }}
    rollout: {{ strategy: immediate }}
"
        );
    }
    read(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn wake_up(model: &str, function: Function) -> Value {
    let detail = json!({ "schemaVersion": 1, "model": model, "function": function.name() });
    json!({ "version": "0", "source": "refit", "detail-type": "Wake Up", "detail": detail })
}

/// What all clients share: everything but the way to the services.
struct Fleet {
    pipelines: MemoryPipelines,
    packages: MemoryPackages,
    endpoints: MemoryEndpoints,
    clock: ManualClock,
    table: String,
    bucket: String,
    outlets: Outlets,
    /// Most executions that were seen at once.
    most: Arc<AtomicUsize>,
}

impl Fleet {
    /// A client behind a proxy of its own that fails one request in ten.
    fn client(&self, number: usize) -> (Context, Proxy) {
        let proxy = Proxy::start(shared().address);
        let faults = [Fault::Reset, Fault::DropReply, Fault::Broken, Fault::BrokenAfter, Fault::Throttled];
        let mut state = number as u32 + 1;
        proxy.plan(move |operation, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (at, is_hit) = ((state >> 16) as usize, (state >> 24).is_multiple_of(10));
            let fault = match operation {
                "TransactWriteItems" if at.is_multiple_of(3) => Fault::TransactionConflict,
                _ => faults[at % 5],
            };
            Some(fault).filter(|_| is_hit)
        });
        let context = self.context(proxy.address);
        (context, proxy)
    }

    fn context(&self, address: std::net::SocketAddr) -> Context {
        let config = config(address);
        let ports = Ports {
            table: Arc::new(DynamoTable::new(&config, &self.table, LIMITS)),
            objects: Arc::new(S3Objects::new(&config, LIMITS)),
            pipelines: Arc::new(self.pipelines.clone()),
            packages: Arc::new(self.packages.clone()),
            endpoints: Arc::new(self.endpoints.clone()),
            publisher: Arc::new(AwsPublisher::new(&config, &self.outlets.bus, &self.outlets.topic, LIMITS)),
            clock: Arc::new(self.clock.clone()),
        };
        Context { ports, settings: Settings { bucket: self.bucket.clone() }, policies: KnownPolicies::default() }
    }
}

/// Hands an event to a function again and again until it is handled, as Lambda does.
async fn deliver(function: Function, context: &Context, event: &Value, after: &(dyn Fn() + Sync)) -> Response {
    for _ in 0..MAX_ATTEMPTS {
        let result: Result<Response, AppError> = handle(function, context, event).await;
        after();
        match result {
            Ok(response) => return response,
            Err(error) => {
                let class = error.class();
                assert!(matches!(class, ErrorClass::Conflict | ErrorClass::Retryable), "{function}: {error:?}");
            }
        }
    }
    panic!("{function} never ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_clients_never_overdraw_three_slots() {
    let emulator = shared();
    let clock = ManualClock::new("2026-01-05T02:30:00Z".parse().expect("a time"));
    let (packages, objects) = (MemoryPackages::default(), MemoryObjects::new(Arc::new(clock.clone())));
    let fleet = Arc::new(Fleet {
        pipelines: MemoryPipelines::new(packages.clone(), objects, clock.clone()),
        packages,
        endpoints: MemoryEndpoints::default(),
        clock,
        table: unique("table"),
        bucket: bucket(emulator).await,
        outlets: Outlets::make(emulator).await,
        most: Arc::default(),
    });
    create_table(&config(emulator.address), &fleet.table).await;
    let policy = fleet_policy(&fleet);
    let direct = fleet.context(emulator.address);
    apply(&direct, &policy, &Actor::person("admin"), direct.now()).await.expect("applied");

    // Everybody asks for a run at once, and everybody wants to be started.
    each_client(&fleet, |context, number, check| async move {
        let event = json!({ "source": format!("test.{}", model(number)), "detail-type": "Retrain", "id": "1" });
        let response = deliver(Function::CheckTriggers, &context, &event, &check).await;
        assert_eq!(response.outcome, "done", "{response:?}");
        start(&context, number, &check).await;
    })
    .await;
    let mut rounds = 0;
    while !fleet.pipelines.open().is_empty() {
        rounds += 1;
        assert!(rounds <= CLIENTS * 3, "{:?}", fleet.pipelines.executions());
        for arn in fleet.pipelines.open() {
            let ending = Ending::Failed("AlgorithmError: it is a test".to_owned());
            fleet.pipelines.finish(&arn, &ending).expect("it is open");
        }
        // Everybody looks whether its run ended, and whether a slot came free.
        each_client(&fleet, |context, number, check| async move {
            let event = wake_up(&model(number), Function::EvaluateCandidate);
            deliver(Function::EvaluateCandidate, &context, &event, &check).await;
            start(&context, number, &check).await;
        })
        .await;
    }
    let started: Vec<String> = fleet.pipelines.executions().into_iter().map(|it| it.0.display_name).collect();
    let once: BTreeSet<&String> = started.iter().collect();
    assert_eq!((started.len(), once.len()), (CLIENTS, CLIENTS), "each run is executed once: {started:?}");

    assert_eq!(fleet.most.load(Ordering::SeqCst), SLOTS, "all slots were used");

    // Two publishers a model, at once: everything that is in the log arrives.
    each_client(&fleet, |context, number, check| async move {
        for model in [number, (number + 1) % CLIENTS] {
            let event = wake_up(&self::model(model), Function::PublishEvents);
            deliver(Function::PublishEvents, &context, &event, &check).await;
        }
    })
    .await;
    everything_arrived(&fleet).await;
}

fn fleet_policy(fleet: &Fleet) -> Policy {
    let policy = self::fleet(&fleet.bucket);
    for model in &policy.models {
        fleet.pipelines.define(&model.pipeline_name(), &["RefitRunId", "OutputUri"]);
    }
    policy
}

async fn start(context: &Context, number: usize, check: &(dyn Fn() + Sync)) {
    let event = wake_up(&model(number), Function::StartRetraining);
    deliver(Function::StartRetraining, context, &event, check).await;
}

/// Lets every client do this at the same time; slots are looked at after every call of a function.
async fn each_client<F>(fleet: &Arc<Fleet>, work: impl Fn(Context, usize, Check) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut clients = tokio::task::JoinSet::new();
    let mut proxies = Vec::new();
    for number in 0..CLIENTS {
        let (context, proxy) = fleet.client(number);
        proxies.push(proxy);
        let (pipelines, most) = (fleet.pipelines.clone(), Arc::clone(&fleet.most));
        let check: Check = Box::new(move || {
            let open = pipelines.open();
            most.fetch_max(open.len(), Ordering::SeqCst);
            assert!(open.len() <= SLOTS, "{open:?}");
        });
        clients.spawn(work(context, number, check));
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client fails");
    }
}

type Check = Box<dyn Fn() + Send + Sync>;

async fn everything_arrived(fleet: &Fleet) {
    let table = DynamoTable::new(&config(shared().address), &fleet.table, LIMITS);
    let mut logged = BTreeSet::new();
    let mut alerted = BTreeSet::new();
    for number in 0..CLIENTS {
        let id: ModelId = model(number).parse().expect("a name");
        let query = Query {
            partition: documents::audit_partition(&id),
            prefix: String::new(),
            after: None,
            order: Order::Ascending,
            limit: 1_000,
        };
        for item in table.query(&query).await.expect("the log").items {
            let entry: AuditEntry = documents::parse(&item).expect("an entry");
            logged.insert(format!("{id}-{}", entry.event.seq));
            alerted.extend(alert_of(&entry.event).map(|it| it.dedupe_id));
        }
    }
    let published = fleet.outlets.events(shared());
    let published: BTreeSet<String> =
        published.iter().map(|it| it["detail"]["eventId"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(logged.difference(&published).collect::<Vec<_>>(), [""; 0], "these events were lost");
    let told: BTreeSet<String> = fleet.outlets.alerts(shared()).into_keys().collect();
    assert!(CLIENTS <= alerted.len(), "each failed run is told: {alerted:?}");
    assert_eq!(alerted.difference(&told).collect::<Vec<_>>(), [""; 0], "these alerts were lost");
}
