//! `refit-sim pairs`: every fault at every call of every workflow, alone and in pairs.

use std::process::ExitCode;
use std::time::Instant;

use refit_local::sim::pairs::{Coverage, Depth, Injection, Played, Problem, explore, list, play_at};
use refit_local::sim::workflows::{Workflow, all};

/// What was asked for.
struct Arguments {
    names: Vec<String>,
    threads: usize,
    depth: Depth,
    at: Option<Vec<Injection>>,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut found = Arguments { names: Vec::new(), threads: 2, depth: Depth::Pairs, at: None };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--workflow" => found.names.push(value()?),
            "--threads" => {
                found.threads = value()?.parse().map_err(|_| "--threads needs a number".to_owned())?;
            }
            "--singles" => found.depth = Depth::Singles,
            "--at" => found.at = Some(value()?.split(',').map(str::parse).collect::<Result<_, _>>()?),
            other => return Err(format!("`{other}` is not known")),
        }
    }
    Ok(found)
}

/// The workflows of these names, all of them without any.
fn find(names: &[String]) -> Result<Vec<Workflow>, String> {
    let all = all();
    if names.is_empty() {
        return Ok(all);
    }
    let known = || all.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    let one = |name: &String| {
        all.iter()
            .find(|it| it.name == name)
            .cloned()
            .ok_or_else(|| format!("no workflow `{name}`; there are {}", known()))
    };
    names.iter().map(one).collect()
}

/// Runs the command; `Err` says what is wrong with its arguments.
pub(super) fn run(arguments: impl Iterator<Item = String>) -> Result<ExitCode, String> {
    let arguments = parse(arguments)?;
    let workflows = find(&arguments.names)?;
    if let Some(at) = &arguments.at {
        let [workflow] = &workflows[..] else { return Err("--at needs one --workflow".to_owned()) };
        return Ok(play_one(workflow, at));
    }
    let begun = Instant::now();
    let mut sum = Coverage::default();
    let mut lines = Vec::new();
    for workflow in &workflows {
        let begun = Instant::now();
        let found = explore(workflow, arguments.depth, arguments.threads);
        lines.push(line(workflow.name, &found, begun.elapsed().as_secs_f64()));
        eprintln!("{}", lines.last().map_or("", |it| it));
        for problem in &found.problems {
            lines.push(describe(workflow, problem));
        }
        sum.calls += found.calls;
        sum.calls_covered += found.calls_covered;
        sum.singles += found.singles;
        sum.pairs += found.pairs;
        sum.moments += found.moments;
        sum.steps += found.steps;
        sum.problems.extend(found.problems);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let covered = percent(&sum);
    println!(
        "pairs: {} workflows, {} calls, {} singles, {} pairs, {} violations, port-call x fault coverage {covered:.0} %, {seconds:.0} s",
        workflows.len(),
        sum.calls,
        sum.singles,
        sum.pairs,
        sum.problems.len(),
    );
    println!(
        "  {:<36}{:>6}{:>9}{:>11}{:>10}{:>10}{:>8}{:>10}  coverage",
        "workflow", "calls", "singles", "pairs", "moments", "steps", "s", "violations"
    );
    for line in lines {
        println!("  {line}");
    }
    Ok(if sum.problems.is_empty() && 100.0 <= covered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn line(name: &str, found: &Coverage, seconds: f64) -> String {
    format!(
        "{name:<36}{:>6}{:>9}{:>11}{:>10}{:>10}{seconds:>8.1}{:>10}  {:.0} %",
        found.calls,
        found.singles,
        found.pairs,
        found.moments,
        found.steps,
        found.problems.len(),
        percent(found)
    )
}

/// The share of calls at which every fault that can happen there did.
fn percent(found: &Coverage) -> f64 {
    100.0 * found.calls_covered as f64 / found.calls.max(1) as f64
}

fn describe(workflow: &Workflow, problem: &Problem) -> String {
    format!("  refit-sim pairs --workflow '{}' --at {}\n    {}", workflow.name, list(&problem.faults), problem.text)
}

/// One history, call by call.
fn play_one(workflow: &Workflow, at: &[Injection]) -> ExitCode {
    let Played { calls, deliveries, problem } = play_at(workflow, at);
    let mut deliveries = deliveries.into_iter().peekable();
    for call in &calls {
        while let Some((_, text)) = deliveries.next_if(|it| it.0 < call.index) {
            println!("{text}");
        }
        let fault = at.iter().find(|it| it.call == call.index).map_or(String::new(), |it| format!("  <- {it}"));
        println!("  {call}{fault}");
    }
    match problem {
        Some(problem) => {
            println!("{}", describe(workflow, &problem));
            ExitCode::FAILURE
        }
        None => {
            println!("{}: every invariant held, and it ended as without faults", workflow.name);
            ExitCode::SUCCESS
        }
    }
}
