//! Steps at the same time. Programs meet in the world's folder, so that no test depends on how fast they are.

use std::num::NonZeroUsize;

use refit_app::ports::{Execution, ExecutionStatus, Pipelines as _, StepState};
use serde_json::{Value, json};

use super::{World, definition, shell, statuses};
use crate::pipeline::interpreter::wait;

/// A world in which so many programs run at the same time.
fn world(max_parallel_steps: usize) -> World {
    let mut world = World::new();
    world.pipelines.max_parallel_steps = NonZeroUsize::new(max_parallel_steps).expect("not zero");
    world
}

/// A step that runs `script` in the world's folder, where `await NAME` waits for a file.
fn step(world: &World, name: &str, script: &str) -> Value {
    let folder = world.folder.path().display();
    let script = format!("cd {folder}; await() {{ while test ! -e $1; do sleep 0.01; done; }}; {script}");
    let mut step = shell(name, &script, &[], &[]);
    // Whoever waits in vain fails.
    step["Arguments"]["StoppingCondition"] = json!({"MaxRuntimeInSeconds": 20});
    step
}

fn after(mut step: Value, names: &[&str]) -> Value {
    step["DependsOn"] = json!(names);
    step
}

/// Runs steps; every end of one makes a file with its name and status.
fn run(world: &World, steps: &[Value]) -> Execution {
    let arn = world.start(&definition(&json!([]), steps), &[]);
    let mut on_step = |step: &StepState| {
        std::fs::write(world.folder.path().join(format!("{}.{}", step.name, step.status)), "").expect("written");
    };
    world.pipelines.run_to_end(&arn, &mut on_step).expect("ran")
}

#[test]
fn independent_steps_run_at_the_same_time() {
    let world = world(2);
    let steps = [
        after(step(&world, "Last", "test -e a && test -e b"), &["A", "B"]),
        step(&world, "A", "touch a; await b; await B.Succeeded"),
        step(&world, "B", "touch b; await a"),
    ];
    let execution = run(&world, &steps);
    assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
    let names: Vec<&str> = execution.steps.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["Last", "A", "B"], "the order of the definition, not of the ends");
    assert_eq!(wait(world.pipelines.observe(&execution.arn)).expect("known"), execution);
}

#[test]
fn no_more_run_than_are_allowed() {
    for (most, places) in [(1, "mkdir 1 && p=1"), (2, "{ mkdir 1 && p=1; } || { mkdir 2 && p=2; }")] {
        let world = world(most);
        let script = format!("{places} && sleep 0.05 && rmdir $p");
        let steps: Vec<Value> = ["A", "B", "C", "D"].iter().map(|name| step(&world, name, &script)).collect();
        let execution = run(&world, &steps);
        assert_eq!(execution.status, ExecutionStatus::Succeeded, "{most}: {:?}", execution.failure_reason);
    }
}

#[test]
fn a_step_without_a_program_needs_no_room() {
    let world = world(1);
    let gate = json!({"Name": "Gate", "Type": "Condition", "Arguments": {
        "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": 1}]}});
    let execution = run(&world, &[step(&world, "A", "await Gate.Succeeded"), gate]);
    assert_eq!(execution.status, ExecutionStatus::Succeeded, "{:?}", execution.failure_reason);
}

#[test]
fn after_a_failure_what_runs_ends_and_nothing_begins() {
    let world = world(2);
    let steps = [
        step(&world, "Fails", "await begun; exit 3"),
        step(&world, "Runs", "touch begun; await Fails.Failed; echo end"),
        step(&world, "Waits", "true"),
        after(step(&world, "Never", "true"), &["Runs"]),
    ];
    let execution = run(&world, &steps);
    assert_eq!(execution.status, ExecutionStatus::Failed);
    assert_eq!(statuses(&execution).into_iter().collect::<Vec<_>>(), [("Fails", "Failed"), ("Runs", "Succeeded")]);
    assert_eq!(world.log(&execution, "Runs"), "end\n");
    assert!(execution.failure_reason.is_some_and(|it| it.starts_with("step `Fails` failed: ")));
}

#[test]
fn the_first_failure_in_the_definition_is_the_executions() {
    let world = world(2);
    let steps =
        [step(&world, "One", "touch begun; await Two.Failed; exit 1"), step(&world, "Two", "await begun; exit 2")];
    let execution = run(&world, &steps);
    assert_eq!(statuses(&execution).into_iter().collect::<Vec<_>>(), [("One", "Failed"), ("Two", "Failed")]);
    assert!(execution.failure_reason.is_some_and(|it| it.starts_with("step `One` failed: ")));
}

#[test]
fn a_stop_ends_all_that_run() {
    let world = world(2);
    let steps = ["A", "B", "C"].map(|name| step(&world, name, "await never"));
    let arn = world.start(&definition(&json!([]), &steps), &[]);
    let execution = world.pipelines.run_to_end(&arn, &mut |step| {
        if step.name == "B" && step.status == "Executing" {
            wait(world.pipelines.stop(&arn)).expect("stop");
        }
    });
    let execution = execution.expect("ran");
    assert_eq!(execution.status, ExecutionStatus::Stopped);
    assert_eq!(statuses(&execution).into_iter().collect::<Vec<_>>(), [("A", "Stopped"), ("B", "Stopped")]);
}
