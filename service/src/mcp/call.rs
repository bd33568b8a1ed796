//! What the tools do.

use belljar::{Error, Mode};
use rmcp::RoleServer;
use rmcp::model::{CallToolResult, JsonObject};
use rmcp::service::RequestContext;
use serde::Serialize;
use serde_json::json;

use super::arguments::{self, Ask};
use super::progress::{self, Pulse};
use super::schema::{RuntimeList, SessionList};
use super::{Handler, content, tools};
use crate::broker::{Called, Submission, Submitted};
use crate::json::{self, CallRequest, CheckRequest, Problem, Request, SessionRequest};

impl Handler {
    /// # Errors
    /// Our own failures, and refusals. Whatever the payload did is a result.
    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Problem> {
        match tool {
            tools::RUN_CODE => match arguments::run_code(arguments)? {
                Ask::Run(request) => self.run(*request, context).await,
                Ask::Call(session, request) => self.call_session(&session, request, context).await,
            },
            tools::CHECK_CODE => self.check(arguments::check_code(arguments)?, context).await,
            tools::LIST_RUNTIMES => self.list_runtimes(arguments).await,
            tools::OPEN_SESSION => {
                self.open_session(arguments::open_session(arguments)?, context).await
            }
            tools::LIST_SESSIONS => {
                arguments::none(&arguments)?;
                let sessions = self.broker.list_sessions(&self.caller(context)?.tenant);
                Ok(told(&SessionList { sessions }))
            }
            tools::CLOSE_SESSION => {
                let id = arguments::session(&arguments)?;
                self.broker.session(&self.caller(context)?.tenant, &id)?.close().await?;
                Ok(told(&json!({ "session": id })))
            }
            tools::INTERRUPT_SESSION => {
                let id = arguments::session(&arguments)?;
                self.broker.session(&self.caller(context)?.tenant, &id)?.interrupt();
                Ok(told(&json!({ "session": id })))
            }
            name => Err(Problem::invalid(format!("there is no tool {name:?}"))),
        }
    }

    async fn check(
        &self,
        mut request: CheckRequest,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Problem> {
        // What would be said of a run.
        request.lower(self.most(tools::RUN_CODE));
        let tenant = self.caller(context)?.tenant;
        let answer = self.broker.check(&tenant, request).await?;
        Ok(content::plain(content::checked(&answer), &answer))
    }

    async fn run(
        &self,
        mut request: Request,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Problem> {
        request.lower(self.most(tools::RUN_CODE));
        let mut caller = self.caller(context)?;
        let submission = Submission {
            tenant: caller.tenant.clone(),
            request,
            key: None,
            is_detached: false,
            room: caller.take_room(),
        };
        let Submitted::New(held) = self.broker.submit(submission).await? else {
            return Err(Problem::torn());
        };
        let pulse = Pulse::default();
        let ended = tokio::select! {
            ended = held.ticket.ended() => ended,
            left = caller.leaves(context) => return Err(left),
            never = progress::follow(&held.ticket, &pulse) => match never {},
            never = progress::report(&pulse, context) => match never {},
        };
        let answer = ended.map_err(|problem| Problem::clone(&problem))?;
        Ok(content::run(&answer.outcome, &caller.tenant, self.shelf()))
    }

    async fn call_session(
        &self,
        session: &str,
        request: CallRequest,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Problem> {
        let mut caller = self.caller(context)?;
        let most = self.most(tools::RUN_CODE);
        if self.broker.mode_of_session(&caller.tenant, session)? > most {
            let what =
                format!("mode {most}: this session was opened with more than models may use");
            return Err(Error::Refused { what, findings: Vec::new() }.into());
        }
        let mut calls = self.broker.call(&caller.tenant, session, request).await?;
        let pulse = Pulse::default();
        pulse.begin();
        let answered = async {
            loop {
                match calls.next().await {
                    Some(Called::Output(chunk)) => pulse.count(&chunk),
                    Some(Called::Answered(answer)) => return Ok(answer),
                    Some(Called::Failed(problem)) => return Err(*problem),
                    None => return Err(Problem::torn()),
                }
            }
        };
        let answer = tokio::select! {
            answer = answered => answer?,
            left = caller.leaves(context) => return Err(left),
            never = progress::report(&pulse, context) => match never {},
        };
        Ok(content::session_call(&answer, &caller.tenant, self.shelf()))
    }

    async fn open_session(
        &self,
        mut request: SessionRequest,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Problem> {
        request.lower(self.most(tools::OPEN_SESSION));
        let caller = self.caller(context)?;
        let room = caller.take_room();
        let row = self.broker.open_session(caller.tenant, request, room).await?;
        Ok(told(&row))
    }

    /// The mode that the operator leaves to what comes through `tool`.
    fn most(&self, tool: &str) -> Mode {
        self.broker.policy().governed.mode_of_tool(tool)
    }

    async fn list_runtimes(&self, arguments: JsonObject) -> Result<CallToolResult, Problem> {
        arguments::none(&arguments)?;
        let runtimes = self.broker.sandboxes.runtimes.clone();
        let rows = tokio::task::spawn_blocking(move || json::rows(&runtimes)).await;
        let runtimes = rows.map_err(|_| Problem::torn())??;
        let text = content::runtimes(&runtimes);
        Ok(content::plain(text, &RuntimeList { runtimes }))
    }

    /// Where files are kept, unless the operator wants nothing kept.
    fn shelf(&self) -> Option<&super::Shelf> {
        self.broker.policy().keeps_outputs.then_some(&*self.shelf)
    }
}

/// A result whose text is its JSON.
fn told(value: &impl Serialize) -> CallToolResult {
    content::plain(json::line(value), value)
}
