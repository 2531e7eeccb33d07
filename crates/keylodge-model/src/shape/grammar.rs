//! From a shape to GBNF: one rule for each thing that is said, named by numbers, so that no name of a caller's is ever
//! the name of a rule.
//!
//! Shapes that hold themselves are unrolled to a depth, as Google does: readers of JSON have an end to their patience. From
//! there on they take the shortest way to an end, whatever its length.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use super::circles::Circles;
use super::strings::{CHARACTER, literal};
use super::{Field, Grammar, Index, List, Node, Shape, ShapeMistake};

/// How many references in a circle an answer follows before it looks for an end.
const HOPS_MAX: u8 = 8;
/// How deep one thing may be within another, references followed: each level takes room on the stack.
const DEPTH_MAX: u32 = 300;
/// The deepest value where any value will do.
const ANY_DEPTH: u8 = 8;
/// The most that llama.cpp repeats.
const REPEAT_MAX: u32 = 2000;
/// Repetitions in one grammar: llama.cpp makes a rule of each.
const REPEATS_MAX: u32 = 20_000;
/// The largest grammar.
const BYTES_MAX: usize = 256 << 10;
/// What can stand first in one rule: llama.cpp walks through it anew for each of them, whatever it has seen.
const STARTS_MAX: u32 = 1000;
/// What can stand first in any value.
const STARTS_OF_ANY: u32 = 7;

/// As the library's own grammars have it: bounded, since a small model likes to go on with it.
const SPACE: &str = r#"| " " | "\n"{1,2} [ \t]{0,20}"#;

/// The grammar of a shape.
pub(super) fn of(shape: &Shape) -> Result<Grammar, ShapeMistake> {
    let circles = Circles::of(&shape.nodes);
    let mut writer = Writer {
        nodes: &shape.nodes,
        circles: &circles,
        written: HashMap::new(),
        rules: HashMap::new(),
        gbnf: format!("space ::= {SPACE}\nchar ::= {CHARACTER}\nstring ::= \"\\\"\" char* \"\\\"\"\n"),
        repeats: 0,
        starts: HashMap::new(),
        starts_most: 0,
        depth: 0,
        is_too_deep: false,
    };
    let root = writer.node(shape.root, HOPS_MAX);
    let whole = |why: &str| ShapeMistake { place: String::new(), why: why.to_owned() };
    let root = root.ok_or_else(|| whole("each value would have to hold another one, without end"))?;
    let _ = writeln!(writer.gbnf, "root ::= {root}");
    if writer.is_too_deep {
        return Err(whole(&format!("it is deeper than {DEPTH_MAX} levels, references followed")));
    }
    if writer.is_too_large() {
        return Err(whole("it allows too many different answers; are its lengths huge, or its anyOf?"));
    }
    Ok(Grammar(writer.gbnf))
}

struct Writer<'shape> {
    nodes: &'shape [Node],
    circles: &'shape Circles,
    /// What each node became, by what was left of [`HOPS_MAX`].
    written: HashMap<(Index, u8), Option<String>>,
    /// The names of rules by what they say.
    rules: HashMap<String, String>,
    gbnf: String,
    repeats: u32,
    /// How much can stand first in a rule, by its name; elsewhere one thing.
    starts: HashMap<String, u32>,
    starts_most: u32,
    /// How many nodes are being written, each inside of the one before.
    depth: u32,
    is_too_deep: bool,
}

