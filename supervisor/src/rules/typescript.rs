//! TypeScript without its types: the JavaScript that runs, each statement on the line it was on.

use std::path::Path;

use oxc_allocator::Allocator;
use oxc_ast::ast::{
    CallExpression, Decorator, ExportAllDeclaration, ExportFromDeclaration, Expression,
    ImportDeclaration, ImportExpression, Program, StringLiteral, TemplateElement,
};
use oxc_ast_visit::{Visit, VisitMut, walk_mut};
use oxc_codegen::{Codegen, CodegenOptions};
use oxc_semantic::SemanticBuilder;
use oxc_span::Span;
use oxc_transformer::{TransformOptions, Transformer};

use super::findings::Findings;
use super::{Finding, javascript};

/// The module that an import names, where it is spelt otherwise once types are gone.
pub(crate) type Rename<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// The JavaScript of a TypeScript source.
///
/// # Errors
/// Where it is not TypeScript, or more than the types would have to go.
pub(crate) fn strip(source: &str, rename: Rename<'_>) -> Result<String, Finding> {
    let stripped = javascript::safely(source, true, || {
        let allocator = Allocator::default();
        let mut program = javascript::parse(&allocator, source, true)?;
        erase(&allocator, source, &mut program)?;
        let mut imports = Imports { allocator: &allocator, rename };
        imports.visit_program(&mut program);
        Ok(print(&program))
    });
    stripped.map_err(|finding| *finding)?.map_err(first)
}

/// Whether a source is a module: whether it imports or exports.
///
/// # Errors
/// Where it is not TypeScript.
pub(crate) fn is_module(source: &str) -> Result<bool, Finding> {
    let parsed = javascript::safely(source, true, || {
        let allocator = Allocator::default();
        let program = javascript::parse(&allocator, source, true)?;
        Ok(program.source_type.is_module())
    });
    parsed.map_err(|finding| *finding)?.map_err(first)
}

fn first(mut findings: Vec<Finding>) -> Finding {
    findings.swap_remove(0)
}

/// Takes the types out of a tree, and writes out what is shorthand for code.
pub(super) fn erase<'a>(
    allocator: &'a Allocator,
    source: &str,
    program: &mut Program<'a>,
) -> Result<(), Vec<Finding>> {
    let mut decorators = Decorators(None);
    decorators.visit_program(program);
    if let Some(span) = decorators.0 {
        let message = "no runtime here has decorators";
        return Err(single(source, span, message, "call a function on the class instead"));
    }
    let scoping =
        SemanticBuilder::new().with_enum_eval(true).build(program).semantic.into_scoping();
    let options = TransformOptions::default();
    let done = Transformer::new(allocator, Path::new("main.ts"), &options)
        .build_with_scoping(scoping, program);
    match done.diagnostics.iter().next() {
        None => Ok(()),
        Some(wrong) => {
            let label = wrong.labels.iter().next();
            let span = label.map_or(Span::default(), |label| {
                Span::new(label.offset(), label.offset().saturating_add(label.len()))
            });
            Err(single(source, span, &wrong.message, "write it in JavaScript"))
        }
    }
}

fn single(source: &str, span: Span, message: &str, advice: &str) -> Vec<Finding> {
    let mut findings = Findings::new(source);
    findings.add(span.start as usize..span.end as usize, "javascript/typescript", message, advice);
    findings.finish()
}

struct Decorators(Option<Span>);

impl<'a> Visit<'a> for Decorators {
    fn visit_decorator(&mut self, decorator: &Decorator<'a>) {
        self.0 = self.0.or(Some(decorator.span));
    }
}

/// Gives imports the names that files have without types.
struct Imports<'r, 'a> {
    allocator: &'a Allocator,
    rename: Rename<'r>,
}

impl<'a> Imports<'_, 'a> {
    fn mend(&self, source: &mut StringLiteral<'a>) {
        if let Some(name) = (self.rename)(source.value.as_str()) {
            source.value = self.allocator.alloc_str(&name).into();
            source.raw = None;
        }
    }
}

impl<'a> VisitMut<'a> for Imports<'_, 'a> {
    fn visit_import_declaration(&mut self, import: &mut ImportDeclaration<'a>) {
        self.mend(&mut import.source);
    }

    fn visit_export_from_declaration(&mut self, export: &mut ExportFromDeclaration<'a>) {
        self.mend(&mut export.source);
    }

    fn visit_export_all_declaration(&mut self, export: &mut ExportAllDeclaration<'a>) {
        self.mend(&mut export.source);
    }

