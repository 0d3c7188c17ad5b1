//! Queries: bytewise order, prefixes and pages.

use super::{Check, TableRun, TableScene, ensure, equal, invalid, succeeds};
use crate::ports::table::{MAX_PAGE_BYTES, MAX_SORT_BYTES};
use crate::ports::{Item, Order, Query};

pub(super) const CASES: &[(&str, TableRun)] = &[
    ("a query walks by bytes both ways", |scene| Box::pin(orders_by_bytes(scene))),
    ("a prefix is compared byte by byte", |scene| Box::pin(finds_prefixes(scene))),
    ("pages of every size give every item once", |scene| Box::pin(pages(scene))),
    ("a query continues after names that are absent", |scene| Box::pin(continues_anywhere(scene))),
    ("a page ends at its byte limit", |scene| Box::pin(bounds_pages(scene))),
    ("a query that reads nothing sensible is refused", |scene| Box::pin(refuses_queries(scene))),
];

const ORDERS: [Order; 2] = [Order::Ascending, Order::Descending];
/// More than any case stores.
const ALL: usize = 10_000;

impl TableScene<'_> {
    fn ask(&self, prefix: &str, after: Option<&str>, order: Order, limit: usize) -> Query {
        Query { partition: self.partition(), prefix: prefix.to_owned(), after: after.map(str::to_owned), order, limit }
    }

    /// Walks page by page to the end; no page holds more than it should, and only the last one may be empty.
    async fn walk(&self, prefix: &str, after: Option<&str>, order: Order, limit: usize) -> Result<Vec<Item>, String> {
        let mut query = self.ask(prefix, after, order, limit);
        let mut found: Vec<Item> = Vec::new();
        loop {
            let page = succeeds("a query", self.table().query(&query).await)?;
            ensure(page.items.len() <= limit, || format!("a page of at most {limit} holds {}", page.items.len()))?;
            ensure(page.next.is_none() || !page.items.is_empty(), || {
                "an empty page says that there is more".to_owned()
            })?;
            found.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// Checks what a walk finds, in every order.
    async fn finds(&self, prefix: &str, after: Option<&str>, order: Order, limit: usize, want: &[&str]) -> Check {
        let found = self.walk(prefix, after, order, limit).await?;
        let sorts: Vec<&str> = found.iter().map(|item| item.key.sort.as_str()).collect();
        let what = format!("prefix `{prefix}` after {after:?} {order:?} by {limit}");
        equal(&what, &sorts.as_slice(), &want)?;
        ensure(found.iter().all(|item| item.key.partition == self.partition()), || format!("{what} left its partition"))
    }
}

fn directed<'a>(sorts: &[&'a str], order: Order) -> Vec<&'a str> {
    match order {
        Order::Ascending => sorts.to_vec(),
        Order::Descending => sorts.iter().rev().copied().collect(),
    }
}

async fn orders_by_bytes(scene: TableScene<'_>) -> Check {
    let sorted = [
        "\u{1}", " ", "#", "#a", "-", "0", "00", "1", "10", "2", "9", "A", "AB", "Z", "_", "a", "a#b", "a-b", "a/b",
        "aA", "aa", "b", "z", "~", "\u{7f}", "ä", "é", "日", "\u{ffff}", "😀",
    ];
    ensure(sorted.is_sorted(), || "the case itself is not sorted".to_owned())?;
    let mut shuffled = sorted.to_vec();
    shuffled.sort_by_key(|sort| refit_core::Digest::of(sort.as_bytes()));
    scene.fill(&shuffled).await?;
    for order in ORDERS {
        scene.finds("", None, order, ALL, &directed(&sorted, order)).await?;
    }
    let page = succeeds("a query", scene.table().query(&scene.ask("A", None, Order::Ascending, 1)).await)?;
    let item = page.items.first().ok_or_else(|| "the page is empty".to_owned())?;
    equal("the body of a found item", &item.body.as_str(), &"A")?;
    equal("the generation of a found item", &item.generation.0, &1)
}

