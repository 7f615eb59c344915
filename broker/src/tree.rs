//! Who subscribes to what: a tree of filters by level. Pure.
//!
//! Source: MQTT 5.0 §4.7 (matching) and §4.8.2 (shared subscriptions).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;

/// All subscriptions, each with the number of its subscriber.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    root: Node<T>,
    count: usize,
}

#[derive(Debug)]
struct Node<T> {
    /// By the next level; `+` is one of them.
    children: FxHashMap<Box<str>, Node<T>>,
    /// Whose filter ends here.
    here: Leaf<T>,
    /// Whose filter ends with `#` below here.
    below: Leaf<T>,
}

#[derive(Debug)]
struct Leaf<T> {
    single: Vec<(u64, T)>,
    groups: Vec<Arc<Group<T>>>,
}

/// The members of one shared subscription.
#[derive(Clone, Debug)]
pub(crate) struct Group<T> {
    /// `$share/name/filter`.
    pub(crate) path: Box<str>,
    pub(crate) members: Vec<(u64, T)>,
    turn: Arc<AtomicUsize>,
}

impl<T> Group<T> {
    /// The members, beginning with the one whose turn it is. Each call gives the turn to the next.
    pub(crate) fn in_turn(&self) -> impl Iterator<Item = &T> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % self.members.len().max(1);
        let (before, after) = self.members.split_at(first.min(self.members.len()));
        after.iter().chain(before).map(|(_, member)| member)
    }
}

/// Who is to get a message.
#[derive(Debug)]
pub(crate) struct Matches<T> {
    /// Once each, whatever number of their filters match.
    pub(crate) single: Vec<(u64, T)>,
    /// One member each.
    pub(crate) groups: Vec<Arc<Group<T>>>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
            count: 0,
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            children: FxHashMap::default(),
            here: Leaf::default(),
            below: Leaf::default(),
        }
    }
}

impl<T> Default for Leaf<T> {
    fn default() -> Self {
        Self {
            single: Vec::new(),
            groups: Vec::new(),
        }
    }
}

impl<T> Default for Matches<T> {
    fn default() -> Self {
        Self {
            single: Vec::new(),
            groups: Vec::new(),
        }
    }
}

impl<T> Leaf<T> {
    fn is_empty(&self) -> bool {
        self.single.is_empty() && self.groups.is_empty()
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.here.is_empty() && self.below.is_empty()
    }
}

/// Share name and filter of a shared subscription; `None` for any other, and for a broken one.
/// Source: §4.8.2.
pub(crate) fn shared(path: &str) -> Option<(&str, &str)> {
    let (name, filter) = path.strip_prefix("$share/")?.split_once('/')?;
    (!name.is_empty() && !name.contains(['+', '#']) && !filter.is_empty()).then_some((name, filter))
}

impl<T: Clone> Tree<T> {
    /// How many subscriptions there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Adds a subscription of `subscriber` to `path`, which is a filter or `$share/name/filter`; nothing
    /// changes when it is there.
    pub(crate) fn insert(&mut self, path: &str, number: u64, subscriber: T) {
        let added = match shared(path) {
            None => add(&mut self.root.leaf(path).single, number, subscriber),
            Some((_, filter)) => self.root.leaf(filter).join(path, number, subscriber),
        };
        self.count += usize::from(added);
    }

    /// Takes a subscription away.
    pub(crate) fn remove(&mut self, path: &str, number: u64) {
        let (group, filter) = shared(path).map_or((None, path), |(_, filter)| (Some(path), filter));
        let levels: Vec<&str> = filter.split('/').collect();
        if self.root.remove(&levels, group, number) {
            self.count = self.count.saturating_sub(1);
        }
    }

    /// Whether anybody subscribes to `topic`.
    pub(crate) fn hears(&self, topic: &str) -> bool {
        let mut found = false;
        self.root.walk(topic, &mut |leaf| found |= !leaf.is_empty());
        found
    }

    /// Who subscribes to `topic`.
    pub(crate) fn matches(&self, topic: &str) -> Matches<T> {
        let mut matches = Matches::default();
        self.root.walk(topic, &mut |leaf| {
            matches.single.extend(leaf.single.iter().cloned());
            matches.groups.extend(leaf.groups.iter().cloned());
        });
        if matches.single.len() > 1 {
            matches.single.sort_unstable_by_key(|(number, _)| *number);
            matches.single.dedup_by_key(|(number, _)| *number);
        }
        matches
    }