impl Writer<'_> {
    fn is_too_large(&self) -> bool {
        self.gbnf.len() > BYTES_MAX || self.repeats > REPEATS_MAX || self.starts_most > STARTS_MAX
    }

    /// The rule for a node; `None` if none of its values has an end. Without hops left, it takes the shortest way to one.
    fn node(&mut self, index: Index, hops: u8) -> Option<String> {
        self.circles.hops_to_end[index]?;
        // What comes to an end by itself is the same however it is reached.
        let hops = if self.circles.are_ahead[index] { hops } else { 0 };
        if let Some(written) = self.written.get(&(index, hops)) {
            return written.clone();
        }
        self.is_too_deep |= self.depth == DEPTH_MAX;
        if self.is_too_deep || self.is_too_large() {
            return Some("space".to_owned());
        }
        self.depth += 1;
        let said = self.said(index, hops).map(|said| self.rule(said));
        self.depth -= 1;
        self.written.insert((index, hops), said.clone());
        said
    }

    fn said(&mut self, index: Index, hops: u8) -> Option<String> {
        let nodes = self.nodes;
        Some(match &nodes[index] {
            Node::Any => {
                let any = self.any();
                self.either(vec![any])?
            }
            Node::Null => "\"null\"".to_owned(),
            Node::Boolean => "\"true\" | \"false\"".to_owned(),
            Node::Integer(whole) => whole.gbnf(),
            Node::Number(range) => range.gbnf()?,
            Node::Text { length_min, length_max } => {
                format!("\"\\\"\" {} \"\\\"\"", self.repeated("char", *length_min, *length_max))
            }
            Node::Spelled(gbnf) => {
                self.repeats = self.repeats.saturating_add(repeats(gbnf));
                format!("\"\\\"\" ({gbnf}) \"\\\"\"")
            }
            Node::Constants(values) => {
                values.iter().map(|value| literal(&value.to_string())).collect::<Vec<_>>().join(" | ")
            }
            Node::List(list) => self.list(list, hops)?,
            Node::Map { value, count_min, count_max } => {
                let value = if *count_min > 0 { self.node(*value, hops) } else { self.optional(*value, hops) };
                let pair = value.map(|value| self.rule(format!("string \":\" space {value}")));
                self.listed("{", "}", pair, *count_min, *count_max)?
            }
            Node::Object(fields) => self.object(fields, hops)?,
            Node::Either(each) => {
                let shortest = self.circles.hops_to_end[index];
                let may_be = |each: &&Index| {
                    hops > 0 || !self.circles.are_ahead[index] || self.circles.hops_to_end[**each] == shortest
                };
                let each: Vec<Index> = each.iter().filter(may_be).copied().collect();
                let each = each.into_iter().filter_map(|each| self.node(each, hops)).collect();
                self.either(each)?
            }
            Node::Same(other) => {
                let other = self.node(*other, hops.saturating_sub(u8::from(self.circles.are_here[*other])))?;
                self.either(vec![other])?
            }
        })
    }

    /// The rule for a node that may be left out; `None` where it must be, since its end is too far away.
    fn optional(&mut self, index: Index, hops: u8) -> Option<String> {
        (hops > 0 || !self.circles.are_ahead[index]).then(|| self.node(index, hops)).flatten()
    }

    /// Any of these rules; `None` of none. What is the same is said once.
    fn either(&mut self, mut rules: Vec<String>) -> Option<String> {
        let mut seen = HashSet::new();
        rules.retain(|rule| seen.insert(rule.clone()));
        let starts = |rule| self.starts.get(rule).copied().unwrap_or(1);
        let starts = rules.iter().map(starts).fold(0, u32::saturating_add);
        let said = (!rules.is_empty()).then(|| rules.join(" | "))?;
        let name = self.rule(said.clone());
        self.starts.insert(name, starts);
        self.starts_most = self.starts_most.max(starts);
        Some(said)
    }

    /// The name of the rule that says this.
    fn rule(&mut self, said: String) -> String {
        if let Some(name) = self.rules.get(&said) {
            return name.clone();
        }
        let name = format!("r{}", self.rules.len());
        let _ = writeln!(self.gbnf, "{name} ::= {said}");
        self.rules.insert(said, name.clone());
        name
    }

    /// A rule so many times. Where the grammar cannot count as far as it may, it stops earlier.
    fn repeated(&mut self, rule: &str, min: u32, max: Option<u32>) -> String {
        let (times, count) = match (min, max.map(|max| max.min(REPEAT_MAX))) {
            (_, Some(0)) => return String::new(),
            (0, None) => ("*".to_owned(), 1),
            (min, None) => (format!("{{{min},}}"), min),
            (min, Some(max)) => (format!("{{{min},{max}}}"), max),
        };
        let said = format!("{rule}{times}");
        if !self.rules.contains_key(&said) {
            self.repeats = self.repeats.saturating_add(count);
        }
        self.rule(said)
    }

    fn any(&mut self) -> String {
        let number = self.rule(super::number::Range::default().gbnf().unwrap_or_default());
        let plain = format!("string | {number} | \"true\" | \"false\" | \"null\"");
        let mut value = self.rule(plain.clone());
        for _ in 1..ANY_DEPTH {
            let pair = self.rule(format!("string \":\" space {value}"));
            let (list, map) = (self.listed("[", "]", Some(value), 0, None), self.listed("{", "}", Some(pair), 0, None));
            let [list, map] = [list, map].map(|said| self.rule(said.unwrap_or_default()));
            value = self.rule(format!("{plain} | {list} | {map}"));
        }
        self.starts.insert(value.clone(), STARTS_OF_ANY);
        value
    }

    /// Things between brackets, with commas.
    fn listed(&mut self, open: &str, close: &str, item: Option<String>, min: u32, max: Option<u32>) -> Option<String> {
        let empty = format!("\"{open}\" space \"{close}\"");
        let Some(item) = item.filter(|_| max != Some(0)) else { return (min == 0).then_some(empty) };
        let next = self.rule(format!("\",\" space {item}"));
        let others = self.repeated(&next, min.saturating_sub(1), max.map(|max| max - 1));
        let some = format!("\"{open}\" space {item} {others} space \"{close}\"");
        Some(if min == 0 { format!("{empty} | {some}") } else { some })
    }

    fn list(&mut self, list: &List, hops: u8) -> Option<String> {
        let first: Option<Vec<String>> = list.first.iter().map(|item| self.node(*item, hops)).collect();
        let first = first?.join(" \",\" space ");
        let then = list.then.and_then(|item| match list.then_min {
            0 => self.optional(item, hops),
            _ => self.node(item, hops),
        });
        if first.is_empty() {
            return self.listed("[", "]", then, list.then_min, list.then_max);
        }
        let others = match then {
            Some(item) => {
                let next = self.rule(format!("\",\" space {item}"));
                self.repeated(&next, list.then_min, list.then_max)
            }
            None if list.then_min == 0 => String::new(),
            None => return None,
        };
        Some(format!("\"[\" space {first} {others} space \"]\""))
    }

    /// From the last field to the first: what may follow where nothing has been said yet, and where something has.
    fn object(&mut self, fields: &[Field], hops: u8) -> Option<String> {
        let (mut first, mut then) = (None, None);
        for field in fields.iter().rev() {
            let value =
                if field.is_required { Some(self.node(field.value, hops)?) } else { self.optional(field.value, hops) };
            let Some(value) = value else { continue };
            let name = literal(&serde_json::Value::from(field.name.as_str()).to_string());
            let pair = self.rule(format!("{name} space \":\" space {value}"));
            let followed = |rest: &Option<String>| rest.as_ref().map(|rest| format!(" {rest}")).unwrap_or_default();
            let here = format!("{pair}{}", followed(&then));
            if field.is_required {
                first = Some(self.rule(here));
                then = Some(self.rule(format!("\",\" space {pair}{}", followed(&then))));
            } else {
                first = Some(match first {
                    Some(others) => self.rule(format!("{here} | {others}")),
                    None => self.rule(format!("({here})?")),
                });
                then = Some(self.rule(format!("(\",\" space {pair})?{}", followed(&then))));
            }
        }
        let inside = first.map(|first| format!("{first} space ")).unwrap_or_default();
        Some(format!("\"{{\" space {inside}\"}}\""))
    }
}

/// How much is repeated in GBNF: the larger number of each `{2,3}`.
fn repeats(gbnf: &str) -> u32 {
    let counts = gbnf.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    counts.filter_map(|count| count.rsplit(',').find_map(|number| number.parse::<u32>().ok())).sum()
}
