//! Facts and alerts: none is lost, and what comes twice can be told.

use std::collections::BTreeMap;

use jiff::Timestamp;
use refit_app::ports::{Alert, AlertKind, OutboundEvent, PublishError, Publisher};
use refit_aws::{AwsPublisher, HOP, with_hop};
use serde_json::{Value, json};

use crate::emulator::{Emulator, LIMITS, config, shared, unique};
use crate::faults::outlets;
use crate::proxy::{Fault, Proxy};

/// A topic and a bus with a queue behind each.
pub(crate) struct Outlets {
    pub(crate) topic: String,
    pub(crate) bus: String,
    alerts: String,
    events: String,
}

impl Outlets {
    pub(crate) async fn make(emulator: &Emulator) -> Outlets {
        let direct = config(emulator.address);
        let (topic, bus) = outlets(&direct).await;
        let (alerts, alerts_arn) = emulator.queue(&unique("alerts"));
        let (events, events_arn) = emulator.queue(&unique("events"));
        let subscription = aws_sdk_sns::Client::new(&direct).subscribe().topic_arn(&topic).protocol("sqs");
        subscription.endpoint(alerts_arn).send().await.expect("a subscription");
        let rules = aws_sdk_eventbridge::Client::new(&direct);
        let rule = rules.put_rule().name("all").event_bus_name(&bus).event_pattern(r#"{"source":["refit"]}"#);
        rule.send().await.expect("a rule");
        let target = aws_sdk_eventbridge::types::Target::builder().id("q").arn(events_arn).build().expect("a target");
        let targets = rules.put_targets().rule("all").event_bus_name(&bus).targets(target);
        targets.send().await.expect("a target");
        Outlets { topic, bus, alerts, events }
    }

    /// How often each alert arrived.
    pub(crate) fn alerts(&self, emulator: &Emulator) -> BTreeMap<String, u32> {
        count(emulator.drain(&self.alerts).iter().map(|message| {
            let id = message["MessageAttributes"]["alert_id"]["Value"].as_str().expect("an id").to_owned();
            assert!(message["Message"].as_str().is_some_and(|it| it.contains(&id)), "the text says which alert it is");
            id
        }))
    }

    /// Every event that arrived.
    pub(crate) fn events(&self, emulator: &Emulator) -> Vec<Value> {
        emulator.drain(&self.events)
    }
}

fn count(ids: impl Iterator<Item = String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for id in ids {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

fn event(number: u32, detail: Value) -> OutboundEvent {
    OutboundEvent {
        dedupe_id: format!("e{number}"),
        time: Timestamp::UNIX_EPOCH,
        detail_type: "Model Promoted".to_owned(),
        detail: detail.into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_alert_and_no_event_is_lost() {
    let emulator = shared();
    let outlets = Outlets::make(emulator).await;
    let proxy = Proxy::start(emulator.address);
    let publisher = AwsPublisher::new(&config(proxy.address), &outlets.bus, &outlets.topic, LIMITS);
    let faults = [Fault::DropReply, Fault::Reset, Fault::Throttled, Fault::BrokenAfter, Fault::Broken];
    proxy.plan(move |_, number| faults.get(number as usize % 7).copied());
    for number in 0..20 {
        let alert = Alert {
            dedupe_id: format!("a{number}"),
            time: Timestamp::UNIX_EPOCH,
            kind: AlertKind::Rollback,
            model: "m".to_owned(),
            subject: format!("m\u{202e}: rolled\r\nback {}", "ä".repeat(200)),
            body: "x".repeat(if number == 7 { 400_000 } else { 10 }),
        };
        publisher.alert(&alert).await.expect("told");
    }
    // Thirty-five events are four calls; one is larger than a call may be.
    let large = Value::from("x".repeat(1_000_000));
    let events: Vec<_> = (0..35)
        .map(|it| event(it, if it == 17 { json!({ "model": "m", "large": large }) } else { json!({ "model": "m" }) }))
        .collect();
    let results = with_hop(2, publisher.publish(&events)).await;
    assert_eq!(results.len(), 35);
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Err(PublishError::Refused { dedupe_id, .. }) => assert_eq!((number, dedupe_id.as_str()), (17, "e17")),
            other => assert!(other.is_ok() && number != 17, "{number}: {other:?}"),
        }
    }
    let told = outlets.alerts(emulator);
    assert_eq!(told.len(), 20, "{told:?}");
    assert!(told.values().any(|it| 1 < *it), "no answer was lost after the effect: the test tests nothing");
    let arrived = outlets.events(emulator);
    assert!(arrived.iter().all(|it| it["source"] == "refit" && it["detail"][HOP] == 3), "{arrived:?}");
    let ids = count(arrived.iter().map(|it| it["detail"]["eventId"].as_str().expect("an id").to_owned()));
    assert_eq!(ids.len(), 34, "{ids:?}");
}
