//! Every package, tests' own included, comes under a permissive license.

use crate::repo::metadata;

/// Licenses that ask for no more than that they are named.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Packages that declare no license but come with its text: package, file, how the text begins.
const BY_TEXT: &[(&str, &str, &str)] = &[("forust-ml", "LICENSE", "Apache License Version 2.0, January 2004")];

#[test]
fn every_package_is_permissive() {
    for package in &metadata().packages {
        match &package.license {
            Some(expression) => {
                let verdict = is_permissive(expression);
                assert_eq!(verdict, Ok(true), "{}: `{expression}`", package.name);
            }
            None => {
                let known = BY_TEXT.iter().find(|it| it.0 == package.name);
                let (_, file, beginning) = known.unwrap_or_else(|| panic!("{} declares no license", package.name));
                let path = package.manifest.parent().expect("a folder").join(file);
                let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let words: Vec<&str> = text.split_whitespace().take(beginning.split(' ').count()).collect();
                assert_eq!(words.join(" "), *beginning, "{}", package.name);
            }
        }
    }
}

#[test]
fn our_own_packages_offer_the_licenses_at_the_root() {
    for (folder, package) in &metadata().members {
        assert_eq!(package.license.as_deref(), Some("MIT OR Apache-2.0"), "{folder}");
    }
    assert!(crate::repo::read("LICENSE-MIT").contains("Permission is hereby granted, free of charge"));
    assert!(crate::repo::read("LICENSE-APACHE").trim_start().starts_with("Apache License"));
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for (expression, expected) in [
        ("MIT", Some(true)),
        ("GPL-3.0-only", Some(false)),
        ("MIT OR GPL-3.0-only", Some(true)),
        ("MIT AND GPL-3.0-only", Some(false)),
        // AND binds stronger than OR.
        ("GPL-3.0-only AND MIT OR MIT", Some(true)),
        ("MIT OR GPL-3.0-only AND LGPL-2.1-only", Some(true)),
        ("GPL-3.0-only AND (MIT OR Zlib)", Some(false)),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", Some(true)),
        ("Apache-2.0 WITH LLVM-exception", Some(true)),
        ("GPL-2.0-only WITH Classpath-exception-2.0", Some(false)),
        ("MIT WITH LLVM-exception", Some(false)),
        // An old spelling of OR that registries still hold.
        ("MIT/Apache-2.0", Some(true)),
        ("GPL-3.0-only/LGPL-3.0-only", Some(false)),
        ("", None),
        ("MIT OR", None),
        ("(MIT", None),
        ("MIT)", None),
        ("MIT Apache-2.0", None),
        ("OR MIT", None),
    ] {
        assert_eq!(is_permissive(expression).ok(), expected, "`{expression}`");
    }
}

/// Whether the terms of an SPDX expression can be met with permissive licenses alone.
fn is_permissive(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &tokens[..];
    let verdict = any(&mut rest)?;
    if rest.is_empty() { Ok(verdict) } else { Err(format!("`{}` is left over", rest.join(" "))) }
}

fn any(rest: &mut &[&str]) -> Result<bool, String> {
    let mut verdict = all(rest)?;
    while take(rest, "OR") {
        verdict |= all(rest)?;
    }
    Ok(verdict)
}

fn all(rest: &mut &[&str]) -> Result<bool, String> {
    let mut verdict = one(rest)?;
    while take(rest, "AND") {
        verdict &= one(rest)?;
    }
    Ok(verdict)
}

fn one(rest: &mut &[&str]) -> Result<bool, String> {
    if take(rest, "(") {
        let verdict = any(rest)?;
        return if take(rest, ")") { Ok(verdict) } else { Err("a `)` is missing".to_owned()) };
    }
    let mut license = name(rest)?;
    if take(rest, "WITH") {
        license = format!("{license} WITH {}", name(rest)?);
    }
    Ok(PERMISSIVE.contains(&license.as_str()))
}

fn name(rest: &mut &[&str]) -> Result<String, String> {
    match rest.split_first() {
        Some((first, others)) if !["AND", "OR", "WITH", "(", ")"].contains(first) => {
            *rest = others;
            Ok((*first).to_owned())
        }
        Some((first, _)) => Err(format!("`{first}` stands where a license should")),
        None => Err("a license is missing".to_owned()),
    }
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, others)) if *first == word => {
            *rest = others;
            true
        }
        _ => false,
    }
}
