//! What a model may ask for: less than others, as it may have been talked into asking.

use std::collections::BTreeMap;

use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::json::{CallRequest, CheckRequest, Data, Problem, Request, SessionRequest};

/// An argument, and how it is explained to a model.
pub(super) type Offer = (&'static str, &'static str);

/// What of a run is offered. The floor of protection is for whoever started the server to decide; so
/// are places, of which a run is granted those that it asks for, and the mode, which it can lower.
#[rustfmt::skip]
pub(super) const RUN: [Offer; 16] = [
    ("runtime", "The language: python, node, js, bash and others; list_runtimes tells which are installed. Leave it out with a session."),
    ("code", "The program, as text. Give either this, or files and entry."),
    ("files", "Files to put into /work before the program starts: data to read, or the program itself when entry names one of them."),
    ("entry", "The path of the file that is the program, instead of code."),
    ("args", "Command line arguments of the program."),
    ("stdin", "Standard input: text, or an object of content and encoding for bytes. Empty without it."),
    ("env", "Environment variables. Not for anything secret."),
    ("secrets", SECRETS),
    ("network", NETWORK),
    ("secret_hosts", SECRET_HOSTS),
    ("mode", MODE),
    ("limits", "What the run may use, where that differs from the defaults. With a session, only wall_ms."),
    ("collect", "Which files below /work to return when the program has ended, such as [\"*.png\", \"out/**\"]. Images come back as images, the rest as links. None without it."),
    ("rich", "Also return the value of the last expression, figures as images, and errors in parts (python; node and js: the value)."),
    ("start", "Which warm start is acceptable; leave it out."),
    ("labels", "Names and values that the result repeats."),
];

/// What of a session is offered.
#[rustfmt::skip]
pub(super) const SESSION: [Offer; 12] = [
    ("runtime", "The language: python, node or bash."),
    ("limits", "What the whole session may use, where that differs from the defaults."),
    ("call_limits", "What each call may take."),
    ("idle_ms", "After how long without a call it is closed."),
    ("lifetime_ms", "After how long it is closed in any case."),
    ("env", "Environment variables. Not for anything secret."),
    ("secrets", SECRETS),
    ("files", "Files to put into /work."),
    ("network", NETWORK),
    ("secret_hosts", SECRET_HOSTS),
    ("mode", MODE),
    ("labels", "Names and values that are repeated wherever the session is listed."),
];

/// What can be checked.
#[rustfmt::skip]
pub(super) const CHECK: [Offer; 5] = [
    ("runtime", "The language."),
    ("code", "The program, as text. Give either this, or files and entry."),
    ("files", "The files of the program."),
    ("entry", "Which of them is the program, instead of code."),
    ("mode", MODE),
];

/// What of a run makes sense where a session goes on. The only limit among them is `wall_ms`.
const CALL: [&str; 5] = ["code", "stdin", "files", "collect", "limits"];

#[rustfmt::skip]
const SECRETS: &str = "Secrets by name. python: import belljar; belljar.secrets[NAME]. node and js: belljar.secrets.NAME. Others: the file /run/secrets/NAME. They are blotted out of all output.";

#[rustfmt::skip]
const NETWORK: &str = "Places that the program connects to, each as host:port, such as [\"api.example.com:443\"]; or [\"loopback\"] for servers that it starts and asks itself. Only what the operator allows is granted; a refusal lists it. None without it.";
#[rustfmt::skip]
const SECRET_HOSTS: &str = "Secrets that the program never sees, each with the one place of network whose requests get it in their headers.";
#[rustfmt::skip]
const MODE: &str = "How much of the language the program may use: restricted (no imports), standard (a list of modules) or full. It can only be stricter than what the operator says. Leave it out.";

/// What `run_code` is asked for.
pub(super) enum Ask {
    Run(Box<Request>),
    /// In a session.
    Call(String, CallRequest),
}

