//! Every call with every fault: it ends as its class says, within its cap.

use std::pin::Pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use refit_app::ports::{
    Alert, AlertKind, Due, Expect, Failure, Generation, Key, Objects, Order, OutboundEvent, Publisher, Query, Table,
    Token, Write,
};
use refit_aws::{AwsPublisher, DynamoTable, Limits, S3Objects};
use refit_core::ObjectUri;
use serde_json::json;

use crate::emulator::{LIMITS, bucket, config, create_table, shared, unique};
use crate::proxy::{Fault, Proxy};

/// What may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Whenever there was no good answer.
    Freely,
    /// When it surely had no effect.
    IfRefused,
}

/// How a call ends.
pub(crate) type Ending<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// A call: its name, its class, and how it is made for the given time.
pub(crate) struct Case<R> {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    pub(crate) make: for<'a> fn(&'a R, u32) -> Ending<'a>,
}

/// Makes every call with every fault.
pub(crate) async fn check<R>(proxy: &Proxy, rig: &R, cases: &[Case<R>], more: impl Fn(&str) -> Vec<Fault>) -> u32 {
    let mut time = 0;
    for case in cases {
        proxy.plan(|_, _| None);
        assert_eq!((case.make)(rig, time).await, Ok(()), "{} without a fault", case.name);
        let usual = proxy.requests();
        let faults = [
            Fault::Reset,
            Fault::DropReply,
            Fault::Broken,
            Fault::BrokenAfter,
            Fault::Throttled,
            Fault::SlowBody,
            Fault::Denied,
        ];
        for fault in faults.into_iter().chain(more(case.name)) {
            time += 1;
            proxy.plan(move |_, number| Some(fault).filter(|_| number == 0));
            let result = (case.make)(rig, time).await;
            let what = format!("{} with {fault:?} at its first request", case.name);
            match (fault, case.class) {
                (Fault::Denied, _) => {
                    assert_eq!(result, Err(Failure::Denied), "{what}");
                    assert_eq!(proxy.requests(), 1, "{what}");
                }
                (Fault::Throttled | Fault::TransactionConflict | Fault::TransactionInProgress, _)
                | (_, Class::Freely) => {
                    assert_eq!(result, Ok(()), "{what}");
                    assert!(usual < proxy.requests(), "{what}: it was not repeated");
                }
                (_, Class::IfRefused) => {
                    assert_eq!(result, Err(Failure::Unavailable), "{what}");
                    assert_eq!(proxy.requests(), 1, "{what}: it was repeated");
                }
            }
        }
        for fault in [Fault::Reset, Fault::Broken, Fault::Throttled] {
            time += 1;
            proxy.plan(move |_, _| Some(fault));
            let what = format!("{} with {fault:?} at every request", case.name);
            assert_eq!((case.make)(rig, time).await, Err(Failure::Unavailable), "{what}");
            assert!(proxy.requests() <= HASTY.attempts, "{what}: {} requests", proxy.requests());
        }
        time += 1;
    }
    time
}

/// Gives up an attempt soon, so that a slow body costs little; a busy machine has more attempts.
pub(crate) const HASTY: Limits = Limits { attempt: Duration::from_secs(1), attempts: 8, ..LIMITS };

struct Rig {
    table: DynamoTable,
    objects: S3Objects,
    publisher: AwsPublisher,
    folder: ObjectUri,
    kept: (ObjectUri, String),
}

impl Rig {
    fn uri(&self, number: u32) -> ObjectUri {
        self.folder.join(&format!("o{number}")).expect("an address")
    }
}

fn event(number: u32) -> OutboundEvent {
    OutboundEvent {
        dedupe_id: format!("m-{number}"),
        time: Timestamp::UNIX_EPOCH,
        detail_type: "Model Promoted".to_owned(),
        detail: json!({ "model": "m", "schemaVersion": 1 }).into(),
    }
}

fn alert(number: u32) -> Alert {
    Alert {
        dedupe_id: format!("m-{number}"),
        time: Timestamp::UNIX_EPOCH,
        kind: AlertKind::Failure,
        model: "m".to_owned(),
        subject: "m: something broke".to_owned(),
        body: "Why".to_owned(),
    }
}

fn kept() -> Key {
    Key::new("KEPT", "a")
}

const DUE: Due = Due { shard: 3, at: Timestamp::UNIX_EPOCH };