async fn finds_prefixes(scene: TableScene<'_>) -> Check {
    let sorted = [
        "EVENT#0",
        "RUN",
        "RUN#",
        "RUN#1",
        "RUN#10",
        "RUN#2",
        "RUN$",
        "RUNS",
        "Run#1",
        "ä",
        "äb",
        "\u{10ffff}",
        "\u{10ffff}a",
    ];
    scene.fill(&sorted).await?;
    for prefix in [
        "",
        "E",
        "EVENT#0",
        "EVENT#00",
        "R",
        "RUN",
        "RUN#",
        "RUN#1",
        "run",
        "ä",
        "%",
        "_",
        "*",
        "\u{10ffff}",
        "\u{10ffff}\u{10ffff}",
    ] {
        let want: Vec<&str> = sorted.into_iter().filter(|sort| sort.starts_with(prefix)).collect();
        for order in ORDERS {
            for limit in [1, 2, ALL] {
                scene.finds(prefix, None, order, limit, &directed(&want, order)).await?;
            }
        }
    }
    Ok(())
}

async fn pages(scene: TableScene<'_>) -> Check {
    let names: Vec<String> = (0..13).map(|number| format!("k{number:02}")).collect();
    let sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    scene.fill(&sorted).await?;
    scene.fill(&["j", "l"]).await?;
    for limit in 1..=sorted.len() + 1 {
        for order in ORDERS {
            let all = directed(&sorted, order);
            scene.finds("k", None, order, limit, &all).await?;
            for (place, sort) in all.iter().enumerate() {
                scene.finds("k", Some(sort), order, limit, &all[place + 1..]).await?;
            }
        }
    }
    let page = succeeds("a query", scene.table().query(&scene.ask("k", None, Order::Ascending, 5)).await)?;
    equal("the number of items of a page of five", &page.items.len(), &5)?;
    equal("where the next page begins", &page.next.as_deref(), &Some("k04"))
}

async fn continues_anywhere(scene: TableScene<'_>) -> Check {
    scene.fill(&["b", "d", "f"]).await?;
    let table = [("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 2), ("f", 3), ("g", 3)];
    let sorted = ["b", "d", "f"];
    for (after, place) in table {
        scene.finds("", Some(after), Order::Ascending, 2, &sorted[place..]).await?;
        let before: Vec<&str> = sorted.into_iter().filter(|sort| *sort < after).rev().collect();
        scene.finds("", Some(after), Order::Descending, 2, &before).await?;
    }
    scene.commit("deleting where a page ended", &[scene.delete("d", 1)]).await?;
    scene.finds("", Some("d"), Order::Ascending, 1, &["f"]).await?;
    scene.finds("", Some("d"), Order::Descending, 1, &["b"]).await
}

async fn bounds_pages(scene: TableScene<'_>) -> Check {
    let body = "x".repeat(300 * 1024);
    let sorted = ["a", "b", "c", "d", "e", "f", "g"];
    for sort in sorted {
        scene.commit("creating a large item", &[scene.create(sort, &body)]).await?;
    }
    for order in ORDERS {
        let page = succeeds("a query", scene.table().query(&scene.ask("", None, order, ALL)).await)?;
        let bytes: usize =
            page.items.iter().map(|item| item.key.partition.len() + item.key.sort.len() + item.body.len()).sum();
        ensure(bytes <= MAX_PAGE_BYTES, || format!("a page holds {bytes} bytes"))?;
        ensure(page.next.is_some(), || "a page that ended early says that there is no more".to_owned())?;
        scene.finds("", None, order, ALL, &directed(&sorted, order)).await?;
    }
    Ok(())
}

async fn refuses_queries(scene: TableScene<'_>) -> Check {
    scene.fill(&["a", "b"]).await?;
    let long = "s".repeat(MAX_SORT_BYTES + 1);
    for order in ORDERS {
        invalid("a query for no items", scene.table().query(&scene.ask("", None, order, 0)).await)?;
        invalid("a prefix that is too long", scene.table().query(&scene.ask(&long, None, order, 1)).await)?;
        invalid("a start that is too long", scene.table().query(&scene.ask("", Some(&long), order, 1)).await)?;
        invalid("an empty start", scene.table().query(&scene.ask("", Some(""), order, 1)).await)?;
        invalid("a start outside the prefix", scene.table().query(&scene.ask("b", Some("a"), order, 1)).await)?;
    }
    Ok(())
}
