//! MiniStack, started on a free port of this machine; it ends with the tests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType,
};
use refit_aws::{DynamoTable, INDEX, Limits, names};
use serde_json::{Value, json};

/// For tests: patient with a busy machine, and quick to try again.
pub(crate) const LIMITS: Limits = Limits {
    attempts: 6,
    attempt: Duration::from_secs(10),
    total: Duration::from_secs(60),
    pause: Duration::from_millis(2),
};

/// A running emulator.
pub(crate) struct Emulator {
    pub(crate) address: SocketAddr,
    process: Mutex<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A name that no other test uses.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The emulator that tests share which do not move its clock.
pub(crate) fn shared() -> &'static Emulator {
    static SHARED: OnceLock<Emulator> = OnceLock::new();
    SHARED.get_or_init(Emulator::start)
}

impl Emulator {
    /// Starts one.
    ///
    /// # Panics
    /// When it is not installed or does not come up, with what to do.
    pub(crate) fn start() -> Emulator {
        let target = root().join("target/venv");
        let python = target.join("ministack/bin/python");
        assert!(python.exists(), "{} is missing: run `tools/ministack` once, which installs it", python.display());
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address");
        let state = target.join("state");
        std::fs::create_dir_all(&state).expect("a folder");
        let mut child = Command::new(python)
            .arg(root().join("crates/aws/tests/wire/emulator.py"))
            .env("GATEWAY_PORT", port.port().to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("IOT_MTLS_ENABLED", "0")
            .env("TMPDIR", state)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let mut log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut seen = String::new();
        while !seen.contains("Running on") {
            let length = log.read_line(&mut seen).expect("a line");
            assert_ne!(length, 0, "the emulator did not start:\n{seen}");
        }
        // Nobody reads the rest, but it has to go somewhere.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let (stdin, stdout) = (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
        Emulator { address: port, process: Mutex::new((child, stdin, BufReader::new(stdout))) }
    }

    /// Moves the clock that ages the tokens of transactions.
    pub(crate) fn advance(&self, seconds: i64) {
        let mut process = self.process.lock().expect("no test failed here");
        writeln!(process.1, "{seconds}").expect("it listens");
        let mut line = String::new();
        while line.trim() != "moved" {
            line.clear();
            assert_ne!(process.2.read_line(&mut line).expect("a line"), 0, "the emulator ended");
        }
    }

    /// One call in JSON, by nobody in particular: what the adapters do not need themselves.
    pub(crate) fn ask(&self, target: &str, body: &Value) -> Value {
        let service = target.split('.').next().unwrap_or_default().to_lowercase();
        let service = if service.contains("sqs") { "sqs" } else { "events" };
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let body = answer.split_once("\r\n\r\n").map_or("", |it| it.1);
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{target}: {error}: {answer}"))
    }

    /// A new queue: its URL and its ARN.
    pub(crate) fn queue(&self, name: &str) -> (String, String) {
        let made = self.ask("AmazonSQS.CreateQueue", &json!({ "QueueName": name }));
        let url = made["QueueUrl"].as_str().expect("a URL").to_owned();
        (url, format!("arn:aws:sqs:us-east-1:000000000000:{name}"))
    }

    /// Every message in a queue, taken out of it.
    pub(crate) fn drain(&self, url: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let taken = self.ask("AmazonSQS.ReceiveMessage", &json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 }));
            let Some(batch) = taken["Messages"].as_array().filter(|it| !it.is_empty()).cloned() else {
                return messages;
            };
            for message in batch {
                let handle = &message["ReceiptHandle"];
                self.ask("AmazonSQS.DeleteMessage", &json!({ "QueueUrl": url, "ReceiptHandle": handle }));
                let body = message["Body"].as_str().expect("a body");
                messages.push(serde_json::from_str(body).expect("JSON"));
            }
        }
    }
}

/// The SDK's configuration for a server on this machine, as `refit_aws::connect` makes it for AWS.
pub(crate) fn config(address: SocketAddr) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .http_client(refit_aws::https())
        .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(Credentials::new(
            "test", "test", None, None, "test",
        )))
        .retry_config(RetryConfig::disabled())
        .build()
}

/// Makes a table as template.yaml does.
pub(crate) async fn create_table(config: &SdkConfig, name: &str) {
    let attribute = |name: &str, kind| {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
        attribute.build().expect("it is complete")
    };
    let keys = |partition: &str, sort: &str| {
        [(partition, KeyType::Hash), (sort, KeyType::Range)].map(|(name, kind)| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("it is complete")
        })
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name(INDEX)
        .set_key_schema(Some(keys(names::SHARD, names::DUE).to_vec()))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .expect("it is complete");
    let attributes = [
        attribute(names::PARTITION, ScalarAttributeType::S),
        attribute(names::SORT, ScalarAttributeType::S),
        attribute(names::SHARD, ScalarAttributeType::N),
        attribute(names::DUE, ScalarAttributeType::S),
    ];
    aws_sdk_dynamodb::Client::new(config)
        .create_table()
        .table_name(name)
        .set_attribute_definitions(Some(attributes.to_vec()))
        .set_key_schema(Some(keys(names::PARTITION, names::SORT).to_vec()))
        .global_secondary_indexes(index)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .expect("a table");
}

/// A new table, reached at `address`.
pub(crate) async fn table(emulator: &Emulator, address: SocketAddr, limits: Limits) -> DynamoTable {
    let name = unique("table");
    create_table(&config(emulator.address), &name).await;
    DynamoTable::new(&config(address), &name, limits)
}

/// A new bucket's name.
pub(crate) async fn bucket(emulator: &Emulator) -> String {
    let name = unique("bucket");
    let made = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&config(emulator.address)).force_path_style(true).build(),
    );
    made.create_bucket().bucket(&name).send().await.expect("a bucket");
    name
}
