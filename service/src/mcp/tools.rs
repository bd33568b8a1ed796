//! The list of tools.

use std::sync::Arc;

use belljar::Limits;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};

use super::schema;

pub(super) const RUN_CODE: &str = "run_code";
pub(super) const CHECK_CODE: &str = "check_code";
pub(super) const LIST_RUNTIMES: &str = "list_runtimes";
pub(super) const OPEN_SESSION: &str = "open_session";
pub(super) const CLOSE_SESSION: &str = "close_session";
pub(super) const LIST_SESSIONS: &str = "list_sessions";
pub(super) const INTERRUPT_SESSION: &str = "interrupt_session";

const RUN_CODE_DOES: &str = "\
Run a program in a sandbox and return its output, exit status and files. Without a session the \
sandbox is thrown away afterwards; it has a network only as far as network says.";
const CHECK_CODE_DOES: &str = "\
Say where a program breaks the rules of its language that run_code would refuse it for, and what to \
write instead, without running it.";
const LIST_RUNTIMES_DOES: &str = "\
List the languages that run_code knows, which of them are installed, and their versions.";
const OPEN_SESSION_DOES: &str = "\
Open a sandbox that keeps variables, files and imports from one run_code call to the next. It ends \
when it is closed, idle or too old.";
const CLOSE_SESSION_DOES: &str = "End a session, and everything that runs and lies in it.";
const LIST_SESSIONS_DOES: &str = "List the sessions that are open.";
const INTERRUPT_SESSION_DOES: &str = "\
Interrupt the call that runs in a session, as Ctrl-C does. The session stays, with its state.";

/// What a call does beyond its answer. What leaves the sandboxes goes to places that an operator allows.
#[derive(Clone, Copy)]
enum Acts {
    /// It only looks.
    Never,
    /// It uses something up, or keeps something.
    Adds,
    /// It ends something, once.
    Ends,
    /// It ends whatever is there each time.
    Stops,
}

/// Every tool there is.
pub(super) fn all(usual: &Limits, most: &Limits) -> Vec<Tool> {
    let (run, open) = (schema::run_code(usual, most), schema::open_session(usual, most));
    let (one, nothing) = (schema::one_session, schema::nothing);
    vec![
        tool(RUN_CODE, "Run code in a sandbox", RUN_CODE_DOES, Acts::Adds)(run, schema::outcome()),
        tool(CHECK_CODE, "Check code", CHECK_CODE_DOES, Acts::Never)(
            schema::check_code(usual, most),
            schema::findings(),
        ),
        tool(LIST_RUNTIMES, "List languages", LIST_RUNTIMES_DOES, Acts::Never)(
            nothing(),
            schema::runtimes(),
        ),
        tool(OPEN_SESSION, "Open a session", OPEN_SESSION_DOES, Acts::Adds)(
            open,
            schema::session(),
        ),
        tool(CLOSE_SESSION, "Close a session", CLOSE_SESSION_DOES, Acts::Ends)(one(), one()),
        tool(LIST_SESSIONS, "List sessions", LIST_SESSIONS_DOES, Acts::Never)(
            nothing(),
            schema::sessions(),
        ),
        tool(INTERRUPT_SESSION, "Interrupt a session", INTERRUPT_SESSION_DOES, Acts::Stops)(
            one(),
            one(),
        ),
    ]
}

fn tool(
    name: &'static str,
    title: &'static str,
    does: &'static str,
    acts: Acts,
) -> impl FnOnce(JsonObject, JsonObject) -> Tool {
    let hints = ToolAnnotations::with_title(title)
        .read_only(matches!(acts, Acts::Never))
        .destructive(matches!(acts, Acts::Ends | Acts::Stops))
        .idempotent(matches!(acts, Acts::Never | Acts::Ends))
        .open_world(matches!(acts, Acts::Adds));
    move |takes, gives| {
        Tool::new(name, does, Arc::new(takes))
            .with_title(title)
            .with_raw_output_schema(Arc::new(gives))
            .with_annotations(hints)
    }
}
