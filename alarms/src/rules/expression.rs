//! Composite rules in CEL, the Common Expression Language, over the values of several points, with three-valued logic.
//!
//! The names in an expression are points; their values are numbers in their units. `&&`, `||`, `!` and `?:` are decided here, so that
//! what is unknown (stale, bad, never seen) stays unknown unless the rest decides: true || unknown is true, true && unknown is
//! unknown, !unknown is unknown. What stands between them (comparisons, arithmetic, macros) is CEL's own and unknown
//! as soon as one of its points is. A point that stands alone where a truth is asked for means: it is not 0.
//! Source: `alarms.md` A45.

use std::collections::BTreeSet;
use std::sync::Arc;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::CelDouble;
use cel::{Context, Env, Program, Value};

use super::Verdict;

/// Longest expression, in bytes. Longer: refused.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Deepest nesting of brackets. Deeper: refused, because the parser descends by recursion.
pub const BRACKETS_MAX: usize = 16;
/// Deepest nesting of macros over lists (`all`, `exists`, `filter`, `map`). Deeper: refused, because each multiplies the work.
pub const MACROS_MAX: usize = 2;
/// Stack of the thread that parses: a kilobyte of minus signs descends a thousand times.
const PARSER_STACK_BYTES: usize = 64 << 20;

/// A compiled expression.
pub struct Expression {
    text: Box<str>,
    names: Vec<Arc<str>>,
    root: Node,
    env: Arc<Env>,
}

/// The logical skeleton; leaves are CEL's.
enum Node {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    If(Box<Self>, Box<Self>, Box<Self>),
    /// The point with that place in `names` is not 0.
    Point(usize),
    Leaf(Leaf),
}

struct Leaf {
    expression: IdedExpr,
    /// Places in `names` of the points in it.
    points: Vec<usize>,
}

/// What is known of a truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is so.
    True,
    /// It is not so; `good` when no doubtful value had a part in it.
    False {
        /// Without doubt.
        good: bool,
    },
    /// Nobody knows.
    Unknown,
}

