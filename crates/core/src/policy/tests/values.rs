//! Each value by itself: its type, its range, its form.

use expect_test::expect;

use super::{accepted, check, patched, refused};

#[test]
fn wrong_types_are_named() {
    check(
        &[
            ("threshold: 0.25", "threshold: [0.25]"),
            ("threshold: 0.25", "threshold: '0.25'"),
            ("threshold: 0.25", "threshold: high"),
            ("timeout: 3h", "timeout: [3h]"),
            ("timeout: 3h", "timeout: 3"),
            ("segments: [carrier]", "segments: carrier"),
            ("[failure, drift]", "failure"),
            ("fleet: { concurrent_runs: 3, timezone: UTC }", "fleet: 3"),
            ("concurrent_runs: 3", "concurrent_runs: 3.0"),
            ("parameters: { InstanceType: ml.m5.large }", "parameters: [a]"),
            ("parameters: { InstanceType: ml.m5.large }", "parameters: { A: [1] }"),
            ("carrier: categorical", "carrier: { kind: categorical }"),
            ("schema: 1", "schema: one"),
            ("schema: 1", "schema: 2"),
        ],
        expect![[r#"
            34:39: models[0].triggers.drift.threshold: expected a number, found a list
            34:39: models[0].triggers.drift.threshold: expected a number, found the text `0.25`; remove the quotes
            34:39: models[0].triggers.drift.threshold: expected a number, found the text `high`
            14:16: models[0].pipeline.timeout: expected a length of time, found a list
            14:16: models[0].pipeline.timeout: `3` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            22:17: models[0].data.segments: expected a list, found the text `carrier`
            4:39: notifications[0].on: expected a list, found the text `failure`
            2:8: fleet: expected a map, found the number `3`
            2:27: fleet.concurrent_runs: expected a whole number, found the number `3.0`
            12:19: models[0].pipeline.parameters: expected a map, found a list
            12:24: models[0].pipeline.parameters.A: expected a text, a number or a boolean, found a list
            26:18: models[0].data.features.carrier: expected one of `numeric`, `categorical`, found a map
            1:9: schema: expected a whole number, found the text `one`
            1:9: schema: schema 2 is not known; this version reads schema 1
        "#]],
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    check(
        &[
            ("threshold: 0.25", "threshold: -0.25"),
            ("threshold: 0.25", "threshold: 0"),
            ("threshold: 0.25", "threshold: .nan"),
            ("threshold: 0.25", "threshold: .inf"),
            ("threshold: 0.25", "threshold: 1e309"),
            ("threshold: 0.25", "threshold: 5%"),
            ("threshold: 0.25", "threshold: 1.5"),
            ("share: 0.5", "share: 0"),
            ("share: 0.5", "share: 1.01"),
            ("share: 0.5", "share: 5"),
            ("max_drop: 0.05", "max_drop: 5"),
            ("max_drop: 0.05", "max_drop: 0"),
            ("max_drop: 0.05", "max_drop: 5 %"),
            ("min_rows: 200", "min_rows: 0"),
            ("min_rows: 200", "min_rows: -1"),
            ("concurrent_runs: 3", "concurrent_runs: 0"),
            ("concurrent_runs: 3", "concurrent_runs: -1"),
            ("concurrent_runs: 3", "concurrent_runs: 1e9"),
            ("concurrent_runs: 3", "concurrent_runs: 1000000000"),
            ("approvals: 2", "approvals: 0"),
            ("approvals: 2", "approvals: 11"),
            ("min_improvement: 0.01", "min_improvement: -0.01"),
            ("min_improvement: 0.01", "min_improvement: 5"),
            ("max_regression: 0.02", "max_regression: 2"),
            ("lower_bound_above: 0.001", "lower_bound_above: 1"),
            ("floor: 12.0", "floor: -1"),
        ],
        expect![[r#"
            34:39: models[0].triggers.drift.threshold: `-0.25` is out of range: it must be above 0
            34:39: models[0].triggers.drift.threshold: `0` is out of range: it must be above 0
            34:39: models[0].triggers.drift.threshold: `.nan` is out of range: it must be a finite number
            34:39: models[0].triggers.drift.threshold: `.inf` is out of range: it must be a finite number
            34:39: models[0].triggers.drift.threshold: `1e309` is out of range: it must be a finite number
            34:39: models[0].triggers.drift.threshold: expected a number, found `5%`; say `0.05`
            34:39: models[0].triggers.drift.threshold: `1.5` is out of range: a `ks` distance is at most 1, so this never fires
            34:52: models[0].triggers.drift.share: `0` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            34:52: models[0].triggers.drift.share: `1.01` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            34:52: models[0].triggers.drift.share: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            35:45: models[0].triggers.performance.max_drop: `5` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            35:45: models[0].triggers.performance.max_drop: `0` is out of range: it must be a share above 0, at most 1 (5 % is `0.05`)
            35:45: models[0].triggers.performance.max_drop: expected a number, found `5 %`; say `0.05`
            34:67: models[0].triggers.drift.min_rows: `0` is out of range: it must be at least 1
            34:67: models[0].triggers.drift.min_rows: `-1` is out of range: it must be at least 1
            2:27: fleet.concurrent_runs: `0` is out of range: it must be 1 to 1000
            2:27: fleet.concurrent_runs: `-1` is out of range: it must be 1 to 1000
            2:27: fleet.concurrent_runs: expected a whole number, found the number `1e9`
            2:27: fleet.concurrent_runs: `1000000000` is out of range: it must be 1 to 1000
            44:18: models[0].promotion.approvals: `0` is out of range: it must be 1 to 10
            44:18: models[0].promotion.approvals: `11` is out of range: it must be 1 to 10
            40:42: models[0].gates[1].min_improvement: `-0.01` is out of range: it must be a share of 0 to 1 (5 % is `0.05`)
            40:42: models[0].gates[1].min_improvement: `5` is out of range: it must be a share of 0 to 1 (5 % is `0.05`)
            40:64: models[0].gates[1].max_regression: `2` is out of range: it must be a share of 0 to 1 (5 % is `0.05`)
            40:105: models[0].gates[1].lower_bound_above: `1` is out of range: it must be a share above -1, below 1 (5 % is `0.05`)
            35:58: models[0].triggers.performance.floor: `-1` is out of range: `mae` is at least 0
        "#]],
    );
    let whole_share = accepted(&patched("share: 0.5", "share: 1"));
    assert_eq!(whole_share.models[0].triggers.drift.as_ref().map(|it| it.share), Some(1.0));
}

#[test]
fn lengths_of_time_out_of_range_are_refused() {
    check(
        &[
            ("size: 7d", "size: 59m"),
            ("size: 7d", "size: 367d"),
            ("hop: 7d", "hop: 1d"),
            ("hop: 7d", "hop: 0s"),
            ("window: 30d", "window: 0s"),
            ("holdout: 7d", "holdout: 0d"),
            ("check_every: 30m", "check_every: 59s"),
            ("timeout: 3h", "timeout: 59s"),
            ("timeout: 3h", "timeout: 29d"),
            ("expires: 5d", "expires: 1s"),
            ("notice_timeout: 10m", "notice_timeout: 8d"),
            ("notice_timeout: 10m", "notice_timeout: 59s"),
            ("cooldown: 6d", "cooldown: -6d"),
            ("cooldown: 6d", "cooldown: 1.5d"),
            ("cooldown: 6d", "cooldown: 6 days"),
            ("cooldown: 6d", "cooldown: 5000d"),
            ("max: 30d", "max: 0s"),
        ],
        expect![[r#"
            28:21: models[0].window.size: 59m is out of range: it must be at least 1h, at most 366d
            28:21: models[0].window.size: 367d is out of range: it must be at least 1h, at most 366d
            28:30: models[0].window.hop: windows do not overlap: `1d` is less than `window.size`; use at least 7d
            28:30: models[0].window.hop: 0s is out of range: it must be at least 1s
            29:25: models[0].training.window: 0s is out of range: it must be at least 1s
            29:39: models[0].training.holdout: 0s is out of range: it must be at least 1s
            32:20: models[0].triggers.check_every: 59s is out of range: it must be at least 1m
            14:16: models[0].pipeline.timeout: 59s is out of range: it must be at least 1m, at most 28d
            14:16: models[0].pipeline.timeout: 29d is out of range: it must be at least 1m, at most 28d
            45:16: models[0].promotion.expires: 1s is out of range: it must be at least 1m
            46:23: models[0].promotion.notice_timeout: 8d is out of range: it must be at least 1m, at most 7d
            46:23: models[0].promotion.notice_timeout: 59s is out of range: it must be at least 1m, at most 7d
            37:17: models[0].triggers.cooldown: `-6d` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            37:17: models[0].triggers.cooldown: `1.5d` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            37:17: models[0].triggers.cooldown: `6 days` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            37:17: models[0].triggers.cooldown: `5000d` is not a length of time: write it like `90s`, `15m`, `1h30m`, `7d` or `2w`, at most ten years
            36:19: models[0].triggers.age.max: 0s is out of range: it must be at least 1m
        "#]],
    );
}

#[test]
fn schedules_are_aws_schedules() {
    check(
        &[
            ("cron(0 2 * * ? *)", "0 2 * * *"),
            ("cron(0 2 * * ? *)", "cron(0 2 * * ? * *)"),
            ("cron(0 2 * * ? *)", "rate(1 hours)"),
            ("cron(0 2 * * ? *)", "rate(0 minutes)"),
            ("cron(0 2 * * ? *)", "cron(0 2 30 2 ? *)"),
            ("cron(0 2 * * ? *)", "cron(0 2 1 * MON *)"),
            ("timezone: UTC", "timezone: Mars/Olympus"),
            ("timezone: UTC", "timezone: europe/berlin"),
        ],
        expect![[r#"
            33:17: models[0].triggers.schedule: `0 2 * * *` is not a schedule: it is not of the form `cron(...)`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `cron(0 2 * * ? * *)` is not a schedule: it has 7 fields where six are needed; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `rate(1 hours)` is not a schedule: it is not of the form `cron(...)`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `rate(0 minutes)` is not a schedule: it is not of the form `cron(...)`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `cron(0 2 30 2 ? *)` is not a schedule: no day matches it; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            33:17: models[0].triggers.schedule: `cron(0 2 1 * MON *)` is not a schedule: exactly one of the day fields must be `?`; it looks like `cron(0 2 * * ? *)`: minutes hours day-of-month month day-of-week year
            2:40: fleet.timezone: `Mars/Olympus` is not the name of a time zone: write it like `UTC`, `Europe/Berlin` or `America/New_York`
            2:40: fleet.timezone: `europe/berlin` is not the name of a time zone: write it like `UTC`, `Europe/Berlin` or `America/New_York`
        "#]],
    );
}

#[test]
fn addresses_are_strict() {
    check(
        &[
            ("s3://refit/reference/", "s3://"),
            ("s3://refit/reference/", "s3:///k"),
            ("s3://refit/reference/", "S3://B/.."),
            ("s3://refit/reference/", "http://169.254.169.254/latest"),
            ("s3://refit/reference/", "file:///etc/passwd"),
            ("s3://refit/reference/", "s3://Refit/reference"),
            ("s3://refit/reference/", "\"s3://refit/a\\0b\""),
            ("s3://refit/reference/", "s3://refit//reference"),
            ("s3://refit/reference/", "\"s3://refit/reference \""),
            ("s3://refit/reference/", "s3://refit/../reference"),
            ("s3://refit/reference/", "s3://refit/capture/old"),
            ("s3://refit/labels/", "s3://refit/capture"),
            ("s3://refit/labels/", "s3://refit"),
            ("infra/pipelines/retrain.json", "/etc/passwd"),
            ("infra/pipelines/retrain.json", "/etc/retrain.json"),
            ("infra/pipelines/retrain.json", "retrain.yaml"),
            ("infra/pipelines/retrain.json", "C:\\retrain.json"),
            ("infra/pipelines/retrain.json", "my_pipeline.json"),
        ],
        expect![[r#"
            16:18: models[0].data.reference: `s3://` is not an S3 address: the bucket is 3 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit
            16:18: models[0].data.reference: `s3:///k` is not an S3 address: the bucket is 3 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit
            16:18: models[0].data.reference: `S3://B/..` is not an S3 address: it must begin with `s3://`
            16:18: models[0].data.reference: `http://169.254.169.254/latest` is not an S3 address: it must begin with `s3://`
            16:18: models[0].data.reference: `file:///etc/passwd` is not an S3 address: it must begin with `s3://`
            16:18: models[0].data.reference: `s3://Refit/reference` is not an S3 address: the bucket is 3 to 63 of `a-z 0-9 - .`, beginning and ending with a letter or digit
            16:18: models[0].data.reference: the text holds the control character U+0000; remove it
            16:18: models[0].data.reference: `s3://refit//reference` is not an S3 address: the key has an empty part (`//`)
            16:18: models[0].data.reference: `s3://refit/reference ` is not an S3 address: the key begins or ends with a space
            16:18: models[0].data.reference: `s3://refit/../reference` is not an S3 address: the key has a part `.` or `..`
            17:16: models[0].data.capture: `data.capture` and `data.reference` overlap; neither prefix may lie in the other
            18:15: models[0].data.labels: `data.labels` and `data.capture` overlap; neither prefix may lie in the other
            18:15: models[0].data.labels: `data.labels` and `data.reference` overlap; neither prefix may lie in the other
            18:15: models[0].data.labels: `data.labels` and `data.capture` overlap; neither prefix may lie in the other
            11:19: models[0].pipeline.definition: `/etc/passwd` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `/etc/retrain.json` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `retrain.yaml` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `C:\\retrain.json` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
            11:19: models[0].pipeline.definition: `my_pipeline.json` is not the path of a definition: give the path of a `.json` file relative to refit.yaml, with `/` between parts and a file name of `a-z A-Z 0-9 -`
        "#]],
    );
    accepted(&patched("s3://refit/labels/", "s3://refit/capture-labels"));
}

#[test]
fn receivers_are_mail_addresses() {
    check(
        &[
            ("ml-team@example.com", "ml-team"),
            ("ml-team@example.com", "a@b@example.com"),
            ("ml-team@example.com", "\"a b@example.com\""),
            ("ml-team@example.com", "\"a@example.com\\nBcc: b@example.com\""),
            ("ml-team@example.com", "\"a@example.com\\r\\nBcc: b\""),
            ("ml-team@example.com", "'a@example.com,b@example.com'"),
            ("ml-team@example.com", "'@example.com'"),
            ("ml-team@example.com", "a@"),
            ("ml-team@example.com", "a@example..com"),
            ("[failure, drift]", "[failure, failure]"),
            ("[failure, drift]", "[]"),
            ("[failure, drift]", "[failures]"),
            ("[failure, drift]", "[failure, everything]"),
            ("[failure, drift] }", "[failure] }\n  - { email: ml-team@example.com }"),
        ],
        expect![[r#"
            4:14: notifications[0].email: `ml-team` is not an e-mail address: it needs one `@`
            4:14: notifications[0].email: `a@b@example.com` is not an e-mail address: it has more than one `@`
            4:14: notifications[0].email: `a b@example.com` is not an e-mail address: it holds a space, a line break or a control character
            4:14: notifications[0].email: `a@example.com\nBcc: b@example.com` is not an e-mail address: it holds a space, a line break or a control character
            4:14: notifications[0].email: the text holds the control character U+000D; remove it
            4:14: notifications[0].email: `a@example.com,b@example.com` is not an e-mail address: it has more than one `@`
            4:14: notifications[0].email: `@example.com` is not an e-mail address: it needs a name before the `@` and a domain after it
            4:14: notifications[0].email: `a@` is not an e-mail address: it needs a name before the `@` and a domain after it
            4:14: notifications[0].email: `a@example..com` is not an e-mail address: it needs a name before the `@` and a domain after it
            4:49: notifications[0].on[1]: subject `failure` is already used at line 4, column 40
            4:39: notifications[0].on: an empty list is never told anything; list subjects, or remove `on` to be told everything
            4:40: notifications[0].on[0]: unknown word `failures`; did you mean `failure`?
            4:49: notifications[0].on[1]: unknown word `everything`; use `failure`, `drift`, `approval`, `before_promotion`, `promotion`, `rollback`
            5:14: notifications[1].email: e-mail address `ml-team@example.com` is already used at line 4, column 14
        "#]],
    );
    let long = format!("{}@{}.com", "a".repeat(60), "b.".repeat(100));
    refused(&patched("ml-team@example.com", &long));
}

#[test]
fn names_follow_the_rule() {
    check(
        &[
            ("id: flight-time", "id: ''"),
            ("id: flight-time", "id: -a"),
            ("id: flight-time", "id: a_b"),
            ("id: flight-time", "id: a/b"),
            ("id: flight-time", "id: .."),
            ("id: flight-time", "id: CON"),
            ("id: flight-time", "id: com1"),
            ("id: flight-time", "id: 😀"),
            ("id: flight-time", "id: а"),
            ("id: flight-time", "id: \"a\\n\""),
            ("id: flight-time", "id: 7"),
            ("name: flights", "name: my_flights"),
            ("variant: main", "variant: ''"),
            ("package_group: flight-group", "package_group: a b"),
            ("label: air_time", "label: ''"),
            ("label: air_time", "label: \"a\\nb\""),
            ("distance: numeric", "\"\": numeric"),
            ("distance: numeric", "\"a\\tb\": numeric"),
            ("InstanceType: ml.m5.large", "\"Instance Type\": ml.m5.large"),
            ("InstanceType: ml.m5.large", "TrainStart: now"),
        ],
        expect![[r#"
            6:9: models[0].id: `` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `-a` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `a_b` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `a/b` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `..` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `CON` is the name of a device on some systems; choose another id
            6:9: models[0].id: `com1` is the name of a device on some systems; choose another id
            6:9: models[0].id: `😀` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `а` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: `a\n` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            6:9: models[0].id: expected a text, found the number `7`; put it in quotes to mean a text
            8:23: models[0].endpoint.name: `my_flights` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            8:41: models[0].endpoint.variant: `` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            9:20: models[0].package_group: `a b` is not a name: use 1 to 63 of `a-z A-Z 0-9 -`, beginning with a letter or digit
            20:14: models[0].data.label: `` is not the name of a column: use 1 to 128 characters, no control characters
            20:14: models[0].data.label: `a\nb` is not the name of a column: use 1 to 128 characters, no control characters
            27:9: models[0].data.features[""]: `` is not the name of a column: use 1 to 128 characters, no control characters
            27:9: models[0].data.features["a\tb"]: `a\tb` is not the name of a column: use 1 to 128 characters, no control characters
            12:21: models[0].pipeline.parameters["Instance Type"]: `Instance Type` is not the name of a parameter: use 1 to 256 of `a-z A-Z 0-9 - _`
            12:21: models[0].pipeline.parameters.TrainStart: `TrainStart` is set by Refit for each run; remove it
        "#]],
    );
    refused(&patched("id: flight-time", &format!("id: {}", "x".repeat(64))));
    refused(&patched("label: air_time", &format!("label: {}", "x".repeat(129))));
    accepted(&patched("id: flight-time", &format!("id: {}", "x".repeat(63))));
}
