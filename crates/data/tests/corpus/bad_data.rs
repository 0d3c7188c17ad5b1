//! The damages of Apache's `parquet-testing/bad_data`, made from code: its files are not ours to copy, its README says what is wrong with each.

use super::{Outcome, all, refused, rows};

/// Thrift's compact protocol, as much as a Parquet file needs.
#[derive(Default)]
struct Thrift {
    bytes: Vec<u8>,
    last: u8,
}

impl Thrift {
    fn varint(&mut self, mut number: u64) {
        while 0x80 <= number {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    /// The head of a field: 5 is an `i32`, 6 an `i64`, 8 a text, 9 a list, 12 a struct.
    fn field(mut self, id: u8, kind: u8) -> Thrift {
        self.bytes.push((id - self.last) << 4 | kind);
        self.last = id;
        self
    }

    fn int(self, id: u8, number: i64) -> Thrift {
        let mut it = self.field(id, 5);
        it.varint((number << 1 ^ number >> 63) as u64);
        it
    }

    fn long(self, id: u8, number: i64) -> Thrift {
        let mut it = self.field(id, 6);
        it.varint((number << 1 ^ number >> 63) as u64);
        it
    }

    fn text(self, id: u8, text: &str) -> Thrift {
        let mut it = self.field(id, 8);
        it.varint(text.len() as u64);
        it.bytes.extend(text.as_bytes());
        it
    }

    fn list(self, id: u8, kind: u8, items: &[Vec<u8>]) -> Thrift {
        let mut it = self.field(id, 9);
        it.bytes.push((items.len() as u8) << 4 | kind);
        items.iter().for_each(|item| it.bytes.extend(item));
        it
    }

    fn group(self, id: u8, inner: Thrift) -> Thrift {
        let mut it = self.field(id, 12);
        it.bytes.extend(inner.end());
        it
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

fn start() -> Thrift {
    Thrift::default()
}

/// A column: one data page, behind a dictionary page where there is one.
#[derive(Clone)]
struct Made {
    /// The schema's physical type: 1 is a 32-bit integer, 7 bytes of fixed length.
    kind: i64,
    /// 0 required, 1 optional, 2 repeated.
    repetition: i64,
    /// How many values the data page claims.
    n_values: i64,
    /// 0 plain, 8 by dictionary.
    encoding: i64,
    page: Vec<u8>,
    dictionary: Option<(i64, Vec<u8>)>,
}

impl Made {
    fn integers(values: &[i32]) -> Made {
        let page = values.iter().flat_map(|it| it.to_le_bytes()).collect();
        Made { kind: 1, repetition: 0, n_values: values.len() as i64, encoding: 0, page, dictionary: None }
    }
}

/// A file of one row group.
fn file(n_rows: i64, columns: &[Made]) -> Vec<u8> {
    let mut bytes = b"PAR1".to_vec();
    let mut schema = vec![start().text(4, "m").int(5, columns.len() as i64).end()];
    let mut chunks = Vec::new();
    for (at, it) in columns.iter().enumerate() {
        let name = ["a", "b"][at];
        let element = if it.kind == 7 { start().int(1, 7).int(2, 4) } else { start().int(1, it.kind) };
        schema.push(element.int(3, it.repetition).text(4, name).end());
        let first = bytes.len() as i64;
        let size = |it: &Vec<u8>| it.len() as i64;
        if let Some((n, content)) = &it.dictionary {
            let head = start().int(1, 2).int(2, size(content)).int(3, size(content));
            bytes.extend(head.group(7, start().int(1, *n).int(2, 0)).end());
            bytes.extend(content);
        }
        let data = bytes.len() as i64;
        let head = start().int(1, 0).int(2, size(&it.page)).int(3, size(&it.page));
        bytes.extend(head.group(5, start().int(1, it.n_values).int(2, it.encoding).int(3, 3).int(4, 3)).end());
        bytes.extend(&it.page);
        let total = bytes.len() as i64 - first;
        let path = [[1, name.as_bytes()[0]].to_vec()];
        let meta = start().int(1, it.kind).list(2, 5, &[vec![0], vec![6], vec![16]]).list(3, 8, &path).int(4, 0);
        let meta = meta.long(5, it.n_values).long(6, total).long(7, total).long(9, data);
        let meta = if it.dictionary.is_some() { meta.long(11, first) } else { meta };
        chunks.push(start().long(2, first).group(3, meta).end());
    }
    let group = start().list(1, 12, &chunks).long(2, bytes.len() as i64).long(3, n_rows).end();
    let footer = start().int(1, 1).list(2, 12, &schema).long(3, n_rows).list(4, 12, &[group]).end();
    bytes.extend(&footer);
    bytes.extend((footer.len() as u32).to_le_bytes());
    bytes.extend(b"PAR1");
    bytes
}

/// Each as its README says; the first is whole, so that the others are refused for their damage.
pub(super) fn cases() -> Outcome {
    let plain = Made::integers(&[1, 2, 3, 4]);
    // A run of four ones in four bytes with their length in front: definition levels, then values.
    let levels = |n: u8| [vec![2, 0, 0, 0, n << 1, 1], plain.page.clone()].concat();
    let optional = |n: u8| Made { repetition: 1, page: levels(n), ..plain.clone() };
    // A bit width, then a run of four of the value.
    let by_code = |width: u8, run: Vec<u8>, n: i64| Made {
        encoding: 8,
        page: [vec![width], run].concat(),
        dictionary: Some((n, [7_i32, 9].iter().flat_map(|it| it.to_le_bytes()).collect())),
        ..plain.clone()
    };
    let fixed =
        Made { kind: 7, dictionary: Some((1, [3, 0, 0, 0, b'x', b'y', b'z'].to_vec())), ..by_code(1, vec![8, 0], 1) };
    let whole = [file(4, std::slice::from_ref(&plain)), file(4, &[optional(4)]), file(4, &[by_code(1, vec![8, 1], 2)])];
    let damaged = [
        // PARQUET-1481: a type that is none.
        file(4, &[Made { kind: 63, ..plain.clone() }]),
        // ARROW-RS-GH-6229-DICTHEADER: fewer than no values in the dictionary.
        file(4, &[by_code(1, vec![8, 1], -1)]),
        // ARROW-GH-41321: fewer levels than values.
        file(4, &[optional(2)]),
        // ARROW-GH-41317: columns of different lengths.
        file(4, &[plain.clone(), Made::integers(&[1, 2, 3])]),
        // ARROW-RS-GH-11261-FLBA-DICT: a dictionary of texts for bytes of fixed length.
        file(4, &[fixed]),
        // ARROW-RS-GH-6229-LEVELS and ARROW-GH-45185: repetition levels that are too few, or begin with 1.
        file(4, &[Made { repetition: 2, page: [vec![2, 0, 0, 0, 4, 0], levels(4)].concat(), ..plain.clone() }]),
        file(4, &[Made { repetition: 2, page: [vec![2, 0, 0, 0, 8, 1], levels(4)].concat(), ..plain.clone() }]),
    ];
    // ARROW-GH-43605: codes of no bits, which is a dictionary's first value each time; it may be read so.
    let no_bits = file(4, &[by_code(0, vec![8], 2)]);
    let no_bits = rows(&no_bits, 4).or_else(|_| refused(&no_bits, &[]));
    all(whole.iter().map(|it| rows(it, 4)).chain(damaged.iter().map(|it| refused(it, &[]))).chain([no_bits]))
}