/// A point's value as an expression sees it: none where it is unknown; whether it is without doubt.
pub type Input = Option<(f64, bool)>;

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Expression {
    /// Compiles `text`; `is_point` knows the points that it may name.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what is allowed: too long, too deep, not CEL, an unknown point, not a truth.
    pub fn compile(text: &str, is_point: impl Fn(&str) -> bool) -> Result<Self, String> {
        bound(text)?;
        let parsed = parse(text)?;
        let mut names = Vec::new();
        let root = Self::node(parsed, &mut names, &is_point)?;
        if names.is_empty() {
            return Err(format!("{text:?} names no point"));
        }
        let expression = Self {
            text: text.into(),
            names,
            root,
            env: Arc::new(Env::stdlib()),
        };
        // Types are those of numbers, whatever their values: what one evaluation refuses, every one would.
        let numbers = vec![1.0; expression.names.len()];
        expression.check(&expression.root, &numbers)?;
        Ok(expression)
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The points that it names, in the order of the inputs of [`Self::evaluate`].
    #[must_use]
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// What is known of it.
    #[must_use]
    pub fn evaluate(&self, inputs: &[Input]) -> Truth {
        self.truth(&self.root, inputs)
    }

    /// The same as a verdict of a rule: unknown neither raises nor clears.
    #[must_use]
    pub fn judge(&self, inputs: &[Input]) -> Verdict {
        match self.evaluate(inputs) {
            Truth::True => Verdict::Violates,
            Truth::False { good } => Verdict::Clears { good },
            Truth::Unknown => Verdict::Nothing,
        }
    }

    fn node(
        expression: IdedExpr,
        names: &mut Vec<Arc<str>>,
        is_point: &impl Fn(&str) -> bool,
    ) -> Result<Node, String> {
        match expression.expr {
            Expr::Call(call) if is_logical(&call) => {
                let mut args = Vec::with_capacity(3);
                for arg in call.args {
                    args.push(Box::new(Self::node(arg, names, is_point)?));
                }
                let mut args = args.into_iter();
                match (call.func_name.as_str(), args.next(), args.next(), args.next()) {
                    (operators::LOGICAL_AND, Some(a), Some(b), None) => Ok(Node::And(a, b)),
                    (operators::LOGICAL_OR, Some(a), Some(b), None) => Ok(Node::Or(a, b)),
                    (operators::LOGICAL_NOT, Some(a), None, None) => Ok(Node::Not(a)),
                    (operators::CONDITIONAL, Some(a), Some(b), Some(c)) => Ok(Node::If(a, b, c)),
                    (other, ..) => Err(format!("{other} has not as many operands as it needs")),
                }
            }
            Expr::Ident(name) if is_point(&name) => Ok(Node::Point(place(names, &name))),
            _ => {
                let mut points = BTreeSet::new();
                let mut bound = Vec::new();
                let expression = numbers(
                    expression,
                    &mut |name, bound: &[String]| {
                        if bound.iter().any(|own| own == name) {
                            Ok(())
                        } else if is_point(name) {
                            points.insert(place(names, name));
                            Ok(())
                        } else {
                            Err(format!("{name} is no point"))
                        }
                    },
                    &mut bound,
                )?;
                Ok(Node::Leaf(Leaf {
                    expression,
                    points: points.into_iter().collect(),
                }))
            }
        }
    }

    fn check(&self, node: &Node, numbers: &[f64]) -> Result<(), String> {
        match node {
            Node::And(a, b) | Node::Or(a, b) => {
                self.check(a, numbers)?;
                self.check(b, numbers)
            }
            Node::Not(a) => self.check(a, numbers),
            Node::If(a, b, c) => {
                self.check(a, numbers)?;
                self.check(b, numbers)?;
                self.check(c, numbers)
            }
            Node::Point(_) => Ok(()),
            Node::Leaf(leaf) => match self.leaf(leaf, |place| numbers.get(place).copied()) {
                Ok(Value::Bool(_)) => Ok(()),
                Ok(other) => Err(format!("{other:?} is no truth; a comparison is expected")),
                Err(error) => Err(error),
            },
        }
    }

    fn leaf(&self, leaf: &Leaf, value: impl Fn(usize) -> Option<f64>) -> Result<Value, String> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        for place in &leaf.points {
            if let (Some(name), Some(value)) = (self.names.get(*place), value(*place)) {
                context.add_variable_from_value(name.to_string(), value);
            }
        }
        Value::resolve(&leaf.expression, &context).map_err(|error| error.to_string())
    }

    fn truth(&self, node: &Node, inputs: &[Input]) -> Truth {
        let input = |place: usize| inputs.get(place).copied().flatten();
        match node {
            Node::And(a, b) => and(self.truth(a, inputs), self.truth(b, inputs)),
            Node::Or(a, b) => or(self.truth(a, inputs), self.truth(b, inputs)),
            // Doubt does not pass through a negation: a doubtful "not so" is no certain "so", but it may raise.
            Node::Not(a) => match self.truth(a, inputs) {
                Truth::True => Truth::False {
                    good: self.is_good(a, inputs),
                },
                Truth::False { .. } => Truth::True,
                Truth::Unknown => Truth::Unknown,
            },
            Node::If(a, b, c) => match self.truth(a, inputs) {
                Truth::True => self.truth(b, inputs),
                Truth::False { .. } => self.truth(c, inputs),
                Truth::Unknown => Truth::Unknown,
            },
            Node::Point(place) => match input(*place) {
                Some((value, _)) if value != 0.0 => Truth::True,
                Some((_, good)) => Truth::False { good },
                None => Truth::Unknown,
            },
            Node::Leaf(leaf) => {
                if leaf.points.iter().any(|place| input(*place).is_none()) {
                    return Truth::Unknown;
                }
                match self.leaf(leaf, |place| input(place).map(|(value, _)| value)) {
                    Ok(Value::Bool(true)) => Truth::True,
                    Ok(Value::Bool(false)) => Truth::False {
                        good: self.is_good(node, inputs),
                    },
                    // A division by zero and the like: nobody knows.
                    Ok(_) | Err(_) => Truth::Unknown,
                }
            }
        }
    }

    /// Whether every point in it is without doubt.
    fn is_good(&self, node: &Node, inputs: &[Input]) -> bool {
        let good = |place: &usize| {
            inputs
                .get(*place)
                .copied()
                .flatten()
                .is_some_and(|(_, good)| good)
        };
        match node {
            Node::And(a, b) | Node::Or(a, b) => self.is_good(a, inputs) && self.is_good(b, inputs),
            Node::Not(a) => self.is_good(a, inputs),
            Node::If(a, b, c) => {
                self.is_good(a, inputs) && self.is_good(b, inputs) && self.is_good(c, inputs)
            }
            Node::Point(place) => good(place),
            Node::Leaf(leaf) => leaf.points.iter().all(good),
        }
    }
}

fn is_logical(call: &CallExpr) -> bool {
    call.target.is_none()
        && matches!(
            call.func_name.as_str(),
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::CONDITIONAL
        )
}