const CASES: &[Case<Rig>] = &[
    Case {
        name: "table.get",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async move {
                let item = rig.table.get(&kept()).await.map_err(|it| it.failure())?;
                assert_eq!(item.map(|it| it.generation), Some(Generation(1)));
                Ok(())
            })
        },
    },
    Case {
        name: "table.query",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async move {
                let query = Query {
                    partition: "KEPT".to_owned(),
                    prefix: String::new(),
                    after: None,
                    order: Order::Ascending,
                    limit: 9,
                };
                let page = rig.table.query(&query).await.map_err(|it| it.failure())?;
                assert_eq!(page.items.len(), 1);
                Ok(())
            })
        },
    },
    Case {
        name: "table.transact",
        class: Class::Freely,
        make: |rig, number| {
            Box::pin(async move {
                let key = Key::new("NEW", &number.to_string());
                let write =
                    |expect| [Write::Put { key: key.clone(), expect, body: number.to_string().into(), due: None }];
                let first = rig.table.transact(&Token(format!("first-{number}")), &write(Expect::Absent)).await;
                first.map_err(|it| it.failure())?;
                // Written once, whatever happened to the first answer: its generation says so.
                let next = write(Expect::Generation(Generation(1)));
                rig.table.transact(&Token(format!("second-{number}")), &next).await.map_err(|it| it.failure())
            })
        },
    },
    Case {
        name: "table.list_due",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async move {
                let until = DUE.at + SignedDuration::from_secs(1);
                let page = rig.table.list_due(DUE.shard, until, 9, None).await.map_err(|it| it.failure())?;
                assert_eq!(page.items.len(), 1);
                Ok(())
            })
        },
    },
    Case {
        name: "objects.head",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async move { rig.objects.head(&rig.kept.0).await.map(drop).map_err(|it| it.failure()) })
        },
    },
    Case {
        name: "objects.get",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async move {
                let object = rig.objects.get(&rig.kept.0, 1 << 20).await.map_err(|it| it.failure())?;
                assert_eq!(object.bytes.len(), 100_000);
                Ok(())
            })
        },
    },
    Case {
        name: "objects.get_range",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async move {
                let (uri, etag) = &rig.kept;
                let bytes = rig.objects.get_range(uri, etag, 10..90_000).await.map_err(|it| it.failure())?;
                assert_eq!(bytes.len(), 89_990);
                Ok(())
            })
        },
    },
    Case {
        name: "objects.put_new",
        class: Class::IfRefused,
        make: |rig, number| {
            Box::pin(
                async move { rig.objects.put_new(&rig.uri(number), b"new").await.map(drop).map_err(|it| it.failure()) },
            )
        },
    },
    Case {
        name: "objects.replace",
        class: Class::IfRefused,
        make: |rig, _| {
            Box::pin(async move {
                let (uri, etag) = &rig.kept;
                // With what is there: the etag stays.
                let bytes = vec![7; 100_000];
                rig.objects.replace(uri, &bytes, etag).await.map(drop).map_err(|it| it.failure())
            })
        },
    },
    Case {
        name: "objects.remove",
        class: Class::Freely,
        make: |rig, number| {
            Box::pin(async move { rig.objects.remove(&rig.uri(number)).await.map_err(|it| it.failure()) })
        },
    },
    Case {
        name: "objects.list",
        class: Class::Freely,
        make: |rig, _| {
            Box::pin(async move { rig.objects.list(&rig.folder, None).await.map(drop).map_err(|it| it.failure()) })
        },
    },
    Case {
        name: "publisher.publish",
        class: Class::Freely,
        make: |rig, number| {
            Box::pin(async move {
                let results = rig.publisher.publish(&[event(number), event(number)]).await;
                assert_eq!(results.len(), 2);
                results.into_iter().collect::<Result<Vec<()>, _>>().map(drop).map_err(|it| it.failure())
            })
        },
    },
    Case {
        name: "publisher.alert",
        class: Class::Freely,
        make: |rig, number| {
            Box::pin(async move { rig.publisher.alert(&alert(number)).await.map_err(|it| it.failure()) })
        },
    },
];

/// A topic's ARN and a bus's name.
pub(crate) async fn outlets(config: &aws_config::SdkConfig) -> (String, String) {
    let (topic, bus) = (unique("topic"), unique("bus"));
    let made = aws_sdk_sns::Client::new(config).create_topic().name(topic).send().await.expect("a topic");
    aws_sdk_eventbridge::Client::new(config).create_event_bus().name(&bus).send().await.expect("a bus");
    (made.topic_arn.expect("an ARN"), bus)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_ends_as_its_class_says() {
    let emulator = shared();
    let direct = config(emulator.address);
    let (name, bucket, (topic, bus)) = (unique("table"), bucket(emulator).await, outlets(&direct).await);
    create_table(&direct, &name).await;
    let table = DynamoTable::new(&direct, &name, LIMITS);
    let put = |key, due| Write::Put { key, expect: Expect::Absent, body: "{}".into(), due };
    let writes = [put(kept(), None), put(Key::new("LOOK#m", "LOOK"), Some(DUE))];
    table.transact(&Token("begin".to_owned()), &writes).await.expect("written");
    let folder: ObjectUri = format!("s3://{bucket}/folder").parse().expect("an address");
    let uri = folder.join("kept").expect("an address");
    let info = S3Objects::new(&direct, LIMITS).put_new(&uri, &[7; 100_000]).await.expect("written");
    let proxy = Proxy::start(emulator.address);
    let disturbed = config(proxy.address);
    let rig = Rig {
        table: DynamoTable::new(&disturbed, &name, HASTY),
        objects: S3Objects::new(&disturbed, HASTY),
        publisher: AwsPublisher::new(&disturbed, &bus, &topic, HASTY),
        folder,
        kept: (uri, info.etag),
    };
    let more = |name: &str| match name {
        "table.transact" => vec![Fault::TransactionConflict, Fault::TransactionInProgress],
        _ => Vec::new(),
    };
    check(&proxy, &rig, CASES, more).await;
}
