//! Patterns of paths: `*` and `?` within a name, `**` for any folders.

/// The parts of a pattern that are names, and those from the first one on that matches several.
pub(super) fn split<'a, 'b>(parts: &'a [&'b str]) -> (&'a [&'b str], &'a [&'b str]) {
    parts.split_at(parts.iter().take_while(|it| !it.contains(['*', '?'])).count())
}

/// Whether all of a path matches.
pub(super) fn path_matches(pattern: &[&str], names: &[&str]) -> bool {
    match (pattern.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => (0..=names.len()).any(|it| path_matches(rest, &names[it..])),
        (Some((first, rest)), Some((name, names))) => {
            let (first, name): (Vec<char>, Vec<char>) = (first.chars().collect(), name.chars().collect());
            name_matches(&first, &name) && path_matches(rest, names)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Matches a name by going back to the last `*` only, which takes at most the product of both lengths.
fn name_matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, read));
            at += 1;
        } else if pattern.get(at).is_some_and(|it| *it == '?' || *it == name[read]) {
            (at, read) = (at + 1, read + 1);
        } else if let Some((star_at, star_read)) = star {
            (at, read) = (star_at + 1, star_read + 1);
            star = Some((star_at, star_read + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|it| *it == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, path, expected) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("*.csv", "b/a.csv", false),
            ("**/*.csv", "b/c/a.csv", true),
            ("**/*.csv", "a.csv", true),
            ("b/**", "b/c/a.csv", true),
            ("a?c*", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            let split = |it: &'static str| it.split('/').collect::<Vec<_>>();
            assert_eq!(path_matches(&split(pattern), &split(path)), expected, "{pattern} on {path}");
        }
    }
}
