//! The door for models: the Model Context Protocol over standard streams, and over the socket.

mod arguments;
mod bridge;
mod call;
mod caller;
mod content;
mod progress;
mod schema;
mod shelf;
mod stdio;
mod tools;

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorCode, ErrorData, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
    ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ResourceTemplate,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use crate::broker::Broker;
use crate::json::{Problem, Whose};
use shelf::Shelf;

pub(crate) use bridge::bridge;
pub(crate) use caller::{Caller, Waiting};
pub(crate) use stdio::serve;

const INSTRUCTIONS: &str = "\
Runs code in throwaway sandboxes. Without a session, each run_code call starts from nothing: no \
file, variable or process is left from an earlier one, so pass all code and data with each call. \
open_session opens a sandbox that keeps its state; pass its id as session to run_code, and close it \
when you are done. There is no network, except for places that `network` names and the operator \
allows. The working directory is /work; files that you pass are \
there, under their paths, and files that the code writes there come back when `collect` names them \
(for example [\"*.png\"]). Print what you want to see, or say rich for the value of the last \
expression and for figures (sessions are rich always). A result whose isError is true means that \
the code failed or met a limit: its first line says why, and what the sandbox refused is listed \
with what to do instead. list_runtimes tells which languages there are.";

/// What all connections of this door share.
#[derive(Clone)]
pub(crate) struct Handler {
    broker: Arc<Broker>,
    shelf: Arc<Shelf>,
    /// Whose runs these are, where the connection is the caller's own.
    own: Option<Arc<str>>,
}

impl Handler {
    pub(crate) fn new(broker: Arc<Broker>, own: Option<Arc<str>>) -> Self {
        Self { broker, shelf: Arc::default(), own }
    }

    fn tools(&self) -> Vec<Tool> {
        let policy = self.broker.policy();
        tools::all(&policy.limits, &policy.ceiling)
    }
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let offers = ServerCapabilities::builder().enable_tools().enable_resources().build();
        let this = Implementation::new("belljar", env!("CARGO_PKG_VERSION")).with_title("belljar");
        ServerConfig::new(offers).with_server_info(this).with_instructions(INSTRUCTIONS)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools().into_iter().find(|tool| tool.name == name)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let result = Box::pin(self.call(&request.name, arguments, &context)).await;
        let result = result.or_else(|problem| match &*problem.code {
            // What a model wrote or asked for, and what it can write instead.
            "policy_refused" => Ok(content::refused(&problem)),
            _ => Err(refusal(&problem)),
        });
        result.map(CallToolResponse::from)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let caller = self.caller(&context).map_err(|problem| refusal(&problem))?;
        Ok(ListResourcesResult::with_all_items(self.shelf.list(&caller.tenant)))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new(shelf::TEMPLATE, "artifact")
            .with_title("A file that a run left behind")
            .with_description("Kept in memory for a while, and given up for newer ones.");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let caller = self.caller(&context).map_err(|problem| refusal(&problem))?;
        let Some(contents) = self.shelf.read(&caller.tenant, &request.uri) else {
            let what = "no artifact of this name is kept";
            let problem = Problem::new("not_found", Whose::Caller, what);
            return Err(ErrorData::resource_not_found(what, serde_json::to_value(problem).ok()));
        };
        Ok(ReadResourceResult::new(vec![contents]).into())
    }
}

/// A problem as JSON-RPC has it.
fn refusal(problem: &Problem) -> ErrorData {
    // What the host has not got, another request need not ask for.
    let is_asked_wrong = problem.fault == Whose::Caller || problem.code == "unknown_runtime";
    let code = if is_asked_wrong { ErrorCode::INVALID_PARAMS } else { ErrorCode::INTERNAL_ERROR };
    ErrorData::new(code, problem.message.clone(), serde_json::to_value(problem).ok())
}
