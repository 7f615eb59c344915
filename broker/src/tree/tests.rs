use proptest::prelude::*;

use super::*;
use crate::topic;

fn numbers(tree: &Tree<()>, topic: &str) -> Vec<u64> {
    tree.matches(topic)
        .single
        .into_iter()
        .map(|(number, ())| number)
        .collect()
}

#[test]
fn a_subscriber_is_found_once_however_many_of_its_filters_match() {
    let mut tree = Tree::default();
    for (filter, number) in [("a/+", 2), ("a/b", 1), ("#", 1), ("a/#", 1), ("c", 3)] {
        tree.insert(filter, number, ());
    }
    assert_eq!(numbers(&tree, "a/b"), [1, 2]);
    assert_eq!(numbers(&tree, "a"), [1]);
    assert!(tree.hears("c") && tree.hears("x"));
    assert_eq!(tree.len(), 5);
    // When it is gone, nothing is left, not even of the branches.
    for (filter, number) in [("a/+", 2), ("a/b", 1), ("#", 1), ("a/#", 1), ("c", 3)] {
        tree.remove(filter, number);
    }
    assert!(!tree.hears("a/b"));
    assert_eq!(tree.len(), 0);
    assert!(tree.root.is_empty());
}

#[test]
fn the_same_again_counts_once_and_an_unknown_one_is_not_taken_away() {
    let mut tree = Tree::default();
    tree.insert("a", 1, ());
    tree.insert("a", 1, ());
    tree.remove("a", 2);
    tree.remove("b", 1);
    tree.remove("$share/g/a", 1);
    assert_eq!(tree.len(), 1);
}

#[test]
fn the_turn_goes_round_among_the_members_of_a_group() {
    let mut tree = Tree::default();
    for (number, name) in [(1, "x"), (2, "y"), (3, "z")] {
        tree.insert("$share/g/a/#", number, name);
    }
    tree.insert("$share/other/a/#", 4, "o");
    let firsts: Vec<&str> = (0..4)
        .map(|_| {
            let matches = tree.matches("a/b");
            assert_eq!((matches.single.len(), matches.groups.len()), (0, 2));
            let group = &matches.groups[0];
            assert_eq!(group.members.len(), 3);
            *group.in_turn().next().unwrap()
        })
        .collect();
    assert_eq!(firsts, ["x", "y", "z", "x"]);
    // A member that goes is asked no more; the last one takes the group along.
    tree.remove("$share/g/a/#", 2);
    let group = tree.group("$share/g/a/#").unwrap();
    assert_eq!(group.in_turn().count(), 2);
    tree.remove("$share/g/a/#", 1);
    tree.remove("$share/g/a/#", 3);
    assert!(tree.group("$share/g/a/#").is_none());
}

#[test]
fn a_shared_filter_has_a_name_and_a_filter() {
    assert_eq!(shared("$share/g/a/b"), Some(("g", "a/b")));
    assert_eq!(shared("$share/g//a"), Some(("g", "/a")));
    for broken in [
        "$share/g",
        "$share//a",
        "$share/g+/a",
        "$share/g/",
        "a/b",
        "$share/#/a",
    ] {
        assert_eq!(shared(broken), None, "{broken}");
    }
}

fn level() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just(""), Just("$s")]
}

fn filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![3 => level(), 1 => Just("+")];
    (proptest::collection::vec(level, 1..5), any::<bool>()).prop_map(|(mut levels, below)| {
        if below {
            levels.push("#");
        }
        levels.join("/")
    })
}

proptest! {
    #[test]
    fn the_tree_finds_what_matching_one_by_one_finds(
        filters in proptest::collection::vec(filter(), 0..20),
        gone in proptest::collection::vec(0usize..20, 0..10),
        levels in proptest::collection::vec(level(), 1..5),
    ) {
        let mut tree = Tree::default();
        let mut left: Vec<(u64, &String)> = (0u64..).zip(&filters).collect();
        for (number, filter) in &left {
            tree.insert(filter, *number, ());
        }
        for place in gone {
            if place < left.len() {
                let (number, filter) = left.remove(place);
                tree.remove(filter, number);
            }
        }
        let topic = levels.join("/");
        let expected: Vec<u64> = left.iter()
            .filter(|(_, filter)| topic::matches(filter, &topic))
            .map(|(number, _)| *number)
            .collect();
        prop_assert_eq!(tree.hears(&topic), !expected.is_empty());
        prop_assert_eq!(numbers(&tree, &topic), expected);
        prop_assert_eq!(tree.len(), left.len());
    }
}
