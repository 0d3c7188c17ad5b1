//! The repository as the tests about it see it: its files, and what Cargo knows of its packages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The root folder: of the tree that is tested, which need not be the one in which a cached executable was built.
pub(crate) fn root() -> PathBuf {
    let tests = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&tests).parent().expect("the tests are one folder below the root").to_owned()
}

/// The text of a file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether there is such a file or folder, by its path from the root.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// The names in a folder, sorted.
pub(crate) fn list(path: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut names: Vec<String> =
        entries.map(|it| it.expect("an entry").file_name().to_str().expect("a plain name").to_owned()).collect();
    names.sort_unstable();
    names
}

/// A dependency as a package declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The package it names.
    pub(crate) name: String,
    /// Whether only tests use it.
    pub(crate) is_dev: bool,
    /// Whether a feature switches it on.
    pub(crate) is_optional: bool,
}

/// A package.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its license expression.
    pub(crate) license: Option<String>,
    /// Its manifest.
    pub(crate) manifest: PathBuf,
    /// What it declares.
    pub(crate) dependencies: Vec<Declared>,
}

/// What Cargo knows.
#[derive(Debug)]
pub(crate) struct Metadata {
    /// Every package, ours and foreign.
    pub(crate) packages: Vec<Package>,
    /// Ours, by folder from the root (`crates/core`).
    pub(crate) members: BTreeMap<String, Package>,
    /// By package id: the packages that it needs to run, as the lock file and default features resolve them.
    normal: BTreeMap<String, Vec<String>>,
}

impl Metadata {
    /// The names of everything that a package needs to run, however far away; itself not included.
    pub(crate) fn reachable(&self, from: &Package) -> BTreeSet<&str> {
        let names: BTreeMap<&str, &str> = self.packages.iter().map(|it| (it.id.as_str(), it.name.as_str())).collect();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![from.id.as_str()];
        while let Some(id) = open.pop() {
            for next in &self.normal[id] {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().map(|id| names[id]).collect()
    }
}

/// What Cargo knows, asked once.
pub(crate) fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| parse(&ask()))
}

/// After `cargo fetch`, which `tools/test` runs first, every platform's packages are known. After a plain build only those
/// of this machine are on the disk, and they are what was built.
fn ask() -> Value {
    let everything = cargo(&["metadata", "--format-version", "1", "--locked", "--offline"]);
    let text = everything.unwrap_or_else(|_| {
        let filter = format!("--filter-platform={}", host());
        cargo(&["metadata", "--format-version", "1", "--locked", "--offline", &filter])
            .unwrap_or_else(|error| panic!("cargo metadata failed; `cargo fetch --locked` may help:\n{error}"))
    });
    serde_json::from_str(&text).expect("cargo writes JSON")
}

fn host() -> String {
    let text = run("rustc", &["-vV"]).expect("rustc says what it is");
    text.lines().find_map(|it| it.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

fn cargo(arguments: &[&str]) -> Result<String, String> {
    run(env!("CARGO"), arguments)
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new(program).args(arguments).current_dir(root()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("UTF-8"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn parse(document: &Value) -> Metadata {
    let packages: Vec<Package> = document["packages"].as_array().expect("packages").iter().map(package).collect();
    let ours: BTreeSet<String> = document["workspace_members"].as_array().expect("members").iter().map(text).collect();
    let root = root();
    let members = packages
        .iter()
        .filter(|it| ours.contains(&it.id))
        .map(|it| {
            let folder =
                it.manifest.parent().expect("a folder").strip_prefix(&root).expect("a member is below the root");
            (folder.to_str().expect("a plain name").to_owned(), it.clone())
        })
        .collect();
    let nodes = document["resolve"]["nodes"].as_array().expect("nodes");
    let normal = nodes.iter().map(|node| (text(&node["id"]), normal_dependencies(node))).collect();
    Metadata { packages, members, normal }
}

fn package(value: &Value) -> Package {
    let dependencies = value["dependencies"].as_array().expect("dependencies").iter().map(|it| Declared {
        name: text(&it["name"]),
        is_dev: it["kind"] == "dev",
        is_optional: it["optional"] == true,
    });
    Package {
        id: text(&value["id"]),
        name: text(&value["name"]),
        license: value["license"].as_str().map(str::to_owned),
        manifest: PathBuf::from(text(&value["manifest_path"])),
        dependencies: dependencies.collect(),
    }
}

fn normal_dependencies(node: &Value) -> Vec<String> {
    let is_normal = |it: &&Value| it["dep_kinds"].as_array().expect("kinds").iter().any(|kind| kind["kind"].is_null());
    node["deps"].as_array().expect("deps").iter().filter(is_normal).map(|it| text(&it["pkg"])).collect()
}
