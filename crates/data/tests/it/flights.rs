//! The bundled data set: it reads, and it is what its README says.

use std::path::Path;

use refit_data::{FileRange, Frame, Kind, ReadOptions, read};

fn flights() -> Frame {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/demo/flights.parquet");
    read(&FileRange::open(&path).expect("the bundled file"), &ReadOptions::all()).expect("readable")
}

#[test]
fn the_bundled_flights_have_the_stated_shape() {
    let frame = flights();
    let columns: Vec<(&str, Kind)> = frame.columns().iter().map(|it| (it.name.as_str(), it.values.kind())).collect();
    let (text, number) = (Kind::Categorical, Kind::Numeric);
    assert_eq!(
        columns,
        [
            ("id", text),
            ("ts", Kind::Time),
            ("carrier", text),
            ("origin", text),
            ("dest", text),
            ("distance", number),
            ("hour", number),
            ("weekday", number),
            ("air_time", number),
        ]
    );
    assert_eq!(frame.rows(), 30_000);
    let column = |name: &str| &frame.find_column(name).expect("a column").values;
    assert_eq!(column("id").as_categorical().expect("text").dictionary.len(), 30_000);
    assert!(column("air_time").as_numeric().expect("numbers").iter().all(Option::is_some));
    let times = column("ts").as_time().expect("times");
    assert!(times.is_sorted());
    // 2013-01-01 was a Tuesday.
    const HOUR: i64 = 3_600_000_000;
    const NEW_YEAR: i64 = 1_356_998_400_000_000;
    let (hours, weekdays) =
        (column("hour").as_numeric().expect("numbers"), column("weekday").as_numeric().expect("numbers"));
    for (row, time) in times.iter().enumerate() {
        let hour = (time.expect("a time") - NEW_YEAR).div_euclid(HOUR);
        assert_eq!(hours[row], Some((hour % 24) as f64));
        assert_eq!(weekdays[row], Some(((hour / 24 + 1) % 7) as f64));
    }
}

#[test]
fn every_month_has_as_many_flights_and_the_distances_of_january() {
    const DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    const DAY: i64 = 86_400_000_000;
    let frame = flights();
    let mut start = 1_356_998_400_000_000;
    let mut january: Vec<f64> = Vec::new();
    for days in DAYS {
        let month = frame.filter_time("ts", start, start + days * DAY).expect("a time column");
        assert_eq!(month.rows(), 2500);
        let distances = month.find_column("distance").and_then(|it| it.values.as_numeric()).expect("numbers");
        let mut distances: Vec<f64> = distances.iter().flatten().copied().collect();
        distances.sort_by(f64::total_cmp);
        if january.is_empty() {
            january.clone_from(&distances);
        }
        let share = |of: &[f64], at: f64| of.partition_point(|it| *it <= at) as f64 / of.len() as f64;
        let ks = distances.iter().chain(&january).map(|&at| (share(&january, at) - share(&distances, at)).abs());
        let ks = ks.fold(0.0, f64::max);
        assert!(ks <= 0.06, "{ks}");
        start += days * DAY;
    }
}
