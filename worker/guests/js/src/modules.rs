//! ES modules from disk. A module is named by its path from the working directory, because that is
//! the name a stack trace shows.

use std::{
    env, fs,
    path::{Component, Path, PathBuf},
};

use rquickjs::{
    CatchResultExt, Ctx, Error, Exception, Module, Result as JsResult,
    loader::{ImportAttributes, Loader, Resolver},
    module::Declared,
};

#[derive(Clone)]
pub(crate) struct Modules {
    here: PathBuf,
}

impl Modules {
    pub(crate) fn here() -> Self {
        Self { here: env::current_dir().unwrap_or_else(|_| PathBuf::from("/")) }
    }

    /// The one name of the module at `path`, however the path is spelt.
    pub(crate) fn name(&self, path: &Path) -> Result<String, String> {
        let mut plain = PathBuf::new();
        for component in self.here.join(path).components() {
            match component {
                Component::ParentDir => drop(plain.pop()),
                Component::CurDir => {}
                other => plain.push(other),
            }
        }
        let name = plain.strip_prefix(&self.here).unwrap_or(&plain);
        name.to_str().map(str::to_owned).ok_or_else(|| format!("{} is not UTF-8", name.display()))
    }
}

/// The text of a module; what cannot be text is told apart from what cannot be read.
pub(crate) fn read_source(name: &str) -> Result<String, String> {
    let bytes = fs::read(name).map_err(|error| format!("cannot read {name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8"))?;
    if text.contains('\0') { Err(format!("{name} contains a NUL byte")) } else { Ok(text) }
}

impl Resolver for Modules {
    fn resolve<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> JsResult<String> {
        let refuse = |reason: &str| {
            Exception::throw_type(ctx, &format!("cannot import {name:?} in {base}: {reason}"))
        };
        if !["./", "../", "/"].iter().any(|start| name.starts_with(start)) {
            return Err(refuse("there are no packages here, only relative imports (./ or ../)"));
        }
        let beside = Path::new(base).parent().unwrap_or(Path::new(""));
        let resolved = self.name(&beside.join(name)).map_err(|reason| refuse(&reason))?;
        match fs::metadata(&resolved) {
            Ok(metadata) if metadata.is_file() => Ok(resolved),
            Ok(_) => Err(refuse("not a file")),
            Err(error) => Err(refuse(&error.to_string())),
        }
    }
}

impl Loader for Modules {
    fn load<'js>(
        &mut self,
        ctx: &Ctx<'js>,
        name: &str,
        attributes: Option<ImportAttributes<'js>>,
    ) -> JsResult<Module<'js, Declared>> {
        let source = read_source(name).map_err(|reason| Exception::throw_type(ctx, &reason))?;
        let kind = attributes.map(|attributes| attributes.get_type()).transpose()?.flatten();
        match kind.as_deref() {
            Some("json") => declare_json(ctx, name, &source),
            None if is_json(name) => declare_json(ctx, name, &source),
            None => Module::declare(ctx.clone(), name, source),
            Some(other) => {
                Err(Exception::throw_type(ctx, &format!("cannot import {name} as {other:?}")))
            }
        }
    }
}

fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "json")
}

/// JSON is handed over as a string: as an expression, a key `__proto__` would mean something else.
fn declare_json<'js>(ctx: &Ctx<'js>, name: &str, text: &str) -> JsResult<Module<'js, Declared>> {
    if let Err(error) = ctx.json_parse(text).catch(ctx) {
        let reason = error.to_string();
        let reason =
            reason.lines().next().unwrap_or_default().trim_start_matches("Error: ").to_owned();
        return Err(Exception::throw_syntax(ctx, &format!("{name}: {reason}")));
    }
    let literal = ctx.json_stringify(text)?.ok_or(Error::Unknown)?.to_string()?;
    Module::declare(ctx.clone(), name, format!("export default JSON.parse({literal});"))
}
