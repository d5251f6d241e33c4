//! What a transform says in CEL, the Common Expression Language: `row` is the row by its
//! folded names, `value` what a step was given.
//!
//! CEL always ends, but a library that runs it has no bound on time. So there are bounds on
//! what time depends on: the expression is short, no loop stands in a loop, and what it is
//! given is small.

use std::sync::Arc;

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr};
use cel::{Context, Env, Program, extensions};
use serde_json::Value as Json;

use super::Row;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 1_000;

/// The most text that an expression is given, in bytes: its row's, if it speaks of it, or its
/// value's.
pub const INPUT_BYTES_MAX: usize = 16 * 1024;

/// The most that an expression may say, in bytes: a loop over a text could repeat it for each of
/// its characters.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// The most of an error of CEL's that is told, in bytes: it may show a whole row.
const MESSAGE_BYTES_MAX: usize = 200;

const ROW: &str = "row";
const VALUE: &str = "value";

/// What all expressions share: the functions that there are.
#[derive(Clone)]
pub struct Environment(Arc<Env>);

impl Environment {
    /// The standard functions, and those for strings.
    pub fn new() -> Result<Self, String> {
        let mut env = Env::stdlib();
        env.add_extension(extensions::strings)
            .map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(env)))
    }

    /// Whether there is such a function. Operators are functions too, whose names begin with
    /// a sign.
    fn has(&self, function: &str) -> bool {
        let is_operator = !function.starts_with(|c: char| c.is_ascii_alphabetic());
        let mut context = Context::with_env(Arc::clone(&self.0));
        // What exists can't be added again.
        is_operator || context.add_function(function, |this: i64| this).is_err()
    }
}

/// An expression, ready to run.
pub struct Expression {
    written: String,
    program: Program,
    environment: Environment,
    needs_row: bool,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.written).finish()
    }
}

impl Expression {
    /// Reads and checks an expression.
    pub fn compile(written: &str, environment: &Environment) -> Result<Self, String> {
        if written.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes"));
        }
        let program = environment
            .0
            .compile(written)
            .map_err(|error| format!("`{written}` is no CEL: {error}"))?;
        let unknown = |name: &&str| !environment.has(name);
        if let Some(unknown) = program.references().functions().into_iter().find(unknown) {
            return Err(format!("`{unknown}` is no function"));
        }
        let mut survey = Survey::default();
        survey.visit(program.expression(), &[]);
        if let Some(unknown) = survey.unknown {
            return Err(format!(
                "`{unknown}` is unknown; there are `{ROW}` and, in a step, `{VALUE}`"
            ));
        }
        if survey.loops > 1 {
            return Err("no loop may stand in a loop".to_owned());
        }
        let needs_row = survey.needs_row;
        Ok(Self {
            written: written.to_owned(),
            program,
            environment: environment.clone(),
            needs_row,
        })
    }

    /// What it says of a row and of a value.
    pub fn evaluate(&self, row: &Row, value: Option<&Json>) -> Result<Json, String> {
        let mut context = Context::with_env(Arc::clone(&self.environment.0));
        if self.needs_row {
            let row = row.in_cel.get_or_init(|| of_row(row));
            context.add_variable_from_value(ROW, row.clone()?);
        }
        if let Some(value) = value {
            context.add_variable_from_value(VALUE, of_json(value, size(value))?);
        }
        let said = self
            .program
            .execute(&context)
            .map_err(|error| format!("`{}`: {}", self.written, shortened(&error.to_string())))?;
        if weight(&said) > OUTPUT_BYTES_MAX {
            let written = &self.written;
            return Err(format!("`{written}` says more than {OUTPUT_BYTES_MAX} bytes"));
        }
        said.json()
            .map_err(|_| format!("`{}` says nothing that a field can hold", self.written))
    }
}

fn of_row(row: &Row) -> Result<cel::Value, String> {
    let size = row.columns.iter().map(|(name, value)| name.len() + size(value));
    let size = size.sum();
    of_json(&row.columns, size)
}

fn of_json(value: &impl serde::Serialize, size: usize) -> Result<cel::Value, String> {
    if size > INPUT_BYTES_MAX {
        return Err(format!(
            "an expression is given at most {INPUT_BYTES_MAX} bytes, here are {size}"
        ));
    }
    cel::to_value(value).map_err(|error| shortened(&error.to_string()).to_owned())
}

/// How much a value weighs: the bytes of its texts, and some for each part.
fn size(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(|item| 8 + size(item)).sum(),
        Json::Object(parts) => parts.iter().map(|(name, part)| 8 + name.len() + size(part)).sum(),
        _ => 8,
    }
}

/// How much an answer weighs, likewise.
fn weight(value: &cel::Value) -> usize {
    match value {
        cel::Value::String(text) => text.len(),
        cel::Value::Bytes(bytes) => bytes.len(),
        cel::Value::List(items) => items.iter().map(|item| 8 + weight(item)).sum(),
        cel::Value::Map(map) => map.map.values().map(|part| 8 + weight(part)).sum(),
        _ => 8,
    }
}

fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

/// What an expression speaks of, and how deep its loops stand in each other.
#[derive(Default)]
struct Survey {
    needs_row: bool,
    unknown: Option<String>,
    /// How many loops stand around what is looked at.
    depth: usize,
    loops: usize,
}

impl Survey {
    /// Looks at an expression within loops over some variables.
    fn visit(&mut self, expression: &IdedExpr, around: &[&str]) {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.name(name, around),
            Expr::Call(call) => self.visit_all(call.args.iter().chain(call.target.as_deref()), around),
            Expr::List(list) => self.visit_all(&list.elements, around),
            Expr::Select(select) => self.visit(&select.operand, around),
            Expr::Map(map) => self.visit_entries(&map.entries, around),
            Expr::Struct(built) => self.visit_entries(&built.entries, around),
            Expr::Comprehension(each) => {
                self.visit(&each.iter_range, around);
                let own = [
                    Some(&each.iter_var),
                    each.iter_var2.as_ref(),
                    Some(&each.accu_var),
                ];
                let within: Vec<_> = around
                    .iter()
                    .copied()
                    .chain(own.into_iter().flatten().map(String::as_str))
                    .collect();
                self.depth += 1;
                self.loops = self.loops.max(self.depth);
                let body = [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result];
                self.visit_all(body, &within);
                self.depth -= 1;
            }
        }
    }

    fn visit_all<'e>(&mut self, parts: impl IntoIterator<Item = &'e IdedExpr>, around: &[&str]) {
        for part in parts {
            self.visit(part, around);
        }
    }

    fn visit_entries(&mut self, entries: &[IdedEntryExpr], around: &[&str]) {
        for entry in entries {
            match &entry.expr {
                EntryExpr::StructField(field) => self.visit(&field.value, around),
                EntryExpr::MapEntry(entry) => self.visit_all([&entry.key, &entry.value], around),
            }
        }
    }

    fn name(&mut self, name: &str, around: &[&str]) {
        if name == ROW {
            self.needs_row = true;
        } else if name != VALUE && !around.contains(&name) {
            self.unknown.get_or_insert_with(|| name.to_owned());
        }
    }
}
