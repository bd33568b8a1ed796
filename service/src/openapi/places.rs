//! What can be asked for.

/// A method of a path.
pub(super) struct Place {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// Name, schema and meaning.
    pub(super) query: &'static [(&'static str, &'static str, &'static str)],
    /// Name and meaning.
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: Body,
    /// Of the body: each is executed by a test.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// Status, media type and schema, as far as there are any.
    pub(super) answers: &'static [(u16, &'static str, &'static str)],
}

/// What is sent along.
#[derive(Clone, Copy)]
pub(super) enum Body {
    None,
    Bytes,
    Json(&'static str),
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const SSE: &str = "text/event-stream";
const NUMBER: &str = r#"{"type":"integer","minimum":0}"#;
const WORD: &str = r#"{"type":"string"}"#;

const NOTHING: Place = Place {
    method: "get",
    path: "/",
    id: "",
    summary: "",
    query: &[],
    headers: &[],
    body: Body::None,
    examples: &[],
    answers: &[],
};

const TENANT: (&str, &str) =
    ("X-Belljar-Tenant", "On behalf of which tenant, where the operator allows it.");
const ACCEPT: (&str, &str) =
    ("Accept", "application/x-ndjson or text/event-stream for events as they happen.");

const RUN_EXAMPLES: &[(&str, &str)] = &[
    ("python", r#"{"runtime":"python","code":"print(6 * 7)"}"#),
    (
        "value",
        r#"{"runtime":"python","code":"x = [1, 2]\nsum(x)","rich":true,"labels":{"job":"7"}}"#,
    ),
    (
        "files",
        r#"{"runtime":"bash","files":[{"path":"main.sh","content":"wc -l < in.txt > out.txt"},{"path":"in.txt","content":"a\nb\n"}],"entry":"main.sh","collect":["out.txt"]}"#,
    ),
    ("limits", r#"{"runtime":"js","code":"for (;;);","limits":{"cpu_ms":200,"wall_ms":2000}}"#),
    (
        "secret",
        r#"{"runtime":"python","code":"import belljar; print(len(belljar.secrets['TOKEN']))","secrets":{"TOKEN":"abc"}}"#,
    ),
    (
        "loopback",
        r#"{"runtime":"python","code":"import socket\nprint(socket.create_server(('127.0.0.1', 0)).fileno() > 2)","network":["loopback"]}"#,
    ),
    ("mode", r#"{"runtime":"python","code":"import math\nprint(math.pi)","mode":"standard"}"#),
    (
        "input",
        r#"{"runtime":"python","code":"import sys; print(sys.stdin.read(), sys.argv[1:])","args":["-v"],"stdin":"hello","env":{"TZ":"UTC"}}"#,
    ),
];

pub(super) const PLACES: &[Place] = &[
    Place {
        method: "post",
        path: "/v1/runs",
        id: "run",
        summary: "Run code, and wait for its outcome; or stream its events, or do not wait.",
        headers: &[
            TENANT,
            ACCEPT,
            ("Prefer", "respond-async answers at once, with the name of the run."),
            ("Idempotency-Key", "Asked for again with the same body, it is the same run."),
        ],
        body: Body::Json("RunRequest"),
        examples: RUN_EXAMPLES,
        answers: &[
            (200, JSON, "Outcome"),
            (200, LINES, ""),
            (200, SSE, ""),
            (202, JSON, "PendingRun"),
        ],
        ..NOTHING
    },
    Place {
        path: "/v1/runs",
        id: "list_runs",
        summary: "Runs of the tenant, the newest first.",
        query: &[
            ("status", WORD, "Only those with this status."),
            ("runtime", WORD, "Only those of this runtime."),
            ("label", r#"{"type":"string","pattern":"="}"#, "Only those with this KEY=VALUE."),
            ("limit", r#"{"type":"integer","minimum":1,"maximum":500}"#, "How many, 50 otherwise."),
            ("before", WORD, "Only those before this one: `next` of the page before."),
        ],
        headers: &[TENANT],
        answers: &[(200, JSON, "RunPage")],
        ..NOTHING
    },
    Place {
        path: "/v1/runs/{id}",
        id: "inspect_run",
        summary: "How a run ended, or how far it has come.",
        query: &[("wait_ms", NUMBER, "How long to wait for its end.")],
        headers: &[TENANT],
        answers: &[(200, JSON, "Outcome")],
        ..NOTHING
    },
    Place {
        method: "delete",
        path: "/v1/runs/{id}",
        id: "cancel_run",
        summary: "End a run, and everything that it started.",
        headers: &[TENANT],
        answers: &[(204, "", "")],
        ..NOTHING
    },
    Place {
        path: "/v1/runs/{id}/events",
        id: "follow_run",
        summary: "What happened to a run so far, and what happens from then on.",
        query: &[("since", NUMBER, "Leave out events up to this number.")],
        headers: &[TENANT, ACCEPT, ("Last-Event-ID", "The same, from an interrupted stream.")],
        answers: &[(200, LINES, ""), (200, SSE, "")],
        ..NOTHING
    },
    Place {
        method: "post",
        path: "/v1/runs/{id}/stdin",
        id: "feed_run",
        summary: "Write to the standard input of a run that has `stdin_open`.",
        query: &[("eof", r#"{"type":"boolean"}"#, "Whether this is all of it.")],
        headers: &[TENANT],
        body: Body::Bytes,
        answers: &[(204, "", "")],
        ..NOTHING
    },
    Place {
        path: "/v1/runs/{id}/artifacts/{path}",
        id: "read_artifact",
        summary: "A file that a run left, as it is, for as long as it is retained.",
        headers: &[TENANT],
        answers: &[(200, "application/octet-stream", "")],
        ..NOTHING
    },
    Place {
        method: "post",
        path: "/v1/sessions",
        id: "open_session",
        summary: "Open a session: a jar that answers more than once, one trust domain.",
        headers: &[TENANT],
        body: Body::Json("SessionRequest"),
        examples: &[
            ("python", r#"{"runtime":"python"}"#),
            (
                "short",
                r#"{"runtime":"bash","call_limits":{"wall_ms":1000},"idle_ms":1000,"lifetime_ms":60000}"#,
            ),
        ],
        answers: &[(201, JSON, "Session")],
        ..NOTHING
    },
    Place {
        path: "/v1/sessions",
        id: "list_sessions",
        summary: "The sessions of the tenant, the oldest first.",
        headers: &[TENANT],
        answers: &[(200, JSON, "SessionPage")],
        ..NOTHING
    },
    Place {
        path: "/v1/sessions/{id}",
        id: "inspect_session",
        summary: "One session.",
        headers: &[TENANT],
        answers: &[(200, JSON, "Session")],
        ..NOTHING
    },
    Place {
        method: "delete",
        path: "/v1/sessions/{id}",
        id: "close_session",
        summary: "End a session, and everything that it started.",
        headers: &[TENANT],
        answers: &[(204, "", "")],
        ..NOTHING
    },
    Place {
        method: "post",
        path: "/v1/sessions/{id}/calls",
        id: "call_session",
        summary: "Run code in a session. Whoever leaves interrupts it.",
        headers: &[TENANT, ACCEPT],
        body: Body::Json("CallRequest"),
        answers: &[(200, JSON, "CallAnswer"), (200, LINES, ""), (200, SSE, "")],
        ..NOTHING
    },
    Place {
        method: "post",
        path: "/v1/sessions/{id}/interrupt",
        id: "interrupt_session",
        summary: "End the call that runs, and keep the state of the session.",
        headers: &[TENANT],
        answers: &[(204, "", "")],
        ..NOTHING
    },
    Place {
        method: "post",
        path: "/v1/check",
        id: "check",
        summary: "Where code breaks the rules of its language, without running it. Advice, not a boundary.",
        headers: &[TENANT],
        body: Body::Json("CheckRequest"),
        examples: &[(
            "python",
            r#"{"runtime":"python","code":"import os\nprint(os.getcwd())","mode":"standard"}"#,
        )],
        answers: &[(200, JSON, "CheckAnswer")],
        ..NOTHING
    },
    Place {
        path: "/v1/runtimes",
        id: "list_runtimes",
        summary: "Which languages can be run here.",
        answers: &[(200, JSON, "Runtimes")],
        ..NOTHING
    },
    Place {
        path: "/v1/version",
        id: "tell_version",
        summary: "What serves, and the number of this contract.",
        answers: &[(200, JSON, "Version")],
        ..NOTHING
    },
    Place {
        path: "/v1/host",
        id: "inspect_host",
        summary: "What this host enforces, found out by raising a jar.",
        answers: &[(200, JSON, "Host")],
        ..NOTHING
    },
    Place {
        path: "/v1/logs",
        id: "read_logs",
        summary: "What the service said last; for the operator.",
        query: &[
            ("since_id", NUMBER, "Only entries after this one."),
            (
                "level",
                r#"{"enum":["trace","debug","info","warn","error"]}"#,
                "The least important.",
            ),
            ("count", NUMBER, "How many."),
            ("source", WORD, "Only from this module and below it."),
        ],
        headers: &[ACCEPT],
        answers: &[(200, JSON, "LogPage"), (200, LINES, ""), (200, SSE, "")],
        ..NOTHING
    },
    Place {
        path: "/metrics",
        id: "read_metrics",
        summary: "What was counted, for Prometheus; for the operator.",
        answers: &[(200, "application/openmetrics-text", "")],
        ..NOTHING
    },
    Place {
        path: "/healthz",
        id: "is_alive",
        summary: "Whether somebody is at home.",
        answers: &[(200, JSON, ""), (503, JSON, "")],
        ..NOTHING
    },
    Place {
        path: "/readyz",
        id: "is_ready",
        summary: "Whether what is to be warm is, and runs would begin.",
        answers: &[(200, JSON, ""), (503, JSON, "")],
        ..NOTHING
    },
    Place {
        path: "/openapi.json",
        id: "read_contract",
        summary: "This document.",
        answers: &[(200, JSON, "")],
        ..NOTHING
    },
];
