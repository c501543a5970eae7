//! The computation of a filter: a stack of values.

use super::json;
use super::tokens::{Operator, Token};
use super::value::{List, Value};
use std::borrow::Cow;

/// Whether the program's value is true for an object.
pub(super) fn run(program: &[Token<'_>], object: &[u8]) -> bool {
    run_to_value(program, object).is_some_and(|value| value.is_true())
}

/// The program's value; `None` if the object lacks a field.
fn run_to_value<'a>(program: &'a [Token<'a>], object: &'a [u8]) -> Option<Value<'a>> {
    let mut stack: Vec<Value<'a>> = Vec::with_capacity(8);
    for token in program {
        let value = match token {
            Token::Value(value) => borrowed(value),
            Token::Field(name) => json::field(object, name)?,
            Token::Operator(Operator::Not) => Value::of_bool(!stack.pop()?.is_true()),
            Token::Operator(operator) => {
                let (b, a) = (stack.pop()?, stack.pop()?);
                compute(*operator, &a, &b)
            }
        };
        stack.push(value);
    }
    stack.pop()
}

fn borrowed<'a>(value: &'a Value<'a>) -> Value<'a> {
    match value {
        Value::Null => Value::Null,
        Value::Number(number) => Value::Number(*number),
        Value::Text(text) => Value::Text(Cow::Borrowed(text)),
        Value::List(list) => Value::List(List::Borrowed(list.values())),
    }
}

fn compute<'a>(operator: Operator, a: &Value<'_>, b: &Value<'_>) -> Value<'a> {
    let numbers = || (a.number(), b.number());
    let number = |compute: fn(f64, f64) -> f64| {
        let (a, b) = numbers();
        Value::Number(compute(a, b))
    };
    let compare = |compare: fn(&f64, &f64) -> bool| {
        let (a, b) = numbers();
        Value::of_bool(compare(&a, &b))
    };
    match operator {
        Operator::Power => number(f64::powf),
        Operator::Times => number(|a, b| a * b),
        Operator::Divided => number(|a, b| a / b),
        Operator::Modulo => number(|a, b| a % b),
        Operator::Plus => number(|a, b| a + b),
        Operator::Minus => number(|a, b| a - b),
        Operator::Greater => compare(f64::gt),
        Operator::GreaterOrEqual => compare(f64::ge),
        Operator::Less => compare(f64::lt),
        Operator::LessOrEqual => compare(f64::le),
        Operator::Equal => Value::of_bool(a.equals(b)),
        Operator::NotEqual => Value::of_bool(!a.equals(b)),
        Operator::In => Value::of_bool(a.is_in(b)),
        Operator::And => Value::of_bool(a.is_true() && b.is_true()),
        Operator::Or => Value::of_bool(a.is_true() || b.is_true()),
        Operator::Open | Operator::Close | Operator::Not => {
            unreachable!("no operator of two values")
        }
    }
}
