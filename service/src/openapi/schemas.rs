//! The types of the contract as JSON Schema, which `OpenAPI` 3.1 takes as it is.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value};

use crate::http::ProblemRow;
use crate::json::{
    CallAnswer, CallRequest, CheckAnswer, CheckRequest, HistoryPage, HostRow, LogPage, Outcome,
    PendingRow, Request, RuntimeRow, SessionPage, SessionRequest, SessionRow, VersionRow,
};

const PLACE: &str = "/components/schemas";

/// All of them, by name.
pub(super) fn all() -> Map<String, Value> {
    let mut taken = Named::new(SchemaSettings::draft2020_12().for_deserialize());
    taken.add::<Request>("RunRequest");
    taken.add::<SessionRequest>("SessionRequest");
    taken.add::<CallRequest>("CallRequest");
    taken.add::<CheckRequest>("CheckRequest");
    let mut given = Named::new(SchemaSettings::draft2020_12().for_serialize());
    given.add::<Outcome>("Outcome");
    given.add::<PendingRow<'_>>("PendingRun");
    given.add::<HistoryPage>("RunPage");
    given.add::<SessionRow>("Session");
    given.add::<SessionPage>("SessionPage");
    given.add::<CallAnswer>("CallAnswer");
    given.add::<CheckAnswer>("CheckAnswer");
    given.add::<Vec<RuntimeRow>>("Runtimes");
    given.add::<HostRow<'_>>("Host");
    given.add::<VersionRow>("Version");
    given.add::<LogPage>("LogPage");
    given.add::<ProblemRow<'_>>("Problem");
    let mut all = taken.done();
    all.extend(given.done());
    all
}

struct Named {
    generator: SchemaGenerator,
    named: Map<String, Value>,
}

impl Named {
    fn new(settings: SchemaSettings) -> Self {
        let settings = settings.with(|settings| settings.definitions_path = PLACE.into());
        Self { generator: settings.into_generator(), named: Map::new() }
    }

    fn add<T: JsonSchema>(&mut self, name: &str) {
        let schema = T::json_schema(&mut self.generator);
        self.named.insert(name.to_owned(), schema.into());
    }

    /// With what those that were added refer to.
    fn done(mut self) -> Map<String, Value> {
        let mut all = self.generator.take_definitions(true);
        all.extend(self.named);
        all
    }
}
