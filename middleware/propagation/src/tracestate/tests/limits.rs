//! Shortening a list that is too long to be sent.

use super::super::{List, MAX_BYTES};

#[track_caller]
fn shortened(name: &str, text: &str, max_bytes: usize, expected: &str) {
    let mut list = List::parse([text.as_bytes()]).unwrap();
    list.shorten(max_bytes);
    assert_eq!(list.to_string(), expected, "{name}");
    assert_eq!(list.encoded_len(), expected.len(), "{name}");
}

/// A member of `bytes` bytes in all.
fn member(key: &str, bytes: usize) -> String {
    format!("{key}={}", "v".repeat(bytes - key.len() - 1))
}

#[test]
fn what_fits_stays_whole() {
    shortened("to the byte", "a=1,b=2,c=3", 11, "a=1,b=2,c=3");
    shortened("nothing", "", 0, "");
}

#[test]
fn members_go_from_the_right_end() {
    shortened("what is left fits to the byte", "a=1,b=2,c=3", 7, "a=1,b=2");
    shortened("one byte over", "a=1,b=2,c=3", 10, "a=1,b=2");
    shortened("two members over", "a=1,b=2,c=3", 6, "a=1");
    shortened("the last one over", "a=1", 2, "");
    shortened("never part of a member", "a=1,b=22222", 10, "a=1");
}

#[test]
fn members_over_128_bytes_go_first_and_from_the_right_end_too() {
    let (large, just_small) = (member("large", 129), member("small", 128));
    let other = member("other", 200);
    let text = format!("{large},{just_small},{other},a=1");
    shortened(
        "the rightmost large one is enough",
        &text,
        300,
        &format!("{large},{just_small},a=1"),
    );
    shortened("both large ones", &text, 132, &format!("{just_small},a=1"));
    shortened("then any", &text, 131, &just_small);
    shortened("then all", &text, 127, "");
}

#[test]
fn the_longest_list_is_cut_to_the_limit() {
    let members: Vec<String> = (0..32).map(|n| member(&format!("k{n:02}"), 257)).collect();
    let mut list = List::parse(members.iter().map(|line| line.as_bytes())).unwrap();
    list.shorten(MAX_BYTES);
    assert_eq!(list.len(), 15);
    assert_eq!(list.to_string(), members[..15].join(","));
}
