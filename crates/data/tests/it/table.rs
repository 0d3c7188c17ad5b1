//! Reading block by block gives what reading whole gives.

use refit_data::{BlockValues, Frame, ReadOptions, Table, Values, read, write_csv, write_parquet};

use crate::{categorical, numeric, sample, time};

/// The column at `at`, put together from its blocks.
fn collect(table: &Table<'_>, at: usize) -> Values {
    let (mut numbers, mut times, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for part in 0..table.n_parts() {
        table
            .scan(part, &[at], &mut |position, block| {
                assert_eq!(position, 0);
                let mut values = 0..block.values().len();
                for row in 0..block.rows() {
                    let is_present = block.present().is_none_or(|it| it[row]);
                    let at = is_present.then(|| values.next().expect("a value"));
                    match block.values() {
                        BlockValues::Numbers(values) => numbers.push(at.map(|it| values[it])),
                        BlockValues::Times(values) => times.push(at.map(|it| values[it])),
                        BlockValues::Categories { codes, dictionary } => {
                            texts.push(at.map(|it| dictionary[codes[it] as usize].clone()));
                        }
                    }
                }
                assert_eq!(values.next(), None);
                Ok(())
            })
            .expect("readable");
    }
    match table.columns()[at].kind {
        refit_data::Kind::Numeric => Values::Numeric(numbers),
        refit_data::Kind::Time => Values::Time(times),
        refit_data::Kind::Categorical => Values::Categorical(texts.iter().map(Option::as_deref).collect()),
    }
}

#[track_caller]
fn check(bytes: &[u8], frame: &Frame) {
    let table = Table::open(&bytes, &ReadOptions::all()).expect("readable");
    assert_eq!(table.columns().len(), frame.columns().len());
    for (at, column) in frame.columns().iter().enumerate() {
        assert_eq!(table.columns()[at].name, column.name);
        assert_eq!(collect(&table, at), column.values, "{}", column.name);
    }
}

#[test]
fn blocks_hold_what_the_frame_holds() {
    let n = 250_000;
    let large = Frame::new(vec![
        numeric("gaps", &(0..n).map(|it| (it % 7 != 0).then_some(f64::from(it) * 0.1)).collect::<Vec<_>>()),
        numeric("few", &(0..n).map(|it| Some(f64::from(it % 5))).collect::<Vec<_>>()),
        categorical("c", &(0..n as usize).map(|it| ["a", "b", "c"].get(it % 4).copied()).collect::<Vec<_>>()),
        time("t", &(0..i64::from(n)).map(|it| Some(it * 1_000_000)).collect::<Vec<_>>()),
    ])
    .expect("a frame");
    for frame in [sample(), large] {
        let bytes = write_parquet(&frame);
        assert_eq!(read(&bytes, &ReadOptions::all()).expect("readable"), frame);
        check(&bytes, &frame);
    }
    let csv = write_csv(&sample());
    let frame = read(&csv, &ReadOptions::all()).expect("readable");
    check(&csv, &frame);
    let text = || Table::open(&csv, &ReadOptions::all()).expect("readable");
    let in_memory = text().into_memory(1 << 20).expect("readable");
    for table in [text(), text().into_memory(10).expect("readable"), in_memory, Table::of_frame(frame.clone())] {
        for (at, column) in frame.columns().iter().enumerate() {
            assert_eq!(collect(&table, at), column.values, "{}", column.name);
        }
    }
    assert_eq!(Table::column_names(&csv).expect("readable"), ["ts", "x", "c"]);
}

#[test]
fn parts_and_columns_are_read_alone() {
    let values: Vec<Option<f64>> = (0..250_000).map(|it| Some(f64::from(it))).collect();
    let bytes = write_parquet(&Frame::new(vec![numeric("x", &values), numeric("y", &values)]).expect("a frame"));
    let table = Table::open(&bytes, &ReadOptions::all()).expect("readable");
    assert_eq!((table.n_parts(), table.rows(), table.is_columnar()), (3, Some(250_000), true));
    let mut first = None;
    table
        .scan(2, &[1], &mut |_, block| {
            if let (BlockValues::Numbers(values), None) = (block.values(), first) {
                first = Some(values[0]);
            }
            Ok(())
        })
        .expect("readable");
    assert_eq!(first, Some(200_000.0));
}
