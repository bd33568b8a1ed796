//! The few things a script cannot do by itself. `prelude.js` builds the globals from them.

use std::{
    cell::RefCell,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use rquickjs::{
    Array, Ctx, Exception, Function, IntoJs, Object, Persistent, Result, String as JsString,
    TypedArray, Value,
    context::EvalOptions,
    function::{Func, IntoJsFunc},
};

use crate::{
    output::{Output, complain},
    raw,
    secrets::Secrets,
    timers::Timers,
};

type Bytes<'js> = TypedArray<'js, u8>;

/// An object with everything that `prelude.js` asks for.
pub(crate) fn object<'js>(
    ctx: &Ctx<'js>,
    output: &Rc<Output>,
    timers: &Rc<Timers>,
) -> Result<Object<'js>> {
    let natives = Object::new(ctx.clone())?;
    streams(&natives, output)?;
    files(&natives)?;
    texts(&natives)?;

    add(&natives, "part", |ctx: Ctx<'js>, name: String| part(&ctx, &name))?;
    let schedule = Rc::clone(timers);
    add(&natives, "setTimer", move |ctx: Ctx<'js>, callback: Function<'js>, delay_ms, repeats| {
        schedule.set(Persistent::save(&ctx, callback), delay_ms, repeats)
    })?;
    let schedule = Rc::clone(timers);
    add(&natives, "clearTimer", move |id| schedule.clear(id))?;
    Ok(natives)
}

/// One of this runtime's own scripts; each is the expression of one function.
pub(crate) fn part<'js>(ctx: &Ctx<'js>, name: &str) -> Result<Function<'js>> {
    let source = match name {
        "prelude" => include_str!("prelude.js"),
        "inspect" => include_str!("inspect.js"),
        "clone" => include_str!("clone.js"),
        "tell" => include_str!("tell.js"),
        "guard" => include_str!("guard.js"),
        _ => return Err(Exception::throw_reference(ctx, name)),
    };
    let mut options = EvalOptions::default();
    options.filename = Some(format!("belljar:{name}"));
    ctx.eval_with_options(source, options)
}

/// Pairs of name and value. A value that is not UTF-8 is a `Uint8Array`.
pub(crate) fn secret_pairs<'js>(ctx: &Ctx<'js>, secrets: &Secrets) -> Result<Array<'js>> {
    let pairs = Array::new(ctx.clone())?;
    for (index, (name, value)) in secrets.entries().flatten().enumerate() {
        let value = match str::from_utf8(value) {
            Ok(text) => JsString::from_str(ctx.clone(), text)?.into_value(),
            Err(_) => Bytes::new_copy(ctx.clone(), value)?.into_value(),
        };
        let pair = Array::new(ctx.clone())?;
        pair.set(0, name)?;
        pair.set(1, value)?;
        pairs.set(index, pair)?;
    }
    Ok(pairs)
}

fn add<'js, P>(
    natives: &Object<'js>,
    name: &str,
    native: impl IntoJsFunc<'js, P> + 'js,
) -> Result<()> {
    natives.set(name, Func::from(native))
}

fn streams<'js>(natives: &Object<'js>, output: &Rc<Output>) -> Result<()> {
    let stdout = Rc::clone(output);
    add(natives, "writeOut", move |data: Value<'js>| -> Result<()> {
        stdout.write(&bytes_of(&data)?);
        Ok(())
    })?;
    add(natives, "writeErr", |data: Value<'js>| -> Result<()> {
        complain(bytes_of(&data)?);
        Ok(())
    })?;
    let last = Rc::clone(output);
    add(natives, "exit", move |code: u8| -> () { last.exit(code) })?;
    inputs(natives, output)
}

