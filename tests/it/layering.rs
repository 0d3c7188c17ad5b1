//! Who may know whom. The drawing in ARCHITECTURE.md, checked against what Cargo resolves.

use std::collections::BTreeSet;

use crate::repo::{Package, exists, list, metadata, read};

/// The drawing: a folder and those it stands on. It may also use directly what those stand on, and nothing else.
const DRAWN: &[(&str, &[&str])] = &[
    ("stats", &[]),
    ("data", &["stats"]),
    ("core", &[]),
    ("app", &["core", "data"]),
    ("steps", &["stats", "data"]),
    ("handlers", &["app"]),
    ("api", &["app"]),
    ("aws", &["app"]),
    ("local", &["app", "handlers", "api", "steps"]),
    ("functions", &["handlers", "api", "aws"]),
    ("cli", &["local"]),
];

/// An edge that only a feature may switch on.
const OPTIONAL: &[(&str, &str)] = &[("cli", "aws")];

/// An edge that only tests may have: what runs on AWS knows nothing of the local world, but is tested with its parts.
const TESTED_WITH: &[(&str, &str)] = &[("aws", "handlers"), ("aws", "local"), ("functions", "local")];

/// The crates in which time, randomness, environment and files are arguments, and the foreign crates they may use.
const PURE: &[(&str, &[&str])] = &[
    ("stats", &["rand_core", "serde", "statrs", "thiserror"]),
    (
        "data",
        &[
            "bytes",
            "crc32fast",
            "flate2",
            "hashbrown",
            "jiff",
            "parquet",
            "ruzstd",
            "serde",
            "serde_json",
            "snap",
            "thiserror",
        ],
    ),
    ("core", &["jiff", "saphyr-parser", "serde", "serde_json", "sha2", "strsim", "thiserror"]),
    (
        "app",
        &[
            "async-trait",
            "bytes",
            "jiff",
            "rand_chacha",
            "rand_core",
            "serde",
            "serde_json",
            "thiserror",
            "tracing",
            "twox-hash",
        ],
    ),
    ("handlers", &["jiff", "serde", "serde_json", "thiserror", "tracing"]),
];

/// Foreign crates that belong to one of ours: whoever else needs what they do asks that crate.
const OWNED: &[(&str, &str)] = &[
    ("forust-ml", "steps"),
    ("mimalloc", "local"),
    ("parquet", "data"),
    ("plotters", "local"),
    ("rusqlite", "local"),
    ("saphyr-parser", "core"),
    ("statrs", "stats"),
];

/// What no pure crate may reach, however far away.
const NEVER_BELOW_PURE: &[&str] =
    &["async-std", "hyper", "mio", "openssl-sys", "reqwest", "rusqlite", "rustls", "smol", "socket2", "tokio", "ureq"];

/// Folders with a clippy.toml of their own, and with it other bans than the pure crates.
const OWN_BANS: &[&str] =
    &["crates/api", "crates/aws", "crates/cli", "crates/local", "crates/steps", "functions", "tests"];

/// What the bans of the pure crates must hold at least.
const BANNED: &[&str] = &[
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "std::env::args",
    "std::env::current_dir",
    "std::env::temp_dir",
    "std::env::var",
    "std::env::var_os",
    "std::env::vars",
    "std::fs::File::create",
    "std::fs::File::open",
    "std::fs::read",
    "std::fs::write",
    "std::hash::RandomState::new",
    "std::net::TcpStream::connect",
    "std::process::Command::new",
    "std::process::exit",
    "std::thread::sleep",
    "std::thread::spawn",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
];

/// Where a drawn folder is.
fn path(folder: &str) -> String {
    if folder == "functions" { folder.to_owned() } else { format!("crates/{folder}") }
}

/// Our package in a folder, if it is built yet.
fn find(folder: &str) -> Option<&'static Package> {
    metadata().members.get(&path(folder))
}

/// Everything that a folder stands on.
fn below(folder: &str) -> BTreeSet<&'static str> {
    let direct = DRAWN.iter().find(|(name, _)| *name == folder).expect("a drawn folder").1;
    direct.iter().flat_map(|it| below(it).into_iter().chain([*it])).collect()
}

/// The folders of our packages that a package declares, with tests' and optional ones.
fn ours(package: &Package) -> BTreeSet<&str> {
    package.dependencies.iter().filter_map(|it| it.name.strip_prefix("refit-")).collect()
}

#[test]
fn every_member_is_drawn_and_named_after_its_folder() {
    for (folder, package) in &metadata().members {
        let name = folder.strip_prefix("crates/").unwrap_or(folder);
        assert_eq!(package.name, format!("refit-{name}"), "{folder}");
        assert!(name == "tests" || DRAWN.iter().any(|it| it.0 == name), "{folder} is not in the drawing");
    }
}

