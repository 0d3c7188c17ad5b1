//! What the Lambdas cost: the time of an invocation on ports in memory, the size of their executable as Lambda is sent it, and
//! of each function the time until it asks for its first event, and the memory that it has by then.
//!
//! They run against a stub of Lambda's runtime API on this machine, which is not Lambda's own cold start. Exits with
//! 1 when a figure of a release build is above its bound.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use refit_app::contract::block_on_ready;
use refit_functions::{handlers, invoke};
use refit_handlers::Function;
use refit_local::memory::{MemoryWorld, scheduled_event};
use refit_local::sim::workflows::{Action, Workflow, all};
use serde_json::Value;

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_refit-lambda");

/// The bounds: milliseconds of an invocation (99 % quantile), megabytes zipped, milliseconds to the first event, mebibytes.
const BOUNDS: [f64; 4] = [25.0, 8.0, 60.0, 64.0];
/// How often each workflow is played.
const PLAYS: u32 = 20;
/// How often each function is started; the fastest counts, since the machine may be busy.
const STARTS: u32 = 7;

fn main() -> ExitCode {
    let is_release = !cfg!(debug_assertions);
    let mut is_within = true;
    let mut check = |what: String, value: f64, bound: f64, unit: &str| {
        let is_fine = value <= bound;
        is_within &= is_fine || !is_release;
        println!("{what:<44} {value:>8.2} {unit} (bound {bound} {unit}){}", if is_fine { "" } else { "  ABOVE" });
    };
    let mut times = invocations();
    times.sort_unstable();
    let index = (times.len() * 99).div_ceil(100).saturating_sub(1);
    check(format!("99 % of {} invocations", times.len()), times[index].as_secs_f64() * 1e3, BOUNDS[0], "ms");
    check("the executable, zipped".to_owned(), zipped_bytes(Path::new(EXECUTABLE)) as f64 / 1e6, BOUNDS[1], "MB");
    for name in handlers() {
        let (begun, memory) = start(name);
        check(format!("{name}: to its first event"), begun.as_secs_f64() * 1e3, BOUNDS[2], "ms");
        check(format!("{name}: memory by then"), memory, BOUNDS[3], "MiB");
    }
    if !is_release {
        println!("this is a debug build: bounds are for release builds");
    }
    if is_within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The time of every invocation of every workflow.
fn invocations() -> Vec<Duration> {
    let mut times = Vec::new();
    for workflow in all() {
        for _ in 0..PLAYS {
            play(&workflow, &mut times);
        }
    }
    times
}

fn play(workflow: &Workflow, times: &mut Vec<Duration>) {
    let mut world = MemoryWorld::at(&workflow.base.world);
    let timed = |world: &MemoryWorld, function: Function, event: &Value, times: &mut Vec<Duration>| {
        let context = world.context();
        let begun = Instant::now();
        let answer = block_on_ready(invoke(function, &context, event));
        times.push(begun.elapsed());
        assert!(answer.failures.is_empty(), "{function}: {answer:?}");
    };
    for action in &workflow.actions {
        match action {
            Action::Ask(function, request) => timed(&world, *function, request, times),
            Action::Apply(promotion) => {
                let policy = refit_local::memory::policy(*promotion);
                let origin = world.context().now();
                world.apply_policy(&policy, origin).unwrap_done().expect("nothing fails");
            }
            Action::Upload(uri, bytes) => world.upload(uri, bytes),
            Action::Finish(ending) => {
                for arn in world.pipelines.open() {
                    world.pipelines.finish(&arn, ending).expect("it is open");
                }
            }
            Action::Wait(time) => {
                world.clock.advance(*time);
                world.send(scheduled_event());
            }
        }
        world.pump();
        while let Some(delivery) = world.queue.pop_front() {
            timed(&world, delivery.function, &delivery.event, times);
            world.pump();
        }
    }
}

/// The size of an executable as a zip archive holds it.
fn zipped_bytes(path: &Path) -> usize {
    let bytes = std::fs::read(path).expect("the executable was built");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it").len()
}

/// The shortest time until a function asks for its first event, and its memory then in mebibytes.
fn start(handler: &str) -> (Duration, f64) {
    (0..STARTS).map(|_| start_once(handler)).min_by_key(|it| it.0).unwrap_or_default()
}

fn start_once(handler: &str) -> (Duration, f64) {
    let stub = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = stub.local_addr().expect("its address").to_string();
    let topic = "arn:aws:sns:us-east-1:000000000000:alerts";
    let environment = [
        ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
        ("_HANDLER", handler),
        ("AWS_LAMBDA_FUNCTION_NAME", "bench"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("REFIT_TABLE", "refit"),
        ("REFIT_BUCKET", "refit-state"),
        ("REFIT_BUS", "refit"),
        ("REFIT_ALERTS_TOPIC", topic),
        ("REFIT_ENDPOINT_ROLE", "arn:aws:iam::000000000000:role/serve"),
    ];
    let begun = Instant::now();
    let mut child = Command::new(EXECUTABLE)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the executable runs");
    let (mut stream, _) = stub.accept().expect("it asks for an event");
    let mut request = [0; 1024];
    let length = stream.read(&mut request).expect("it asks");
    let took = begun.elapsed();
    assert!(String::from_utf8_lossy(&request[..length]).contains("/invocation/next"), "it asks for its first event");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap_or_default();
    let kibibytes: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    (took, kibibytes / 1024.0)
}