/// Whoever answers on standard input may be waiting for the question on standard output, so that
/// is flushed before the process may have to wait.
fn inputs<'js>(natives: &Object<'js>, output: &Rc<Output>) -> Result<()> {
    let stdin = Rc::new(RefCell::new(BufReader::new(io::stdin())));
    let (all, before) = (Rc::clone(&stdin), Rc::clone(output));
    add(natives, "readAll", move |ctx: Ctx<'js>| {
        before.flush();
        let mut bytes = Vec::new();
        let read = all.borrow_mut().read_to_end(&mut bytes);
        read.map_err(|error| failed(&ctx, "cannot read standard input", &error))?;
        Bytes::new(ctx, bytes)
    })?;
    let before = Rc::clone(output);
    add(natives, "readLine", move |ctx: Ctx<'js>| -> Result<Option<String>> {
        let mut stdin = stdin.borrow_mut();
        if !stdin.buffer().contains(&b'\n') {
            before.flush();
        }
        let mut line = Vec::new();
        let read = stdin.read_until(b'\n', &mut line);
        read.map_err(|error| failed(&ctx, "cannot read standard input", &error))?;
        let text = line.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text));
        Ok((!line.is_empty()).then(|| String::from_utf8_lossy(text.unwrap_or(&line)).into_owned()))
    })
}

fn files<'js>(natives: &Object<'js>) -> Result<()> {
    add(natives, "readFile", |ctx: Ctx<'js>, path: String| {
        let bytes = fs::read(&path)
            .map_err(|error| failed(&ctx, &format!("cannot read {path}"), &error))?;
        Bytes::new(ctx, bytes)
    })?;
    add(natives, "writeFile", |ctx: Ctx<'js>, path: String, data: Value<'js>| {
        let bytes = bytes_of(&data)?;
        fs::write(&path, bytes)
            .map_err(|error| failed(&ctx, &format!("cannot write {path}"), &error))
    })?;
    add(natives, "list", |ctx: Ctx<'js>, path: String| {
        let names = fs::read_dir(&path).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        });
        let mut names: Vec<String> = names
            .map_err(|error: io::Error| failed(&ctx, &format!("cannot list {path}"), &error))?;
        names.sort();
        Ok::<_, rquickjs::Error>(names)
    })?;
    add(natives, "exists", |path: String| fs::symlink_metadata(path).is_ok())?;
    add(natives, "remove", |ctx: Ctx<'js>, path: String| {
        let removed = fs::symlink_metadata(&path).and_then(|metadata| {
            if metadata.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
        });
        removed.map_err(|error| failed(&ctx, &format!("cannot remove {path}"), &error))
    })?;
    add(natives, "makeDirectory", |ctx: Ctx<'js>, path: String| {
        fs::create_dir_all(&path)
            .map_err(|error| failed(&ctx, &format!("cannot make directory {path}"), &error))
    })?;
    add(natives, "random", |ctx: Ctx<'js>, length: usize| {
        let mut bytes = vec![0; length];
        let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
        read.map_err(|error| failed(&ctx, "cannot read /dev/urandom", &error))?;
        Bytes::new(ctx, bytes)
    })
}

fn texts<'js>(natives: &Object<'js>) -> Result<()> {
    add(natives, "encode", |ctx: Ctx<'js>, text: String| Bytes::new(ctx, text.into_bytes()))?;
    add(natives, "decode", |ctx: Ctx<'js>, array: Bytes<'js>, fatal: bool| {
        let bytes = raw::copy_bytes(&array);
        if fatal && str::from_utf8(&bytes).is_err() {
            return Err(Exception::throw_type(&ctx, "the data is not valid UTF-8"));
        }
        String::from_utf8_lossy(&bytes).into_js(&ctx)
    })
}

/// The bytes to write: those of a string in UTF-8, or those of a `Uint8Array`.
fn bytes_of(data: &Value<'_>) -> Result<Vec<u8>> {
    if data.is_string() {
        return data.get::<String>().map(String::into_bytes);
    }
    Ok(raw::copy_bytes(&data.get::<Bytes<'_>>()?))
}

fn failed(ctx: &Ctx<'_>, what: &str, error: &io::Error) -> rquickjs::Error {
    Exception::throw_message(ctx, &format!("{what}: {error}"))
}