#[test]
fn there_is_no_edge_but_the_drawn_ones() {
    for (folder, _) in DRAWN {
        let Some(package) = find(folder) else { continue };
        let mut allowed = below(folder);
        let optional = OPTIONAL.iter().filter(|it| it.0 == *folder).map(|it| it.1);
        for name in optional {
            let declared = package.dependencies.iter().filter(|it| it.name == format!("refit-{name}"));
            assert!(declared.clone().all(|it| it.is_optional), "{folder} may use {name} under a feature only");
            allowed.insert(name);
        }
        for (_, name) in TESTED_WITH.iter().filter(|it| it.0 == *folder) {
            let declared = package.dependencies.iter().filter(|it| it.name == format!("refit-{name}"));
            assert!(declared.clone().all(|it| it.is_dev), "{folder} may use {name} in tests only");
            allowed.insert(name);
        }
        // Its own features, switched on for its own tests.
        allowed.insert(folder);
        let undrawn: Vec<_> = ours(package).into_iter().filter(|it| !allowed.contains(it)).collect();
        assert_eq!(undrawn, [""; 0], "{folder} may not use these");
    }
}

#[test]
fn every_drawn_edge_is_there() {
    for (folder, drawn) in DRAWN {
        let Some(package) = find(folder) else { continue };
        let used = ours(package);
        for name in drawn.iter().filter(|it| find(it).is_some()) {
            assert!(used.contains(name), "the drawing says that {folder} uses {name}");
        }
    }
}

#[test]
fn pure_crates_use_only_what_is_listed() {
    for (folder, allowed) in PURE {
        let package = find(folder).expect("pure crates exist");
        let foreign = package.dependencies.iter().filter(|it| !it.is_dev && !it.name.starts_with("refit-"));
        let unlisted: Vec<&str> = foreign.map(|it| it.name.as_str()).filter(|it| !allowed.contains(it)).collect();
        assert_eq!(unlisted, [""; 0], "{folder} may not use these");
    }
}

#[test]
fn pure_crates_reach_no_runtime_no_database_and_no_network() {
    for (folder, _) in PURE {
        let reached = metadata().reachable(find(folder).expect("pure crates exist"));
        let found: Vec<_> = reached.into_iter().filter(|it| NEVER_BELOW_PURE.contains(it)).collect();
        assert_eq!(found, [""; 0], "{folder} reaches these");
    }
}

fn is_service_sdk(name: &str) -> bool {
    ["aws-sdk-", "aws-config", "aws-smithy-", "aws-runtime", "aws-types"].iter().any(|it| name.starts_with(it))
}

#[test]
fn the_command_reaches_no_service_sdk() {
    let reached = metadata().reachable(find("cli").expect("the command exists"));
    let found: Vec<_> = reached.into_iter().filter(|it| is_service_sdk(it) || *it == "refit-aws").collect();
    assert_eq!(found, [""; 0], "`make demo` would have to wait for these");
}

#[test]
fn only_the_cloud_adapters_name_a_service_sdk() {
    for (folder, package) in &metadata().members {
        // Composition roots read the configuration of the SDK, and no service.
        let is_meant = |name: &str| folder == "crates/aws" || folder == "functions" && name == "aws-config";
        let named = package.dependencies.iter().map(|it| it.name.as_str());
        let found: Vec<_> = named.filter(|it| is_service_sdk(it) && !is_meant(it)).collect();
        assert_eq!(found, [""; 0], "{folder}");
    }
}

#[test]
fn what_belongs_to_one_crate_is_used_by_no_other() {
    for (foreign, owner) in OWNED {
        for (folder, package) in &metadata().members {
            let used = package.dependencies.iter().any(|it| it.name == *foreign && !it.is_dev);
            assert!(!used || *folder == path(owner), "{foreign} belongs to {owner}, {folder} uses it");
        }
    }
}

#[test]
fn every_member_takes_the_lints_of_the_workspace() {
    for folder in metadata().members.keys() {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{folder}");
    }
    let workspace = read("Cargo.toml");
    let lints = workspace.split("[workspace.lints.rust]").nth(1).expect("the workspace has lints");
    assert!(lints.contains("unsafe_code = \"forbid\""));
    // A crate's own list replaces the workspace's: it would have to be seen here.
    assert!(workspace.contains("[workspace.lints.clippy]\nall ="));
}

#[test]
fn pure_crates_are_under_the_bans() {
    let bans = read("clippy.toml");
    for banned in BANNED {
        assert!(bans.contains(&format!("{{ path = \"{banned}\", reason = \"")), "clippy.toml does not ban {banned}");
    }
    for (folder, _) in PURE {
        assert!(!exists(&format!("crates/{folder}/clippy.toml")), "{folder} may not replace the bans");
    }
    for folder in metadata().members.keys() {
        let is_pure = PURE.iter().any(|it| path(it.0) == *folder);
        let is_other = OWN_BANS.contains(&folder.as_str());
        assert!(is_pure != is_other, "{folder} is either pure or has bans of its own");
        assert_eq!(exists(&format!("{folder}/clippy.toml")), is_other, "{folder}/clippy.toml");
    }
    // Nothing between a crate and the root may stand in for the root's list.
    for name in list("crates") {
        assert!(!name.ends_with("clippy.toml"), "crates/{name}");
    }
}
