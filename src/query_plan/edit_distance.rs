//! Ordered tree edit distance after Zhang and Shasha (SIAM J. Comput. 18-6, 1989). Pure.
//!
//! Finds which nodes of two trees are best taken for each other, where nothing else says so. A
//! chain of nodes is a tree as well.

/// A tree as its nodes in postorder: the label of each, and how many nodes its subtree has.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree<T> {
    labels: Vec<T>,
    sizes: Vec<usize>,
}

/// What inserting or deleting a node costs.
const GAP: u32 = 2;

/// Trees with more pairs of nodes than these are paired from the top only: the distance takes the
/// square of their product.
const PAIRS_MAX: usize = 40_000;

impl<T> Tree<T> {
    /// An empty forest.
    pub fn new() -> Tree<T> {
        Tree { labels: Vec::new(), sizes: Vec::new() }
    }

    /// Adds a node whose `below` last added nodes are its subtree.
    pub fn push(&mut self, label: T, below: usize) {
        self.labels.push(label);
        self.sizes.push(below + 1);
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The labels in postorder.
    pub fn labels(&self) -> &[T] {
        &self.labels
    }

    /// The first node of the subtree of `node`.
    fn leftmost(&self, node: usize) -> usize {
        node + 1 - self.sizes[node]
    }

    /// Nodes that have a left sibling, and the root: where subproblems begin.
    fn keyroots(&self) -> Vec<usize> {
        let is_keyroot = |node: &usize| {
            (node + 1..self.len()).all(|other| self.leftmost(other) != self.leftmost(*node))
        };
        (0..self.len()).filter(is_keyroot).collect()
    }
}

/// The pairs of nodes (by postorder number) of the cheapest way from one tree to the other.
///
/// `cost` is what it costs to take one for the other; `None` where that makes no sense. Deleting
/// and inserting costs 2 each.
pub fn pairs<T>(
    before: &Tree<T>,
    after: &Tree<T>,
    cost: impl Fn(&T, &T) -> Option<u32>,
) -> Vec<(usize, usize)> {
    if before.len() == 0 || after.len() == 0 {
        return Vec::new();
    }
    if before.len().saturating_mul(after.len()) > PAIRS_MAX {
        let tops = (before.len() - 1, after.len() - 1);
        let fits = cost(&before.labels[tops.0], &after.labels[tops.1]).is_some();
        return if fits { vec![tops] } else { Vec::new() };
    }
    let mut tables =
        Tables { before, after, cost, trees: vec![vec![0; after.len()]; before.len()] };
    for b in before.keyroots() {
        for a in after.keyroots() {
            tables.forest(b, a);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![(before.len() - 1, after.len() - 1)];
    while let Some((b, a)) = open.pop() {
        tables.trace(b, a, &mut found, &mut open);
    }
    found.sort_unstable();
    found
}

/// The distances found so far.
struct Tables<'a, T, C> {
    before: &'a Tree<T>,
    after: &'a Tree<T>,
    cost: C,
    /// Distance between the subtrees of two nodes.
    trees: Vec<Vec<u32>>,
}

impl<T, C: Fn(&T, &T) -> Option<u32>> Tables<'_, T, C> {
    /// Distances between all prefixes of the forests that end at `b` and `a`, one row and one
    /// column for nothing.
    fn forest(&mut self, b: usize, a: usize) -> Vec<Vec<u32>> {
        let (b0, a0) = (self.before.leftmost(b), self.after.leftmost(a));
        let (rows, columns) = (b - b0 + 2, a - a0 + 2);
        let mut table = vec![vec![0_u32; columns]; rows];
        for (row, line) in table.iter_mut().enumerate() {
            line[0] = GAP * row as u32;
        }
        table[0] = (0..columns as u32).map(|column| GAP * column).collect();
        for row in 1..rows {
            for column in 1..columns {
                let (node_b, node_a) = (b0 + row - 1, a0 + column - 1);
                let gap = table[row - 1][column].min(table[row][column - 1]) + GAP;
                let matched = self.matched(&table, (b0, a0), (node_b, node_a));
                table[row][column] = matched.map_or(gap, |matched| gap.min(matched));
                if self.are_trees((b0, a0), (node_b, node_a)) {
                    self.trees[node_b][node_a] = table[row][column];
                }
            }
        }
        table
    }

    /// Whether the prefixes up to these nodes are whole trees.
    fn are_trees(&self, starts: (usize, usize), nodes: (usize, usize)) -> bool {
        self.before.leftmost(nodes.0) == starts.0 && self.after.leftmost(nodes.1) == starts.1
    }

    /// What it costs to take the nodes for each other (where both prefixes are trees), or their
    /// subtrees (elsewhere).
    fn matched(
        &self,
        table: &[Vec<u32>],
        starts: (usize, usize),
        nodes: (usize, usize),
    ) -> Option<u32> {
        if self.are_trees(starts, nodes) {
            let cost = (self.cost)(&self.before.labels[nodes.0], &self.after.labels[nodes.1])?;
            return Some(table[nodes.0 - starts.0][nodes.1 - starts.1] + cost);
        }
        let row = self.before.leftmost(nodes.0) - starts.0;
        let column = self.after.leftmost(nodes.1) - starts.1;
        Some(table[row][column] + self.trees[nodes.0][nodes.1])
    }

    /// Walks back through the distances of two subtrees; pairs go to `found`, subtrees that were
    /// taken as a whole to `open`.
    fn trace(
        &mut self,
        b: usize,
        a: usize,
        found: &mut Vec<(usize, usize)>,
        open: &mut Vec<(usize, usize)>,
    ) {
        let table = self.forest(b, a);
        let starts = (self.before.leftmost(b), self.after.leftmost(a));
        let (mut row, mut column) = (b - starts.0 + 1, a - starts.1 + 1);
        while row > 0 && column > 0 {
            let nodes = (starts.0 + row - 1, starts.1 + column - 1);
            let here = table[row][column];
            if self.matched(&table, starts, nodes) == Some(here) {
                if self.are_trees(starts, nodes) {
                    found.push(nodes);
                    (row, column) = (row - 1, column - 1);
                } else {
                    open.push(nodes);
                    row = self.before.leftmost(nodes.0) - starts.0;
                    column = self.after.leftmost(nodes.1) - starts.1;
                }
            } else if table[row - 1][column] + GAP == here {
                row -= 1;
            } else {
                column -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads `f(d(a,c(b)),e)`.
    fn tree(text: &str) -> Tree<char> {
        let mut tree = Tree::new();
        let mut sizes = vec![0_usize];
        let mut label = Vec::new();
        let mut last = None;
        let close = |tree: &mut Tree<char>, sizes: &mut Vec<usize>, name: char, below: usize| {
            tree.push(name, below);
            *sizes.last_mut().unwrap() += below + 1;
        };
        for c in text.chars().chain([',']) {
            match c {
                '(' => {
                    label.push(last.take().unwrap());
                    sizes.push(0);
                }
                ',' | ')' => {
                    if let Some(name) = last.take() {
                        close(&mut tree, &mut sizes, name, 0);
                    }
                    if c == ')' {
                        let below = sizes.pop().unwrap();
                        close(&mut tree, &mut sizes, label.pop().unwrap(), below);
                    }
                }
                name => last = Some(name),
            }
        }
        tree
    }

    fn paired(before: &str, after: &str) -> Vec<(char, char)> {
        let (before, after) = (tree(before), tree(after));
        let cost = |b: &char, a: &char| {
            if b == a { Some(0) } else { b.eq_ignore_ascii_case(a).then_some(1) }
        };
        let pairs = pairs(&before, &after, cost);
        pairs.into_iter().map(|(b, a)| (before.labels[b], after.labels[a])).collect()
    }

    #[test]
    fn the_example_of_the_paper() {
        // c moves from above (a, b) to below them: it is deleted and inserted.
        let found = paired("f(d(a,c(b)),e)", "f(c(d(a,b)),e)");
        assert_eq!(found, [('a', 'a'), ('b', 'b'), ('d', 'd'), ('e', 'e'), ('f', 'f')]);
    }

    #[test]
    fn chains_with_something_inserted() {
        assert_eq!(paired("l(s)", "l(o(S))"), [('s', 'S'), ('l', 'l')]);
        assert_eq!(paired("x", "y"), []);
        assert_eq!(paired("g(a,b,c)", "g(a,c)"), [('a', 'a'), ('c', 'c'), ('g', 'g')]);
    }

    /// A tree as nested lists, to compare with the definition of the distance.
    #[derive(Debug, Clone)]
    struct Nested(char, Vec<Nested>);

    impl Nested {
        fn add(&self, tree: &mut Tree<char>) -> usize {
            let below = self.1.iter().map(|child| child.add(tree)).sum();
            tree.push(self.0, below);
            below + 1
        }
    }

    fn rename(b: char, a: char) -> Option<u32> {
        if b == a { Some(0) } else { b.eq_ignore_ascii_case(&a).then_some(1) }
    }

    /// The distance of two forests, from its definition.
    fn distance(b: &[Nested], a: &[Nested]) -> u32 {
        let without_last = |forest: &[Nested]| {
            let (last, rest) = forest.split_last().unwrap();
            [rest, &last.1].concat()
        };
        match (b.split_last(), a.split_last()) {
            (None, None) => 0,
            (Some(_), None) => GAP + distance(&without_last(b), a),
            (None, Some(_)) => GAP + distance(b, &without_last(a)),
            (Some((last_b, rest_b)), Some((last_a, rest_a))) => {
                let deleted = GAP + distance(&without_last(b), a);
                let inserted = GAP + distance(b, &without_last(a));
                let matched = rename(last_b.0, last_a.0)
                    .map(|cost| cost + distance(&last_b.1, &last_a.1) + distance(rest_b, rest_a));
                deleted.min(inserted).min(matched.unwrap_or(u32::MAX))
            }
        }
    }

    fn nested() -> impl Strategy<Value = Nested> {
        let label = proptest::sample::select(vec!['a', 'A', 'b', 'c']);
        let leaf = label.clone().prop_map(|label| Nested(label, Vec::new()));
        leaf.prop_recursive(3, 5, 3, move |inner| {
            (label.clone(), proptest::collection::vec(inner, 0..3))
                .prop_map(|(label, below)| Nested(label, below))
        })
    }

    proptest! {
        #[test]
        fn pairs_cost_what_the_definition_says(b in nested(), a in nested()) {
            let (mut tree_b, mut tree_a) = (Tree::new(), Tree::new());
            b.add(&mut tree_b);
            a.add(&mut tree_a);
            let found = pairs(&tree_b, &tree_a, |b, a| rename(*b, *a));
            let renames = found.iter().map(|(b, a)| rename(tree_b.labels[*b], tree_a.labels[*a]));
            let renamed: u32 = renames.map(|cost| cost.unwrap()).sum();
            let left = (tree_b.len() + tree_a.len() - 2 * found.len()) as u32;
            prop_assert_eq!(renamed + GAP * left, distance(&[b], &[a]));
            // Each once, in order.
            prop_assert!(found.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
        }
    }
}
