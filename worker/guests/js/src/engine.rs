//! The engine and its one loop: promise jobs, then the next timer, until nothing is left to do.

use std::{cell::RefCell, fs, path::Path, rc::Rc, thread, time::Instant};

use rquickjs::{
    CaughtError, Context, Ctx, Error, Exception, Function, Module, Object, Persistent, Promise,
    Result, Runtime, Value, context::EvalOptions, promise::PromiseState,
};

use crate::{
    modules::Modules,
    natives,
    output::{Output, complain},
    secrets::Secrets,
    timers::Timers,
};

/// Half of the usual main-thread stack of 8 MiB. The rest is for the engine's own frames, so that a
/// runaway script meets a `RangeError` and not the guard page.
const STACK_BYTES: usize = 4 << 20;

/// A thrown value on its way to whoever reports it.
type Thrown = Persistent<Value<'static>>;
type Caught<T> = std::result::Result<T, Thrown>;

/// Promises rejected while nobody listened, each with its reason.
type Rejections = Rc<RefCell<Vec<(Persistent<Value<'static>>, Thrown)>>>;

pub(crate) struct Engine {
    // Dropped in this order: no value may outlive the runtime that it lives in.
    /// What the prelude returned: functions for us alone.
    prelude: Persistent<Object<'static>>,
    rejections: Rejections,
    timers: Rc<Timers>,
    context: Context,
    runtime: Runtime,
    output: Rc<Output>,
}

impl Engine {
    /// An engine with all globals in place but those that depend on the run.
    pub(crate) fn new(
        modules: Modules,
        output: &Rc<Output>,
        memory_bytes: Option<usize>,
    ) -> Result<Self> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(STACK_BYTES);
        runtime.set_memory_limit(memory_bytes.unwrap_or(0));
        runtime.set_loader(modules.clone(), modules);
        let rejections = track_rejections(&runtime);
        let polled = Rc::clone(output);
        runtime.set_interrupt_handler(Some(Box::new(move || {
            polled.flush_if_stale();
            false
        })));

        let context = Context::full(&runtime)?;
        let timers = Rc::new(Timers::default());
        let prelude = context.with(|ctx| {
            let natives = natives::object(&ctx, output, &timers)?;
            let prelude: Object = natives::part(&ctx, "prelude")?.call((natives,))?;
            Ok::<_, Error>(Persistent::save(&ctx, prelude))
        })?;
        Ok(Self { prelude, rejections, timers, context, runtime, output: Rc::clone(output) })
    }

    /// Reads ahead of its first use whatever a script may need.
    pub(crate) fn prepare(&self) -> Result<()> {
        self.context.with(|ctx| self.part(&ctx, "prepare")?.call(()))
    }

    /// The limit of another run than the one this engine was made for.
    pub(crate) fn set_memory_limit(&self, memory_bytes: Option<usize>) {
        self.runtime.set_memory_limit(memory_bytes.unwrap_or(0));
    }

    /// Completes the globals. The secrets are the script's from here on.
    pub(crate) fn begin(&self, args: Vec<String>, secrets: &Secrets) -> Result<()> {
        self.context.with(|ctx| {
            let pairs = natives::secret_pairs(&ctx, secrets)?;
            self.part(&ctx, "begin")?.call((args, pairs))
        })
    }

    /// Has the script make no code of text.
    pub(crate) fn guard(&self) -> Result<()> {
        self.context.with(|ctx| self.part(&ctx, "guard")?.call(()))
    }

    /// Runs a module and all that it leaves behind, and returns the exit code. The value of its last
    /// statement is left in the file `result`, if it is no module after all.
    pub(crate) fn run(&self, name: &str, source: String, result: Option<&Path>) -> u8 {
        match self.run_to_end(name, source, result) {
            Ok(PromiseState::Pending) => {
                complain("Error: a top-level await never settled\n");
                1
            }
            Ok(_) => 0,
            Err(thrown) => {
                self.report(thrown);
                1
            }
        }
    }

    fn run_to_end(
        &self,
        name: &str,
        source: String,
        result: Option<&Path>,
    ) -> Caught<PromiseState> {
        let (entry, result) = self.within(|ctx| {
            let script = result.and_then(|result| Some((as_script(ctx, name, &source)?, result)));
            let (promise, result) = match script {
                Some((promise, result)) => (promise, Some(result)),
                None => (Module::evaluate(ctx.clone(), name, source)?, None),
            };
            Ok((Persistent::save(ctx, promise), result))
        })?;
        loop {
            self.run_jobs()?;
            let Some(due) = self.timers.next_due() else { break };
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                self.output.flush();
                thread::sleep(wait);
            }
            self.within(|ctx| match self.timers.take_next() {
                Some(callback) => callback.restore(ctx)?.call::<_, ()>(()),
                None => Ok(()),
            })?;
        }
        self.within(|ctx| {
            let entry = entry.restore(ctx)?;
            if let (Some(path), Some(done)) = (result, entry.result::<Object>()) {
                let value: Value = done?.get("value")?;
                let told: String = self.part(ctx, "tell")?.call((value,))?;
                if let Err(error) = fs::write(path, told) {
                    complain(format!("belljar-js: the result could not be told: {error}\n"));
                }
            }
            Ok(Promise::state(&entry))
        })
    }

    /// Empties the job queue. A rejection that nobody took up by then is an uncaught error; that of
    /// the entry module is one of them.
    fn run_jobs(&self) -> Caught<()> {
        loop {
            match self.runtime.execute_pending_job() {
                Ok(true) => {}
                Ok(false) => break,
                Err(job) => return Err(job.0.with(|ctx| Persistent::save(&ctx, ctx.catch()))),
            }
        }
        let unhandled = self.rejections.take().into_iter().next();
        unhandled.map_or(Ok(()), |(_, reason)| Err(reason))
    }

    /// Enters the engine, and brings out what was thrown there.
    fn within<T>(&self, work: impl for<'js> FnOnce(&Ctx<'js>) -> Result<T>) -> Caught<T> {
        self.context.with(|ctx| {
            work(&ctx).map_err(|error| {
                let value = match CaughtError::from_error(&ctx, error) {
                    CaughtError::Exception(exception) => exception.into_value(),
                    CaughtError::Value(value) => value,
                    CaughtError::Error(error) => Exception::from_message(
                        ctx.clone(),
                        &error.to_string(),
                    )
                    .map_or_else(|_| Value::new_undefined(ctx.clone()), Exception::into_value),
                };
                Persistent::save(&ctx, value)
            })
        })
    }

    fn part<'js>(&self, ctx: &Ctx<'js>, name: &str) -> Result<Function<'js>> {
        self.prelude.clone().restore(ctx)?.get(name)
    }

    fn report(&self, thrown: Thrown) {
        let text = self.context.with(|ctx| {
            let thrown = thrown.restore(&ctx)?;
            let described = self
                .part(&ctx, "describe")
                .and_then(|describe| describe.call::<_, String>((thrown.clone(),)));
            // Describing takes memory and trusts the script's own objects: both may be spoilt.
            described.or_else(|error| {
                drop(ctx.catch());
                let message = thrown.as_exception().and_then(Exception::message);
                message.map(|message| format!("Error: {message}")).ok_or(error)
            })
        });
        let text =
            text.unwrap_or_else(|_: Error| "Error: uncaught, and beyond description".to_owned());
        self.output.flush();
        complain(format!("{text}\n"));
    }
}

/// Evaluates a source that is no module, whose last statement has a value. One that is a module
/// cannot be read so, and has done nothing.
fn as_script<'js>(ctx: &Ctx<'js>, name: &str, source: &str) -> Option<Promise<'js>> {
    let mut options = EvalOptions::default();
    options.promise = true;
    options.filename = Some(name.to_owned());
    let evaluated = ctx.eval_with_options(source, options);
    evaluated.map_err(|_| drop(ctx.catch())).ok()
}

fn track_rejections(runtime: &Runtime) -> Rejections {
    let rejections = Rejections::default();
    let tracked = Rc::clone(&rejections);
    runtime.set_host_promise_rejection_tracker(Some(Box::new(
        move |ctx, promise, reason, handled| {
            let mut waiting = tracked.borrow_mut();
            if handled {
                let same = |kept: &Persistent<Value<'static>>| {
                    kept.clone().restore(&ctx).is_ok_and(|kept| kept == promise)
                };
                if let Some(index) = waiting.iter().rposition(|(kept, _)| same(kept)) {
                    waiting.remove(index);
                }
            } else {
                waiting.push((Persistent::save(&ctx, promise), Persistent::save(&ctx, reason)));
            }
        },
    )));
    rejections
}
