//! Things that belong together, told in pairs. Pure.

use std::collections::BTreeMap;

/// Groups of things: those that pairs connect, over however many others.
#[derive(Debug)]
pub struct Groups<T>(BTreeMap<T, T>);

impl<T> Default for Groups<T> {
    fn default() -> Groups<T> {
        Groups(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Groups<T> {
    /// The groups that pairs make.
    pub fn of(pairs: impl IntoIterator<Item = (T, T)>) -> Groups<T> {
        let mut groups = Groups::default();
        for (one, other) in pairs {
            let (from, to) = (groups.name(&one).clone(), groups.name(&other).clone());
            if from != to {
                groups.0.insert(from, to);
            }
        }
        groups
    }

    /// The one that stands for the whole group: the same for each in it. What no pair had in it is
    /// a group of its own.
    pub fn name<'a>(&'a self, one: &'a T) -> &'a T {
        let mut name = one;
        while let Some(next) = self.0.get(name) {
            name = next;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_connect_over_others_in_any_order() {
        let pairs = [(1, 2), (5, 4), (3, 4), (4, 2), (7, 8), (2, 1), (6, 6)];
        for pairs in [pairs.to_vec(), pairs.into_iter().rev().collect()] {
            let groups = Groups::of(pairs);
            let same: Vec<bool> = (1..=9).map(|at| groups.name(&at) == groups.name(&1)).collect();
            let expected = [true, true, true, true, true, false, false, false, false];
            assert_eq!(same, expected, "{groups:?}");
            assert_eq!(groups.name(&7), groups.name(&8));
            assert_eq!((groups.name(&6), groups.name(&9)), (&6, &9));
        }
    }
}
