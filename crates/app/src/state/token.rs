//! The names of transactions.

use twox_hash::XxHash3_128;

use crate::ports::{Expect, Key, Token, Write};

/// A token that is a pure function of the writes: the same transaction sent twice is one. It tells transactions of a few minutes
/// apart, which needs no cryptography: whoever made two alike would have the second refused.
#[must_use]
pub fn transaction_token(writes: &[Write]) -> Token {
    let mut hasher = XxHash3_128::new();
    for write in writes {
        let (action, expect, body, due) = match write {
            Write::Put { expect, body, due, .. } => (b'p', *expect, body.as_str(), *due),
            Write::Delete { expect, .. } => (b'd', Expect::Generation(*expect), "", None),
            Write::Check { expect, .. } => (b'c', *expect, "", None),
        };
        // Generations begin at 1, and there are fewer shards than this number.
        let generation = match expect {
            Expect::Absent => 0,
            Expect::Generation(it) => it.0,
        };
        let (shard, at) = due.map_or((u8::MAX, 0), |it| (it.shard, it.at.as_nanosecond()));
        hasher.write(&[action, shard]);
        hasher.write(&generation.to_le_bytes());
        hasher.write(&at.to_le_bytes());
        let Key { partition, sort } = write.key();
        for text in [partition, sort, body] {
            // Each with its length, so that no two lists are one text.
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        }
    }
    Token(format!("{:032x}", hasher.finish_128()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ports::{Due, Generation};

    #[test]
    fn whatever_differs_makes_another_token() {
        let put = |sort: &str, body: &str, expect: Expect, due: Option<Due>| Write::Put {
            key: Key::new("p", sort),
            expect,
            body: body.into(),
            due,
        };
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        let one = Expect::Generation(Generation(1));
        let lists = [
            vec![],
            vec![put("a", "bc", Expect::Absent, None)],
            vec![put("ab", "c", Expect::Absent, None)],
            vec![put("a", "bc", one, None)],
            vec![put("a", "bc", one, Some(Due { shard: 0, at: at(0) }))],
            vec![put("a", "bc", one, Some(Due { shard: 1, at: at(0) }))],
            vec![put("a", "bc", one, Some(Due { shard: 0, at: at(1) }))],
            vec![put("a", "", one, None)],
            vec![Write::Check { key: Key::new("p", "a"), expect: one }],
            vec![Write::Delete { key: Key::new("p", "a"), expect: Generation(1) }],
            vec![put("a", "bc", one, None), put("d", "", one, None)],
        ];
        let tokens: std::collections::BTreeSet<Token> = lists.iter().map(|it| transaction_token(it)).collect();
        assert_eq!(tokens.len(), lists.len());
        assert!(tokens.iter().all(|it| it.0.len() == 32));
    }
}