const fn and(a: Truth, b: Truth) -> Truth {
    match (a, b) {
        (Truth::False { good: true }, _) | (_, Truth::False { good: true }) => Truth::False { good: true },
        (Truth::False { .. }, _) | (_, Truth::False { .. }) => Truth::False { good: false },
        (Truth::True, Truth::True) => Truth::True,
        (Truth::Unknown, Truth::True | Truth::Unknown) | (Truth::True, Truth::Unknown) => Truth::Unknown,
    }
}

const fn or(a: Truth, b: Truth) -> Truth {
    match (a, b) {
        (Truth::True, _) | (_, Truth::True) => Truth::True,
        (Truth::False { good: a }, Truth::False { good: b }) => Truth::False { good: a && b },
        (Truth::Unknown, Truth::False { .. } | Truth::Unknown) | (Truth::False { .. }, Truth::Unknown) => {
            Truth::Unknown
        }
    }
}

fn place(names: &mut Vec<Arc<str>>, name: &str) -> usize {
    match names.iter().position(|known| &**known == name) {
        Some(place) => place,
        None => {
            names.push(name.into());
            names.len() - 1
        }
    }
}

fn bound(text: &str) -> Result<(), String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!(
            "the expression has {} bytes; at most {TEXT_BYTES_MAX} are allowed",
            text.len()
        ));
    }
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    if deepest > BRACKETS_MAX {
        return Err(format!(
            "brackets are nested {deepest} deep; at most {BRACKETS_MAX} are allowed"
        ));
    }
    Ok(())
}

/// Parses on a thread with a large stack, and takes a panic of the parser for a refusal.
fn parse(text: &str) -> Result<IdedExpr, String> {
    let owned = text.to_owned();
    let parser = std::thread::Builder::new()
        .name("cel-parser".to_owned())
        .stack_size(PARSER_STACK_BYTES)
        .spawn(move || {
            Program::compile(&owned)
                .map(|program| program.expression().clone())
                .map_err(|errors| errors.to_string())
        })
        .map_err(|error| format!("no thread to parse it on: {error}"))?;
    parser
        .join()
        .unwrap_or_else(|_| Err(format!("{text:?} cannot be parsed")))
}

type Names<'a> = &'a mut dyn FnMut(&str, &[String]) -> Result<(), String>;

/// Makes every whole number a number like the points' values, shows every free name to `name`, and bounds the macros.
fn numbers(expression: IdedExpr, name: Names<'_>, bound: &mut Vec<String>) -> Result<IdedExpr, String> {
    let IdedExpr { id, expr } = expression;
    let expr = match expr {
        Expr::Literal(LiteralValue::Int(whole)) => {
            #[expect(
                clippy::cast_precision_loss,
                reason = "an expression compares measured values, not 2^53"
            )]
            let number = *whole.inner() as f64;
            Expr::Literal(LiteralValue::Double(CelDouble::from(number)))
        }
        Expr::Ident(ident) => {
            name(&ident, bound)?;
            Expr::Ident(ident)
        }
        Expr::Call(call) => Expr::Call(self::call(call, name, bound)?),
        Expr::List(mut list) => {
            list.elements = each(list.elements, name, bound)?;
            Expr::List(list)
        }
        Expr::Comprehension(inside) => Expr::Comprehension(Box::new(comprehension(*inside, name, bound)?)),
        Expr::Select(mut select) => {
            select.operand = Box::new(numbers(*select.operand, name, bound)?);
            Expr::Select(select)
        }
        Expr::Map(mut map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(pair) = &mut entry.expr {
                    pair.value = numbers(std::mem::take(&mut pair.value), name, bound)?;
                }
            }
            Expr::Map(map)
        }
        Expr::Struct(_) => return Err("structures are not allowed".to_owned()),
        other @ (Expr::Unspecified | Expr::Literal(_)) => other,
    };
    Ok(IdedExpr { id, expr })
}

fn each(list: Vec<IdedExpr>, name: Names<'_>, bound: &mut Vec<String>) -> Result<Vec<IdedExpr>, String> {
    let mut all = Vec::with_capacity(list.len());
    for expression in list {
        all.push(numbers(expression, name, bound)?);
    }
    Ok(all)
}

fn call(call: CallExpr, name: Names<'_>, bound: &mut Vec<String>) -> Result<CallExpr, String> {
    // A place in a list and what a function of whole numbers gives stay whole numbers.
    let whole = call.func_name == operators::INDEX;
    let target = match call.target {
        Some(target) => Some(Box::new(numbers(*target, name, bound)?)),
        None => None,
    };
    let args = if whole {
        call.args
    } else {
        each(call.args, name, bound)?
    };
    Ok(CallExpr { target, args, ..call })
}

