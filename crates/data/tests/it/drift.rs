//! The drift engine on tables: every way to the same numbers.

use refit_data::drift::{
    DriftError, ExactOptions, FeatureComparison, FeatureScores, OneWorker, Profile, ProfileFileError, Side, Workers,
    compare_exact, compare_profiles, profile_tables,
};
use refit_data::{Column, Frame, Kind, ReadOptions, Table, Values, write_csv, write_parquet};
use refit_stats::verdict::Score;

const FEATURES: [&str; 3] = ["x", "few", "c"];

/// Rows that are the same on every machine: a number with missing values, one with few values, and categories.
fn frame(rows: usize, shift: f64, seed: u64) -> Frame {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let x = (0..rows).map(|_| (0.05 <= uniform()).then(|| (uniform() + uniform() + shift) * 1e3)).collect();
    let few = (0..rows).map(|_| Some((uniform() * 20.0 + shift).floor())).collect();
    let texts: Vec<Option<String>> =
        (0..rows).map(|_| (0.02 <= uniform()).then(|| format!("c{}", (uniform() * uniform() * 40.0) as u32))).collect();
    let mut categories = refit_data::Categories::default();
    for text in &texts {
        let code = text.as_ref().map_or(refit_data::MISSING, |text| {
            let found = categories.dictionary.iter().position(|it| it == text);
            found.unwrap_or_else(|| {
                categories.dictionary.push(text.clone());
                categories.dictionary.len() - 1
            }) as u32
        });
        categories.codes.push(code);
    }
    let column = |name: &str, values| Column { name: name.to_owned(), values };
    Frame::new(vec![
        column("x", Values::Numeric(x)),
        column("few", Values::Numeric(few)),
        column("c", Values::Categorical(categories)),
    ])
    .expect("columns of one length")
}

fn options() -> ReadOptions {
    ReadOptions::columns(&[("x", Kind::Numeric), ("few", Kind::Numeric), ("c", Kind::Categorical)])
}

fn csv(frame: &Frame) -> Vec<u8> {
    write_csv(frame)
}

/// Takes tasks from the end, so that results come in another order than the tasks.
struct Backwards;

impl Workers for Backwards {
    fn run(&self, n_tasks: usize, _at_once: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..n_tasks).rev().for_each(task);
    }
}

#[test]
fn formats_parts_and_workers_make_no_difference() {
    let (reference, current) = (frame(5000, 0.0, 1), frame(4000, 0.1, 2));
    let exact = |reference: &[Vec<u8>], current: &[Vec<u8>], workers: &dyn Workers| {
        let open = |side: &'_ [Vec<u8>]| -> Vec<Vec<u8>> { side.to_vec() };
        let (reference, current) = (open(reference), open(current));
        let reference: Vec<Table<'_>> = reference.iter().map(|it| Table::open(it, &options()).unwrap()).collect();
        let current: Vec<Table<'_>> = current.iter().map(|it| Table::open(it, &options()).unwrap()).collect();
        compare_exact(&reference, &current, &FEATURES, ExactOptions::default(), workers).unwrap()
    };
    let whole = exact(&[csv(&reference)], &[csv(&current)], &OneWorker);
    let parquet = [write_parquet(&reference)];
    assert_eq!(exact(&parquet, &[write_parquet(&current)], &OneWorker), whole);
    assert_eq!(exact(&parquet, &[write_parquet(&current)], &Backwards), whole);
    assert_eq!(exact(&[csv(&reference)], &[csv(&current)], &Backwards), whole);
    let rows: Vec<usize> = (0..reference.rows()).collect();
    let halves: Vec<Vec<u8>> = rows.chunks(2500).map(|it| csv(&reference.take(it))).collect();
    assert_eq!(exact(&halves, &[csv(&current)], &OneWorker), whole);
    // More parts than pieces, and a side without a part.
    let parts: Vec<Vec<u8>> = rows.chunks(400).map(|it| write_parquet(&reference.take(it))).collect();
    assert_eq!(exact(&parts, &[write_parquet(&current)], &OneWorker), whole);
    assert_eq!(exact(&parts, &[write_parquet(&current)], &Backwards), whole);
    let nothing = exact(&parquet, &[write_parquet(&current.take(&[]))], &OneWorker);
    assert_eq!((nothing.len(), nothing[0].current.count, &nothing[0].scores), (3, 0, &FeatureScores::Undefined));
    assert_eq!(whole.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), FEATURES);
    assert_eq!((whole[0].reference.count, whole[0].current.count), (5000, 4000));
    assert!(200 < whole[0].reference.missing && whole[1].reference.missing == 0);
}

fn scores(of: &FeatureComparison) -> Vec<Score> {
    match &of.scores {
        FeatureScores::Numeric(it) => {
            vec![
                it.ks,
                it.linf_robust,
                it.wasserstein1,
                it.q10.psi,
                it.q10.js_distance_base2,
                it.w20.clone().expect("no constant").psi,
            ]
        }
        FeatureScores::Categorical(it) => {
            vec![it.counts.psi, it.counts.js_distance_base2, it.chi2.expect("two categories")]
        }
        FeatureScores::Undefined => Vec::new(),
    }
}