    fn visit_import_expression(&mut self, import: &mut ImportExpression<'a>) {
        if let Expression::StringLiteral(source) = &mut import.source {
            self.mend(source);
        }
        walk_mut::walk_import_expression(self, import);
    }

    fn visit_call_expression(&mut self, call: &mut CallExpression<'a>) {
        let is_require = matches!(&call.callee, Expression::Identifier(it) if it.name == "require");
        if let Some(Expression::StringLiteral(source)) =
            call.arguments.first_mut().and_then(|it| it.as_expression_mut()).filter(|_| is_require)
        {
            self.mend(source);
        }
        walk_mut::walk_call_expression(self, call);
    }

    /// The text of a template has no place of its own: no line may end before it.
    fn visit_template_element(&mut self, element: &mut TemplateElement<'a>) {
        element.span = Span::default();
    }
}

/// Prints a program without a line that its text does not have, and then puts lines where they were:
/// behind a bracket, a comma or a semicolon, where no statement ends because of it.
fn print(program: &Program<'_>) -> String {
    let options =
        CodegenOptions { source_map_path: Some("main.ts".into()), ..CodegenOptions::minify() };
    let printed = Codegen::new().with_options(options).build(program);
    let Some(map) = printed.map else { return printed.code };
    let mut places = map.get_tokens().peekable();
    let mut text = String::with_capacity(printed.code.len() + printed.code.len() / 4);
    let (mut line, mut column, mut written) = (0, 0, 0);
    let mut last = ';';
    for c in printed.code.chars() {
        while let Some(place) =
            places.next_if(|it| (it.get_dst_line(), it.get_dst_col()) <= (line, column))
        {
            let is_here = (place.get_dst_line(), place.get_dst_col()) == (line, column);
            if is_here && matches!(last, ';' | '{' | '}' | ',' | '(' | '[') {
                while written < place.get_src_line() {
                    text.push('\n');
                    written += 1;
                }
            }
        }
        text.push(c);
        if c == '\n' {
            (line, column, written) = (line + 1, 0, written + 1);
        } else {
            column += u32::try_from(c.len_utf16()).unwrap_or(1);
        }
        last = c;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(source: &str) -> String {
        strip(source, &|_| None).unwrap()
    }

    #[test]
    fn statements_stay_on_their_lines() {
        let source = "// a comment\ninterface A {\n  x: number\n}\n\nconst a: A = {\n  x: 1,\n};\nthrow new \
                      Error(`${\n  a.x}\n text ${a.x}\nmore`);\nlast(\n  1);";
        let lines = plain(source);
        let at = |word: &str| lines.lines().position(|line| line.contains(word)).map(|at| at + 1);
        assert_eq!(at("const a"), Some(6), "{lines}");
        assert_eq!(at("throw"), Some(9), "{lines}");
        assert_eq!(at("last"), Some(13), "{lines}");
        assert!(lines.contains("}\n text ${"), "{lines}");
    }

    #[test]
    fn what_returns_behind_a_bracket_still_does() {
        let text = plain("function f(): number {\n  return (\n    1 +\n    2\n  );\n}");
        assert!(text.contains("return 1+"), "{text}");
    }

    #[test]
    fn shorthands_for_code_are_written_out() {
        let source = "enum Color { Red, Green = 'g' }\nnamespace N { export const x = 1 }\n\
                      class P { constructor(private readonly x: number) {} }\n\
                      export const y = <number>N.x satisfies number;";
        let text = plain(source);
        assert!(text.contains("Color[") && text.contains("this.x=x"), "{text}");
        assert!(!text.contains("private") && !text.contains("satisfies"), "{text}");
    }

    #[test]
    fn imports_of_types_alone_are_gone_and_others_renamed() {
        let source = "import type { A } from './a';\nimport { b } from './b';\nconst c = require('./b');\n\
                      export const d: A = b(c, await import('./b'));";
        let rename = |name: &str| (name == "./b").then(|| "./b.mjs".to_owned());
        let text = strip(source, &rename).unwrap();
        assert_eq!(text.matches("./b.mjs").count(), 3, "{text}");
        assert!(!text.contains("./a"), "{text}");
        assert!(is_module(source).unwrap());
        assert!(!is_module("const x: number = 1").unwrap());
    }

    #[test]
    fn decorators_are_refused_where_they_stand() {
        let finding = strip("class A {\n  @log f() {}\n}", &|_| None).unwrap_err();
        assert_eq!((finding.line, finding.rule), (2, "javascript/typescript"));
    }
}
