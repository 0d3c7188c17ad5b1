//! State directories that cannot be used.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use expect_test::expect;
use rusqlite::Connection;

use super::setting::{Folder, REPLAY};

#[test]
fn a_state_that_is_not_there_is_named_and_not_made() {
    let folder = Folder::new();
    let told: String =
        [&["status"][..], &["audit", "verify", "--state", "elsewhere"], &["trigger", "price", "--reason", "new shop"]]
            .iter()
            .map(|it| folder.shown(it))
            .collect();
    expect![[r#"
        $ refit status
        exit 2
        -- stderr
        error: there is no state in `state`: name the one you mean with --state, or make one with `refit apply --state state` or `refit demo --state state`
        $ refit audit verify --state elsewhere
        exit 2
        -- stderr
        error: there is no state in `elsewhere`: name the one you mean with --state, or make one with `refit apply --state elsewhere` or `refit demo --state elsewhere`
        $ refit trigger price --reason 'new shop'
        exit 2
        -- stderr
        error: there is no state in `state`: name the one you mean with --state, or make one with `refit apply --state state` or `refit demo --state state`
    "#]]
    .assert_eq(&told);
    assert!(!folder.path("state").exists());
    assert!(!folder.path("elsewhere").exists());
}

#[test]
fn a_state_directory_that_is_a_file_stays_as_it_is() {
    let folder = Folder::new();
    folder.write("state", "mine");
    folder.check(
        REPLAY,
        expect![[r#"
            $ refit replay --config refit.yaml --data rows.csv --warmup 6d --state state
            exit 2
            -- stderr
            error: state directory `[FOLDER]/state` cannot be used: File exists
        "#]],
    );
    folder.check(
        &["status"],
        expect![[r#"
            $ refit status
            exit 2
            -- stderr
            error: there is no state in `state`: name the one you mean with --state, or make one with `refit apply --state state` or `refit demo --state state`
        "#]],
    );
    assert_eq!(std::fs::read_to_string(folder.path("state")).unwrap(), "mine");
}

#[test]
fn a_state_directory_that_cannot_be_made_is_named() {
    let folder = Folder::new();
    let arguments: Vec<&str> = REPLAY.iter().map(|it| if *it == "state" { "/proc/state" } else { *it }).collect();
    folder.check(
        &arguments,
        expect![[r#"
            $ refit replay --config refit.yaml --data rows.csv --warmup 6d --state /proc/state
            exit 2
            -- stderr
            error: state directory `/proc/state` cannot be used: No such file or directory
        "#]],
    );
}

#[test]
fn a_folder_without_the_right_to_write_is_named() {
    let folder = Folder::new();
    let locked = folder.path("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, Permissions::from_mode(0o555)).unwrap();
    // Whoever may do everything, root, is not stopped by permissions.
    if File::create(locked.join("probe")).is_ok() {
        return;
    }
    let arguments: Vec<&str> = REPLAY.iter().map(|it| if *it == "state" { "locked/state" } else { *it }).collect();
    let told = folder.shown(&arguments);
    let expected =
        "exit 2\n-- stderr\nerror: state directory `[FOLDER]/locked/state` cannot be used: Permission denied\n";
    assert!(told.ends_with(expected), "{told}");
}

#[test]
fn a_state_of_a_newer_version_is_left_alone() {
    let folder = Folder::with_state();
    let database = Connection::open(folder.path("state/state.sqlite")).unwrap();
    database.execute("UPDATE schema SET version = 99", []).unwrap();
    drop(database);
    folder.check(
        &["status"],
        expect![[r#"
        $ refit status
        exit 2
        -- stderr
        error: state file `[FOLDER]/state/state.sqlite` has schema 99, written by a newer Refit: this one reads up to 1
    "#]],
    );
    folder.check(
        &["rollback", "price", "--reason", "complaints"],
        expect![[r#"
        $ refit rollback price --reason complaints
        exit 2
        -- stderr
        error: state file `[FOLDER]/state/state.sqlite` has schema 99, written by a newer Refit: this one reads up to 1
    "#]],
    );
}

#[test]
fn a_state_that_is_another_program_s_database_is_left_alone() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("state")).unwrap();
    let database = Connection::open(folder.path("state/state.sqlite")).unwrap();
    database.execute("CREATE TABLE recipes (name TEXT)", []).unwrap();
    drop(database);
    folder.check(
        REPLAY,
        expect![[r#"
            $ refit replay --config refit.yaml --data rows.csv --warmup 6d --state state
            exit 2
            -- stderr
            error: state file `[FOLDER]/state/state.sqlite` is a database, but not one of Refit
        "#]],
    );
    std::fs::write(folder.path("state/state.sqlite"), "mine").unwrap();
    folder.check(
        &["status"],
        expect![[r#"
        $ refit status
        exit 2
        -- stderr
        error: state in `[FOLDER]/state/state.sqlite` could not be opened: file is not a database
    "#]],
    );
}

#[test]
fn one_process_drives_a_state_and_any_number_look() {
    let folder = Folder::with_state();
    folder.write("rows.csv", super::setting::rows());
    folder.write("refit.yaml", super::setting::POLICY);
    folder.write("retrain.json", super::setting::DEFINITION);
    let lock = File::create(folder.path("state/lock")).unwrap();
    lock.lock().unwrap();
    let before = folder.json(&["status"]);
    folder.check(
        REPLAY,
        expect![[r#"
        $ refit replay --config refit.yaml --data rows.csv --warmup 6d --state state
        exit 2
        -- stderr
        error: another process is working on state directory `[FOLDER]/state`; wait for it to end
    "#]],
    );
    folder.check(
        &["decline", "price-r0004"],
        expect![[r#"
        $ refit decline price-r0004
        exit 2
        -- stderr
        error: another process is working on state directory `[FOLDER]/state`; wait for it to end
    "#]],
    );
    assert_eq!(folder.json(&["status"]), before);
    drop(lock);
    let told = folder.shown(&["decline", "price-r0004"]);
    assert!(told.contains("exit 0"), "{told}");
}

#[test]
fn a_state_is_found_by_the_variable_and_by_the_flag_first() {
    let folder = Folder::with_state();
    std::fs::rename(folder.path("state"), folder.path("kept")).unwrap();
    let told = |variable: &str, arguments: &[&str]| {
        let output = folder.refit(arguments).env("REFIT_STATE", variable).output().unwrap();
        output.status.code()
    };
    assert_eq!(told("kept", &["models"]), Some(0));
    assert_eq!(told("state", &["models"]), Some(2));
    assert_eq!(told("state", &["models", "--state", "kept"]), Some(0));
    assert_eq!(told("kept", &["models", "--state", "state"]), Some(2));
}