#[test]
fn profiles_of_parts_bound_the_exact_scores() {
    let (reference, current) = (csv(&frame(30_000, 0.0, 3)), frame(20_000, 0.05, 4));
    let open = |bytes: &Vec<u8>| -> Frame { refit_data::read(bytes, &options()).unwrap() };
    assert_eq!(open(&reference).rows(), 30_000);
    let reference = [Table::open(&reference, &options()).unwrap()];
    let rows: Vec<usize> = (0..current.rows()).collect();
    let hours: Vec<Vec<u8>> = rows
        .chunks(1500)
        .map(|it| {
            let hour = csv(&current.take(it));
            let hour = [Table::open(&hour, &options()).unwrap()];
            profile_tables(&hour, &FEATURES, &Backwards).unwrap().to_bytes()
        })
        .collect();
    let hours: Vec<&[u8]> = hours.iter().map(Vec::as_slice).collect();
    let day = Profile::sum(&hours).unwrap();
    let one_by_one =
        hours.iter().fold(Profile::default(), |sum, it| sum.merged(&Profile::from_bytes(it).unwrap()).unwrap());
    assert_eq!(day, one_by_one);
    let day = Profile::from_bytes(&day.to_bytes()).unwrap();
    let baseline = profile_tables(&reference, &FEATURES, &OneWorker).unwrap();
    let current = csv(&current);
    let current = [Table::open(&current, &options()).unwrap()];
    let exact = compare_exact(&reference, &current, &FEATURES, ExactOptions::default(), &OneWorker).unwrap();
    let found = compare_profiles(&baseline, &day, &FEATURES).unwrap();
    for (exact, found) in exact.iter().zip(&found) {
        assert_eq!((exact.reference, exact.current), (found.reference, found.current), "{}", exact.name);
        assert!(!scores(exact).is_empty());
        for (at, (exact, found)) in scores(exact).into_iter().zip(scores(found)).enumerate() {
            let slack = 1e-9 * exact.value.max(1.0);
            assert!((exact.value - found.value).abs() <= found.error_bound + slack, "{at}: {exact:?} {found:?}");
        }
    }
}

#[test]
fn unique_texts_keep_a_profile_small() {
    let csv = format!("c\n{}", (0..200_000).map(|it| format!("text number {it}\n")).collect::<String>()).into_bytes();
    let tables = [Table::open(&csv, &ReadOptions::columns(&[("c", Kind::Categorical)])).unwrap()];
    let profile = profile_tables(&tables, &["c"], &OneWorker).unwrap();
    assert!(profile.to_bytes().len() < 8192 + 64);
    let refit_data::drift::FeatureProfile::Categorical(found) = &profile.features["c"] else { panic!("categories") };
    assert_eq!(found.rows(), 200_000);
    // Rows were left out a few times, of each text at most one each time.
    assert!((1..32).contains(&found.count("text number 7").1), "{:?}", found.count("text number 7"));
    assert!((180_000..220_000).contains(&found.n_distinct()), "{}", found.n_distinct());
}

#[test]
fn what_cannot_be_compared_is_named() {
    let (numbers, times) = (b"x\n1\n2\n".to_vec(), b"x\n2020-01-01\n2020-01-02\n".to_vec());
    let numbers = [Table::open(&numbers, &ReadOptions::all()).unwrap()];
    let times = [Table::open(&times, &ReadOptions::all()).unwrap()];
    let exact = |reference, current, features: &[&str], memory| {
        compare_exact(reference, current, features, ExactOptions { memory }, &OneWorker)
    };
    let error = exact(&numbers, &times, &["x"], 1 << 20).unwrap_err();
    assert!(matches!(&error, DriftError::NoColumn { side: Side::Current, table: 0, .. }), "{error}");
    assert_eq!(error.to_string(), "file 1 of the current has no numeric column `x`");
    assert!(matches!(exact(&times, &times, &["x"], 1 << 20), Err(DriftError::Time(_))));
    let parquet = write_parquet(&frame(1000, 0.0, 1));
    let rows = [Table::open(&parquet, &options()).unwrap()];
    let refused = exact(&rows, &rows, &["x"], 20_000);
    assert!(matches!(refused, Err(DriftError::Memory { needed: 24_000, limit: 20_000, .. })));
    let text = csv(&frame(5000, 0.0, 1));
    let rows = [Table::open(&text, &options()).unwrap()];
    assert!(matches!(exact(&rows, &rows, &["x", "c"], 20_000), Err(DriftError::Memory { limit: 20_000, .. })));
    assert!(exact(&rows, &rows, &["x", "c"], 200_000).is_ok());
    let empty = b"x\n\n".to_vec();
    let empty = [Table::open(&empty, &ReadOptions::columns(&[("x", Kind::Numeric)])).unwrap()];
    let undefined = exact(&empty, &numbers, &["x"], 1 << 20).unwrap();
    assert_eq!(undefined[0].scores, FeatureScores::Undefined);
}

#[test]
fn damaged_profile_files_are_errors() {
    let csv = csv(&frame(300, 0.0, 5));
    let tables = [Table::open(&csv, &options()).unwrap()];
    let profile = profile_tables(&tables, &FEATURES, &OneWorker).unwrap();
    let bytes = profile.to_bytes();
    assert_eq!(Profile::from_bytes(b"PAR1"), Err(ProfileFileError::NotAProfile));
    assert_eq!(Profile::from_bytes(b"RFPR\x02"), Err(ProfileFileError::Version(2)));
    for end in 4..bytes.len() {
        assert!(Profile::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let read = Profile::from_bytes(&damaged);
        assert!(read.is_err() || b"RFPR\x01".len() <= at, "{at} is of the mark or the version");
        // Another value may read as another profile: comparing it answers or refuses, and does not panic.
        let _ = read.map(|it| compare_profiles(&profile, &it, &["x"]));
    }
    let other = profile_tables(&tables, &["x"], &OneWorker).unwrap();
    assert_eq!(profile.merged(&other), Err(ProfileFileError::OtherFeatures { name: "c".to_owned() }));
    assert!(Profile::sum(&[&bytes, &other.to_bytes()]).is_err());
    assert_eq!(Profile::sum(&[]), Ok(Profile::default()));
}
