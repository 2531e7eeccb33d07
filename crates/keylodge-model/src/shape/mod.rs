//! What an answer must look like: JSON of a shape, read from JSON Schema or put together, and the grammar that an engine
//! follows for it.
//!
//! The library has a converter of its own. It drops in silence what it cannot express, so that answers break the schema
//! (bounds of numbers, required names that are not declared, everything beside `anyOf`), and lets through what is no JSON
//! (half a surrogate, numbers beyond any, patterns with quotes). So a schema is read here: each keyword is followed, or
//! refused with its place. Where a schema allows more than a grammar can say, the grammar allows less, never more.

mod circles;
mod format;
mod grammar;
mod number;
mod pattern;
mod read;
mod refs;
mod strings;
#[cfg(test)]
mod tests;
mod ways;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A shape of JSON values.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    nodes: Vec<Node>,
    root: Index,
}

/// What a model's next token is held to. Only a [`Shape`] makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grammar(String);

/// The SHA-256 of a grammar.
pub(crate) type GrammarDigest = [u8; 32];

/// Something in a schema that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeMistake {
    /// Where, from the schema's own root: empty, or as `.properties[age].minimum`.
    pub place: String,
    /// Why, as the end of a sentence.
    pub why: String,
}

/// A node's place in [`Shape::nodes`].
type Index = usize;

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Any value, down to a depth.
    Any,
    Null,
    Boolean,
    Integer(number::Whole),
    Number(number::Range),
    /// A string of so many characters.
    Text {
        length_min: u32,
        length_max: Option<u32>,
    },
    /// A string between quotes that GBNF describes.
    Spelled(String),
    /// One of these values.
    Constants(Vec<Value>),
    List(List),
    /// An object with any names.
    Map {
        value: Index,
        count_min: u32,
        count_max: Option<u32>,
    },
    /// An object with these names, in this order, and no others.
    Object(Vec<Field>),
    Either(Vec<Index>),
    /// What `$ref` names.
    Same(Index),
}

#[derive(Clone, Debug, PartialEq)]
struct List {
    /// Always there.
    first: Vec<Index>,
    /// What follows, if anything may.
    then: Option<Index>,
    /// How many follow.
    then_min: u32,
    then_max: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    name: String,
    value: Index,
    is_required: bool,
}

impl Shape {
    /// Reads JSON Schema: the keywords of draft 2020-12 that Gemini knows, and `const`, `allOf` of one, `pattern`,
    /// lengths and exclusive bounds. `oneOf` is read as `anyOf`, as Google does. Words that only describe are passed over.
    ///
    /// # Errors
    /// All that cannot be followed, or that no value could fit.
    pub fn of_json_schema(schema: &Value) -> Result<Self, Vec<ShapeMistake>> {
        read::read(schema)
    }

    /// Any string.
    #[must_use]
    pub fn text() -> Self {
        Self { nodes: vec![Node::Text { length_min: 0, length_max: None }], root: 0 }
    }

    /// Any object.
    #[must_use]
    pub fn any_object() -> Self {
        Self { nodes: vec![Node::Any, Node::Map { value: 0, count_min: 0, count_max: None }], root: 1 }
    }

    /// This value and no other.
    #[must_use]
    pub fn constant(value: Value) -> Self {
        Self { nodes: vec![Node::Constants(vec![value])], root: 0 }
    }

    /// An object with exactly these names, in this order.
    #[must_use]
    pub fn object(fields: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        let mut nodes = Vec::new();
        let field = |(name, shape): (&str, Self)| Field {
            name: name.to_owned(),
            value: shape.append_to(&mut nodes),
            is_required: true,
        };
        let fields = fields.into_iter().map(field).collect();
        Self::with_root(nodes, Node::Object(fields))
    }

    /// What any of these shapes allows.
    #[must_use]
    pub fn either(shapes: impl IntoIterator<Item = Self>) -> Self {
        let mut nodes = Vec::new();
        let shapes = shapes.into_iter().map(|shape| shape.append_to(&mut nodes)).collect();
        Self::with_root(nodes, Node::Either(shapes))
    }

    /// The objects among what it allows; `None` if there are none.
    #[must_use]
    pub fn objects(mut self) -> Option<Self> {
        let mut found = Vec::new();
        let mut seen = vec![false; self.nodes.len()];
        let mut todo = vec![self.root];
        while let Some(index) = todo.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            match &self.nodes[index] {
                Node::Object(_) | Node::Map { .. } => found.push(index),
                Node::Any => {
                    found.push(self.nodes.len());
                    self.nodes.push(Node::Map { value: index, count_min: 0, count_max: None });
                }
                Node::Same(other) => todo.push(*other),
                Node::Either(each) => todo.extend(each.iter().rev()),
                _ => {}
            }
        }
        match found[..] {
            [] => None,
            [root] => Some(Self { root, ..self }),
            _ => Some(Self::with_root(self.nodes, Node::Either(found))),
        }
    }

    /// The grammar whose sentences are JSON of this shape.
    ///
    /// # Errors
    /// No value fits, since each would have to hold another without end, or the grammar would be too large.
    pub fn grammar(&self) -> Result<Grammar, ShapeMistake> {
        grammar::of(self)
    }

    fn with_root(mut nodes: Vec<Node>, root: Node) -> Self {
        nodes.push(root);
        Self { root: nodes.len() - 1, nodes }
    }

    /// Puts its nodes behind others; gives where its root came to be.
    fn append_to(self, nodes: &mut Vec<Node>) -> Index {
        let offset = nodes.len();
        nodes.extend(self.nodes.into_iter().map(|mut node| {
            node.children_mut().for_each(|child| *child += offset);
            node
        }));
        self.root + offset
    }
}

impl Node {
    fn children_mut(&mut self) -> Box<dyn Iterator<Item = &mut Index> + '_> {
        match self {
            Self::List(list) => Box::new(list.first.iter_mut().chain(&mut list.then)),
            Self::Map { value, .. } | Self::Same(value) => Box::new(std::iter::once(value)),
            Self::Object(fields) => Box::new(fields.iter_mut().map(|field| &mut field.value)),
            Self::Either(each) => Box::new(each.iter_mut()),
            Self::Any
            | Self::Null
            | Self::Boolean
            | Self::Integer(_)
            | Self::Number(_)
            | Self::Text { .. }
            | Self::Spelled(_)
            | Self::Constants(_) => Box::new(std::iter::empty()),
        }
    }
}

impl Grammar {
    /// In llama.cpp's GBNF; it begins at `root`.
    #[must_use]
    pub fn gbnf(&self) -> &str {
        &self.0
    }

    /// What it is known again by, where a schema of somebody's is in it: that of any object is everybody's.
    pub(crate) fn digest(&self) -> Option<GrammarDigest> {
        static OF_ANY_OBJECT: LazyLock<Option<Grammar>> = LazyLock::new(|| Shape::any_object().grammar().ok());
        (OF_ANY_OBJECT.as_ref() != Some(self)).then(|| Sha256::digest(&self.0).into())
    }
}