/// # Errors
/// What is wrong with it, without the value of any secret.
pub(super) fn run_code(mut arguments: JsonObject) -> Result<Ask, Problem> {
    let session = match arguments.remove("session") {
        None | Some(Value::Null) => {
            offered(&arguments, &RUN.map(|(name, _)| name))?;
            return Ok(Ask::Run(Box::new(understood(arguments)?)));
        }
        Some(Value::String(session)) => session,
        Some(_) => return Err(Problem::invalid("session: write the id of a session")),
    };
    offered(&arguments, &CALL).map_err(|problem| Problem {
        message: format!("{} in a session: it belongs to open_session", problem.message),
        ..problem
    })?;
    if let Some(limits) = arguments.remove("limits") {
        let wall = limits.as_object().filter(|limits| limits.keys().all(|name| name == "wall_ms"));
        let wall = wall.ok_or_else(|| Problem::invalid("limits: only wall_ms in a session"))?;
        arguments.extend(wall.clone());
    }
    Ok(Ask::Call(session, understood(arguments)?))
}

/// # Errors
/// What is wrong with it, without the value of any secret.
pub(super) fn open_session(arguments: JsonObject) -> Result<SessionRequest, Problem> {
    offered(&arguments, &SESSION.map(|(name, _)| name))?;
    understood(arguments)
}

/// # Errors
/// What is wrong with it.
pub(super) fn check_code(arguments: JsonObject) -> Result<CheckRequest, Problem> {
    offered(&arguments, &CHECK.map(|(name, _)| name))?;
    understood(arguments)
}

/// The one argument of a tool that takes the id of a session.
///
/// # Errors
/// When it is something else.
pub(super) fn session(arguments: &JsonObject) -> Result<String, Problem> {
    offered(arguments, &["session"])?;
    let id = arguments.get("session").and_then(Value::as_str);
    id.map(ToOwned::to_owned).ok_or_else(|| Problem::invalid("session: write the id of a session"))
}

/// # Errors
/// When there are any.
pub(super) fn none(arguments: &JsonObject) -> Result<(), Problem> {
    offered(arguments, &[])
}

fn offered(arguments: &JsonObject, names: &[&str]) -> Result<(), Problem> {
    let strange = arguments.keys().find(|name| !names.contains(&name.as_str()));
    strange.map_or(Ok(()), |name| {
        let all = names.join(", ");
        Err(Problem::invalid(format!("there is no argument {name:?}; there is: {all}")))
    })
}

fn understood<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Problem> {
    // An error of serde would quote the value that is wrong.
    let secrets = arguments.get("secrets").cloned().unwrap_or_else(|| JsonObject::new().into());
    if serde_json::from_value::<BTreeMap<String, Data>>(secrets).is_err() {
        let what = "secrets: write an object of names and values; a value is a string, or an \
                    object of content and encoding";
        return Err(Problem::invalid(what));
    }
    serde_json::from_value(Value::Object(arguments))
        .map_err(|error| Problem::invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(arguments: Value) -> String {
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        run_code(arguments).err().map(|problem| problem.message).unwrap_or_default()
    }

    #[test]
    fn what_is_not_offered_is_refused_by_name() {
        for name in ["floor", "stdin_open", "cdoe"] {
            let mut arguments = json!({ "runtime": "js", "code": "1" });
            arguments[name] = json!("x");
            let refusal = refused(arguments);
            assert!(refusal.contains(&format!("{name:?}")), "{refusal}");
        }
        assert_eq!(refused(json!({ "runtime": "js", "code": "1", "session": null })), "");
    }

    #[test]
    fn no_refusal_repeats_a_secret() {
        for secrets in
            [json!("hunter2"), json!({ "A": { "content": "hunter2", "a": 1 } }), json!(["hunter2"])]
        {
            let refusal = refused(json!({ "runtime": "js", "code": "1", "secrets": secrets }));
            assert!(refusal.contains("secrets") && !refusal.contains("hunter2"), "{refusal}");
        }
    }

    #[test]
    fn a_call_in_a_session_takes_what_is_not_settled_yet() {
        let call = |more: Value| {
            let mut arguments = json!({ "session": "1", "code": "1" });
            arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            refused(arguments)
        };
        assert_eq!(call(json!({ "limits": { "wall_ms": 1 }, "collect": ["*"] })), "");
        assert!(call(json!({ "limits": { "cpu_ms": 1 } })).contains("only wall_ms"));
        assert!(call(json!({ "runtime": "js" })).contains("in a session"));
        assert!(refused(json!({ "session": 1, "code": "1" })).contains("id of a session"));
    }
}