    /// The members of the shared subscription `path`.
    pub(crate) fn group(&self, path: &str) -> Option<Arc<Group<T>>> {
        let (_, filter) = shared(path)?;
        let (filter, below) = cut(filter);
        let mut node = &self.root;
        for level in filter.into_iter().flat_map(|filter| filter.split('/')) {
            node = node.children.get(level)?;
        }
        let leaf = if below { &node.below } else { &node.here };
        leaf.groups.iter().find(|group| &*group.path == path).cloned()
    }
}

/// A filter without the `#` at its end, and whether there was one. `None` is left of `#` alone.
fn cut(filter: &str) -> (Option<&str>, bool) {
    match filter.strip_suffix('#') {
        None => (Some(filter), false),
        Some(rest) => (rest.strip_suffix('/'), true),
    }
}

fn add<T>(members: &mut Vec<(u64, T)>, number: u64, member: T) -> bool {
    let new = !members.iter().any(|(of, _)| *of == number);
    if new {
        members.push((number, member));
    }
    new
}

fn take<T>(members: &mut Vec<(u64, T)>, number: u64) -> bool {
    match members.iter().position(|(of, _)| *of == number) {
        Some(place) => {
            members.remove(place);
            members.shrink_to(2 * members.len());
            true
        }
        None => false,
    }
}

impl<T: Clone> Leaf<T> {
    fn join(&mut self, path: &str, number: u64, member: T) -> bool {
        match self.groups.iter_mut().find(|group| &*group.path == path) {
            Some(group) => add(&mut Arc::make_mut(group).members, number, member),
            None => {
                self.groups.push(Arc::new(Group {
                    path: path.into(),
                    members: vec![(number, member)],
                    turn: Arc::default(),
                }));
                true
            }
        }
    }

    fn remove(&mut self, group: Option<&str>, number: u64) -> bool {
        let Some(path) = group else {
            return take(&mut self.single, number);
        };
        let Some(group) = self.groups.iter_mut().find(|group| &*group.path == path) else {
            return false;
        };
        let removed = take(&mut Arc::make_mut(group).members, number);
        self.groups.retain(|group| !group.members.is_empty());
        removed
    }
}

impl<T: Clone> Node<T> {
    /// The place of `filter`, made when it is not there.
    fn leaf(&mut self, filter: &str) -> &mut Leaf<T> {
        let (filter, below) = cut(filter);
        let mut node = self;
        for level in filter.into_iter().flat_map(|filter| filter.split('/')) {
            node = node.children.entry(level.into()).or_default();
        }
        if below { &mut node.below } else { &mut node.here }
    }

    /// Removes and prunes; whether it was there. As deep as a filter has levels.
    fn remove(&mut self, levels: &[&str], group: Option<&str>, number: u64) -> bool {
        let Some((level, rest)) = levels.split_first() else {
            return self.here.remove(group, number);
        };
        if *level == "#" {
            return self.below.remove(group, number);
        }
        let Some(child) = self.children.get_mut(*level) else {
            return false;
        };
        let removed = child.remove(rest, group, number);
        if child.is_empty() {
            self.children.remove(*level);
        }
        removed
    }

    /// Shows every leaf that matches `topic`. A wildcard at the beginning does not match a topic that
    /// begins with `$`.
    fn walk<'a>(&'a self, topic: &str, found: &mut impl FnMut(&'a Leaf<T>)) {
        let wild = !topic.starts_with('$');
        if wild {
            found(&self.below);
        }
        let (level, rest) = split(topic);
        if wild && let Some(child) = self.children.get("+") {
            child.step(rest, found);
        }
        if let Some(child) = self.children.get(level) {
            child.step(rest, found);
        }
    }

    fn step<'a>(&'a self, topic: Option<&str>, found: &mut impl FnMut(&'a Leaf<T>)) {
        // `sport/#` matches `sport` as well.
        found(&self.below);
        let Some(topic) = topic else {
            return found(&self.here);
        };
        let (level, rest) = split(topic);
        if let Some(child) = self.children.get("+") {
            child.step(rest, found);
        }
        if let Some(child) = self.children.get(level) {
            child.step(rest, found);
        }
    }
}

fn split(topic: &str) -> (&str, Option<&str>) {
    match topic.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (topic, None),
    }
}

#[cfg(test)]
mod tests;