fn comprehension(
    mut inside: ComprehensionExpr,
    name: Names<'_>,
    bound: &mut Vec<String>,
) -> Result<ComprehensionExpr, String> {
    inside.iter_range = numbers(inside.iter_range, name, bound)?;
    let before = bound.len();
    bound.push(inside.iter_var.clone());
    bound.push(inside.accu_var.clone());
    bound.extend(inside.iter_var2.clone());
    if before / 2 >= MACROS_MAX {
        return Err(format!("macros over lists are nested deeper than {MACROS_MAX}"));
    }
    // What a macro counts with stays as it is; only its condition speaks of points.
    if let Expr::Call(step) = inside.loop_step.expr {
        inside.loop_step.expr = Expr::Call(self::call(step, name, bound)?);
    }
    bound.truncate(before);
    Ok(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: bool = true;

    fn compile(text: &str) -> Result<Expression, String> {
        Expression::compile(text, |name| ["A", "B", "C"].contains(&name))
    }

    fn truth(text: &str, a: Input, b: Input) -> Truth {
        let expression = compile(text).unwrap();
        let inputs: Vec<Input> = (expression.names().iter())
            .map(|name| if &**name == "A" { a } else { b })
            .collect();
        expression.evaluate(&inputs)
    }

    #[test]
    fn a45_what_is_unknown_stays_unknown_unless_the_rest_decides() {
        let (high, stale) = (Some((30.0, GOOD)), None);
        assert_eq!(truth("A >= 25 || B >= 25", high, stale), Truth::True);
        assert_eq!(truth("B >= 25 || A >= 25", high, stale), Truth::True);
        assert_eq!(truth("A >= 25 && B >= 25", high, stale), Truth::Unknown);
        assert_eq!(truth("!(B >= 25) && A >= 25", high, stale), Truth::Unknown);
        assert_eq!(
            truth("A < 25 && B >= 25", high, stale),
            Truth::False { good: true }
        );
        assert_eq!(truth("B >= 25 ? A >= 25 : A < 25", high, stale), Truth::Unknown);
    }

    #[test]
    fn whole_numbers_and_points_can_be_computed_with() {
        let at = |value| Some((value, GOOD));
        assert_eq!(truth("A + 1 > B * 2", at(10.0), at(5.0)), Truth::True);
        assert_eq!(truth("A - B >= 5", at(10.0), at(5.0)), Truth::True);
        assert_eq!(truth("A > 5 && !B", at(10.0), at(0.0)), Truth::True);
        assert_eq!(
            truth("[A, B].exists(x, x >= 25)", at(10.0), at(26.0)),
            Truth::True
        );
        assert_eq!(
            truth("[A, B].all(x, x >= 25)", at(10.0), at(26.0)),
            Truth::False { good: true }
        );
        assert_eq!(truth("A / B > 1", at(1.0), at(0.0)), Truth::True);
    }

    #[test]
    fn a_doubtful_value_may_make_true_but_no_certain_false() {
        let doubtful = |value| Some((value, false));
        assert_eq!(truth("A >= 25", doubtful(30.0), None), Truth::True);
        assert_eq!(
            truth("A >= 25", doubtful(3.0), None),
            Truth::False { good: false }
        );
        assert_eq!(
            truth("!(A >= 25)", doubtful(30.0), None),
            Truth::False { good: false }
        );
    }

    #[test]
    fn what_cannot_be_a_rule_is_refused_in_words() {
        for (text, why) in [
            ("A >=", ""),
            ("D >= 25", "D is no point"),
            ("1 > 0", "names no point"),
            ("A + 1", "is no truth"),
            ("A.size() > 1", ""),
            (
                "[A].exists(x, [B].exists(y, [C].exists(z, x + y + z > 1)))",
                "nested",
            ),
        ] {
            let refusal = compile(text).unwrap_err();
            assert!(refusal.contains(why), "{text}: {refusal}");
        }
        let deep = format!("{}A{} > 1", "(".repeat(17), ")".repeat(17));
        assert!(compile(&deep).unwrap_err().contains("17 deep"));
        assert!(compile(&"-".repeat(2000)).unwrap_err().contains("2000 bytes"));
    }

    #[test]
    fn a_thousand_signs_are_parsed_or_refused_but_never_end_the_program() {
        let signs = format!("{}A > 1", "-".repeat(1000));
        if let Ok(expression) = compile(&signs) {
            // An even number of minus signs.
            assert_eq!(expression.evaluate(&[Some((2.0, GOOD))]), Truth::True);
        }
    }
}
