//! Where references of a shape lead in circles, and how far it is from there to an end.

use super::{Index, List, Node};

/// What is known of each node, by its place among them.
pub(super) struct Circles {
    /// A way from it leads into a circle.
    pub(super) are_ahead: Vec<bool>,
    /// It is part of a circle, or between two.
    pub(super) are_here: Vec<bool>,
    /// How many references within circles its shortest value follows; `None` if each would have to hold another one.
    pub(super) hops_to_end: Vec<Option<u32>>,
}

impl Circles {
    pub(super) fn of(nodes: &[Node]) -> Self {
        let children = |node: &Node| node.clone().children_mut().map(|child| *child).collect::<Vec<Index>>();
        let children: Vec<Vec<Index>> = nodes.iter().map(children).collect();
        let mut parents = vec![Vec::new(); nodes.len()];
        for (index, children) in children.iter().enumerate() {
            children.iter().for_each(|child| parents[*child].push(index));
        }
        let are_ahead = without_end(&children);
        let are_behind = without_end(&parents);
        let are_here: Vec<bool> = are_ahead.iter().zip(are_behind).map(|(ahead, behind)| *ahead && behind).collect();
        let hops_to_end = hops_to_end(nodes, &are_here);
        Self { are_ahead, are_here, hops_to_end }
    }
}

/// Which nodes a walk can leave without ever coming to an end.
fn without_end(next: &[Vec<Index>]) -> Vec<bool> {
    let mut endless = vec![true; next.len()];
    loop {
        let ends = |index: &Index| endless[*index] && next[*index].iter().all(|next| !endless[*next]);
        let ended: Vec<Index> = (0..next.len()).filter(ends).collect();
        if ended.is_empty() {
            return endless;
        }
        ended.into_iter().for_each(|index| endless[index] = false);
    }
}

fn hops_to_end(nodes: &[Node], are_here: &[bool]) -> Vec<Option<u32>> {
    let mut known: Vec<Option<u32>> = vec![None; nodes.len()];
    loop {
        let mut is_done = true;
        for (index, node) in nodes.iter().enumerate() {
            let hops = hops_of(node, &known, are_here);
            is_done &= hops == known[index];
            known[index] = hops;
        }
        if is_done {
            return known;
        }
    }
}

/// The same of one node, by what is known of the others so far.
fn hops_of(node: &Node, known: &[Option<u32>], are_here: &[bool]) -> Option<u32> {
    match node {
        Node::Same(other) => Some(known[*other]? + u32::from(are_here[*other])),
        Node::Either(each) => each.iter().filter_map(|each| known[*each]).min(),
        Node::Object(fields) => {
            furthest(fields.iter().filter(|field| field.is_required).map(|field| field.value), known)
        }
        Node::Map { value, count_min: 1.., .. } => known[*value],
        Node::List(List { first, then, then_min, .. }) => {
            furthest(first.iter().chain(then.iter().filter(|_| *then_min > 0)).copied(), known)
        }
        Node::Map { .. }
        | Node::Any
        | Node::Null
        | Node::Boolean
        | Node::Integer(_)
        | Node::Number(_)
        | Node::Text { .. }
        | Node::Spelled(_)
        | Node::Constants(_) => Some(0),
    }
}

fn furthest(mut indices: impl Iterator<Item = Index>, known: &[Option<u32>]) -> Option<u32> {
    indices.try_fold(0, |furthest, index| Some(furthest.max(known[index]?)))
}
